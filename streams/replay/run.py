"""The engine over records of `telemetry` from anywhere: same code, same frames, same bytes. Pure.

A replay touches nothing: it returns what the engine would say, and the caller prints it. Every record is fed, those
before the range too, so that what is open at its start is known; the range only chooses what is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detectors.frames import ClocksFrame
from schemas.fleet import Incident
from schemas.history import LogRecord
from schemas.outputs import Decision, Finding
from schemas.rca import RcaArticle
from schemas.telemetry import Batch
from streams.config.thresholds import Thresholds
from streams.engine.cluster import Output
from streams.engine.digest import code_digest
from streams.engine.frames import frame_of
from streams.engine.runner import Runner, timed

LAG_MS = 600_000
"""Batches of a lane that lags bear older stamps than Clocks before them: reading goes on so far beyond the range."""


Answer = Output | Incident
"""What a replay tells: what engines answer, and the fleet engine's incidents."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is told of a replay, by the stamp of the frame that brought it: from `from_ms` on, before `to_ms`."""

    from_ms: int | None = None
    to_ms: int | None = None
    cluster: str | None = None
    vm: str | None = None
    """Only what is said of this VM: its findings, and its articles."""

    def wants(self, output: Answer) -> bool:
        """Tell whether an output belongs to the range."""
        if self.vm is not None and _vm_of(output) != self.vm:
            return False
        if self.from_ms is not None and output.at_ms < self.from_ms:
            return False
        if self.to_ms is not None and output.at_ms >= self.to_ms:
            return False
        if self.cluster is None:
            return True
        if isinstance(output, Incident):
            return self.cluster in output.clusters
        if isinstance(output, Finding):
            return output.subject.cluster == self.cluster
        if isinstance(output, RcaArticle):
            return output.cluster == self.cluster
        return output.scope == f"cluster:{self.cluster}"


def _vm_of(output: Answer) -> str | None:
    if isinstance(output, Finding):
        return output.subject.vm
    return output.vm if isinstance(output, RcaArticle) else None


@dataclass(slots=True)
class Told:
    """What a replay has read and found so far."""

    records: int = 0
    bytes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    findings: int = 0
    decisions: int = 0
    began: dict[int, int] = field(default_factory=dict)
    """Partition to the first offset read."""


@dataclass(slots=True)
class Replay:
    """A replay under way: feed it records, each partition's in the order of its log."""

    wanted: Range = field(default_factory=Range)
    thresholds: Thresholds | None = None
    """Pinned against what the log says: a what-if."""
    runners: dict[int, Runner] = field(default_factory=dict)
    """By partition: engines restored from snapshots are put here; one that is missing starts knowing nothing."""
    told: Told = field(default_factory=Told)
    fleet: bool = False
    """The records are of the topic `fleet`, and the engine is the fleet's."""

    def feed(self, record: LogRecord) -> list[Answer]:
        """Return what this record brings of the range."""
        runner = self.runner_of(record.partition)
        told = self.note(record)
        frame = frame_of(record, "fleet" if self.fleet else "telemetry")
        answers = (output for output in runner.tell([frame]) if not isinstance(output, Batch))
        outputs = [output for output in answers if self.wanted.wants(output)]
        told.findings += sum(1 for output in outputs if isinstance(output, Finding))
        told.decisions += sum(1 for output in outputs if isinstance(output, Decision))
        return outputs

    def runner_of(self, partition: int) -> Runner:
        """Return the engine of a partition, made where it is missing."""
        runner = self.runners.get(partition)
        if runner is None:
            runner = self.runners[partition] = self.new_runner(partition, fleet=self.fleet)
        return runner

    def new_runner(self, partition: int, *, fleet: bool) -> Runner:
        """Return an engine that knows nothing, under this replay's thresholds."""
        pinned = self.thresholds is not None
        return Runner(partition, self.thresholds, code_digest=code_digest(), pinned=pinned, fleet=fleet)

    def note(self, record: LogRecord) -> Told:
        """Count a record that is fed; return what has been read and found so far."""
        told = self.told
        told.records += 1
        told.began.setdefault(record.partition, record.offset)
        told.bytes += len(record.value)
        told.first_ms = record.at_ms if told.first_ms is None else min(told.first_ms, record.at_ms)
        told.last_ms = record.at_ms if told.last_ms is None else max(told.last_ms, record.at_ms)
        return told

    def over(self, record: LogRecord) -> bool:
        """Tell whether this record of a partition shows that nothing of the range can follow it there.

        Only clocks of pulsed lanes can: what a person writes bears the time of day, and the log may be a simulated one.
        """
        to_ms = self.wanted.to_ms
        if to_ms is None or record.at_ms < to_ms + LAG_MS:
            return False
        frame = frame_of(record, "fleet" if self.fleet else "telemetry")
        if not isinstance(frame, ClocksFrame):
            return False
        return any(timed(stretch.feed) and stretch.to_ms >= to_ms + LAG_MS for stretch in frame.clocks.stretches)


def replay(
    records: Iterable[LogRecord], wanted: Range | None = None, *, thresholds: Thresholds | None = None
) -> Iterator[Output]:
    """Yield what the engine says of these records, which stand in the order of each partition's log."""
    run = Replay(wanted or Range(), thresholds)
    for record in records:
        # Clusters' engines know no incidents.
        yield from (answer for answer in run.feed(record) if not isinstance(answer, Incident))
