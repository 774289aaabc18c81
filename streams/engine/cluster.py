"""One cluster's part of the engine: its picture, its detectors in their order, its policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detectors.contract import AnyDetector, finding_id, in_order, registry
from detectors.frames import BatchFrame, ClocksFrame, DueFrame, FindingFrame, Frame
from detectors.lanes import Lanes
from detectors.picture import ClusterState, FleetPicture, Picture
from schemas.commands import Close, Release
from schemas.fleet import Incident
from schemas.outputs import Decision, Evidence, Finding, FindingState, Severity, Subject
from schemas.rca import RcaArticle
from schemas.telemetry import EVERYONE, Batch
from streams.config.thresholds import Thresholds
from streams.engine.articles import articles_of
from streams.engine.facts import FactsState, passed_on
from streams.engine.incidents import IncidentsTold
from streams.engine.policy import PolicyState, decide, release, standing_for

Output = Finding | Decision | RcaArticle
"""What an engine answers; what `Runner.feed` returns."""
Told = Output | Batch | Incident
"""All that an engine writes: its answers; what the topic `fleet` is told, facts of a cluster as a Batch and events that
concern more than it; the fleet engine's incidents. What `Runner.tell` returns."""


@dataclass(slots=True)
class SavedCluster:
    """A cluster's whole state as a snapshot holds it."""

    picture: ClusterState
    policy: PolicyState
    detectors: dict[str, tuple[int, bytes]]
    """Detector to its state_version and state."""
    broken: dict[str, str]
    positions: dict[str, int]
    thresholds_text: str
    lanes: Lanes | None = None
    """Only with the partition's own state (cluster `*`)."""
    configured: bool = False
    """Whether these thresholds were taken from the log."""
    facts: FactsState = field(default_factory=FactsState)
    incidents: IncidentsTold = field(default_factory=IncidentsTold)


