"""The order in which lanes are read: records with pulses between them, and lanes that are read late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache

from schemas.history import SourceRecord
from schemas.source import TELEMETRY_FEEDS, Pulse
from schemas.telemetry import EVERYONE
from streams.kafka.partition import lane_of
from streams.simulate.generator import Delay, PulseOutage
from streams.simulate.quantity import SECOND_MS

PULSE_EVERY_MS = SECOND_MS
INTAKE = "simulator"
"""Who signs the pulses."""


def cluster_of(record: SourceRecord) -> str:
    """Return the cluster that a record concerns; `*` where it names none (regions, services)."""
    return getattr(record.record, "cluster", EVERYONE)


class Lateness:
    """Which lanes are read late, and which have no pulses, by feed and lane."""

    def __init__(self, lanes: int, delays: Iterable[Delay] = (), outages: Iterable[PulseOutage] = ()) -> None:
        self._delays: dict[tuple[str, int], list[Delay]] = {}
        self._outages: dict[tuple[str, int], list[PulseOutage]] = {}
        for delay in delays:
            self._delays.setdefault((delay.feed, lane_of(delay.cluster, lanes)), []).append(delay)
        for outage in outages:
            self._outages.setdefault((outage.feed, lane_of(outage.cluster, lanes)), []).append(outage)

    @property
    def late(self) -> set[tuple[str, int]]:
        """Return the lanes that are ever read late."""
        return set(self._delays)

    def read_ms(self, feed: str, lane: int, at_ms: int) -> int:
        """Return when a record of a lane is read: at once, or late where it was stamped during such a fault."""
        read_ms = at_ms
        for delay in self._delays.get((feed, lane), ()):
            if delay.from_ms <= at_ms < delay.until_ms:
                read_ms = max(read_ms, at_ms + delay.delay_ms)
        return read_ms

    def pulses(self, feed: str, lane: int, at_ms: int) -> bool:
        """Return whether a pulse is written into a lane at this time."""
        return not any(outage.from_ms <= at_ms < outage.until_ms for outage in self._outages.get((feed, lane), ()))


class _Lanes:
    """The lanes of the feeds while records go through them."""

    def __init__(self, lanes: int, lateness: Lateness) -> None:
        self.count = lanes
        self.lateness = lateness
        self.waiting: dict[tuple[str, int], deque[tuple[int, SourceRecord]]] = {
            place: deque() for place in sorted(lateness.late)
        }
        self._pulse_ms: int | None = None
        self._pulses = 0

    def through(self, feed: str, lane: int, record: SourceRecord) -> bool:
        """Return whether a record is read at once; else it waits in its lane, behind what waits there already."""
        queue = self.waiting.get((feed, lane))
        if queue is None:
            return True
        read_ms = self.lateness.read_ms(feed, lane, record.at_ms)
        if not queue and read_ms <= record.at_ms:
            return True
        queue.append((max(read_ms, queue[-1][0] if queue else 0), record))
        return False

    def pulse(self, until_ms: int) -> Iterator[SourceRecord]:
        """Return the pulses that are due up to a time, and with each turn what has waited long enough."""
        if self._pulse_ms is None:
            self._pulse_ms = until_ms
        while self._pulse_ms <= until_ms:
            for feed in TELEMETRY_FEEDS:
                for lane in range(self.count):
                    if self.lateness.pulses(feed, lane, self._pulse_ms):
                        record = SourceRecord(feed, self._pulse_ms, Pulse(INTAKE, self._pulses), lane)
                        if self.through(feed, lane, record):
                            yield record
            self._pulses += 1
            yield from self.released(self._pulse_ms)
            self._pulse_ms += PULSE_EVERY_MS

    def released(self, now_ms: int | None = None) -> Iterator[SourceRecord]:
        """Return what has waited long enough; without a time, all that waits."""
        for queue in self.waiting.values():
            while queue and (now_ms is None or queue[0][0] <= now_ms):
                yield queue.popleft()[1]


def arrivals(
    records: Iterable[SourceRecord], lanes: int, lateness: Lateness | None = None, *, tail_ms: int = 0
) -> Iterator[SourceRecord]:
    """Return the records, with a pulse every second in every lane of the telemetry feeds, in the order of reading.

    `tail_ms`: pulses go on for so long after the last record, that absences at the end can be judged. The order of
    each lane is kept; a lane that is read late comes late with everything in it, its pulses too.
    """
    lane_cached = lru_cache(maxsize=65_536)(lane_of)
    state = _Lanes(lanes, lateness or Lateness(lanes))
    last_ms = 0
    for record in records:
        last_ms = record.at_ms
        yield from state.pulse(last_ms)
        if state.through(record.feed, lane_cached(cluster_of(record), lanes), record):
            yield record
    yield from state.pulse(last_ms + tail_ms)
    yield from state.released()
