"""The intake of one `telemetry` partition, pure: raw records of its lanes in, records for `telemetry` out, in order.

Theory of operation: each lane is judged (Checks), packed (Packer) and timed (LaneClock) for itself. A Clocks record is
made behind everything that its stretches cover, since only it moves the watermarks of lanes: so all packs are flushed
first. The shell reads lanes in order, writes the outputs in order with one producer, and passes the wall's time in.

    reader = PartitionReader((3,), Limits())
    reader.add(place, position)
    taken = reader.take(place, raws)        # write taken.outputs
    reader.clocks(now_ms)                   # once a second; write what it returns
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from schemas.codec import encode
from schemas.errors import CodecError, RegistryAway
from schemas.outputs import DeadLetter, DeadReason
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, TELEMETRY_FEEDS, GuestEvent, MaintenanceEvent
from schemas.telemetry import EVERYONE, Batch, Clocks, HostRow, Row, Stretch
from schemas.writers import WriterSchemas
from streams.intake.checks import Checks, Limits, Place, RawRecord, dead_letter, lane_cached
from streams.intake.clocks import LaneClock, Turns
from streams.intake.pack import Packer, halves

FEED_OF: dict[type[Any], str] = {HostRow: HOST_AGENT, GuestEvent: GUEST_AGENT, MaintenanceEvent: MAINTENANCE}
UNBELIEVED = frozenset({DeadReason.BAD_TIME, DeadReason.FUTURE_STAMP})


@dataclass(frozen=True, slots=True)
class Out:
    """A record for `telemetry`: into this partition, stamped with `at_ms`."""

    partition: int
    at_ms: int
    key: bytes
    value: bytes
    record: Batch | Clocks


Output = Out | DeadLetter


class RowSource(Protocol):
    """What makes rows of one record of a foreign topic; it may remember, so that its order is the lane's."""

    feeds: tuple[str, ...]
    """Of which feeds it makes rows: each has its own batches, and clocks that run with this lane's."""

    def rows(self, raw: RawRecord) -> Sequence[tuple[str, Row]]:
        """Return (cluster, row) of each of our records that this one holds; a CodecError says why it holds none."""


@dataclass(slots=True)
class Taken:
    """What became of raw records: `done` of them are in `outputs` or in open packs; `away`: the next one must wait."""

    outputs: list[Output] = field(default_factory=list)
    done: int = 0
    away: str = ""


@dataclass(slots=True)
class Lane:
    """One lane and all that is known of it."""

    checks: Checks
    packers: dict[str, Packer]
    """By feed: one, or of a foreign lane those that its records may be of."""
    clock: LaneClock
    foreign: RowSource | None = None

    def take_stretches(self) -> list[Stretch]:
        """Return what was read since the last Clocks, once for each feed that it could have spoken for."""
        stretch = self.clock.take()
        if stretch is None:
            return []
        return [stretch] if len(self.packers) == 1 else [replace(stretch, feed=feed) for feed in self.packers]


