"""What blind remembers of the lanes."""

import pytest

from detectors.hosts.blindness import Seen, State


@pytest.mark.parametrize(("step_ms", "run_ms"), [(0, 0), (9_999, 9_999), (10_000, 10_000), (300_000, 10_000)])
def test_a_leap_of_the_foremost_lane_counts_as_ten_seconds(step_ms: int, run_ms: int) -> None:
    state = State()
    state.see({}, 1_000_000)
    state.see({}, 1_000_000 + step_ms)

    assert run_ms == state.run_ms


def test_a_step_back_counts_for_nothing_and_what_was_reached_stays() -> None:
    state = State()
    for foremost_ms in (1_000_000, 1_005_000, 1_001_000, 1_006_000):
        state.see({}, foremost_ms)

    assert (1_006_000, 6_000) == (state.foremost_ms, state.run_ms)


def test_a_lane_is_remembered_from_when_it_came_where_it_stands() -> None:
    state = State()
    for foremost_ms, watermark_ms in ((100, 50), (200, 60), (300, 60)):
        state.see({"host-agent/0": watermark_ms}, foremost_ms)

    assert {"host-agent/0": Seen(60, 200, 100)} == state.seen


@pytest.mark.parametrize(("later_ms", "believed"), [(9_999, False), (10_000, True), (10_001, True)])
def test_what_has_held_for_the_whole_settling_time_is_believed(later_ms: int, believed: bool) -> None:
    state = State()
    state.holds("lane", 10_000, holds=True)
    state.run_ms += later_ms

    assert believed == state.holds("lane", 10_000, holds=True)


def test_what_ceased_to_hold_begins_anew() -> None:
    state = State()
    state.holds("lane", 10_000, holds=True)
    state.run_ms = 8_000
    state.holds("lane", 10_000, holds=False)
    state.run_ms = 12_000

    assert not state.holds("lane", 10_000, holds=True)
    assert {"lane": 12_000} == state.since
