"""The intake without a broker: lanes, offsets, pulses, Clocks, lags, and that its short cuts change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.commands import ConfigChanged
from schemas.history import LogRecord, SourceRecord
from schemas.inventory import Removed, Server, Service, Vm
from schemas.outputs import DeadLetter, DeadReason
from schemas.source import TELEMETRY_FEEDS, Pulse
from schemas.telemetry import Batch, Clocks, Gap, HostRow, Stretch
from streams.intake.offline import ReadLag, telemetry
from streams.kafka.partition import lane_of
from tests.streams.intake.makers import FEED_OF, T0, VMS, guest, maintenance, report


def source(record: Any, at_ms: int = T0, feed: str | None = None, lane: int | None = None) -> SourceRecord:
    return SourceRecord(feed or FEED_OF[type(record)], at_ms, record, lane)


def batches(log: Iterable[LogRecord]) -> list[tuple[int, Batch]]:
    return [(one.partition, made) for one in log if isinstance(made := decode(one.value), Batch)]


def stretches(log: Iterable[LogRecord], feed: str, lane: int = 0) -> list[Stretch]:
    return [
        stretch
        for one in log
        if isinstance(made := decode(one.value), Clocks)
        for stretch in made.stretches
        if (stretch.feed, stretch.lane) == (feed, lane)
    ]


def feeds_told(log: Iterable[LogRecord]) -> set[str]:
    made = [decode(one.value) for one in log]
    return {stretch.feed for one in made if isinstance(one, Clocks) for stretch in one.stretches}


def test_a_cluster_goes_to_its_lane_and_each_lane_counts_its_own_offsets() -> None:
    """Lane by murmur2, offsets from 0 in the source and in `telemetry`."""
    names = [f"cluster-{number}" for number in range(8)]
    log = [*telemetry([source(report(cluster=name)) for name in names], lanes=4)]

    assert {name: lane_of(name, 4) for name in names} == {batch.cluster: lane for lane, batch in batches(log)}
    for partition in range(4):
        offsets = [one.offset for one in log if one.partition == partition]
        assert [*range(len(offsets))] == offsets


def test_pulses_are_made_where_the_source_has_none() -> None:
    """Each second in each lane of the three feeds; an hour without a record has no gap."""
    log = [
        *telemetry(
            [source(maintenance("a")), source(maintenance("b"), T0 + 3_600_000)], lanes=2, clocks_every_ms=10_000
        )
    ]

    for feed in TELEMETRY_FEEDS:
        for lane in range(2):
            found = stretches(log, feed, lane)
            assert [()] * len(found) == [stretch.gaps for stretch in found]
            assert T0 + 3_600_000 == found[-1].to_ms
            assert all(
                before.to_offset + 1 == after.from_offset and after.from_ms - before.to_ms == 1_000
                for before, after in pairwise(found)
            )


def test_a_source_with_pulses_of_its_own_gets_no_others() -> None:
    """What it leaves out is a gap, as it would be live."""
    seconds = (*range(5), *range(20, 25))
    log = [*telemetry([source(Pulse("sim", number), T0 + number * 1_000, "host-agent", 0) for number in seconds])]

    assert {"host-agent"} == feeds_told(log)
    assert [Gap(T0 + 4_000, T0 + 20_000)] == [gap for one in stretches(log, "host-agent") for gap in one.gaps]


def test_pulses_can_be_left_out() -> None:
    """A history of lanes in which nobody watched."""
    log = [*telemetry([source(report(1)), source(report(2), T0 + 3_000)], pulses=False)]

    assert {"host-agent"} == feeds_told(log)


@pytest.mark.parametrize(("every_ms", "expected"), [(1_000, 61), (10_000, 7)])
def test_clocks_come_as_often_as_told(every_ms: int, expected: int) -> None:
    """A minute of source time, one Clocks a partition each second or each ten."""
    log = [*telemetry([source(report(1)), source(report(2), T0 + 60_000)], clocks_every_ms=every_ms)]

    assert expected == sum(isinstance(decode(one.value), Clocks) for one in log)


def test_the_end_can_lie_beyond_the_last_record() -> None:
    """Silence at the end of a history needs clocks that go on."""
    log = [*telemetry([source(report(1))], end_ms=T0 + 100_000)]

    assert T0 + 100_000 == stretches(log, "host-agent")[-1].to_ms


def test_a_batch_is_stamped_with_its_last_record() -> None:
    """As the live intake stamps it."""
    log = [*telemetry([source(report(1)), source(report(2), T0 + 700)])]

    assert T0 + 700 == next(one.at_ms for one in log if isinstance(decode(one.value), Batch))


def test_what_is_refused_is_given_away() -> None:
    """A bad record of the source is a dead letter, its neighbours pass."""
    letters: list[DeadLetter] = []
    records = [source(report(1)), source(report(2, interval_s=0)), source(report(3))]
    log = [*telemetry(records, on_dead=letters.append)]

    assert [DeadReason.BAD_VALUE] == [letter.reason for letter in letters]
    assert [1, 3] == [row.seq for _, batch in batches(log) for row in batch.rows if isinstance(row, HostRow)]


def test_what_concerns_everyone_stands_in_every_partition() -> None:
    """A configuration, a service; a tombstone only where what it removes was."""
    home = lane_of("cluster-a", 4)
    change = ConfigChanged("c-1", "*", "", "d", "ada")
    log = [
        *telemetry(
            [
                source(change, feed="operator"),
                source(Service("web"), feed="inventory"),
                source(Vm("v-1", "cluster-a", "s-1"), feed="inventory"),
                source(Removed("vm", "v-1"), T0 + 1, "inventory"),
                source(Removed("vm", "never-seen"), T0 + 2, "inventory"),
            ],
            lanes=4,
        )
    ]
    found = {(lane, row) for lane, batch in batches(log) for row in batch.rows if batch.cluster == "*"}

    assert {(lane, change) for lane in range(4)} <= found
    assert {(lane, Service("web")) for lane in range(4)} <= found
    assert [home] == [lane for lane, row in found if row == Removed("vm", "v-1")]
    assert 4 == sum(row == Removed("vm", "never-seen") for _, row in found)


def test_a_lane_read_late_keeps_its_stamps_and_its_order() -> None:
    """Between the two times its clock lags and says how much is unread; then it catches up."""
    records = [source(report(number), T0 + number * 1_000) for number in range(60)]
    records += [source(guest(f"e-{number}"), T0 + number * 1_000) for number in range(60)]
    records.sort(key=lambda one: one.at_ms)
    lag = ReadLag("host-agent", T0 + 10_000, T0 + 20_000, 15_000)
    log = [*telemetry(records, read_lags=[lag])]

    rows = [
        (at_ms, row.seq)
        for _, batch in batches(log)
        for at_ms, row in zip(batch.at_ms, batch.rows, strict=True)
        if isinstance(row, HostRow)
    ]
    assert [(T0 + number * 1_000, number) for number in range(60)] == rows
    hosts, guests = stretches(log, "host-agent"), stretches(log, "guest-agent")
    assert hosts[-1].to_ms == guests[-1].to_ms == T0 + 59_000
    assert all(before.to_offset + 1 == after.from_offset for before, after in pairwise(hosts))
    assert max(stretch.unread for stretch in hosts) >= 20
    assert {0} == {stretch.unread for stretch in guests}
    place = next(index for index, one in enumerate(log) if _tells(one, "guest-agent", T0 + 20_000))
    told = [stretch.to_ms for stretch in stretches(log[: place + 1], "host-agent")]
    assert max(told) < T0 + 10_000


def _tells(one: LogRecord, feed: str, to_ms: int) -> bool:
    made = decode(one.value)
    return isinstance(made, Clocks) and any(
        stretch.feed == feed and stretch.to_ms >= to_ms for stretch in made.stretches
    )


STEP = st.tuples(
    st.one_of(
        st.builds(
            lambda cluster, server, seq, full: report(
                seq,
                cluster=cluster,
                server=f"s-{server}",
                vms=VMS if full else None,
                versions={"ha": "1"} if full else None,
            ),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 3),
            st.integers(0, 99),
            st.booleans(),
        ),
        st.builds(
            lambda number, cluster: guest(f"e-{number}", cluster=cluster),
            st.integers(0, 9),
            st.sampled_from(["a", "b"]),
        ),
        st.builds(lambda number: maintenance(f"m-{number}"), st.integers(0, 9)),
        st.just(report(1, interval_s=0)),
        st.sampled_from([Service("web"), Server("a", "s-1"), Removed("server", "s-1")]),
    ),
    st.integers(0, 4_000),
)


def sourced(steps: list[tuple[Any, int]]) -> list[SourceRecord]:
    records, at_ms = [], T0
    for record, delta in steps:
        at_ms += delta
        records.append(source(record, at_ms, FEED_OF.get(type(record), "inventory")))
    return records


@given(st.lists(STEP, max_size=40), st.sampled_from([1, 3]), st.sampled_from([1_000, 10_000]))
def test_records_handed_over_undecoded_give_the_same_bytes(
    steps: list[tuple[Any, int]], lanes: int, every_ms: int
) -> None:
    """The codec's way and the quick way: the same log, the same letters but for the bytes that were never made."""
    letters: dict[bool, list[DeadLetter]] = {True: [], False: []}
    logs = {
        slow: [
            *telemetry(
                sourced(steps), lanes=lanes, clocks_every_ms=every_ms, on_dead=letters[slow].append, through_codec=slow
            )
        ]
        for slow in (True, False)
    }

    assert logs[True] == logs[False]
    assert [(one.reason, one.offset) for one in letters[True]] == [(one.reason, one.offset) for one in letters[False]]


@given(st.lists(STEP, max_size=40), st.integers(0, 20_000), st.integers(1, 20_000), st.integers(0, 30_000))
def test_reading_late_changes_no_row(steps: list[tuple[Any, int]], from_ms: int, for_ms: int, delay_ms: int) -> None:
    """A lag moves when a lane is read: never what it holds, nor its stamps or offsets."""
    lag = ReadLag("host-agent", T0 + from_ms, T0 + from_ms + for_ms, delay_ms)

    assert per_lane(telemetry(sourced(steps))) == per_lane(telemetry(sourced(steps), read_lags=[lag]))


def per_lane(log: Iterable[LogRecord]) -> dict[str, list[tuple[Any, ...]]]:
    rows = [
        (batch.feed, offset, at_ms, batch.cluster, row)
        for _, batch in batches(log)
        for offset, at_ms, row in zip(batch.offsets, batch.at_ms, batch.rows, strict=True)
    ]
    rows.sort(key=lambda row: row[:2])
    return {feed: [*group] for feed, group in groupby(rows, key=lambda row: row[0])}