@dataclass(slots=True)
class Cluster:
    """The running state of one cluster; `*` stands for the partition itself."""

    picture: Picture
    thresholds: Thresholds
    code_digest: str
    detectors: dict[str, AnyDetector] = field(default_factory=dict)
    policy: PolicyState = field(default_factory=PolicyState)
    broken: dict[str, str] = field(default_factory=dict)
    """Detectors that raised, and what: quarantined, their neighbours run."""
    positions: dict[str, int] = field(default_factory=dict)
    """The highest offset taken of each `feed/topic_id/lane`: what is not above it is a repeat."""

    configured: bool = False
    """Whether its thresholds were taken from the log: then what a start of the intake writes changes nothing."""
    fleet: bool = False
    """Whether this is the fleet engine's: it has the detectors of the fleet, and those of clusters are not for it."""
    facts: FactsState = field(default_factory=FactsState)
    incidents: IncidentsTold = field(default_factory=IncidentsTold)
    next_offset: int = 0
    """Frames below this are held already by the snapshot that it was restored from: they are passed over."""

    @property
    def name(self) -> str:
        """Return the cluster's name."""
        return self.picture.cluster

    # -- making, saving ------------------------------------------------------------------------------------------

    def equip(self, only: Iterable[str] | None = None, saved: dict[str, tuple[int, bytes]] | None = None) -> list[str]:
        """Make the detectors of this scope, with their saved states; return those whose state is of another version."""
        kinds = registry()
        scopes = scopes_of(self.name, fleet=self.fleet)
        names = [name for name in (only if only is not None else kinds) if kinds[name].scope in scopes]
        stale = []
        for name in in_order(names):
            kind = kinds[name]
            version, data = (saved or {}).get(name, (kind.state_version, None))
            state = None
            if data is not None and version == kind.state_version:
                state = msgspec.msgpack.decode(data, type=kind.State)
            elif data is not None:
                stale.append(name)
            self.detectors[name] = kind(self.thresholds.detectors[name], state)
        return stale

    def save(self) -> SavedCluster:
        """Return the whole state, apart from what the code makes anew."""
        return SavedCluster(
            picture=self.picture.state,
            policy=self.policy,
            detectors={
                name: (type(detector).state_version, msgspec.msgpack.encode(detector.state))
                for name, detector in self.detectors.items()
            },
            broken=dict(self.broken),
            positions=dict(self.positions),
            thresholds_text=self.thresholds.text,
            lanes=self.picture.lanes if self.name == EVERYONE else None,
            configured=self.configured,
            facts=self.facts,
            incidents=self.incidents,
        )

    def configure(self, thresholds: Thresholds) -> None:
        """Put thresholds of the log in force from here on; states stay."""
        self.thresholds = thresholds
        self.configured = True
        for name, detector in self.detectors.items():
            detector.config = thresholds.detectors[name]

    # -- frames --------------------------------------------------------------------------------------------------

    def batch(self, frame: BatchFrame) -> list[Told]:
        """Take a batch of this cluster, or of `*`: fold it, show it to the detectors, obey commands."""
        news = self.picture.fold(frame)
        outputs: list[Told] = [*self._pass(frame)]
        if self.name != EVERYONE:
            self.facts.note(news)
            if (events := passed_on(frame, news)) is not None:
                outputs.append(events)
        for row in frame.batch.rows:
            if isinstance(row, Release):
                outputs += self._release(row, frame)
            elif isinstance(row, Close):
                outputs += self._close(row, frame)
        return outputs

    def finding(self, frame: FindingFrame) -> list[Output]:
        """Show a cluster's finding to the detectors of the fleet."""
        self.picture.fleet.take(frame)
        return self._pass(frame)

    def clocks(self, frame: ClocksFrame) -> list[Output]:
        """Show a turn of the clocks to the partition's own detectors."""
        return self._pass(frame)

    def tell_facts(self, frame: ClocksFrame) -> list[Told]:
        """Return what the fleet engine is told of this cluster in numbers, where it has changed."""
        facts = self.facts.due(frame, self.picture) if self.name != EVERYONE else None
        return [] if facts is None else [facts]

    def tell_incidents(self, at_ms: int) -> list[Told]:
        """Return the incidents that have changed; only the fleet engine knows any."""
        fleet = self.picture.fleet
        if not fleet.incidents.changed:
            return []
        return [*self.incidents.due(at_ms, fleet, self.picture.state.services, self.policy.decisions)]

    def due(self, name: str, frame: DueFrame) -> list[Output]:
        """Ask one detector whose time has come."""
        outputs = self._pass(frame, name)
        again_ms = self.detectors[name].next_due_ms()
        if again_ms is not None and again_ms <= frame.due_ms:
            outputs += self._quarantine(name, frame, f"named {again_ms} as due after it was asked at {frame.due_ms}")
        return outputs

    def next_due(self, before_ms: int, only: str | None = None) -> list[tuple[int, int, str]]:
        """Return (due_ms, place in order, name) of each detector, or of one, whose time comes before `before_ms`."""
        found = []
        for place, (name, detector) in enumerate(self.detectors.items()):
            due_ms = detector.next_due_ms() if only is None or name == only else None
            if due_ms is not None and due_ms < before_ms:
                found.append((due_ms, place, name))
        return found

    def _pass(self, frame: Frame, only: str | None = None) -> list[Output]:
        """Give a frame to all detectors or to one, and what they find to those who follow, in one pass in order."""
        findings: list[Finding] = []
        outputs: list[Output] = []
        if only is not None and not (first := self._step(only, self.detectors[only], frame)):
            # Nearly always nothing is found by a detector that is asked, and nobody else need be.
            return outputs
        for name, detector in list(self.detectors.items()):
            found: list[Finding] = []
            if only is None:
                found += self._step(name, detector, frame)
            elif name == only:
                found += first
            for known in findings if detector.follows else ():
                if known.detector in detector.follows:
                    passed = FindingFrame(frame.partition, frame.offset, frame.at_ms, known)
                    found += self._step(name, detector, passed)
            for finding in found:
                stamped = self._stamped(finding)
                findings.append(stamped)
                outputs.append(stamped)
                if self.fleet:
                    self.picture.fleet.incidents.take(stamped)
                outputs += self._decide(stamped)
                outputs += articles_of(stamped)
        return outputs

    def _decide(self, finding: Finding) -> list[Decision]:
        """Return what policy makes of a finding; what the fleet engine decides stands in its picture too."""
        made = decide(finding, self.policy, self.thresholds.policy)
        for decision in made if self.fleet else ():
            self.picture.fleet.decided(decision)
        return made

    def _step(self, name: str, detector: AnyDetector, frame: Frame) -> list[Finding]:
        if name in self.broken:
            return []
        try:
            return detector.step(frame, self.picture)
        except Exception as error:  # noqa: BLE001 - a detector that raises is quarantined, its neighbours run
            return self._quarantine(name, frame, f"{type(error).__name__}: {error}")

    def _quarantine(self, name: str, frame: Frame, what: str) -> list[Finding]:
        """Take a detector out of service; that is a finding too: what it would have said is unknown from here on."""
        self.broken[name] = what
        subject = Subject(cluster=self.name)
        finding = Finding(
            id=finding_id("engine", subject, f"{name}/{frame.partition}/{frame.offset}"),
            detector="engine",
            subject=subject,
            state=FindingState.OPEN,
            severity=Severity.CRITICAL,
            opened_ms=frame.at_ms,
            at_ms=frame.at_ms,
            title=f"detector {name} failed and is out of service for {self.name}",
            explanation=f"{what}. What it would have found from here on is unknown; the other detectors run. Report it "
            "with a capture of this offset, and deploy a fix with a new state_version.",
            evidence=(Evidence(frame.partition, frame.offset, at_ms=frame.at_ms),),
            facts={"detector": name, "error": what},
        )
        return [self._stamped(finding)]

    def _stamped(self, finding: Finding) -> Finding:
        return dataclasses.replace(finding, config_digest=self.thresholds.digest, code_digest=self.code_digest)

    def _dismiss(self, target_id: str, frame: BatchFrame, reason: str) -> list[Output]:
        outputs: list[Output] = []
        for detector in list(self.detectors.values()):
            for finding in detector.dismiss(target_id, frame, reason):
                outputs.append(self._stamped(finding))
                if self.fleet:
                    self.picture.fleet.incidents.take(finding)
                outputs += self._tell_followers(finding, frame)
        return outputs

    def _tell_followers(self, finding: Finding, frame: Frame) -> list[Output]:
        outputs: list[Output] = []
        passed = FindingFrame(frame.partition, frame.offset, frame.at_ms, finding)
        for name, detector in list(self.detectors.items()):
            if finding.detector in detector.follows:
                for found in self._step(name, detector, passed):
                    stamped = self._stamped(found)
                    outputs += [stamped, *self._decide(stamped), *articles_of(stamped)]
                    outputs += self._tell_followers(stamped, frame)
        return outputs

    def _close(self, command: Close, frame: BatchFrame) -> list[Output]:
        """Close a finding; not a latched one while what was decided for it stands: a Release alone lifts that."""
        standing = standing_for(command.finding_id, self.policy)
        for detector in self.detectors.values() if standing else ():
            for known in detector.state.openings.open.values():
                if known.finding.id == command.finding_id and known.finding.latched and not known.dismissed:
                    refused = f"{command.by}: {command.reason}; {', '.join(standing)} stand: release them"
                    known.finding = dataclasses.replace(
                        known.finding,
                        state=FindingState.UPDATED,
                        at_ms=frame.at_ms,
                        facts={**known.finding.facts, "close_refused": refused},
                    )
                    return [self._stamped(known.finding)]
        return self._dismiss(command.finding_id, frame, f"closed by {command.by}: {command.reason}")

    def _release(self, command: Release, frame: BatchFrame) -> list[Output]:
        decisions, latches = release(command, frame.at_ms, self.policy)
        outputs: list[Output] = list(decisions)
        for decision in decisions if self.fleet else ():
            self.picture.fleet.decided(decision)
        for target_id in latches:
            outputs += self._dismiss(target_id, frame, f"released by {command.by}: {command.reason}")
        return outputs


