"""One partition of `telemetry` as its owner works on it: restore, feed, flush. Knows Kafka, but not Faust.

Outputs, progress and snapshots go out in one transaction whose id is the partition's, so that a worker which lost the
partition is fenced: it cannot write another byte. What was written can be made again from the log, so the effect is
exactly once: on assignment the newest complete snapshots are loaded and the frames behind them are fed silently up to
progress.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from schemas.codec import decode
from schemas.errors import CodecError
from schemas.history import LogRecord
from schemas.outputs import Finding, FindingState, Progress, SnapshotChunk, SnapshotManifest, SnapshotMark
from schemas.telemetry import EVERYONE, Clocks, Stretch
from streams.engine.cluster import Output
from streams.engine.digest import code_digest
from streams.engine.fail_points import FailPoints
from streams.engine.frames import frame_of
from streams.engine.outputs import Outgoing, of_clocks, of_outputs, of_progress, of_snapshot
from streams.engine.runner import Runner
from streams.engine.snapshots import SnapshotError, SnapshotPlan, assemble, cut
from streams.kafka.transactions import LogReader, RecordsGone, TransactionalProducer
from streams.kafka.transactions import Output as Placed

FLEET_CLOCKS_MS = 1_000
"""Source time between two Clocks of this partition in `fleet`."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition engine works."""

    bootstrap: str
    prefix: str
    partition: int
    snapshot_every_s: float = 300.0
    source_topic: str = "telemetry"
    security: dict[str, Any] = field(default_factory=dict)
    """What a Kafka client needs besides the address."""
    check_crcs: bool = True

    def topic(self, name: str) -> str:
        """Return the topic's name with its prefix."""
        return f"{self.prefix}{name}"


