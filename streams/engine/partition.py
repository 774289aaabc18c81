"""One partition of `telemetry` as its owner works on it: restore, feed, flush. Knows Kafka, but not Faust.

Outputs, progress and snapshots go out in one transaction whose id is the partition's, so that a worker which lost the
partition is fenced: it cannot write another byte. What was written can be made again from the log, so the effect is
exactly once: on assignment the newest complete snapshots are loaded and the frames behind them are fed silently up to
progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from schemas.codec import decode
from schemas.history import LogRecord
from schemas.outputs import Progress, SnapshotMark
from schemas.telemetry import EVERYONE
from streams.engine.cluster import Told
from streams.engine.digest import code_digest
from streams.engine.fail_points import FailPoints
from streams.engine.frames import frame_of
from streams.engine.outputs import FleetClocks, Outgoing, of_clocks, of_outputs, of_progress, of_snapshot
from streams.engine.place import Place, begins, history
from streams.engine.restore import Restore, Restored
from streams.engine.runner import Runner
from streams.engine.snapshots import SnapshotPlan, cut
from streams.kafka.transactions import LogReader, TransactionalProducer
from streams.kafka.transactions import Output as Placed
from streams.operate import metrics

log = structlog.get_logger(__name__)


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
        self._outputs: list[Told] = []
        self._plan = SnapshotPlan(int(place.snapshot_every_s * 1000))
        self._fleet = FleetClocks()

    # -- taking over ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Fence whoever worked here before, and bring the state to where progress stands."""
        await self._producer.start()
        started_s = time.monotonic()
        restored = None
        async with self.place.reader() as reader:
            progress = await self._last_progress(reader)
            if progress is not None:
                restored = await Restore(self.place, reader, self._new_runner).run(progress)
                self._stand_at(progress, restored)
        log.info(
            "partition restored",
            topic=self.place.source,
            partition=self.place.partition,
            next_offset=self.next_offset,
            snapshots=len(restored.marks) if restored else 0,
            frames=restored.frames if restored else 0,
            took_s=round(time.monotonic() - started_s, 3),
        )

    async def _last_progress(self, reader: LogReader) -> Progress | None:
        record = await reader.newest(self.place.own("progress"), self.place.partition)
        if record is None or record.value is None:
            return None
        progress = decode(record.value)
        if not isinstance(progress, Progress):
            msg = f"progress of partition {self.place.partition} holds a {type(progress).__name__}"
            raise TypeError(msg)
        return progress

    def _stand_at(self, progress: Progress, restored: Restored) -> None:
        self.runner = restored.runner
        self.next_offset = self.written_offset = progress.next_offset
        self._outputs = list(restored.difference)
        if progress.code_digest != code_digest():
            # Written even where nothing differs and nothing comes: so it is known that newer code has looked.
            self.written_offset = -1
        self._plan.complete = restored.marks
        # What was fed anew is saved at once: the next restore need not do it again.
        self._plan.started_ms = progress.at_ms - (self._plan.every_ms if restored.anew else 0)

    # -- working -------------------------------------------------------------------------------------------------

    async def reach(self, offset: int) -> None:
        """Feed what lies between the last frame and `offset`: records that the host never handed out are fetched.

        What is gone from the log is told, and the lanes of the next Clocks have a hole for it.
        """
        if offset <= self.next_offset:
            return
        log.warning("records were passed over", partition=self.place.partition, at=self.next_offset, until=offset)
        async with self.place.reader() as reader:
            first = await begins(reader, self.place, self.next_offset)
            async for missed in history(reader, self.place, min(first, offset), offset):
                self.take(missed)
        self.passed(offset)

    def take(self, record: LogRecord) -> None:
        """Feed one record of the log; what was fed already is passed over."""
        if record.offset >= self.next_offset:
            self._outputs += self.runner.tell([frame_of(record, self.place.source_topic)])
            self.next_offset = record.offset + 1

    def passed(self, offset: int) -> None:
        """Note that nothing that can be read is left below `offset`: the last offsets may be without a record."""
        self.next_offset = max(self.next_offset, offset)

    @property
    def pending(self) -> bool:
        """Tell whether anything is to be written."""
        return self.next_offset != self.written_offset or bool(self._outputs)

    async def flush(self) -> list[Told | Progress]:
        """Write outputs, progress and at most one cluster's snapshot, in one transaction; return what was committed.

        Any error is fatal: the caller ends the process.
        """
        if not self.pending:
            return []
        next_offset = self.next_offset
        fleet = self.place.fleet
        outgoing = of_outputs(self.place.partition, self._outputs, fleet=fleet)
        outgoing += [] if fleet else self._fleet_clocks()
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
        written: list[Told | Progress] = [*self._outputs, progress]
        self._outputs = []
        self.written_offset = next_offset
        if cluster is not None:
            first = placed[len(outgoing) - 1 - len(snapshot)]
            self._plan.taken(SnapshotMark(cluster, next_offset, first))
            metrics.SNAPSHOTS.labels("written").inc()
            metrics.SNAPSHOT_BYTES.inc(sum(len(record.value) for record in snapshot))
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
        own = record.topic in ("progress", "snapshots")
        topic = self.place.own(record.topic) if own else self.place.topic(record.topic)
        return Placed(topic, record.partition, record.key, record.value, record.timestamp_ms)

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
        least_ms = self.runner.lanes.rearmost_ms()
        if not self._fleet.due(least_ms):
            return []
        clocks = self._fleet.turn(self.place.partition, self.next_offset, least_ms)
        return [of_clocks(self.place.partition, clocks, least_ms)]

    async def close(self) -> None:
        """Stop the producer; what was not flushed is made again by the next owner."""
        await self._producer.close()
