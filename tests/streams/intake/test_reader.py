"""The intake of one partition: order of outputs, cuts, lags, stops, an absent registry, foreign rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.errors import CodecError, RegistryAway
from schemas.outputs import DeadLetter, DeadReason
from schemas.source import GUEST_AGENT, HOST_AGENT, Pulse
from schemas.telemetry import Batch, Clocks, Row
from streams.intake.checks import Limits, Place, RawRecord
from streams.intake.clocks import Turns
from streams.intake.reader import Out, Output, PartitionReader
from streams.kafka.partition import lane_of
from tests.streams.intake.makers import CLUSTER, T0, guest, place, raw, report


def reader(*places: Place, limits: Limits | None = None, turns: Turns | None = None) -> PartitionReader:
    made = PartitionReader((0,), limits, turns)
    for one in places or (place(),):
        made.add(one, 0)
    return made


def kinds(outputs: Sequence[Output]) -> list[str]:
    return [type(out.record).__name__ if isinstance(out, Out) else type(out).__name__ for out in outputs]


def rows(outputs: Sequence[Output]) -> list[tuple[int, int, Row]]:
    """Give (offset, at_ms, row) of all batches, in order of the source."""
    found = [
        entry
        for out in outputs
        if isinstance(out, Out) and isinstance(out.record, Batch)
        for entry in zip(out.record.offsets, out.record.at_ms, out.record.rows, strict=True)
    ]
    return sorted(found, key=lambda entry: entry[0])


def test_clocks_stand_behind_what_they_cover() -> None:
    """What is packed goes first, whatever lane it is of; then one Clocks with the stretches of all lanes."""
    host, guests = place(HOST_AGENT), place(GUEST_AGENT)
    intake = reader(host, guests)
    assert [] == intake.take(host, [raw(report(), 0)]).outputs
    assert [] == intake.take(guests, [raw(guest(), 0, T0 + 400)]).outputs
    outputs = intake.clocks(1_000)

    assert ["Batch", "Batch", "Clocks"] == kinds(outputs)
    clocks = outputs[-1]
    assert isinstance(clocks, Out)
    assert isinstance(clocks.record, Clocks)
    assert [HOST_AGENT, GUEST_AGENT] == [stretch.feed for stretch in clocks.record.stretches]
    assert (0, T0 + 400, b"*", encode(clocks.record)) == (clocks.partition, clocks.at_ms, clocks.key, clocks.value)


def test_a_batch_is_stamped_with_its_last_record() -> None:
    """And keyed by its cluster."""
    intake = reader()
    intake.take(place(), [raw(report(1), 0), raw(report(2), 1, T0 + 700)])
    out = intake.flush()[0]

    assert isinstance(out, Out)
    assert (0, T0 + 700, CLUSTER.encode()) == (out.partition, out.at_ms, out.key)
    assert out.record == decode(out.value)


def test_clocks_come_once_a_second_and_only_where_something_was_read() -> None:
    """An idle partition writes nothing."""
    intake = reader()
    assert [] == intake.clocks(0)
    intake.take(place(), [raw(Pulse("i", 1), 0, key=None)])

    assert ["Clocks"] == kinds(intake.clocks(5_000))
    intake.take(place(), [raw(Pulse("i", 2), 1, key=None)])
    assert [] == kinds(intake.clocks(5_999))
    assert ["Clocks"] == kinds(intake.clocks(6_000))


def test_clocks_come_each_ten_seconds_of_source_time_while_catching_up() -> None:
    """Without any turn of the wall's clock."""
    pulses = [raw(Pulse("i", number), number, T0 + number * 1_000, key=None) for number in range(25)]

    assert ["Clocks", "Clocks"] == kinds(reader().take(place(), pulses).outputs)


def test_a_bad_record_costs_its_neighbours_nothing() -> None:
    """The letter comes out, the rows before and behind it too, and the clock counts all three."""
    intake = reader()
    taken = intake.take(place(), [raw(report(1), 0), raw(b"junk", 1), raw(report(2), 2)])
    outputs = [*taken.outputs, *intake.turn()]

    assert ["DeadLetter", "Batch", "Clocks"] == kinds(outputs)
    assert [0, 2] == [offset for offset, _, _ in rows(outputs)]
    assert isinstance(outputs[-1], Out)
    assert isinstance(outputs[-1].record, Clocks)
    assert 2 == outputs[-1].record.stretches[0].to_offset


