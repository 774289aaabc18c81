"""The demo's pace: as asked, and no further ahead than is judged."""

from streams.simulate.feed import Sent
from streams.simulate.load import load
from streams.simulate.pace import (
    EVE_MS,
    HELD_S,
    LEAD_BYTES,
    RECORD_BYTES,
    Pace,
    begin_ms,
    lanes_of,
    quiet_until_ms,
)
from streams.simulate.stage import LEAD_MS

QUIET_MS = 1_000_000


def message(at_ms: int, feed: str = "host-agent", lane: int = 0, size: int = 10) -> Sent:
    return Sent(feed, lane, at_ms, b"c", b"x" * size)


def pace(speed: float = 100.0) -> Pace:
    return Pace(speed, QUIET_MS)


def test_the_quiet_time_goes_as_fast_as_it_is_judged() -> None:
    """Before the first fault no pace is kept, up to and including its moment."""
    made = pace()

    assert 0.0 == made.wait_s(message(QUIET_MS - 500_000), 7.0)
    assert 0.0 == made.wait_s(message(QUIET_MS), 7.0)


def test_from_the_first_fault_on_the_pace_is_kept() -> None:
    made = pace(speed=100)

    assert 0.0 == made.wait_s(message(QUIET_MS + 1_000), 7.0)
    assert 1.0 == made.wait_s(message(QUIET_MS + 101_000), 7.0)
    assert 0.25 == made.wait_s(message(QUIET_MS + 101_000), 7.75)
    assert 0.0 == made.wait_s(message(QUIET_MS + 101_000), 9.0)


def test_a_lane_is_held_while_more_source_time_than_the_lead_is_not_judged() -> None:
    made = pace()
    made.sent(message(1_000))

    assert 0.0 == made.wait_s(message(1_000 + LEAD_MS), 0.0)
    assert HELD_S == made.wait_s(message(1_001 + LEAD_MS), 0.0)
    assert 0.0 == made.wait_s(message(1_001 + LEAD_MS, lane=1), 0.0)
    made.judged({("host-agent", 0): 1_000})
    assert 0.0 == made.wait_s(message(1_001 + LEAD_MS), 0.0)


def test_a_lane_is_held_while_too_many_bytes_are_not_judged() -> None:
    made = pace()
    made.sent(message(1_000, size=LEAD_BYTES - RECORD_BYTES))
    assert 0.0 == made.wait_s(message(1_001), 0.0)

    made.sent(message(1_001, size=1))
    assert HELD_S == made.wait_s(message(1_002), 0.0)
    made.judged({("host-agent", 0): 1_000})
    assert 0.0 == made.wait_s(message(1_002), 0.0)


def test_what_was_held_is_not_caught_up_in_a_burst() -> None:
    """After a hold the pace begins anew with the message that was held."""
    made = pace(speed=100)
    made.wait_s(message(QUIET_MS + 1), 0.0)
    made.sent(message(QUIET_MS + 1))
    assert HELD_S == made.wait_s(message(QUIET_MS + LEAD_MS + 2), 1.0)
    made.judged({("host-agent", 0): QUIET_MS + 1})

    assert 0.0 == made.wait_s(message(QUIET_MS + LEAD_MS + 2), 60.0)
    assert 1.0 == made.wait_s(message(QUIET_MS + LEAD_MS + 100_002), 60.0)


def test_a_late_lane_is_judged_with_what_comes_after_it() -> None:
    """Stamps of long ago are not taken for judged because the watermark is beyond them already."""
    made = pace()
    made.sent(message(500_000))
    made.sent(message(1_000, size=LEAD_BYTES))
    made.judged({("host-agent", 0): 499_999})

    assert HELD_S == made.wait_s(message(1_001), 0.0)


def test_feeds_without_a_watermark_hold_nothing() -> None:
    made = pace()
    made.sent(message(0, feed="inventory", size=LEAD_BYTES * 2))

    assert 0.0 == made.wait_s(message(900_000, feed="inventory"), 0.0)


def test_the_leap_day_begins_with_its_rollouts_and_is_quiet_until_midnight() -> None:
    scenario = load("leap-day-dawn")

    assert scenario.start_ms + 30 * 60_000 == quiet_until_ms(scenario)
    assert scenario.start_ms + 20 * 60_000 - EVE_MS == begin_ms(scenario)


def test_a_scenario_in_which_nothing_happens_is_quiet_to_its_end() -> None:
    scenario = load("healthy-week")
    assert scenario.faults
    first_ms = min(fault.at_ms for fault in scenario.faults)

    assert first_ms == quiet_until_ms(scenario)
    assert scenario.start_ms <= begin_ms(scenario) <= first_ms


def test_watermarks_are_read_from_progress() -> None:
    """A topic's id may hold a slash or nothing."""
    told = {"host-agent/abc/3": 5, "guest-agent//0": 6}

    assert {("host-agent", 3): 5, ("guest-agent", 0): 6} == lanes_of(told)
