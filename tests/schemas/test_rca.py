"""Articles: what their record holds; the codec's tests send it there and back with every other."""

from schemas.codec import decode, encode
from schemas.rca import ArticleState, Cause, RcaArticle


def test_an_article_travels() -> None:
    article = RcaArticle("i1", "v1", "c1", "s1", 1, 0, Cause.HOST_REBOOT, False, ArticleState.PROVISIONAL, 1, 2)

    assert article == decode(encode(article))


def test_what_cannot_be_told_is_unknown() -> None:
    """The default of both enums, so that a symbol may be added."""
    assert ("UNKNOWN", "UNKNOWN") == (next(iter(Cause)), next(iter(ArticleState)))
