"""The whole engine of one partition, pure: frames in, findings and decisions out.

    runner = Runner(partition, thresholds)
    for frame in frames:              # BatchFrame or ClocksFrame, in the order of the log
        outputs = runner.feed([frame])

A batch is folded into its cluster's picture and shown to its detectors; a turn of the clocks moves the lanes and asks
the detectors whose times have come, over all clusters in order of those times. The shells around it (worker, replay,
score) differ only in where frames come from and where outputs go.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from detectors.contract import registry
from detectors.frames import BatchFrame, ClocksFrame, DueFrame
from detectors.lanes import Lanes
from detectors.picture import Picture
from schemas.commands import ConfigChanged
from schemas.source import TELEMETRY_FEEDS
from schemas.telemetry import EVERYONE, Batch
from streams.config.problems import ConfigError
from streams.config.thresholds import Thresholds, parse
from streams.engine.cluster import Cluster, Output, SavedCluster, cluster_of

CLUSTERS_MOST = 10_000
"""Clusters kept in one partition; a cluster has about 1,000 servers and a partition a few clusters."""

TelemetryFrame = BatchFrame | ClocksFrame


def default_thresholds() -> Thresholds:
    """Return the thresholds in force before the log states any: every detector's defaults."""
    return parse("", {name: kind.Config for name, kind in registry().items()})


@dataclass(slots=True)
class Counts:
    """What a runner has seen, for the shells' metrics."""

    frames: int = 0
    rows: int = 0
    repeats: int = 0
    refused_configs: int = 0
    dropped_clusters: int = 0


