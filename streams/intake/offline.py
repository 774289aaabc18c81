"""Source records to `telemetry` without a broker: the same checks, packing and clocks as the live intake's.

What a broker would have done is done here: records get lanes by their cluster and offsets by their order, and where the
source has no pulses they are made, each second of source time in each lane of the telemetry feeds. Pulses are counted,
not written: an idle second costs next to nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from schemas.codec import encode
from schemas.columns import pack_vms
from schemas.history import LogRecord, Source, SourceRecord
from schemas.inventory import INVENTORY, Removed
from schemas.outputs import DeadLetter
from schemas.records import FEEDS
from schemas.source import TELEMETRY_FEEDS, Pulse, VmReport
from schemas.telemetry import EVERYONE
from schemas.writers import WriterSchemas
from streams.intake.checks import Limits, Place, RawRecord, cluster_of, inventory_key, lane_cached
from streams.intake.clocks import Turns
from streams.intake.reader import Lane, Out, Output, PartitionReader

PULSE_MS = 1_000
LOOK_MS = 10_000
"""So much of a source is looked at to see whether it has pulses of its own."""
LOOK_RECORDS = 200_000
BLOCKS_MAX = 50_000
OFFLINE_ID = "offline"
"""The `topic_id` of a topic that never was."""


@dataclass(frozen=True, slots=True)
class ReadLag:
    """What is stamped from `from_ms` to `to_ms` (not included) in a lane of a feed is read `delay_ms` late."""

    feed: str
    from_ms: int
    to_ms: int
    delay_ms: int
    lane: int | None = None
    """None: all its lanes."""


def telemetry(
    records: Iterable[SourceRecord],
    *,
    lanes: int = 1,
    pulses: bool = True,
    clocks_every_ms: int = 1_000,
    limits: Limits | None = None,
    writers: WriterSchemas | None = None,
    read_lags: Sequence[ReadLag] = (),
    on_dead: Callable[[DeadLetter], None] | None = None,
    end_ms: int | None = None,
    through_codec: bool = True,
) -> Iterator[LogRecord]:
    """Yield the `telemetry` that an intake would have written of these records, which come in order of `at_ms`.

    `pulses`: make them where the source has none in its first ten seconds; a feed's own are taken as they are.
    `clocks_every_ms`: of source time, between two Clocks of a partition. `on_dead` is given what was refused.
    `end_ms`: pulses and clocks go on to this time, beyond the last record. `through_codec`: source records are encoded
    and decoded again as on their way through a broker; without, the same comes out in a third of the time.
    """
    source = iter(records)
    if pulses:
        head = _head(source)
        pulses = not any(type(record.record) is Pulse for record in head)
        source = chain(head, source)
    intake = _Intake(lanes, pulses, clocks_every_ms, limits or Limits(), writers, on_dead, through_codec)
    intake.lag(read_lags)
    for record in source:
        if record.at_ms // clocks_every_ms != intake.turn_number:
            yield from intake.until(record.at_ms)
        if outputs := intake.take(record):
            yield from outputs
    yield from intake.finish(end_ms)


class _Intake:
    """All lanes of all feeds, one reader a partition."""

    def __init__(
        self,
        lanes: int,
        pulses: bool,
        clocks_every_ms: int,
        limits: Limits,
        writers: WriterSchemas | None,
        on_dead: Callable[[DeadLetter], None] | None,
        through_codec: bool,
    ) -> None:
        self.lanes = lanes
        self.through_codec = through_codec
        self.pulses = pulses
        self.every_ms = clocks_every_ms
        self.on_dead = on_dead
        self.turn_number = -1
        """Which stretch of `clocks_every_ms` is being read; -1 before the first record."""
        self.pulsed_ms = 0
        """The last second of which pulses stand in all lanes."""
        # Clocks come by source time here, whatever the span of a stretch.
        turns = Turns(clocks_every_ms, 1 << 60)
        self.readers = [PartitionReader((lane,), limits, turns, writers) for lane in range(lanes)]
        self.offsets = [0] * lanes
        self.places = {
            (feed, lane): Place(feed, feed, OFFLINE_ID, lane, lanes) for feed in FEEDS for lane in range(lanes)
        }
        self.read = {key: self.readers[key[1]].add(place, 0) for key, place in self.places.items()}
        if not through_codec:
            blocks = _Blocks()
            for read in self.read.values():
                read.checks.pack = blocks.pack
        self.late: dict[tuple[str, int], _LateLane] = {}
        """Lanes that are read late for a time."""
        self.homes: dict[tuple[str, str], int] = {}
        """The lane in which each inventory id was last seen: where its tombstone goes."""

    def lag(self, lags: Sequence[ReadLag]) -> None:
        """Let these lanes be read late."""
        for lag in lags:
            for lane in range(self.lanes) if lag.lane is None else (lag.lane,):
                self.late.setdefault((lag.feed, lane), _LateLane([], deque())).lags.append(lag)

    def until(self, at_ms: int) -> Iterator[LogRecord]:
        """Bring the clocks up to the turn in which `at_ms` lies; pulses before it stand in the lanes."""
        turn = at_ms // self.every_ms
        if self.turn_number < 0:
            self.turn_number = turn
            self.pulsed_ms = at_ms // PULSE_MS * PULSE_MS - PULSE_MS
            for late in self.late.values():
                late.pulsed_ms = self.pulsed_ms
            return
        while self.turn_number < turn:
            self.turn_number += 1
            wall_ms = self.turn_number * self.every_ms - 1
            self.pulse(wall_ms)
            for key, late in self.late.items():
                yield from self._catch_up(key, late, late.readable_ms(wall_ms))
            yield from self.turns(wall_ms)

    def turns(self, wall_ms: int) -> Iterator[LogRecord]:
        """Yield what is packed, and a Clocks of each partition of which anything was read."""
        for key, late in self.late.items():
            clock = self.read[key].clock
            pulses = (wall_ms - late.pulsed_ms) // PULSE_MS if self.pulses and key[0] in TELEMETRY_FEEDS else 0
            clock.end_offset = clock.position + len(late.held) + max(0, pulses)
        for reader in self.readers:
            yield from self.write(reader.turn())

    def pulse(self, until_ms: int) -> None:
        """Let a pulse stand in every lane of the telemetry feeds at each full second up to `until_ms`, included."""
        due = (until_ms - self.pulsed_ms) // PULSE_MS
        if not self.pulses or due <= 0:
            return
        self.pulsed_ms += due * PULSE_MS
        for feed in TELEMETRY_FEEDS:
            for lane in range(self.lanes):
                if (feed, lane) not in self.late:
                    _pulse(self.read[feed, lane], due, self.pulsed_ms)

    def _pulse_late(self, key: tuple[str, int], late: _LateLane, until_ms: int) -> None:
        due = (until_ms - late.pulsed_ms) // PULSE_MS
        if self.pulses and due > 0 and key[0] in TELEMETRY_FEEDS:
            late.pulsed_ms += due * PULSE_MS
            _pulse(self.read[key], due, late.pulsed_ms)

    def _catch_up(self, key: tuple[str, int], late: _LateLane, until_ms: int) -> Iterator[LogRecord]:
        """Yield what comes of the records of a late lane that are stamped up to `until_ms`."""
        while late.held and late.held[0].at_ms <= until_ms:
            held = late.held.popleft()
            self._pulse_late(key, late, held.at_ms)
            yield from self._read(key, held)
        self._pulse_late(key, late, until_ms)

    def take(self, source: SourceRecord) -> list[LogRecord]:
        """Return what comes of one source record: encoded, put into its lane or lanes, and taken from there."""
        if source.at_ms >= self.pulsed_ms + PULSE_MS:
            self.pulse(source.at_ms)
        record, feed = source.record, source.feed
        into: Iterable[int]
        key: bytes | None = None
        if type(record) is Pulse:
            into = range(self.lanes) if source.lane is None else (source.lane,)
        elif feed == INVENTORY:
            name = inventory_key(record)
            key, into = name.encode(), self._inventory_lanes(record, name)
        else:
            cluster = cluster_of(record)
            key = cluster.encode()
            into = range(self.lanes) if cluster == EVERYONE else (lane_cached(cluster, self.lanes),)
        raw = RawRecord(-1, source.at_ms, key, *self._held(record))
        outputs: list[LogRecord] = []
        for lane in into:
            if (late := self.late.get((feed, lane))) is not None:
                late.held.append(raw)
            else:
                outputs += self._read((feed, lane), raw)
        return outputs

    def _held(self, record: Source) -> tuple[bytes | None, bool, tuple[()], Source | None]:
        """Return what a raw record holds: bytes, or the record itself; a tombstone has neither."""
        if type(record) is Removed:
            return None, False, (), None
        return (encode(record), False, (), None) if self.through_codec else (None, False, (), record)

    def _read(self, place: tuple[str, int], raw: RawRecord) -> Iterable[LogRecord]:
        """Take a record as the next one of its lane."""
        placed = RawRecord(self.read[place].clock.position, raw.at_ms, raw.key, raw.value, False, (), raw.record)
        outputs = self.readers[place[1]].take(self.places[place], (placed,)).outputs
        return self.write(outputs) if outputs else ()

    def _inventory_lanes(self, record: object, name: str) -> Iterable[int]:
        """Return the lanes of an inventory record; a tombstone's is that of what it removes, if that was seen."""
        cluster = cluster_of(record)
        kind, _, key = name.partition(":")
        if cluster != EVERYONE:
            lane = self.homes[kind, key] = lane_cached(cluster, self.lanes)
            return (lane,)
        if type(record) is Removed and (kind, key) in self.homes:
            return (self.homes.pop((kind, key)),)
        return range(self.lanes)

    def write(self, outputs: Iterable[Output]) -> Iterator[LogRecord]:
        """Yield outputs as the records that `telemetry` would hold; dead letters go where the caller wants them."""
        for out in outputs:
            if isinstance(out, Out):
                offset = self.offsets[out.partition]
                self.offsets[out.partition] = offset + 1
                yield LogRecord(out.partition, offset, out.at_ms, out.key, out.value)
            elif self.on_dead is not None:
                self.on_dead(out)

    def finish(self, end_ms: int | None) -> Iterator[LogRecord]:
        """Yield what is left, the clocks up to `end_ms` before it."""
        if self.turn_number < 0:
            return
        if end_ms is not None:
            yield from self.until(end_ms)
            self.pulse(end_ms)
        for key, late in self.late.items():
            yield from self._catch_up(key, late, max(self.pulsed_ms, *[held.at_ms for held in late.held], 0))
        yield from self.turns(0)