class PartitionReader:
    """The lanes that share Clocks: those of one partition, or one lane of a foreign topic (then of all partitions)."""

    def __init__(
        self,
        partitions: tuple[int, ...],
        limits: Limits | None = None,
        turns: Turns | None = None,
        writers: WriterSchemas | None = None,
    ) -> None:
        self.partitions = partitions
        self.limits = limits or Limits()
        self.turns = turns or Turns()
        self.writers = writers
        self.lanes: dict[tuple[str, int], Lane] = {}

    def add(self, place: Place, position: int, foreign: RowSource | None = None, gap_ms: int | None = None) -> Lane:
        """Begin to read a lane at this offset; one that is read already is read anew."""
        feeds = (place.feed,) if foreign is None else tuple(f"{feed}@{place.topic}" for feed in foreign.feeds)
        lane = Lane(
            Checks(place, self.limits, self.writers),
            {feed: Packer(replace(place, feed=feed), self.limits) for feed in feeds},
            LaneClock(place, gap_ms or self.limits.gap_ms, position),
            foreign,
        )
        self.lanes[place.topic, place.lane] = lane
        return lane

    def drop(self, place: Place) -> None:
        """Forget a lane that another intake reads now; what was not sent of it that one will read again."""
        self.lanes.pop((place.topic, place.lane), None)

    def take(self, place: Place, raws: Iterable[RawRecord]) -> Taken:
        """Return what comes of the next records of a lane; a Clocks each time that it spans enough source time."""
        lane = self.lanes[place.topic, place.lane]
        taken = Taken()
        for raw in raws:
            if raw.offset >= lane.clock.position:
                try:
                    taken.outputs += self._take_one(lane, raw)
                except RegistryAway as error:
                    taken.away = str(error) or "the schema registry does not answer"
                    return taken
                if self.turns.span_full(lane.clock):
                    taken.outputs += self._turn()
            taken.done += 1
        return taken

    def skip_to(self, place: Place, offset: int) -> list[Output]:
        """Go on at `offset` because the records before it are gone; return the Clocks that end before the hole."""
        outputs = self._turn()
        self.lanes[place.topic, place.lane].clock.begin_at(offset)
        return outputs

    def flush(self) -> list[Output]:
        """Return all that is packed, closed."""
        return [
            out
            for lane in self.lanes.values()
            for packer in lane.packers.values()
            if packer.open
            for batch in packer.flush()
            for out in self._outs(batch)
        ]

    def clocks(self, now_ms: int) -> list[Output]:
        """Return what is packed and a Clocks behind it, if one is due by the wall's time and anything was read."""
        if not self.turns.due(now_ms) or not any(lane.clock.moved for lane in self.lanes.values()):
            return []
        self.turns.last_ms = now_ms
        return self._turn()

    def turn(self) -> list[Output]:
        """Return what is packed and a Clocks behind it, due or not; nothing where nothing was read."""
        return self._turn()

    def _turn(self) -> list[Output]:
        outputs = self.flush()
        stretches = [stretch for lane in self.lanes.values() for stretch in lane.take_stretches()]
        if stretches:
            outputs += clocks_of(self.partitions, tuple(stretches))
        return outputs

    def _take_one(self, lane: Lane, raw: RawRecord) -> list[Output]:
        outputs: list[Output] = []
        rows: Sequence[tuple[str, Row]] = ()
        stamp: int | None = raw.at_ms
        if lane.foreign is None:
            judged = lane.checks.judge(raw)
            if type(judged) is tuple:
                rows = (judged,)
            elif type(judged) is DeadLetter:
                outputs.append(judged)
                stamp = _believed(lane, raw, judged.reason)
        else:
            try:
                lane.checks.check_stamp(raw)
                if not lane.checks.is_pulse(raw):
                    lane.checks.check_ahead(raw)
                    rows = lane.foreign.rows(raw)
            except CodecError as error:
                outputs.append(dead_letter(lane.checks.place, raw, error))
                stamp = _believed(lane, raw, error.reason)
        for cluster, row in rows:
            packer = lane.packers[lane.checks.place.feed if lane.foreign is None else feed_of(row, lane.checks.place)]
            for batch in packer.add(cluster, row, raw.offset, raw.at_ms):
                outputs += self._outs(batch)
        lane.clock.saw(raw.offset, stamp)
        return outputs

    def _outs(self, batch: Batch) -> Iterator[Out]:
        yield from outs_of(batch, self.partitions, self.limits.batch_max_bytes)


def outs_of(batch: Batch, partitions: tuple[int, ...], max_bytes: int, at_ms: int | None = None) -> Iterator[Out]:
    """Yield the batch as records of `telemetry`, parted where its encoding is larger than `max_bytes`.

    Of several `partitions` it goes into its cluster's, and what concerns everyone into all. `at_ms`: its stamp, where
    that is not its last row's.
    """
    value = encode(batch)
    if len(value) > max_bytes and (parts := halves(batch)) is not None:
        for part in parts:
            yield from outs_of(part, partitions, max_bytes, at_ms)
        return
    if len(partitions) > 1 and batch.cluster != EVERYONE:
        partitions = (lane_cached(batch.cluster, len(partitions)),)
    stamp_ms = batch.at_ms[-1] if at_ms is None else at_ms
    for partition in partitions:
        yield Out(partition, stamp_ms, batch.cluster.encode(), value, batch)


def feed_of(row: Row, place: Place) -> str:
    """Return the feed, `host-agent@topic` or its like, of a row that a foreign record was made into."""
    return f"{FEED_OF[type(row)]}@{place.topic}"


def clocks_of(partitions: tuple[int, ...], stretches: tuple[Stretch, ...]) -> list[Output]:
    """Return one Clocks with these stretches for each partition, stamped with the latest time that it tells of.

    That is a pulsed lane's where one is among them: what people write beside them may bear stamps of another time,
    where the log is a simulated one.
    """
    pulsed = [stretch.to_ms for stretch in stretches if stretch.feed.partition("@")[0] in TELEMETRY_FEEDS]
    at_ms = max(pulsed or [stretch.to_ms for stretch in stretches])
    outputs: list[Output] = []
    for partition in partitions:
        clocks = Clocks(partition, stretches)
        outputs.append(Out(partition, at_ms, CLOCKS_KEY, encode(clocks), clocks))
    return outputs


CLOCKS_KEY = EVERYONE.encode()


def _believed(lane: Lane, raw: RawRecord, reason: str) -> int | None:
    """Return the stamp of a refused record, which moves the lane's clock; None where the stamp was the reason."""
    if reason in UNBELIEVED:
        try:
            lane.checks.check_stamp(raw)
            lane.checks.check_ahead(raw)
        except CodecError:
            return None
    return raw.at_ms


__all__ = ["CLOCKS_KEY", "Lane", "Out", "Output", "PartitionReader", "RowSource", "Taken", "clocks_of", "outs_of"]
