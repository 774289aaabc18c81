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
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from detectors.contract import registry
from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, DueFrame, FindingFrame, OtherFrame
from detectors.lanes import Lanes
from detectors.picture import FleetPicture, Picture
from schemas.commands import ConfigChanged
from schemas.fleet import Incident
from schemas.source import TELEMETRY_FEEDS, MaintenanceEvent, MaintenanceKind
from schemas.telemetry import EVERYONE, Batch, rows_of
from streams.config.problems import ConfigError
from streams.config.thresholds import Thresholds, parse
from streams.engine.cluster import Cluster, Output, SavedCluster, Told, cluster_of

CLUSTERS_MOST = 10_000
"""Clusters kept in one partition; a cluster has about 1,000 servers and a partition a few clusters."""

LEADS_KEPT = 4096
"""Notices kept until the shell has told of them: more than any flush of a second brings."""
COMMANDS_KEPT = 10_000
"""Ids of commands by which the fleet engine folds the copies that every partition of `operator` brings."""
ENGINE_FEED = "engine"
"""The feed of the engines' own Clocks in `fleet`."""
START = "start"
"""Who wrote the configuration that a start of the intake puts into an empty log."""

TelemetryFrame = BatchFrame | ClocksFrame
LogFrame = TelemetryFrame | FindingFrame | DecisionFrame | OtherFrame
"""A finding is a frame of `fleet` only, and so is a decision."""


def default_thresholds() -> Thresholds:
    """Return the thresholds in force before the log states any: every detector's defaults."""
    return parse("", {name: kind.Config for name, kind in registry().items()})