def scopes_of(name: str, *, fleet: bool) -> tuple[str, ...]:
    """Return the scopes of the detectors that run for a cluster, for the partition itself (`*`), or for the fleet."""
    if fleet:
        return ("fleet",)
    return ("partition", "both") if name == EVERYONE else ("cluster", "both")


def cluster_of(
    saved: SavedCluster, name: str, lanes: Lanes, thresholds: Thresholds, code_digest: str, *, fleet: bool = False
) -> Cluster:
    """Return a cluster as a snapshot saved it, without its detectors (see `Cluster.equip`)."""
    return Cluster(
        (FleetPicture if fleet else Picture)(name, lanes, saved.picture),
        thresholds,
        code_digest,
        policy=saved.policy,
        broken=saved.broken,
        positions=saved.positions,
        configured=saved.configured,
        facts=saved.facts,
        incidents=saved.incidents,
        fleet=fleet,
    )


def encode_saved(saved: SavedCluster) -> bytes:
    """Return a saved cluster as bytes (MessagePack)."""
    return msgspec.msgpack.encode(saved)


def decode_saved(data: bytes) -> SavedCluster:
    """Return a saved cluster from bytes; fields that newer code added have their defaults."""
    saved: Any = msgspec.msgpack.decode(data, type=SavedCluster)
    assert isinstance(saved, SavedCluster)  # noqa: S101 - for the type checker
    return saved