def test_a_stamp_that_is_refused_moves_no_clock() -> None:
    """Else one broken producer would end all waiting."""
    intake = reader()
    intake.take(
        place(),
        [
            raw(Pulse("i", 1), 0, key=None, create_time=True),
            raw(report(), 1, T0 + 3_600_000, create_time=True),
            raw(report(sent_ms=1), 2, T0 + 50),
        ],
    )
    out = intake.turn()[-1]

    assert isinstance(out, Out)
    assert isinstance(out.record, Clocks)
    assert (2, T0, T0 + 50) == (
        out.record.stretches[0].to_offset,
        out.record.stretches[0].from_ms,
        out.record.stretches[0].to_ms,
    )


def test_what_was_taken_is_not_taken_again() -> None:
    """A fetch that begins too early repeats nothing."""
    intake = reader()
    intake.take(place(), [raw(report(1), 0), raw(report(2), 1)])
    taken = intake.take(place(), [raw(report(1), 0), raw(report(2), 1), raw(report(3), 2)])

    assert 3 == taken.done
    assert [0, 1, 2] == [offset for offset, _, _ in rows(intake.flush())]


class Registry:
    """Knows nothing while it is away, and no schema when it is back."""

    away = True

    def by_id(self, schema_id: int) -> None:
        if self.away:
            raise RegistryAway("the registry at test:1 does not answer")

    def by_guid(self, guid: bytes) -> None:
        return self.by_id(0)


def test_a_registry_that_is_away_stops_the_lane_where_it_stands() -> None:
    """What stood before is taken, the rest waits in order, and nothing is a dead letter until somebody knows."""
    registry = Registry()
    intake = PartitionReader((0,), writers=registry)
    intake.add(place(), 0)
    raws = [raw(report(1), 0), raw(b"\x00\x00\x00\x00\x07abc", 1), raw(report(2), 2)]
    first = intake.take(place(), raws)

    assert (1, [], "the registry at test:1 does not answer") == (first.done, first.outputs, first.away)
    registry.away = False
    second = intake.take(place(), raws[first.done :])
    assert (2, ["DeadLetter"], "") == (second.done, kinds(second.outputs), second.away)
    assert [0, 2] == [offset for offset, _, _ in rows(intake.flush())]


def test_a_batch_that_encodes_too_large_is_parted() -> None:
    """The estimate may be wrong for text that takes several bytes a character; the encoding decides."""
    intake = reader(place(GUEST_AGENT), limits=Limits(batch_max_bytes=4_000))
    events = [raw(guest(f"e-{number}", message="火" * 500), number) for number in range(6)]
    outputs = [*intake.take(place(GUEST_AGENT), events).outputs, *intake.flush()]

    assert [0, 1, 2, 3, 4, 5] == [offset for offset, _, _ in rows(outputs)]
    assert all(len(out.value) <= 4_000 for out in outputs if isinstance(out, Out))


def test_a_hole_is_told_by_two_stretches() -> None:
    """What is gone lies between the Clocks before and the one behind."""
    intake = reader()
    intake.take(place(), [raw(report(1), 0)])
    before = intake.skip_to(place(), 50)
    intake.take(place(), [raw(report(2), 50)])
    after = intake.turn()

    stretches = [
        out.record.stretches[0]
        for out in (before[-1], after[-1])
        if isinstance(out, Out) and isinstance(out.record, Clocks)
    ]
    assert [(0, 0), (50, 50)] == [(stretch.from_offset, stretch.to_offset) for stretch in stretches]


def test_a_lane_that_was_handed_over_is_forgotten() -> None:
    """Its rows are the next reader's to send."""
    intake = reader()
    intake.take(place(), [raw(report(1), 0)])
    intake.drop(place())

    assert [] == intake.turn()


class Machines:
    """Makes rows of test records: one for each named cluster."""

    feeds: tuple[str, ...] = (HOST_AGENT, GUEST_AGENT)

    def rows(self, raw: RawRecord) -> Sequence[tuple[str, Row]]:
        if raw.value is None:
            raise CodecError(DeadReason.NO_MAPPING, "nothing fits")
        return [(name.decode(), guest(f"{raw.offset}/{name.decode()}")) for name in raw.value.split()]