@dataclass(slots=True)
class _LateLane:
    """A lane that is read late for a time, and what of it waits."""

    lags: list[ReadLag]
    held: deque[RawRecord]
    pulsed_ms: int = 0

    def readable_ms(self, wall_ms: int) -> int:
        """Return the stamp up to which the lane can be read at this time: behind what waits, all waits."""
        readable = wall_ms
        for lag in self.lags:
            if lag.from_ms <= wall_ms < lag.to_ms + lag.delay_ms:
                readable = min(readable, max(lag.from_ms - 1, min(wall_ms - lag.delay_ms, lag.to_ms - 1)))
        return readable


class _Blocks:
    """Packed VMs by the tuple that they were packed of: a source that tells the same VMs again packs them once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[VmReport, ...], bytes]] = {}

    def pack(self, vms: tuple[VmReport, ...]) -> bytes:
        """Return the block of these VMs."""
        known = self._known.get(id(vms))
        # The tuple itself is kept, so that its id cannot become another's.
        if known is not None and known[0] is vms:
            return known[1]
        if len(self._known) >= BLOCKS_MAX:
            self._known.clear()
        block = pack_vms(vms)
        self._known[id(vms)] = vms, block
        return block


def _pulse(read: Lane, count: int, last_ms: int) -> None:
    read.clock.saw_pulses(count, last_ms, PULSE_MS)
    read.checks.last_pulse_ms = last_ms


def _head(source: Iterator[SourceRecord]) -> list[SourceRecord]:
    """Return the records of the first ten seconds, and the one after them."""
    head: list[SourceRecord] = []
    for record in source:
        head.append(record)
        if record.at_ms > head[0].at_ms + LOOK_MS or len(head) >= LOOK_RECORDS:
            break
    return head