class PartitionEngine:
    """The owner's work on one partition; one task at a time calls it."""

    def __init__(
        self, place: Place, *, fail_points: FailPoints | None = None, new_runner: Callable[[], Runner]
    ) -> None:
        self.place = place
        self.runner = new_runner()
        self._new_runner = new_runner
        self._producer = TransactionalProducer(
            place.bootstrap, f"{place.prefix}{place.source_topic}-{place.partition}", security=place.security
        )
        self._fail = fail_points or FailPoints()
        self.next_offset = 0
        """Where feeding goes on: all frames below are in the state."""
        self.written_offset = 0
        """What the last transaction said."""
        self._outputs: list[Output] = []
        self._plan = SnapshotPlan(int(place.snapshot_every_s * 1000))
        self._fleet_clocks_ms = 0
        self._fleet_watermark_ms = -1
        self.restored_frames = 0

    # -- taking over ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Fence whoever worked here before, and bring the state to where progress stands."""
        await self._producer.start()
        started_s = time.monotonic()
        async with self._reader() as reader:
            progress = await self._last_progress(reader)
            if progress is not None:
                await self._restore(progress, reader)
        log.info(
            "partition restored",
            partition=self.place.partition,
            next_offset=self.next_offset,
            frames=self.restored_frames,
            took_s=round(time.monotonic() - started_s, 3),
        )

    def _reader(self) -> LogReader:
        return LogReader(self.place.bootstrap, check_crcs=self.place.check_crcs, security=self.place.security)

    async def _last_progress(self, reader: LogReader) -> Progress | None:
        record = await reader.newest(self.place.topic("progress"), self.place.partition)
        if record is None or record.value is None:
            return None
        progress = decode(record.value)
        if not isinstance(progress, Progress):
            msg = f"progress of partition {self.place.partition} holds a {type(progress).__name__}"
            raise TypeError(msg)
        return progress

    async def _restore(self, progress: Progress, reader: LogReader) -> None:
        """Load the snapshots that progress names, then feed silently up to progress."""
        marks = list(progress.snapshots)
        from_offset = 0
        if marks:
            try:
                stale = await self._load(marks, reader)
                from_offset = marks[0].next_offset
            except SnapshotError as error:
                log.warning("snapshot passed over, the whole log is fed again", reason=str(error))
                self.runner = self._new_runner()
                marks = []
            else:
                if stale:
                    log.warning("detectors with a new state_version start anew", detectors=stale)
        self._plan.complete = tuple(marks)
        self._plan.started_ms = progress.at_ms
        self.next_offset = from_offset
        async for record in self._telemetry(reader, from_offset, progress.next_offset):
            self.runner.feed([frame_of(record)])
            self.restored_frames += 1
        self.next_offset = self.written_offset = progress.next_offset
        if progress.code_digest != code_digest():
            await self._publish_difference(progress, reader)

    async def _telemetry(self, reader: LogReader, from_offset: int, to_offset: int) -> AsyncIterator[LogRecord]:
        topic = self.place.topic(self.place.source_topic)
        try:
            async for record in reader.read(topic, self.place.partition, from_offset, to_offset):
                if record.value is not None:
                    yield LogRecord(record.partition, record.offset, record.timestamp, record.key, record.value)
        except RecordsGone as error:
            earliest = (await reader.stretch(topic, self.place.partition)).earliest
            log.error("history is gone from the log; what it held is unknown", reason=str(error), earliest=earliest)
            async for record in reader.read(topic, self.place.partition, earliest, max(earliest, to_offset)):
                if record.value is not None:
                    yield LogRecord(record.partition, record.offset, record.timestamp, record.key, record.value)

    async def _load(self, marks: list[SnapshotMark], reader: LogReader) -> list[str]:
        """Restore every cluster of a set, `*` first; return the detectors that are of another version."""
        stale: list[str] = []
        first = min(mark.snapshots_offset for mark in marks)
        wanted = {(mark.cluster, mark.next_offset) for mark in marks}
        chunks: dict[tuple[str, int], list[SnapshotChunk]] = {}
        done: set[tuple[str, int]] = set()
        async for record in reader.read(self.place.topic("snapshots"), self.place.partition, first):
            if record.value is None:
                continue
            try:
                piece = decode(record.value)
            except CodecError as error:
                msg = f"snapshots offset {record.offset}: {error.detail}"
                raise SnapshotError(msg) from error
            key = (piece.cluster, piece.next_offset)
            if key not in wanted or key in done:
                continue
            if isinstance(piece, SnapshotChunk):
                chunks.setdefault(key, []).append(piece)
            elif isinstance(piece, SnapshotManifest):
                stale += self.runner.restore(piece.cluster, assemble(chunks.pop(key, []), piece), piece.next_offset)
                done.add(key)
                if len(done) == len(wanted):
                    break
        if len(done) < len(wanted):
            msg = f"{len(wanted) - len(done)} of {len(wanted)} snapshots are no longer in the log"
            raise SnapshotError(msg)
        return sorted(set(stale))

    async def _publish_difference(self, progress: Progress, reader: LogReader) -> None:
        """Tell what this code sees otherwise than the code that wrote: open what it did not, close what it would not.

        Latched findings stay open: only a person releases them.
        """
        published = await self._published_open(reader)
        open_now = {
            finding.id: finding
            for cluster in self.runner.clusters.values()
            for detector in cluster.detectors.values()
            for finding in detector.state.openings
        }
        changed: list[Output] = [finding for finding_id, finding in open_now.items() if finding_id not in published]
        changed += [
            _closed(finding, progress.at_ms)
            for finding_id, finding in published.items()
            if finding_id not in open_now and not finding.latched
        ]
        if changed:
            log.warning("new code sees otherwise", findings=len(changed))
        self._outputs += changed

    async def _published_open(self, reader: LogReader) -> dict[str, Finding]:
        found: dict[str, Finding] = {}
        async for record in reader.read(self.place.topic("findings"), self.place.partition):
            if record.value is None:
                continue
            finding = decode(record.value)
            if finding.state == FindingState.CLOSED:
                found.pop(finding.id, None)
            else:
                found[finding.id] = finding
        return found

    # -- working -------------------------------------------------------------------------------------------------

    async def take(self, record: LogRecord) -> None:
        """Feed one record of the log; what was fed already is passed over, what is missing is fetched first."""
        if record.offset < self.next_offset:
            return
        if record.offset > self.next_offset:
            async with self._reader() as reader:
                async for missed in self._telemetry(reader, self.next_offset, record.offset):
                    self._feed(missed)
        self._feed(record)

    def _feed(self, record: LogRecord) -> None:
        self._outputs += self.runner.feed([frame_of(record)])
        self.next_offset = record.offset + 1

    @property
    def pending(self) -> bool:
        """Tell whether anything is to be written."""
        return self.next_offset != self.written_offset or bool(self._outputs)

    async def flush(self) -> list[Output | Progress]:
        """Write outputs, progress and at most one cluster's snapshot, in one transaction; return what was committed.

        Any error is fatal: the caller ends the process.
        """
        if not self.pending:
            return []
        next_offset = self.next_offset
        outgoing = of_outputs(self.place.partition, self._outputs)
        outgoing += self._fleet_clocks()
        cluster = self._plan.next_cluster(self.runner.at_ms, self.runner.clusters)
        snapshot = self._snapshot(cluster, next_offset) if cluster is not None else []
        outgoing += snapshot
        progress = self._progress(next_offset)
        outgoing.append(of_progress(progress))
        self._fail.reach("before-send")
        placed = await self._producer.flush(
            [self._message(record) for record in outgoing],
            before_commit=lambda: self._reach("after-send", "before-commit", "in-snapshot" if snapshot else ""),
        )
        self._fail.reach("after-commit")
        written: list[Output | Progress] = [*self._outputs, progress]
        self._outputs = []
        self.written_offset = next_offset
        if cluster is not None:
            first = placed[len(outgoing) - 1 - len(snapshot)]
            self._plan.taken(SnapshotMark(cluster, next_offset, first))
        return written

    def _reach(self, *steps: str) -> None:
        for step in steps:
            self._fail.reach(step)

    def acking(self) -> None:
        """Pass the step before acknowledging, where a test may end this process."""
        self._fail.reach("before-ack")

    def acked(self) -> None:
        """Pass the step after acknowledging."""
        self._fail.reach("after-ack")

    def _message(self, record: Outgoing) -> Placed:
        return Placed(self.place.topic(record.topic), record.partition, record.key, record.value, record.timestamp_ms)

    def _snapshot(self, cluster: str, next_offset: int) -> list[Outgoing]:
        names = tuple(name for name in self._plan.left if name != EVERYONE) if cluster == EVERYONE else ()
        saved = self.runner.save(cluster)
        chunks, manifest = cut(self.place.partition, cluster, next_offset, saved, code_digest(), names)
        return of_snapshot(chunks, manifest, self.runner.at_ms)

    def _progress(self, next_offset: int) -> Progress:
        return Progress(
            partition=self.place.partition,
            next_offset=next_offset,
            at_ms=self.runner.at_ms,
            watermarks={
                f"{lane.feed}/{lane.topic_id}/{lane.lane}": lane.watermark_ms
                for lane in self.runner.lanes.lanes.values()
            },
            snapshots=self._plan.complete,
            config_digest=self.runner.clusters_thresholds().digest,
            code_digest=code_digest(),
        )

    def _fleet_clocks(self) -> list[Outgoing]:
        """Return this partition's Clocks for the fleet engine, once a second of source time, never stepping back."""
        least_ms = min((lane.watermark_ms for lane in self.runner.lanes.lanes.values()), default=-1)
        if least_ms < self._fleet_clocks_ms + FLEET_CLOCKS_MS:
            return []
        before_ms, self._fleet_clocks_ms = self._fleet_clocks_ms or least_ms, least_ms
        partition = self.place.partition
        stretch = Stretch(
            "engine",
            "telemetry",
            "telemetry",
            partition,
            self.written_offset,
            self.next_offset - 1,
            before_ms,
            least_ms,
        )
        return [of_clocks(partition, Clocks(partition, (stretch,)), least_ms)]

    async def close(self) -> None:
        """Stop the producer; what was not flushed is made again by the next owner."""
        await self._producer.close()


def _closed(finding: Finding, at_ms: int) -> Finding:
    return replace(
        finding,
        state=FindingState.CLOSED,
        at_ms=at_ms,
        close_reason="newer code does not find this in the same records",
        code_digest=code_digest(),
    )
