"""Brings the engine of a partition to where progress stands: the newest complete snapshots, then a silent re-run.

Where the snapshots are damaged or gone, the whole log is fed; where the log itself begins later, what is left of it.
Where that is so, or the code is another than that which wrote, what is seen otherwise now is published (`anew`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import structlog

from detectors.contract import Openings
from detectors.lanes import FAR_MS
from schemas.codec import decode
from schemas.errors import CodecError
from schemas.outputs import Finding, Progress, SnapshotChunk, SnapshotManifest, SnapshotMark
from streams.engine.anew import (
    ENGINE,
    Published,
    beside,
    difference,
    memory_ms,
    old_openings,
    started_anew,
    transplant,
    with_followers,
)
from streams.engine.cluster import Output, SavedCluster
from streams.engine.digest import code_digest
from streams.engine.frames import frame_of
from streams.engine.place import Place, begins, history, reaches
from streams.engine.runner import Runner
from streams.engine.snapshots import SnapshotError, assemble
from streams.kafka.transactions import LogReader
from streams.operate import metrics

SLICE_FRAMES = 200
"""Frames fed before the event loop is let go: group heartbeats wait no longer than this."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Restored:
    """An engine that stands at progress."""

    runner: Runner
    marks: tuple[SnapshotMark, ...] = ()
    """The snapshots that it was restored from; none: the whole log was fed."""
    frames: int = 0
    """Frames fed silently."""
    difference: list[Output] = field(default_factory=list)
    """What is to be published because this code sees otherwise."""
    anew: list[str] = field(default_factory=list)
    """Detectors that were fed from the log because their state is of another version, or was never saved."""


@dataclass(slots=True)
class _Loaded:
    """A set of snapshots as read."""

    saved: list[tuple[SnapshotMark, SavedCluster]]
    fleet: bool = False

    def anew(self) -> list[str]:
        return with_followers(
            name for mark, saved in self.saved for name in started_anew(saved, mark.cluster, fleet=self.fleet)
        )

    def old(self) -> dict[str, dict[str, Openings]]:
        return {mark.cluster: old_openings(saved) for mark, saved in self.saved}