class Runner:
    """The engine of one partition; `only` restricts it to some detectors (tests, what-if)."""

    def __init__(
        self,
        partition: int,
        thresholds: Thresholds | None = None,
        *,
        code_digest: str = "",
        only: Iterable[str] | None = None,
        pinned: bool = False,
    ) -> None:
        """Make an engine that knows nothing; `pinned`: thresholds stay as given whatever the log says (what-if)."""
        self.partition = partition
        self.thresholds = thresholds or default_thresholds()
        self.code_digest = code_digest
        self.only = tuple(only) if only is not None else None
        self.pinned = pinned
        self.lanes = Lanes()
        self.counts = Counts()
        self.at_ms = 0
        """The greatest stamp of a frame."""
        self.clusters: dict[str, Cluster] = {}
        self._make(EVERYONE)

    def feed(self, frames: Iterable[TelemetryFrame]) -> list[Output]:
        """Return what these frames bring, in their order."""
        outputs: list[Output] = []
        for frame in frames:
            self.counts.frames += 1
            self.at_ms = max(self.at_ms, frame.at_ms)
            outputs += self._clocks(frame) if isinstance(frame, ClocksFrame) else self._batch(frame)
        return outputs

    # -- batches -------------------------------------------------------------------------------------------------

    def _make(self, name: str) -> Cluster:
        cluster = Cluster(Picture(name, self.lanes), self.clusters_thresholds(), self.code_digest)
        cluster.equip(self.only)
        self.clusters[name] = cluster
        return cluster

    def clusters_thresholds(self) -> Thresholds:
        """Return the thresholds in force at this place of the log."""
        whole = self.clusters.get(EVERYONE)
        return whole.thresholds if whole is not None else self.thresholds

    def _batch(self, frame: BatchFrame) -> list[Output]:
        name = frame.batch.cluster
        cluster = self.clusters.get(name)
        if cluster is None:
            if len(self.clusters) > CLUSTERS_MOST:
                self.counts.dropped_clusters += 1
                return []
            cluster = self._make(name)
        fresh = self._without_repeats(frame, cluster) if frame.offset >= cluster.next_offset else None
        if fresh is None:
            return []
        self.counts.rows += len(fresh.batch.rows)
        if name != EVERYONE:
            return cluster.batch(fresh)
        for row in fresh.batch.rows:
            if isinstance(row, ConfigChanged):
                self._configure(row, frame.offset)
        return [
            output
            for known in list(self.clusters.values())
            if frame.offset >= known.next_offset
            for output in known.batch(fresh)
        ]

    def _without_repeats(self, frame: BatchFrame, cluster: Cluster) -> BatchFrame | None:
        """Return the frame with the rows above the highest offset taken; None where none is left."""
        batch = frame.batch
        key = f"{batch.feed}/{batch.topic_id}/{batch.lane}"
        highest = cluster.positions.get(key, -1)
        offsets = batch.offsets
        if not offsets:
            return None
        cluster.positions[key] = max(highest, offsets[-1])
        if offsets[0] > highest:
            return frame
        fresh = [index for index, offset in enumerate(offsets) if offset > highest]
        self.counts.repeats += len(offsets) - len(fresh)
        if not fresh:
            return None
        return replace(frame, batch=_rows_of(batch, fresh))

    def _configure(self, row: ConfigChanged, offset: int) -> None:
        if self.pinned:
            return
        try:
            thresholds = parse(row.text, {name: kind.Config for name, kind in registry().items()}, lenient=True)
        except ConfigError:
            # `config apply` refuses such a text; whoever wrote it past that command changes nothing.
            self.counts.refused_configs += 1
            return
        for cluster in self.clusters.values():
            if offset >= cluster.next_offset:
                cluster.configure(thresholds)

    # -- clocks --------------------------------------------------------------------------------------------------

    def _clocks(self, frame: ClocksFrame) -> list[Output]:
        for stretch in frame.clocks.stretches:
            # Only the telemetry feeds are pulsed and waited for: nobody expects an import or a command every second.
            if stretch.feed.partition("@")[0] in TELEMETRY_FEEDS:
                self.lanes.turn(stretch, frame.at_ms)
        outputs = self.clusters[EVERYONE].clocks(frame)
        waiting: list[tuple[int, int, int, str]] = []
        clusters = list(self.clusters.values())
        for place, cluster in enumerate(clusters):
            if frame.offset >= cluster.next_offset:
                self._queue_due(waiting, place, cluster)
        while waiting:
            due_ms, place, _, name = heapq.heappop(waiting)
            cluster = clusters[place]
            if cluster.detectors[name].next_due_ms() != due_ms or name in cluster.broken:
                continue
            outputs += cluster.due(name, DueFrame(frame.partition, frame.offset, frame.at_ms, due_ms))
            self._queue_due(waiting, place, cluster)
        return outputs

    def _queue_due(self, waiting: list[tuple[int, int, int, str]], place: int, cluster: Cluster) -> None:
        """Add what of this cluster is due: its time has been passed by every lane of the detector's feeds."""
        for due_ms, order, name in cluster.next_due():
            if name in cluster.broken:
                continue
            if due_ms < cluster.picture.passed_ms(cluster.detectors[name].feeds):
                entry = (due_ms, place, order, name)
                if entry not in waiting:
                    heapq.heappush(waiting, entry)

    # -- state ---------------------------------------------------------------------------------------------------

    def save(self, name: str) -> SavedCluster:
        """Return the whole state of one cluster (`*`: of the partition itself) between two frames."""
        return self.clusters[name].save()

    def restore(self, name: str, saved: SavedCluster, next_offset: int) -> list[str]:
        """Put back a cluster's state; return the detectors whose state is of another version and starts anew.

        The state holds all frames below `next_offset`; feed frames from `*`'s on, which must not be above any
        other's: it is restored first, for it brings the lanes.
        """
        if saved.lanes is not None:
            self.lanes = saved.lanes
            for cluster in self.clusters.values():
                cluster.picture.lanes = self.lanes
        kinds = {known: kind.Config for known, kind in registry().items()}
        thresholds = self.thresholds if self.pinned else parse(saved.thresholds_text, kinds, lenient=True)
        cluster = cluster_of(saved, name, self.lanes, thresholds, self.code_digest)
        cluster.next_offset = next_offset
        stale = cluster.equip(self.only, saved.detectors)
        self.clusters[name] = cluster
        return stale


def _rows_of(batch: Batch, indices: list[int]) -> Batch:
    return replace(
        batch,
        offsets=tuple(batch.offsets[index] for index in indices),
        at_ms=tuple(batch.at_ms[index] for index in indices),
        rows=tuple(batch.rows[index] for index in indices),
    )
