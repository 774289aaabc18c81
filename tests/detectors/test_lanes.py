"""Watermarks, gaps, holes, and how much of an absence was observed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.lanes import (
    FAR_MS,
    NEVER_MS,
    Interval,
    Lanes,
    add_interval,
    after_counting,
    again_ms,
    merge_intervals,
    overlap_ms,
)
from schemas.telemetry import Gap, Stretch

HOST, MAINTENANCE = "host-agent", "maintenance"
INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=8
)


def stretch(first: int, last: int, from_ms: int, to_ms: int, feed: str = HOST, **fields: object) -> Stretch:
    return Stretch(feed, feed, str(fields.pop("topic_id", "id")), 3, first, last, from_ms, to_ms, **fields)  # type: ignore[arg-type]


def watched(feed: str = HOST, until_ms: int = 1_000_000, gaps: tuple[Gap, ...] = ()) -> Lanes:
    lanes = Lanes()
    lanes.turn(stretch(0, 1000, 1000, until_ms, feed, gaps=gaps), until_ms)
    return lanes


@given(INTERVALS)
def test_a_union_of_intervals_is_disjoint_in_order_and_covers_the_same(intervals: list[Interval]) -> None:
    merged = merge_intervals(intervals)

    assert {at for start, end in intervals for at in range(start, end)} == {
        at for start, end in merged for at in range(start, end)
    }
    assert all(one[1] < two[0] for one, two in itertools.pairwise(merged))


@given(INTERVALS, INTERVALS)
def test_adding_one_at_a_time_is_the_same_as_all_at_once(one: list[Interval], two: list[Interval]) -> None:
    grown: list[Interval] = []
    for interval in [*one, *two]:
        grown = add_interval(grown, interval)

    assert merge_intervals([*two, *one]) == grown


@given(INTERVALS, st.integers(0, 80), st.integers(1, 40))
def test_counting_stops_where_so_much_lies_outside_of_the_intervals(
    intervals: list[Interval], since_ms: int, count_ms: int
) -> None:
    skip = merge_intervals(intervals)
    moment = after_counting(skip, since_ms, count_ms)

    assert count_ms == moment - since_ms - overlap_ms(skip, since_ms, moment)
    assert all(count_ms > at - since_ms - overlap_ms(skip, since_ms, at) for at in range(since_ms, moment))


@given(INTERVALS, st.integers(1, 80), st.integers(0, 40))
def test_the_limit_is_passed_when_more_than_it_was_waited(gaps: list[Interval], since_ms: int, limit_ms: int) -> None:
    lanes = watched(until_ms=1_000_000, gaps=tuple(Gap(start + 1000, end + 1000) for start, end in gaps))
    since_ms += 1000
    moment = lanes.limit_passed_ms([HOST], {}, since_ms, limit_ms)

    assert limit_ms == lanes.waited_ms([HOST], {}, since_ms, moment)


def test_a_time_is_passed_when_every_lane_is_beyond_it_and_a_feed_unknown_is_never() -> None:
    lanes = watched()

    assert NEVER_MS == lanes.passed_ms([HOST, MAINTENANCE])
    assert 0 == lanes.waited_ms([HOST, MAINTENANCE], {}, 1000, 5000)
    lanes.turn(stretch(0, 5, 1000, 4000, MAINTENANCE), 4000)
    assert 4000 == lanes.passed_ms([HOST, MAINTENANCE])
    assert 2000 == lanes.waited_ms([HOST, MAINTENANCE], {}, 2000, 5000)


def test_of_several_lanes_the_least_counts() -> None:
    lanes = watched()
    lanes.turn(stretch(0, 900, 1000, 900_000, MAINTENANCE, gaps=(Gap(20_000, 50_000),)), 1)

    assert 70_000 == lanes.waited_ms([HOST, MAINTENANCE], {}, 0 + 10_000, 110_000)
    assert 120_000 == lanes.limit_passed_ms([HOST, MAINTENANCE], {}, 10_000, 80_000)


def test_time_before_a_lane_was_read_first_counts_for_nobody() -> None:
    lanes = Lanes()
    lanes.turn(stretch(70, 80, 60_000, 100_000), 1)

    assert 40_000 == lanes.waited_ms([HOST], {}, 0, 100_000)


def test_the_seam_between_two_stretches_may_hold_a_gap_or_a_step_back() -> None:
    lanes = watched(until_ms=50_000)
    first = lanes.turn(stretch(1001, 1001, 60_001, 60_001), 1).last_gap
    second = lanes.turn(stretch(1002, 1002, 55_000, 55_000), 1).last_gap

    assert (50_000, 60_001) == first
    assert None is second, "it lies in a gap that is known"
    assert (62_000, 64_000) == [
        lanes.turn(stretch(1003, 1004, 60_500, 64_000), 1),
        lanes.turn(stretch(1005, 1005, 62_000, 62_000), 1),
    ][-1].last_gap


def test_exactly_ten_seconds_are_no_gap_and_a_foreign_topic_has_its_own() -> None:
    lanes = watched(until_ms=50_000)

    assert None is lanes.turn(stretch(1001, 1001, 60_000, 60_000), 1).last_gap
    assert None is lanes.turn(stretch(1002, 1002, 100_000, 100_000, gap_ms=40_000), 1).last_gap


def test_what_is_read_again_changes_nothing_and_is_no_news() -> None:
    lanes = watched(until_ms=50_000, gaps=(Gap(20_000, 40_000),))
    gaps = list(lanes.lanes[f"{HOST}/3"].gaps)
    again = lanes.turn(stretch(500, 1000, 15_000, 50_000, gaps=(Gap(20_000, 40_000),)), 2)

    assert (None, None, 50_000, gaps) == (again.last_gap, again.hole, again.watermark_ms, again.gaps)


def test_a_hole_names_the_offsets_and_its_time_counts_for_nobody() -> None:
    lanes = watched(until_ms=50_000)
    lane = lanes.turn(stretch(1011, 1020, 52_000, 60_000), 1)

    assert (1001, 1010) == lane.hole
    assert 8_000 == lanes.waited_ms([HOST], {}, 50_000, 60_000)


def test_a_topic_made_anew_begins_again_and_the_time_between_counts_for_nobody() -> None:
    lanes = watched(until_ms=50_000)
    lane = lanes.turn(stretch(0, 3, 55_000, 60_000, topic_id="new"), 1)

    assert (None, 3, 60_000) == (lane.hole, lane.to_offset, lane.watermark_ms)
    assert 5_000 == lanes.waited_ms([HOST], {}, 50_000, 60_000)


def test_all_lanes_of_an_unkeyed_source_count() -> None:
    lanes = watched(until_ms=50_000)
    lanes.turn(stretch(0, 3, 1000, 30_000, f"{HOST}@foreign"), 1)

    assert 50_000 == lanes.passed_ms([HOST])
    assert 30_000 == lanes.passed_ms([HOST], [f"{HOST}@foreign"])


def test_a_blind_stretch_that_goes_on_counts_up_to_where_the_lane_was_read() -> None:
    lanes = watched(until_ms=50_000)
    blind = {HOST: [(20_000, FAR_MS)]}

    assert 10_000 == lanes.waited_ms([HOST], blind, 10_000, 50_000)
    assert 55_000 == lanes.limit_passed_ms([HOST], blind, 10_000, 15_000)


@pytest.mark.parametrize(("waited_s", "again_s"), [(0, 60), (1200, 60), (1220, 61), (86_400, 4320)])
def test_what_is_waited_for_longer_is_looked_for_more_seldom(waited_s: int, again_s: int) -> None:
    assert (waited_s + again_s) * 1000 == again_ms(0, waited_s * 1000)
