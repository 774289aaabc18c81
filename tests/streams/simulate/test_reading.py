"""Reading a table: each error is named with its place, all at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.simulate import reading as read
from streams.simulate.reading import ScenarioError, Table


def test_a_wrong_value_is_noted_with_its_place_and_the_default_stands_in() -> None:
    errors: list[str] = []
    table = Table({"servers": 0, "name": "x"}, "cluster[2]", errors)

    assert (5, "x") == (table.take("servers", read.whole_between(1, 9), 5), table.take("name", read.text))
    assert ["cluster[2].servers: is 0; must be a whole number from 1 to 9"] == errors


def test_what_must_be_there_is_missed_and_what_may_be_is_not() -> None:
    errors: list[str] = []
    table = Table({}, "", errors)
    table.take("name", read.text)
    table.take("title", read.text, "")

    assert ["name: is missing"] == errors


def test_an_unknown_key_is_refused_with_the_nearest_or_all_known_ones() -> None:
    errors: list[str] = []
    table = Table({"servrs": 1, "zzz": 2}, "fleet", errors)
    table.take("servers", read.real, 1.0)
    table.close()

    assert [
        "fleet.servrs: unknown key; did you mean 'servers'?",
        "fleet.zzz: unknown key; known: servers",
    ] == errors


def test_a_table_within_and_an_array_of_tables_have_places_of_their_own() -> None:
    errors: list[str] = []
    table = Table({"fleet": 3, "fault": [{"at": 1}, "x"], "find": {}}, "", errors)
    table.table("fleet")
    first, _ = table.tables("fault")

    assert [] == table.tables("find")
    assert "fault[0].at" == first.at("at")
    assert [
        "fleet: is 3; must be a table",
        "fault[1]: is 'x'; must be a table",
        "find: is {}; must be an array of tables, written [[find]]",
    ] == errors


def test_an_error_has_a_line_for_each_with_the_name_of_the_file() -> None:
    assert "f: a\nf: b" == str(ScenarioError("f", ["a", "b"]))


@pytest.mark.parametrize(("length", "cut"), [(58, False), (59, True)])
def test_a_value_is_shown_with_sixty_characters_at_most(length: int, cut: bool) -> None:
    shown = read.shown("x" * length)

    assert 60 == len(shown)
    assert cut == shown.endswith("...")
    assert "2012-02-29T00:00:00+00:00" == read.shown(datetime(2012, 2, 29, tzinfo=UTC))


@pytest.mark.parametrize(
    ("parse", "value", "good"),
    [
        (read.text, "", False), (read.any_text, "", True), (read.any_text, 1, False),
        (read.flag, 1, False), (read.flag, False, True),
        (read.whole_between(1, 3), 0, False), (read.whole_between(1, 3), 1, True), (read.whole_between(1, 3), 3, True),
        (read.whole_between(1, 3), 4, False), (read.whole_between(0, 3), True, False),
        (read.whole_between(0, 3), 1.0, False),
        (read.fraction, -0.001, False), (read.fraction, 0, True), (read.fraction, 1, True),
        (read.fraction, 1.001, False),
        (read.real, float("nan"), False), (read.real, -5, True), (read.real, 1e15, False),
        (read.span, [1, 1], True), (read.span, [0, 1], True), (read.span, [-1, 1], False), (read.span, [2, 1], False),
        (read.span, [1], False),
        (read.texts, "a", True), (read.texts, [], False), (read.texts, ["a", ""], False),
        (read.text_map, {"a": 1}, False), (read.text_map, {"a": "b"}, True), (read.text_map, [], False),
        (read.one_of("a", "b"), "c", False), (read.one_of("a", "b"), "b", True),
    ],
)  # fmt: skip
def test_a_value_is_taken_up_to_its_limits_and_refused_with_what_it_must_be(
    parse: Callable[[Any], object], value: object, good: bool
) -> None:
    if good:
        parse(value)
        return
    with pytest.raises(ValueError, match=r"^is .*; must be "):
        parse(value)