class Restore:
    """One restore of one partition."""

    def __init__(self, place: Place, reader: LogReader, new_runner: Callable[[], Runner]) -> None:
        self.place = place
        self.reader = reader
        self.new_runner = new_runner
        self.frames = 0
        self.quarantines: list[Finding] = []

    async def run(self, progress: Progress) -> Restored:
        """Return the engine as it stands at `progress`."""
        await reaches(self.reader, self.place, progress.next_offset)
        runner = self.new_runner()
        marks = progress.snapshots
        names: list[str] = []
        from_offset = from_ms = 0
        if marks:
            try:
                loaded = await self._load(marks)
                for mark, saved in loaded.saved:
                    runner.restore(mark.cluster, saved, mark.next_offset)
            except (SnapshotError, msgspec.MsgspecError) as error:
                metrics.SNAPSHOTS.labels("unusable").inc()
                log.warning("snapshot passed over, the whole log is fed again", reason=str(error), **self._about)
                runner, marks = self.new_runner(), ()
            else:
                from_offset = marks[0].next_offset
                metrics.SNAPSHOTS.labels("restored").inc(len(marks))
                if names := loaded.anew():
                    await self._feed_anew(runner, loaded, names, progress)
        if not await self._feed(runner, from_offset, progress.next_offset):
            from_ms = FAR_MS
        restored = Restored(runner, marks, self.frames, anew=names)
        if names or from_ms == FAR_MS or progress.code_digest != code_digest():
            published = await self._published()
            restored.difference = difference(runner, published, self.quarantines, from_ms=from_ms, at_ms=progress.at_ms)
            if restored.difference:
                log.warning("newer code sees otherwise", outputs=len(restored.difference), **self._about)
        return restored

    @property
    def _about(self) -> dict[str, int]:
        return {"partition": self.place.partition}

    # -- snapshots -----------------------------------------------------------------------------------------------

    async def _load(self, marks: Iterable[SnapshotMark]) -> _Loaded:
        """Return every snapshot of a set in its order, `*` first; SnapshotError where one cannot be used."""
        wanted = {(mark.cluster, mark.next_offset): mark for mark in marks}
        first = min(mark.snapshots_offset for mark in wanted.values())
        topic, partition = self.place.own("snapshots"), self.place.partition
        bounds = await self.reader.stretch(topic, partition)
        if not bounds.earliest <= first < bounds.end:
            msg = f"{topic}-{partition}: offset {first} is not in the log ({bounds.earliest} to {bounds.end})"
            raise SnapshotError(msg)
        chunks: dict[tuple[str, int], list[SnapshotChunk]] = {}
        saved: dict[tuple[str, int], SavedCluster] = {}
        async for record in self.reader.read(topic, partition, first):
            if record.value is None:
                continue
            try:
                piece = decode(record.value)
            except CodecError as error:
                msg = f"{topic}-{partition} offset {record.offset}: {error.detail}"
                raise SnapshotError(msg) from error
            if not isinstance(piece, (SnapshotChunk, SnapshotManifest)):
                msg = f"{topic}-{partition} offset {record.offset}: holds a {type(piece).__name__}"
                raise SnapshotError(msg)
            key = (piece.cluster, piece.next_offset)
            if key not in wanted or key in saved:
                continue
            if isinstance(piece, SnapshotChunk):
                chunks.setdefault(key, []).append(piece)
                continue
            saved[key] = assemble(chunks.pop(key, []), piece)
            if len(saved) == len(wanted):
                return _Loaded([(mark, saved[key]) for key, mark in wanted.items()], self.place.fleet)
        msg = f"{topic}-{partition}: {len(wanted) - len(saved)} of {len(wanted)} snapshots are not in the log"
        raise SnapshotError(msg)

    async def _feed_anew(self, runner: Runner, loaded: _Loaded, names: list[str], progress: Progress) -> None:
        """Feed the detectors named the last part of the log, each cluster's up to where its snapshot stands."""
        memory = min(memory_ms(names), int(self.place.memory_s * 1000))
        marks = sorted((mark for mark, _ in loaded.saved), key=lambda mark: mark.next_offset)
        topic, partition = self.place.topic(self.place.source_topic), self.place.partition
        found = await self.reader.offset_at(topic, partition, progress.at_ms - memory)
        from_offset = min(found or 0, marks[0].next_offset)
        from_ms = progress.at_ms - memory if from_offset > 0 else 0
        log.warning("detectors start anew", detectors=names, from_offset=from_offset, **self._about)
        old = loaded.old()
        feeding = beside(runner, names, from_ms)
        for mark in marks:
            if not await self._feed(feeding, from_offset, mark.next_offset):
                from_ms = FAR_MS
            from_offset = max(from_offset, mark.next_offset)
            transplant(feeding, runner.clusters[mark.cluster], names, old[mark.cluster], from_ms)

    # -- the log -------------------------------------------------------------------------------------------------

    async def _feed(self, runner: Runner, from_offset: int, to_offset: int) -> bool:
        """Feed a stretch of the log silently; return whether all of it was there."""
        first = min(to_offset, await begins(self.reader, self.place, from_offset))
        async for record in history(self.reader, self.place, first, to_offset):
            outputs = runner.feed([frame_of(record, self.place.source_topic)])
            self.quarantines += [
                output for output in outputs if isinstance(output, Finding) and output.detector == ENGINE
            ]
            self.frames += 1
            if self.frames % SLICE_FRAMES == 0:
                await asyncio.sleep(0)
        return first <= from_offset

    async def _published(self) -> Published:
        published = Published()
        for name in ("findings", "decisions"):
            async for record in self.reader.read(self.place.topic(name), self.place.partition):
                if record.value is not None:
                    published.take(decode(record.value))
        return published
