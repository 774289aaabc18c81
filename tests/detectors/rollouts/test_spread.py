"""Tests of how many servers a change has reached."""

from __future__ import annotations

import pytest

from detectors.rollouts.spread import Reached, Spread, exceeding, largest_domain, per_minute, sample
from schemas.outputs import Evidence
from tests.detectors.pictured import pictured
from tests.kit import Log


def reached(*stamps: int) -> list[Reached]:
    return [Reached(at_ms, f"e{n}", Evidence(0, n)) for n, at_ms in enumerate(stamps)]


def test_of_two_stamps_of_a_server_the_greater_counts() -> None:
    spread = Spread()
    for one in reached(10, 30, 20):
        spread.take("s1", one)

    assert (30, [30]) == (spread.newest_ms(), [one.at_ms for one in spread.ordered()])
    assert [] == spread.ordered(29)
    assert 0 == Spread().newest_ms()


def test_what_is_older_is_forgotten() -> None:
    spread = Spread()
    for name, one in zip("abc", reached(10, 20, 30), strict=True):
        spread.take(name, one)
    spread.forget(20)

    assert [20, 30] == [one.at_ms for one in spread.ordered()]


@pytest.mark.parametrize(("window_ms", "found"), [(20, 2), (19, None)])
def test_more_than_so_many_within_a_window(window_ms: int, found: int | None) -> None:
    known = reached(0, 10, 20, 60)
    over = exceeding(known, 2, window_ms)

    assert found == (None if over is None else known.index(over))


def test_share_per_minute_is_of_the_newest_window_and_at_least_a_minute() -> None:
    assert 0.3 == per_minute(reached(0, 1000, 2000), 10, 600_000)
    assert 0.15 == per_minute(reached(0, 60_000, 120_000), 10, 600_000)
    assert 0.1 == per_minute(reached(0, 700_000), 10, 600_000)
    assert 0.0 == per_minute([], 10, 600_000)
    assert 0.0 == per_minute(reached(1), 0, 600_000)


def test_the_first_and_the_newest_records_are_cited_each_once() -> None:
    assert [*range(8), *range(32, 40)] == [one.offset for one in sample(reached(*range(40)))]
    assert 1 == len(sample([Reached(n, "e", Evidence(0, 1)) for n in range(3)]))


def test_largest_domain_is_of_the_inventory() -> None:
    log = Log().inventory(7, update_domains=3).host(0, "unknown", vms=[])

    assert 3 == largest_domain(pictured(log))
    assert 0 == largest_domain(pictured(Log().host(0, "unknown", vms=[])))