@dataclass(slots=True)
class Counts:
    """What a runner has seen, for the shells' metrics."""

    frames: int = 0
    rows: int = 0
    repeats: int = 0
    clocks: int = 0
    findings: int = 0
    decisions: int = 0
    others: int = 0
    """Records of `fleet` of kinds that this version makes nothing of."""
    asked: int = 0
    """Due times at which a detector was asked."""
    reboots: dict[tuple[str, bool], int] = field(default_factory=dict)
    """Reboots begun, by cluster and whether they were planned."""
    refused_configs: int = 0
    dropped_clusters: int = 0
    leads: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=LEADS_KEPT))
    """The newest notices given of planned maintenance: a type of scheduled event, or `Wave`, and seconds ahead."""
    leads_seen: int = 0


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
        fleet: bool = False,
    ) -> None:
        """Make an engine that knows nothing; `pinned`: thresholds stay as given whatever the log says (what-if).

        `fleet`: its frames are of the topic `fleet`, and all of them are for the detectors of the fleet.
        """
        self.partition = partition
        self.thresholds = thresholds or default_thresholds()
        self.code_digest = code_digest
        self.only = tuple(only) if only is not None else None
        self.pinned = pinned
        self.fleet = fleet
        self.lanes = Lanes()
        self.counts = Counts()
        self.at_ms = 0
        """The greatest stamp of a frame of a feed that is pulsed: how far time has come in this log."""
        self.clusters: dict[str, Cluster] = {}
        self._make(EVERYONE)

    def feed(self, frames: Iterable[LogFrame]) -> list[Output]:
        """Return the answers that these frames bring, in their order."""
        return [told for told in self.tell(frames) if not isinstance(told, Batch | Incident)]

    def tell(self, frames: Iterable[LogFrame]) -> list[Told]:
        """Return all that these frames bring, in their order: answers, and what `fleet` is told."""
        outputs: list[Told] = []
        for frame in frames:
            self.counts.frames += 1
            if isinstance(frame, ClocksFrame):
                outputs += self._clocks(frame)
            elif isinstance(frame, BatchFrame):
                outputs += self._batch(frame)
            elif isinstance(frame, FindingFrame):
                outputs += self._finding(frame)
            elif isinstance(frame, DecisionFrame):
                self._decision(frame)
            else:
                self.counts.others += 1
            if self.fleet:
                outputs += self.clusters[EVERYONE].tell_incidents(frame.at_ms)
        return outputs

    def _passes(self, at_ms: int) -> None:
        self.at_ms = max(self.at_ms, at_ms)

    # -- batches -------------------------------------------------------------------------------------------------

    def _make(self, name: str) -> Cluster:
        whole = self.clusters.get(EVERYONE)
        cluster = Cluster(
            (FleetPicture if self.fleet else Picture)(name, self.lanes),
            self.clusters_thresholds(),
            self.code_digest,
            configured=whole is not None and whole.configured,
            fleet=self.fleet,
        )
        cluster.equip(self.only)
        if whole is not None:
            # What was told to everyone before this cluster was first heard of.
            cluster.picture.state.services.update(whole.picture.state.services)
            cluster.picture.state.regions.update(whole.picture.state.regions)
        self.clusters[name] = cluster
        return cluster

    def clusters_thresholds(self) -> Thresholds:
        """Return the thresholds in force at this place of the log."""
        whole = self.clusters.get(EVERYONE)
        return whole.thresholds if whole is not None else self.thresholds

    def _batch(self, frame: BatchFrame) -> list[Told]:
        # What people write beside the feeds may bear stamps of another time, where the log is a simulated one.
        if timed(frame.batch.feed):
            self._passes(frame.at_ms)
        name = EVERYONE if self.fleet else frame.batch.cluster
        cluster = self.clusters.get(name)
        if cluster is None:
            if len(self.clusters) > CLUSTERS_MOST:
                self.counts.dropped_clusters += 1
                return []
            cluster = self._make(name)
        fresh = self._without_repeats(frame, cluster) if frame.offset >= cluster.next_offset else None
        if fresh is None:
            return []
        self._count(fresh)
        if name != EVERYONE:
            return cluster.batch(fresh)
        for row in fresh.batch.rows:
            if isinstance(row, ConfigChanged):
                self._configure(row, frame.offset)
        if self.fleet:
            return self._once(fresh, cluster)
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
        if self.fleet:
            # Here all clusters are one, and batches of two may overtake each other.
            key = f"{batch.cluster}/{key}"
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
        return replace(frame, batch=rows_of(batch, fresh))

    def _count(self, fresh: BatchFrame) -> None:
        self.counts.rows += len(fresh.batch.rows)
        for index, row in enumerate(fresh.batch.rows):
            if isinstance(row, MaintenanceEvent):
                self._count_event(row, fresh.batch.cluster, fresh.batch.at_ms[index])

    def _count_event(self, row: MaintenanceEvent, cluster: str, at_ms: int) -> None:
        if row.kind == MaintenanceKind.NODE_REBOOT_STARTED:
            key = (cluster, bool(row.planned))
            self.counts.reboots[key] = self.counts.reboots.get(key, 0) + 1
            return
        start_ms, told_as = row.not_before_ms, (row.event_type or "").capitalize()
        if row.kind == MaintenanceKind.WAVE_ANNOUNCED:
            start_ms, told_as = row.scheduled_start_ms, "Wave"
        elif row.kind != MaintenanceKind.SCHEDULED:
            return
        # What engines pass on to the fleet was counted where it came from.
        if start_ms is None or self.fleet:
            return
        self.counts.leads.append((told_as, (start_ms - at_ms) / 1000))
        self.counts.leads_seen += 1

    def _once(self, fresh: BatchFrame, cluster: Cluster) -> list[Told]:
        """Give the fleet's detectors what of a batch no other partition has brought already: commands have ids."""
        kept = []
        for index, row in enumerate(fresh.batch.rows):
            command_id = getattr(row, "command_id", "")
            if command_id:
                key = f"command/{command_id}"
                if key in cluster.positions:
                    continue
                cluster.positions[key] = fresh.offset
            kept.append(index)
        commands = [key for key in cluster.positions if key.startswith("command/")]
        for key in commands[: max(0, len(commands) - COMMANDS_KEPT)]:
            del cluster.positions[key]
        if not kept:
            return []
        return cluster.batch(replace(fresh, batch=rows_of(fresh.batch, kept)))

    def _finding(self, frame: FindingFrame) -> list[Output]:
        """Give a cluster's finding to the fleet's detectors; a telemetry log holds none (`frame_of` sees to it)."""
        self.counts.findings += 1
        cluster = self.clusters[EVERYONE]
        return cluster.finding(frame) if frame.offset >= cluster.next_offset else []

    def _decision(self, frame: DecisionFrame) -> None:
        """Take what was decided for a cluster into the fleet's picture: it is told with the incident that it is for."""
        self.counts.decisions += 1
        cluster = self.clusters[EVERYONE]
        if frame.offset >= cluster.next_offset:
            cluster.picture.fleet.decided(frame.decision)

    def _configure(self, row: ConfigChanged, offset: int) -> None:
        if self.pinned:
            return
        if row.by == START and self.clusters[EVERYONE].configured:
            # Two intakes that start on an empty log both write theirs: the first wins.
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

    def _clocks(self, frame: ClocksFrame) -> list[Told]:
        self.counts.clocks += 1
        for stretch in frame.clocks.stretches:
            # Only the telemetry feeds are pulsed and waited for: nobody expects an import or a command every second.
            if timed(stretch.feed):
                self.lanes.turn(stretch, frame.at_ms)
                self._passes(stretch.to_ms)
        outputs: list[Told] = [*self.clusters[EVERYONE].clocks(frame)]
        waiting: list[tuple[int, int, int, str]] = []
        passed: dict[tuple[int, tuple[str, ...]], int] = {}
        clusters = list(self.clusters.values())
        foremost_ms = self.lanes.foremost_ms()
        for place, cluster in enumerate(clusters):
            if frame.offset >= cluster.next_offset:
                self._queue_due(waiting, passed, place, cluster, foremost_ms)
        while waiting:
            due_ms, place, _, name = heapq.heappop(waiting)
            cluster = clusters[place]
            if cluster.detectors[name].next_due_ms() != due_ms or name in cluster.broken:
                continue
            # These Clocks may be of lanes that lag: the time has come by those of the detector, whatever this stamp.
            at_ms = max(frame.at_ms, due_ms)
            self.counts.asked += 1
            found = cluster.due(name, DueFrame(frame.partition, frame.offset, at_ms, due_ms))
            outputs += found
            # What is found is told to other detectors, which may name a time of their own then.
            self._queue_due(waiting, passed, place, cluster, foremost_ms, None if found else name)
        for cluster in clusters:
            if frame.offset >= cluster.next_offset:
                outputs += cluster.tell_facts(frame)
        return outputs

    @staticmethod
    def _queue_due(
        waiting: list[tuple[int, int, int, str]],
        passed: dict[tuple[int, tuple[str, ...]], int],
        place: int,
        cluster: Cluster,
        foremost_ms: int,
        only: str | None = None,
    ) -> None:
        """Add what of this cluster (or of one detector) is due: its time has been passed by every lane of its feeds.

        `passed`: what is known of that already; it does not change within a turn of the clocks. Nor does `foremost_ms`:
        what the foremost lane has not passed nobody need look at, and that is nearly all.
        """
        for due_ms, order, name in cluster.next_due(foremost_ms, only):
            if name in cluster.broken:
                continue
            feeds = cluster.detectors[name].feeds
            if (place, feeds) not in passed:
                passed[place, feeds] = cluster.picture.passed_ms(feeds)
            if due_ms < passed[place, feeds]:
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
        cluster = cluster_of(saved, name, self.lanes, thresholds, self.code_digest, fleet=self.fleet)
        cluster.next_offset = next_offset
        stale = cluster.equip(self.only, saved.detectors)
        self.clusters[name] = cluster
        return stale


def timed(feed: str) -> bool:
    """Tell whether a feed is pulsed, so that its stamps are the log's time."""
    return feed == ENGINE_FEED or feed.partition("@")[0] in TELEMETRY_FEEDS
