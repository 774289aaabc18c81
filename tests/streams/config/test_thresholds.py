"""Thresholds: one text and digest for one meaning, every mistake named, old texts of the log still read."""

import tomllib
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config.problems import ConfigError
from streams.config.thresholds import PolicyConfig, digest_of, parse, thresholds_text


@dataclass(frozen=True)
class Silence:
    """A detector's configuration."""

    timeout_s: float = 90.0
    count: int = 3
    failing_share: float = 0.5


REGISTRY: dict[str, type] = {"host_silence": Silence, "other": Silence}


def reasons(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, REGISTRY)
    return [problem.text("t") for problem in caught.value.problems]


def test_detectors_that_the_text_does_not_name_have_their_defaults() -> None:
    read = parse("[detectors.host_silence]\ntimeout_s = 5\n", REGISTRY)

    assert {"host_silence": Silence(timeout_s=5.0), "other": Silence()} == read.detectors
    assert PolicyConfig() == read.policy


def test_an_action_that_is_not_named_is_advised() -> None:
    policy = parse('[policy.modes]\nstop-updates = "enforce"\n', REGISTRY).policy

    assert ["enforce", "advise"] == [policy.mode("stop-updates"), policy.mode("pause-create")]


def test_every_mistake_is_told_with_its_line() -> None:
    text = """[detectors.host_silenc]
timeout_s = 1
[detectors.other]
timeout = 3
count = -1
failing_share = 1.5
[policy.modes]
stop-update = "advise"
disable-healing = "enforced"
[polic]
"""

    assert [
        "t:1: detectors.host_silenc: unknown detector; did you mean `host_silence`?",
        "t:4: detectors.other.timeout: unknown key; did you mean `timeout_s`?",
        "t:8: policy.modes.stop-update: unknown key; did you mean `stop-updates`?",
        (
            't:9: policy.modes.disable-healing: must be one of shadow, advise, enforce, is the text "enforced"; '
            "did you mean `enforce`?"
        ),
        "t:10: polic: unknown key; did you mean `policy`?",
    ] == reasons(text)


def test_a_negative_number_and_a_share_above_one_are_refused() -> None:
    assert [
        "t:2: detectors.other.count: must not be negative, is -1",
        "t:3: detectors.other.failing_share: is a share and must be at most 1, is 1.5",
    ] == reasons("[detectors.other]\ncount = -1\nfailing_share = 1.5\n")


def test_a_text_that_is_not_toml_is_refused_with_its_line() -> None:
    assert ["t:2: not TOML: Expected '=' after a key in a key/value pair (column 2)"] == reasons("a = 1\nb\n")


def test_a_text_of_the_log_that_newer_code_wrote_is_read_as_far_as_it_is_known() -> None:
    text = "[detectors.new_one]\nx = 1\n[detectors.other]\ncount = 7\nnew_key = 2\n"
    read = parse(text, REGISTRY, lenient=True)

    assert Silence(count=7) == read.detectors["other"]
    assert ["detectors.new_one", "detectors.other.new_key"] == [problem.key for problem in read.ignored]
    assert digest_of(thresholds_text(tomllib.loads(text))) == read.digest


def test_a_wrong_value_of_the_log_is_refused_even_so() -> None:
    with pytest.raises(ConfigError, match="whole number"):
        parse('[detectors.other]\ncount = "many"\n', REGISTRY, lenient=True)


def test_order_and_comments_change_neither_text_nor_digest() -> None:
    one = parse("[policy]\nbudget_per_day = 3\n# why\n[detectors.other]\ncount = 4\ntimeout_s = 1.5\n", REGISTRY)
    two = parse("detectors.other = {timeout_s = 1.5, count = 4}\npolicy.budget_per_day = 3\n", REGISTRY)

    assert (one.text, one.digest) == (two.text, two.digest)
    assert "[detectors.other]\ncount = 4\ntimeout_s = 1.5\n\n[policy]\nbudget_per_day = 3\n" == one.text


def test_other_tables_do_not_reach_the_log() -> None:
    assert "" == thresholds_text({"kafka": {"prefix": "x"}})


SCALARS = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text(max_size=8))
TREES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(max_size=4), below, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), TREES, max_size=3), min_size=1))
def test_the_canonical_text_says_what_the_document_said(tables: dict[str, dict[str, Any]]) -> None:
    text = thresholds_text({"detectors": tables})

    assert {"detectors": tables} == tomllib.loads(text)
    assert text == thresholds_text(tomllib.loads(text))
