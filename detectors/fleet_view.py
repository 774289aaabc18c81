"""What is remembered of the fleet, for the detectors of `detectors/fleet`: clusters, their rollouts, what is open.

Folded from the frames of `fleet`: facts and findings that clusters' engines write, events of rollouts, waves and passes
that they pass on, and Service and Region records. Lanes there are the engines' partitions; every fold is a least, a
greatest or a union by stamp, so that they may interleave in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.announced import WAVE_KINDS, fold_rollout, fold_wave
from detectors.frames import BatchFrame, FindingFrame
from detectors.incidents import Incidents
from detectors.upkeep import RolloutView, WaveView
from schemas.fleet import ClusterFacts
from schemas.outputs import Decision, DecisionState, Evidence, Finding, FindingState
from schemas.source import MaintenanceEvent, MaintenanceKind

CLUSTERS_MOST = 10_000
FINDINGS_MOST = 50_000
"""Open findings of clusters remembered: a leap day of a thousand clusters has about so many servers in HI."""
DECISIONS_MOST = 20_000
"""Decisions remembered, those of clusters among them; released ones go first, then the oldest."""
IMAGES_KEPT = 256


@dataclass(slots=True)
class FleetCluster:
    """What is known of one cluster."""

    cluster: str
    facts: ClusterFacts | None = None
    facts_ms: int = 0
    rollouts: dict[str, RolloutView] = field(default_factory=dict)
    waves: dict[str, WaveView] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    """`rollout/datacenter` to the stamp of its IMAGE_COPY_COMPLETED; at most IMAGES_KEPT."""

    @property
    def region(self) -> str:
        """Return its region, empty while no facts have come."""
        return self.facts.region if self.facts is not None else ""

    @property
    def datacenter(self) -> str:
        """Return its datacenter, empty while no facts have come."""
        return self.facts.datacenter if self.facts is not None else ""


@dataclass(slots=True)
class OpenInCluster:
    """A finding of a cluster that is open, as last told, with the frame that brought its opening."""

    finding: Finding
    evidence: Evidence


@dataclass(slots=True)
class FleetState:
    """All that is remembered of the fleet; saved and restored whole."""

    clusters: dict[str, FleetCluster] = field(default_factory=dict)
    open: dict[str, OpenInCluster] = field(default_factory=dict)
    """By finding id, in order of arrival."""
    ids_of: dict[str, dict[str, None]] = field(default_factory=dict)
    """Cluster to the ids of what is open in it: a fleet has tens of thousands open, and one cluster a few hundred."""
    incidents: Incidents = field(default_factory=Incidents)
    decisions: dict[str, Decision] = field(default_factory=dict)
    """What was decided, in clusters and for the fleet, as last told."""
    dropped: int = 0
    """Clusters or findings not kept because a bound was reached."""

    def cluster(self, name: str) -> FleetCluster | None:
        """Return what is known of a cluster, made where it is new; None where there are too many."""
        known = self.clusters.get(name)
        if known is None:
            if len(self.clusters) >= CLUSTERS_MOST:
                self.dropped += 1
                return None
            known = self.clusters[name] = FleetCluster(name)
        return known

    def fold(self, frame: BatchFrame) -> list[tuple[int, MaintenanceEvent]]:
        """Take facts and passed-on events; return (row index, event) of the events."""
        batch = frame.batch
        events: list[tuple[int, MaintenanceEvent]] = []
        cluster: FleetCluster | None = None
        for index, row in enumerate(batch.rows):
            if isinstance(row, ClusterFacts):
                cluster = self.cluster(row.cluster)
                if cluster is not None and batch.at_ms[index] >= cluster.facts_ms:
                    cluster.facts, cluster.facts_ms = row, batch.at_ms[index]
            elif isinstance(row, MaintenanceEvent):
                cluster = self.cluster(row.cluster)
                if cluster is not None:
                    events.append((index, row))
                    _event(cluster, row, batch.at_ms[index], frame.evidence(index))
        return events

    def take(self, frame: FindingFrame) -> None:
        """Take a finding of a cluster: what is closed is forgotten."""
        finding = frame.finding
        self.incidents.take(finding)
        if finding.state == FindingState.CLOSED:
            self._forget(finding.id)
            return
        known = self.open.get(finding.id)
        if known is not None:
            known.finding = finding
            return
        if len(self.open) >= FINDINGS_MOST:
            self.dropped += 1
            self._forget(next(iter(self.open)))
        self.open[finding.id] = OpenInCluster(finding, evidence_of(frame))
        self.ids_of.setdefault(finding.subject.cluster or "", {})[finding.id] = None

    def decided(self, decision: Decision) -> None:
        """Take a decision, or its release: it belongs to the incident of the findings that it was made for."""
        self.decisions[decision.id] = decision
        self.incidents.decided(decision)
        if len(self.decisions) > DECISIONS_MOST:
            released = (known.id for known in self.decisions.values() if known.state == DecisionState.RELEASED)
            del self.decisions[next(released, next(iter(self.decisions)))]
            self.dropped += 1

    def _forget(self, finding_id: str) -> None:
        known = self.open.pop(finding_id, None)
        if known is not None:
            cluster = known.finding.subject.cluster or ""
            del self.ids_of[cluster][finding_id]
            if not self.ids_of[cluster]:
                del self.ids_of[cluster]

    def open_in(self, cluster: str) -> list[Finding]:
        """Return what is open in a cluster, in order of arrival."""
        return [self.open[finding_id].finding for finding_id in self.ids_of.get(cluster, ())]


def evidence_of(frame: FindingFrame) -> Evidence:
    """Return where a cluster's finding stands in `fleet`."""
    finding = frame.finding
    note = f"{finding.detector} {finding.subject.cluster}: {finding.title}"
    return Evidence(frame.partition, frame.offset, "fleet", at_ms=finding.at_ms, note=note)


def _event(cluster: FleetCluster, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
    if event.kind == MaintenanceKind.IMAGE_COPY_COMPLETED:
        key = f"{event.rollout or ''}/{event.datacenter or ''}"
        cluster.images[key] = min(cluster.images.get(key, at_ms), at_ms)
        if len(cluster.images) > IMAGES_KEPT:
            del cluster.images[next(iter(cluster.images))]
    if event.rollout is not None:
        fold_rollout(cluster.rollouts, event, event.rollout, at_ms, evidence)
    if event.wave is not None and event.kind in WAVE_KINDS:
        fold_wave(cluster.waves, event, event.wave, at_ms, evidence)
