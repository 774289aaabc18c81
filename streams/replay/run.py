"""The engine over records of `telemetry` from anywhere: same code, same frames, same bytes. Pure.

A replay touches nothing: it returns what the engine would say, and the caller prints it. Whatever lies before the
range is fed silently, so that what is open at its start is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from schemas.history import LogRecord
from schemas.outputs import Decision, Finding
from streams.config.thresholds import Thresholds
from streams.engine.cluster import Output
from streams.engine.digest import code_digest
from streams.engine.frames import frame_of
from streams.engine.runner import Runner


@dataclass(frozen=True, slots=True)
class Range:
    """What part of history is asked for, in source time; both ends are included."""

    from_ms: int | None = None
    to_ms: int | None = None
    cluster: str | None = None

    def wants(self, output: Output, at_ms: int) -> bool:
        """Tell whether an output brought at `at_ms` belongs to the range."""
        if self.from_ms is not None and at_ms < self.from_ms:
            return False
        if self.cluster is None:
            return True
        if isinstance(output, Finding):
            return output.subject.cluster == self.cluster
        return output.scope == f"cluster:{self.cluster}"


@dataclass(slots=True)
class Told:
    """What a replay has read so far."""

    records: int = 0
    bytes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    findings: int = 0
    decisions: int = 0
    started: dict[int, int] = field(default_factory=dict)
    """Partition to the first offset read."""


def replay(
    records: Iterable[LogRecord],
    wanted: Range | None = None,
    *,
    thresholds: Thresholds | None = None,
    runners: dict[int, Runner] | None = None,
    told: Told | None = None,
) -> Iterator[Output]:
    """Yield what the engine says of these records, which stand in the order of each partition's log.

    `thresholds` pins them against what the log says (a what-if). `runners`: engines restored from snapshots, by
    partition; a partition without one starts knowing nothing.
    """
    wanted = wanted or Range()
    told = told or Told()
    engines = runners if runners is not None else {}
    for record in records:
        if wanted.to_ms is not None and record.at_ms > wanted.to_ms:
            continue
        runner = engines.get(record.partition)
        if runner is None:
            runner = engines[record.partition] = Runner(
                record.partition, thresholds, code_digest=code_digest(), pinned=thresholds is not None
            )
        told.records += 1
        told.bytes += len(record.value)
        told.first_ms = record.at_ms if told.first_ms is None else min(told.first_ms, record.at_ms)
        told.last_ms = record.at_ms if told.last_ms is None else max(told.last_ms, record.at_ms)
        told.started.setdefault(record.partition, record.offset)
        for output in runner.feed([frame_of(record)]):
            if wanted.wants(output, record.at_ms):
                told.findings += isinstance(output, Finding)
                told.decisions += isinstance(output, Decision)
                yield output
