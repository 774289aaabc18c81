"""Durations, moments and formulas of scenarios."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.simulate.quantity import Clock, brake, duration_ms, moment_ms, number, size_names, utc, whole


@pytest.mark.parametrize(
    ("servers", "expected"),
    [(1, 3), (2, 3), (3, 3), (5, 4), (16, 6), (49, 11), (50, 11), (128, 17), (1000, 50), (140, 18), (4000, 200)],
)
def test_brake_is_the_largest_of_three_five_percent_and_one_and_a_half_roots(servers: int, expected: int) -> None:
    assert expected == brake(servers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", 5_400_000),
        ("90s", 90_000),
        ("250ms", 250),
        ("1d", 86_400_000),
        (2, 2000),
        (0.5, 500),
        ("1.5h", 5_400_000),
    ],
)
def test_durations_are_read_with_their_units(text: object, expected: int) -> None:
    assert expected == duration_ms(text)


@pytest.mark.parametrize("text", ["", "1", "h", "1h 30m", "-1s", -1, True, None, float("nan"), "1w"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration_ms(text)


def test_moments_are_utc_or_relative_to_the_start() -> None:
    start_ms = 1_330_473_600_000  # 2012-02-29T00:00:00Z

    assert start_ms == moment_ms(datetime(2012, 2, 29, tzinfo=UTC), 5)
    assert start_ms == moment_ms("2012-02-29T00:00:00Z", 5)
    assert start_ms + 4_500_000 == moment_ms("1h15m", start_ms)
    assert "2012-02-29 01:15:00.007" == utc(start_ms + 4_500_007)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time"):
        moment_ms("2012-02-29T00:00:00", 0)


def test_formulas_follow_the_size_of_the_cluster() -> None:
    names = size_names(50, 5)

    assert 4 == whole("max(1, floor(n / brake))", names)
    assert 5.5 == number("brake / 2", names)
    assert 20 == whole("max(1, floor(n / brake))", size_names(1000, 20))


@pytest.mark.parametrize(
    "text", ["n +", "__import__('os')", "n.real", "x", "max()", "1 / 0", "n ** 9", "[1]", "'a'", "max(n=1)", "9" * 300]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        number(text, size_names(10, 1))


def test_a_fraction_of_a_server_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        whole("n / 3", size_names(10, 1))


def test_a_clock_counts_durations_from_the_start_and_takes_dates_as_they_are() -> None:
    clock = Clock(1_000)

    assert [61_000, 0] == [clock.moment("1m"), clock.moment("1970-01-01T00:00:00Z")]
