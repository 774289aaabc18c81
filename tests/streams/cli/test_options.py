"""What commands share: which configuration, times in and out, ids by their beginnings, and tables."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.exits import Failure
from streams.cli.options import config_path, number, one_of, say_json, say_rows, to_ms, when

LEAP_MS = 1_330_473_600_000


def test_the_configuration_named_is_taken_before_the_one_that_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = Path("other.toml")
    (tmp_path / "leapwatch.toml").touch()

    assert named == config_path(named)
    assert Path("leapwatch.toml") == config_path(None)


@pytest.mark.parametrize(
    "text",
    ["2012-02-29", "2012-02-29T00:00:00Z", "2012-02-29 00:00:00", "2012-02-29T01:00:00+01:00", "1330473600000"],
)
def test_a_time_is_utc_where_it_names_no_zone(text: str) -> None:
    assert LEAP_MS == to_ms(text, "--from")


def test_a_time_that_is_none_is_refused_with_its_flag() -> None:
    with pytest.raises(Failure, match="--from: `29/02/2012` is neither"):
        to_ms("29/02/2012", "--from")


def test_milliseconds_beyond_all_calendars_are_refused() -> None:
    assert 253_402_300_799_999 == to_ms("253402300799999", "--to")
    with pytest.raises(Failure, match="--to: `253402300800000` milliseconds are beyond the year 9999"):
        to_ms("253402300800000", "--to")


def test_an_empty_id_is_asked_for() -> None:
    with pytest.raises(Failure, match="give the id of the incident"):
        one_of({"a": 1, "b": 2}, "", "incident")


@given(st.integers(0, 253_402_300_799))
def test_a_time_printed_is_the_time_read(at_s: int) -> None:
    assert at_s * 1000 == to_ms(when(at_s * 1000), "--from")


def test_a_stamp_that_no_calendar_has_is_printed_as_its_number() -> None:
    assert "9223372036854775807 ms" == when(2**63 - 1)


def test_the_beginning_of_an_id_is_enough_where_it_is_one_s_alone() -> None:
    items = {"abc": 1, "abd": 2, "ab": 3}

    assert ["abc", "ab"] == [one_of(items, "abc", "finding"), one_of(items, "ab", "finding")]
    with pytest.raises(Failure, match="3 findings have ids that begin with a: give more"):
        one_of(items, "a", "finding")
    with pytest.raises(Failure, match="no finding has the id x"):
        one_of(items, "x", "finding")


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    say_rows(("ID", "N", "TITLE"), [("a-long-id", 1, "one"), ("b", 100, "")])

    assert ["ID         N    TITLE", "a-long-id  1    one", "b          100"] == capsys.readouterr().out.splitlines()


def test_json_keeps_bytes_that_are_no_text_readable(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"key": b"c\xff", "name": "Zürich"})

    assert '{"key": "c\\\\xff", "name": "Zürich"}\n' == capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_330_478_104_123.0, "1330478104123"),
        (50.0, "50"),
        (-3.0, "-3"),
        (0.93, "0.93"),
        (1 / 3, "0.333333"),
        (123_456.78, "123456.8"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_keeps_the_digits_that_a_person_needs(value: float, text: str) -> None:
    assert text == number(value)
