"""The topic `fleet` without a broker: what engines of several partitions write to it, merged by time. Pure.

    log = FleetLog(partition)
    log.take(runner.tell([frame]))          # behind each frame of the partition
    log.turn(runner, record.offset + 1)
    outputs = Runner(0, fleet=True).tell(merged(logs))

Live the order of two engines' records in `fleet` is that of their flushes; here it is that of their times. Either way
what one engine wrote keeps its order, which is all that the fleet engine relies on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame
from schemas.outputs import Decision, Finding
from schemas.telemetry import Batch, Clocks
from streams.engine.cluster import Told
from streams.engine.outputs import FleetClocks
from streams.engine.runner import LogFrame, Runner

CLOCKS_EVERY_MS = 10_000
"""Source time between two Clocks of a partition: as an intake writes them when it catches up (DESIGN, Time)."""

Written = Finding | Decision | Batch | Clocks


@dataclass(slots=True)
class FleetLog:
    """What the engine of one partition writes to `fleet`, in its order."""

    partition: int
    written: list[tuple[int, Written]] = field(default_factory=list)
    """(time, record); times never step back."""
    _clocks: FleetClocks = field(default_factory=FleetClocks)

    def take(self, outputs: Iterable[Told]) -> None:
        """Note what of an engine's outputs goes to `fleet`: batches, decisions, and findings of more than one VM."""
        for output in outputs:
            if isinstance(output, Batch):
                self._write(output.at_ms[-1], output)
            elif isinstance(output, Decision) or (isinstance(output, Finding) and output.subject.vm is None):
                self._write(output.at_ms, output)

    def turn(self, runner: Runner, next_offset: int) -> None:
        """Note a turn of the partition's clocks, where its lanes have gone on."""
        least_ms = runner.lanes.rearmost_ms()
        if least_ms >= self._clocks.told_ms + CLOCKS_EVERY_MS and self._clocks.due(least_ms):
            self._write(least_ms, self._clocks.turn(self.partition, next_offset, least_ms))

    def _write(self, at_ms: int, record: Written) -> None:
        self.written.append((max(at_ms, self.written[-1][0] if self.written else 0), record))


def merged(logs: Iterable[FleetLog]) -> Iterator[LogFrame]:
    """Yield the frames of `fleet` in order of time; of one time, in order of partition."""
    streams = [
        [(at_ms, log.partition, place, record) for place, (at_ms, record) in enumerate(log.written)] for log in logs
    ]
    for offset, (at_ms, _, _, record) in enumerate(heapq.merge(*streams, key=lambda entry: entry[:3])):
        if isinstance(record, Finding):
            yield FindingFrame(0, offset, record.at_ms, record)
        elif isinstance(record, Decision):
            yield DecisionFrame(0, offset, record.at_ms, record)
        elif isinstance(record, Batch):
            yield BatchFrame(0, offset, record.at_ms[-1], record)
        else:
            yield ClocksFrame(0, offset, at_ms, record)