def test_a_foreign_lane_speaks_to_every_partition() -> None:
    """Its rows go to their clusters' partitions, its Clocks to all; what no mapping fits is a dead letter."""
    foreign = Place("host-agent@logs", "logs", "topic-2", 5, 4)
    intake = PartitionReader((0, 1, 2, 3))
    intake.add(foreign, 0, Machines(), gap_ms=60_000)
    taken = intake.take(foreign, [RawRecord(0, T0, None, b"a b a c"), RawRecord(1, T0 + 1, None, None)])
    outputs = [*taken.outputs, *intake.turn()]

    batches = [out for out in outputs if isinstance(out, Out) and isinstance(out.record, Batch)]
    clocks = [out for out in outputs if isinstance(out, Out) and isinstance(out.record, Clocks)]
    assert {name: lane_of(name, 4) for name in "abc"} == {out.key.decode(): out.partition for out in batches}
    assert [0, 1, 2, 3] == [out.partition for out in clocks]
    names = {stretch.feed for out in clocks if isinstance(out.record, Clocks) for stretch in out.record.stretches}
    assert {"host-agent@logs", "guest-agent@logs"} == names
    assert {60_000} == {out.record.stretches[0].gap_ms for out in clocks if isinstance(out.record, Clocks)}
    assert [DeadReason.NO_MAPPING] == [out.reason for out in outputs if isinstance(out, DeadLetter)]
    assert (0, 0) == next(out.record.offsets for out in batches if isinstance(out.record, Batch) and out.key == b"a")


RECORD = st.one_of(
    st.builds(lambda seq, server: report(seq, server=f"server-{server}"), st.integers(0, 99), st.integers(0, 3)),
    st.builds(lambda seq: Pulse("i", seq), st.integers(0, 99)),
    st.sampled_from([b"junk", b"{", None]),
)


@given(
    st.lists(st.tuples(RECORD, st.integers(-2_000, 15_000)), max_size=50),
    st.data(),
)
def test_however_a_lane_is_cut_the_same_rows_come_out(steps: list[tuple[Any, int]], data: st.DataObject) -> None:
    """Fetches of any size, flushes and Clocks at any time: rows, letters and what the clocks cover stay the same."""
    raws, at_ms = [], T0
    for offset, (record, delta) in enumerate(steps):
        at_ms += delta
        raws.append(raw(record, offset, at_ms, None if isinstance(record, Pulse) else CLUSTER.encode()))
    whole = reader()
    expected = [*whole.take(place(), raws).outputs, *whole.turn()]
    cut = reader()
    actual: list[Output] = []
    wall_ms, done = 0, 0
    while done < len(raws):
        size = data.draw(st.integers(1, 10))
        actual += cut.take(place(), raws[done : done + size]).outputs
        done += size
        wall_ms += data.draw(st.integers(0, 2_000))
        then = data.draw(st.sampled_from(["flush", "turn", "clocks"]))
        actual += cut.clocks(wall_ms) if then == "clocks" else cut.flush() if then == "flush" else cut.turn()
    actual += cut.turn()

    assert rows(expected) == rows(actual)
    assert [out for out in expected if isinstance(out, DeadLetter)] == [
        out for out in actual if isinstance(out, DeadLetter)
    ]
    assert covered(expected) == covered(actual)
    assert [offset for offset, _, _ in rows(actual)] == sorted({offset for offset, _, _ in rows(actual)})


@given(st.lists(st.tuples(RECORD, st.integers(0, 3_000)), min_size=1, max_size=50), st.data())
def test_at_each_clocks_all_that_it_covers_was_forwarded(steps: list[tuple[Any, int]], data: st.DataObject) -> None:
    """The law on which silence rests: no row comes behind the Clocks that cover it."""
    intake = reader()
    outputs: list[Output] = []
    at_ms = T0
    for offset, (record, delta) in enumerate(steps):
        at_ms += delta
        key = None if isinstance(record, Pulse) else CLUSTER.encode()
        outputs += intake.take(place(), [raw(record, offset, at_ms, key)]).outputs
        outputs += intake.clocks(data.draw(st.integers(0, 10)) * 1_000)

    covered_to = -1
    for out in outputs:
        if isinstance(out, Out) and isinstance(out.record, Batch):
            assert out.record.offsets[0] > covered_to
        elif isinstance(out, Out) and isinstance(out.record, Clocks):
            covered_to = out.record.stretches[0].to_offset


def covered(outputs: Sequence[Output]) -> tuple[int, int] | None:
    """Give first and last offset that the Clocks cover, which must follow each other without a hole."""
    stretches = [out.record.stretches[0] for out in outputs if isinstance(out, Out) and isinstance(out.record, Clocks)]
    for before, after in pairwise(stretches):
        assert before.to_offset + 1 == after.from_offset
    return (stretches[0].from_offset, stretches[-1].to_offset) if stretches else None
