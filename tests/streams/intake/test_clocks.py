"""The clock of a lane, and that its reader sees no less than one who saw every record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.lanes import Lanes
from schemas.telemetry import Gap, Stretch
from streams.intake import clocks
from streams.intake.clocks import LaneClock, Turns
from tests.streams.intake.makers import T0, place

GAP_MS = 10_000


def clock(position: int = 0) -> LaneClock:
    return LaneClock(place(), GAP_MS, position)


def read(stamps: list[int | None], position: int = 0) -> LaneClock:
    lane = clock(position)
    for offset, stamp in enumerate(stamps, position):
        lane.saw(offset, stamp)
    return lane


def stretch(from_offset: int, to_offset: int, from_ms: int, to_ms: int, *gaps: Gap, unread: int = 0) -> Stretch:
    return Stretch(
        "host-agent", "host-agent", "topic-1", 0, from_offset, to_offset, from_ms, to_ms, gaps, unread, GAP_MS
    )


def test_a_stretch_has_both_ends() -> None:
    """From the first record to the last; the next one begins behind it."""
    lane = read([T0, T0 + 1_000, T0 + 2_000])

    assert stretch(0, 2, T0, T0 + 2_000) == lane.take()
    assert None is lane.take()
    lane.saw(3, T0 + 3_000)
    assert stretch(3, 3, T0 + 3_000, T0 + 3_000) == lane.take()


def test_a_stretch_begins_where_reading_began() -> None:
    """Offsets without records (transaction markers) are no hole."""
    lane = clock(5)
    lane.saw(8, T0)

    assert stretch(5, 8, T0, T0) == lane.take()


def test_neighbours_ten_seconds_apart_are_no_gap() -> None:
    """At the limit the time counts, beyond it it does not."""
    assert stretch(0, 1, T0, T0 + GAP_MS) == read([T0, T0 + GAP_MS]).take()
    assert stretch(0, 1, T0, T0 + GAP_MS + 1, Gap(T0, T0 + GAP_MS + 1)) == read([T0, T0 + GAP_MS + 1]).take()


def test_stamps_that_step_back_are_a_gap() -> None:
    """What is told twice counts for nobody; the end of the stretch is its latest stamp."""
    assert stretch(0, 2, T0, T0, Gap(T0 - 5_000, T0)) == read([T0, T0 - 5_000, T0 - 4_000]).take()


def test_a_stamp_that_is_not_believed_moves_only_the_position() -> None:
    """The offset is read, the clock stands."""
    assert stretch(0, 2, T0, T0 + 1) == read([T0, None, T0 + 1]).take()
    assert None is read([None]).take()


def test_a_lane_of_unbelieved_stamps_is_told_with_the_next_good_one() -> None:
    """No offset is left out between two stretches."""
    lane = read([None, None])

    assert None is lane.take()
    lane.saw(2, T0)
    assert stretch(0, 2, T0, T0) == lane.take()


def test_what_stands_behind_is_unread() -> None:
    """The lane's end less what was read."""
    lane = read([T0])
    lane.end_offset = 11

    assert stretch(0, 0, T0, T0, unread=10) == lane.take()


def test_reading_on_behind_a_hole_shows_the_hole() -> None:
    """What retention deleted unread lies between two stretches."""
    lane = read([T0])
    lanes = Lanes()
    before = lane.begin_at(100)
    assert before is not None
    lanes.turn(before, T0)
    lane.saw(100, T0 + 1_000)
    after = lane.take()
    assert after is not None

    assert (1, 99) == lanes.turn(after, T0).hole


def test_gaps_of_a_stretch_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more, neighbours become one: never less than what was not watched."""
    monkeypatch.setattr(clocks, "GAPS_MAX", 3)
    stamps = [T0 + number * 60_000 + part for number in range(10) for part in (0, 5_000)]
    taken = read(stamps).take()  # type: ignore[arg-type]

    assert taken is not None
    assert 3 == len(taken.gaps)
    assert (T0 + 5_000, T0 + 9 * 60_000) == (taken.gaps[0].from_ms, taken.gaps[-1].to_ms)


@given(st.integers(1, 100), st.integers(0, 30_000), st.sampled_from([500, 1_000, 10_000]), st.booleans())
def test_pulses_counted_are_pulses_seen_one_by_one(count: int, wait_ms: int, every_ms: int, begun: bool) -> None:
    """The short cut of the offline intake tells what the long way tells."""
    short, long = read([T0] if begun else []), read([T0] if begun else [])
    first_ms = T0 + wait_ms
    short.saw_pulses(count, first_ms + (count - 1) * every_ms, every_ms)
    for number in range(count):
        long.saw(long.position, first_ms + number * every_ms)

    assert long == short


@given(
    st.lists(st.integers(-30_000, 30_000), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_however_a_lane_is_cut_into_stretches_the_same_time_counts(deltas: list[int], cuts: list[bool]) -> None:
    """Clocks after every record, after none or at random: the reader knows the same gaps and the same watermark."""
    stamps, at_ms = [], T0
    for delta in deltas:
        at_ms += delta
        stamps.append(at_ms)
    whole, parts = Lanes(), Lanes()
    taken = read([*stamps]).take()
    assert taken is not None
    whole.turn(taken, T0)
    lane = clock()
    for offset, stamp in enumerate(stamps):
        lane.saw(offset, stamp)
        if cuts[offset] and (part := lane.take()) is not None:
            parts.turn(part, T0)
    if (part := lane.take()) is not None:
        parts.turn(part, T0)

    key = "host-agent/0"
    assert (whole.lanes[key].watermark_ms, whole.lanes[key].to_offset) == (
        parts.lanes[key].watermark_ms,
        parts.lanes[key].to_offset,
    )
    assert whole.lanes[key].gaps == parts.lanes[key].gaps


def test_clocks_are_due_once_a_second() -> None:
    """At the first asking, a second later, and at once where the wall's clock was set back."""
    turns = Turns()

    assert turns.due(50)
    turns.last_ms = 50
    assert [False, False, True, True] == [turns.due(now_ms) for now_ms in (50, 1_049, 1_050, 49)]


def test_ten_seconds_of_source_time_need_no_wall() -> None:
    """While catching up, source time runs faster than the wall's."""
    turns = Turns()

    assert not turns.span_full(read([T0, T0 + 9_999]))
    assert turns.span_full(read([T0, T0 + 10_000]))
