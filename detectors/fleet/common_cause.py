"""One fault in several clusters at once: what they have in common, and which rollouts that clears."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector
from detectors.contract import State as BaseState
from detectors.failfast.calendar_edges import edge_before
from detectors.fleet_view import FleetState, evidence_of
from detectors.frames import FindingFrame, Frame
from detectors.incidents import cause_of, family_of
from detectors.picture import Picture
from schemas.outputs import Action, Evidence, Finding, FindingState, Severity, Subject, Verdict

SIGNATURES: dict[str, str] = {
    "start_failure": "",
    "start_stall": "no contact after start",
    "network_loss": "network down",
    "version_mix": "",
    "cluster_dark": "cluster dark",
}
"""Detectors whose findings say what fails, and in which words where the finding has none of its own."""
STARTS = ("start_failure", "start_stall")
PAUSES = (Action.PAUSE_CREATE, Action.PAUSE_SCALE_OUT, Action.PAUSE_CUSTOMER_UPDATES)
"""What makes new VMs start, and so fail: seed 004 stopped all of service management for want of anything finer."""
ROLLOUT_MEMORY_MS = 30 * 86_400_000
"""Rollouts that started so long before the fault are still asked about (CATALOGUE, rollout_regression)."""
MEMBERS_MOST = 10_000
"""Findings of one signature remembered: as many as there may be clusters, and a few more."""
SUPERSEDED_NAMED = 256
CLUSTERS_NAMED = 50
VERSIONS_NAMED = 40


@dataclass(frozen=True, slots=True)
class Config:
    """When one signature in several clusters is one fault."""

    window_s: float = 7200.0
    """Findings of one signature that open within so many seconds are of one cause. Source: CATALOGUE, common_cause."""
    clusters: int = 2
    """In how many clusters it must open. Source: CATALOGUE, common_cause."""


@dataclass(slots=True)
class Member:
    """A finding of a cluster that says what fails."""

    cluster: str
    opened_ms: int
    onset_ms: int
    """Stamp of the first record that the finding stands on."""
    evidence: Evidence
    versions: list[str]
    """`component=version` that its servers and VMs ran then."""
    rollouts: dict[str, tuple[str, str]]
    """Rollouts that had reached it by then: name to (component, version)."""
    clock: bool = False
    """Its cluster's fault_class says that the clock set it off."""
    hardware: bool = False
    """Its cluster's fault_class says that hardware is at fault."""
    open: bool = True


@dataclass(slots=True)
class Group:
    """One signature and the findings that have it."""

    signature: str
    detector: str
    family: str
    members: dict[str, Member] = field(default_factory=dict)
    """By finding id. Those that have closed stay while another cluster's may still come within the window."""


@dataclass(slots=True)
class State(BaseState):
    """Signatures that are open anywhere."""

    groups: dict[str, Group] = field(default_factory=dict)


class CommonCause(Detector[Config, State]):
    """One signature opens in two clusters or more: it is one fault, and what they do not share is innocent.

    Rule: findings that say what fails (`start_failure` by its signature, `start_stall`, `network_loss`, `version_mix`,
    `cluster_dark`) and are of warning or above open with the same signature in at least `clusters` clusters, each
    within `window_s` of the next. It opens in the frame that brings the second. Facts tell which versions and
    rollouts all of these clusters have and which some lack, as they stood when each cluster's finding opened. A
    rollout that some affected cluster has not (neither by its events nor by its version) is cleared, by a finding of
    its own with verdict CLEARED: they fail alike without it. `trigger: clock` where the first failure in any cluster
    lies within 10 min after a calendar edge and the clusters run at least two versions of some component, or where a
    cluster's own `fault_class` says so. Where starts fail it advises to pause what starts VMs, everywhere, rather than
    all of service management (seed 004). INCONCLUSIVE, with no such advice, where a cluster's `fault_class` says
    HARDWARE. It closes when the signature is open in no cluster any more.

    Numbers: clusters, regions. Facts: clusters, versions_all, versions_some, rollouts_all, rollouts_cleared, edge.
    """

    Config = Config
    State = State
    scope = "fleet"
    feeds = ("engine",)
    memory_s = 4 * 3600

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Take a cluster's finding."""
        if not isinstance(frame, FindingFrame):
            return []
        finding = frame.finding
        if finding.detector == "fault_class":
            return self._classed(frame, picture)
        cluster = finding.subject.cluster
        if finding.detector not in SIGNATURES or cluster is None:
            return []
        if finding.state == FindingState.CLOSED:
            return self._closed(frame, finding)
        if finding.severity not in (Severity.WARNING, Severity.CRITICAL):
            return []
        signature = SIGNATURES[finding.detector] or cause_of(finding)
        group = self.state.groups.get(signature)
        if group is None:
            group = self.state.groups[signature] = Group(signature, finding.detector, family_of(finding))
        if finding.id not in group.members:
            self._forget(group, picture)
            group.members[finding.id] = self._member(frame, finding, cluster, picture.fleet)
        return self._tell(group, finding.id, frame, picture.fleet)

    def _forget(self, group: Group, picture: Picture) -> None:
        """Forget what has closed and is too old for whatever may still come; of too many, the oldest."""
        least_ms = picture.passed_ms(self.feeds) - self.config.window_s * 1000
        for name in [name for name, known in group.members.items() if not known.open and known.opened_ms < least_ms]:
            del group.members[name]
        if len(group.members) >= MEMBERS_MOST:
            del group.members[min(group.members, key=lambda name: group.members[name].opened_ms)]

    def _member(self, frame: FindingFrame, finding: Finding, cluster: str, fleet: FleetState) -> Member:
        known = fleet.clusters.get(cluster)
        versions = sorted(known.facts.versions) if known is not None and known.facts is not None else []
        rollouts = {
            rollout.rollout: (rollout.component, rollout.to_version)
            for rollout in (known.rollouts.values() if known is not None else ())
            if finding.opened_ms - ROLLOUT_MEMORY_MS <= rollout.started_ms <= finding.opened_ms
        }
        stamps = [record.at_ms for record in finding.evidence if record.at_ms]
        onset_ms = min([*stamps, finding.opened_ms])
        clock, hardware = _class_of(fleet, cluster)
        return Member(cluster, finding.opened_ms, onset_ms, evidence_of(frame), versions, rollouts, clock, hardware)

    def _classed(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        """Take the word of a cluster's fault_class: whether the clock set it off, whether hardware is at fault."""
        found: list[Finding] = []
        for group in self.state.groups.values():
            for name, member in group.members.items():
                if member.cluster != frame.finding.subject.cluster:
                    continue
                said = _class_of(picture.fleet, member.cluster)
                if said != (member.clock, member.hardware):
                    member.clock, member.hardware = said
                    found += self._tell(group, name, frame, picture.fleet)
        return found

    def _closed(self, frame: FindingFrame, finding: Finding) -> list[Finding]:
        for signature, group in self.state.groups.items():
            member = group.members.get(finding.id)
            if member is None:
                continue
            member.open = False
            if any(known.open for known in group.members.values()):
                return []
            keys = [key for key in self.state.openings.open if key == signature or key.startswith(f"{signature}\x1f")]
            return [
                closed
                for key in keys
                for closed in self.state.openings.end(key, frame, "it is open in no cluster any more")
            ]
        return []

    def _alike(self, group: Group, name: str) -> dict[str, Member]:
        """Return the findings of one fault with this one, by id: each opened within the window of the next.

        What belongs together hangs on when findings opened alone, in whatever order they come.
        """
        ordered = sorted(group.members.items(), key=lambda entry: (entry[1].opened_ms, entry[0]))
        chain: list[tuple[str, Member]] = []
        for entry in ordered:
            if chain and entry[1].opened_ms - chain[-1][1].opened_ms > self.config.window_s * 1000:
                if any(known == name for known, _ in chain):
                    break
                chain = []
            chain.append(entry)
        return dict(chain)

    def _tell(self, group: Group, name: str, frame: Frame, fleet: FleetState) -> list[Finding]:
        alike = self._alike(group, name)
        first_of: dict[str, Member] = {}
        for member in alike.values():
            first_of.setdefault(member.cluster, member)
        if len(first_of) < self.config.clusters:
            return []
        said = _said(group, alike, first_of, fleet)
        first = next(iter(alike))
        subject = Subject(signature=group.signature)
        found = self.state.openings.update(group.signature, frame, at_once=True, **said)
        if group.signature not in self.state.openings.open:
            opened_ms = sorted(member.opened_ms for member in first_of.values())[self.config.clusters - 1]
            severity = _severity(group)
            found = self._open(group.signature, frame, subject, first, opened_ms=opened_ms, severity=severity, **said)
        whole_id = self.state.openings.open[group.signature].finding.id
        return found + self._clear(group, first_of, frame, whole_id)

    def _clear(self, group: Group, alike: dict[str, Member], frame: Frame, whole_id: str) -> list[Finding]:
        """Open a finding for each rollout that some affected cluster has not."""
        found: list[Finding] = []
        for rollout, (component, version) in _rollouts(alike).items():
            without = [name for name, member in alike.items() if not _reached(member, rollout, component, version)]
            if not without:
                continue
            named = f"{', '.join(without[:5])}{' and others' if len(without) > 5 else ''}"
            said: dict[str, Any] = {
                "title": f"rollout {rollout} is cleared of {group.signature}: {named} fail alike without it",
                "explanation": f"{len(without)} of {len(alike)} clusters with this fault have not been reached by it.",
                "numbers": {"clusters_without": len(without), "clusters": len(alike)},
                "evidence": tuple(alike[name].evidence for name in without),
                "facts": {"without": ", ".join(without[:CLUSTERS_NAMED]), "common_cause": whole_id},
            }
            key = f"{group.signature}\x1f{rollout}"
            if key in self.state.openings.open:
                found += self.state.openings.update(key, frame, **said)
                continue
            subject = Subject(rollout=rollout, component=component, version=version, signature=group.signature)
            opened_ms = max(alike[without[0]].opened_ms, sorted(m.opened_ms for m in alike.values())[1])
            found += self._open(
                key,
                frame,
                subject,
                whole_id,
                opened_ms=opened_ms,
                severity=Severity.INFO,
                verdict=Verdict.CLEARED,
                **said,
            )
        return found


def _class_of(fleet: FleetState, cluster: str) -> tuple[bool, bool]:
    """Return what the fault_class findings open in a cluster say: the clock set it off, hardware is at fault."""
    said = [known for known in fleet.open_in(cluster) if known.detector == "fault_class"]
    return any(known.trigger == "clock" for known in said), any(known.verdict == Verdict.HARDWARE for known in said)


def _severity(group: Group) -> str:
    return Severity.WARNING if group.detector == "cluster_dark" else Severity.CRITICAL


def _rollouts(alike: dict[str, Member]) -> dict[str, tuple[str, str]]:
    """Return all rollouts that had reached any of these clusters, by name."""
    return {name: what for member in alike.values() for name, what in sorted(member.rollouts.items())}


def _reached(member: Member, rollout: str, component: str, version: str) -> bool:
    """Tell whether a rollout has reached a cluster: by its events, or by the version that it brings."""
    return rollout in member.rollouts or bool(component and f"{component}={version}" in member.versions)


def _said(group: Group, findings: dict[str, Member], alike: dict[str, Member], fleet: FleetState) -> dict[str, Any]:
    """Return title, explanation, numbers and facts of a common fault: of its findings, and its clusters' first."""
    names = list(alike)
    regions = sorted({known.region for name in names if (known := fleet.clusters.get(name)) and known.region})
    told = [member.versions for member in alike.values() if member.versions]
    every = sorted(set.intersection(*map(set, told))) if told else []
    some = sorted(set().union(*told) - set(every)) if told else []
    rollouts = _rollouts(alike)
    shared = [name for name, what in rollouts.items() if all(_reached(m, name, *what) for m in alike.values())]
    cleared = [name for name in rollouts if name not in shared]
    edge = _edge(alike, some)
    clock = edge or any(member.clock for member in alike.values())
    starts = group.detector in STARTS
    # A fault that a cluster lays to its hardware is no software's for being seen twice.
    unsure = group.detector == "cluster_dark" or any(member.hardware for member in alike.values())
    where = f"{len(alike)} clusters" + (f" of {', '.join(regions)}" if regions else "")
    facts = {
        "family": group.family,
        "clusters": ", ".join(names[:CLUSTERS_NAMED]),
        "versions_all": ", ".join(every[:VERSIONS_NAMED]),
        "versions_some": ", ".join(some[:VERSIONS_NAMED]),
        "rollouts_all": ", ".join(shared),
        "rollouts_cleared": ", ".join(cleared),
        "edge": edge,
    }
    return {
        "title": f"{group.signature}: one fault in {where}" + (f", set off by {edge}" if edge else ""),
        "explanation": _explained(every, shared, cleared, starts),
        "numbers": {"clusters": len(alike), "regions": len(regions)},
        "evidence": tuple(member.evidence for member in alike.values()),
        "facts": {name: value for name, value in facts.items() if value},
        "verdict": Verdict.INCONCLUSIVE if unsure else Verdict.SOFTWARE,
        "trigger": "clock" if clock else "",
        "advised": PAUSES if starts and not unsure else (),
        "supersedes": tuple(findings)[:SUPERSEDED_NAMED],
    }


def _edge(alike: dict[str, Member], some: list[str]) -> str:
    """Return the calendar edge behind which it began, where the clusters run at least two versions; else nothing."""
    found = edge_before(min(member.onset_ms for member in alike.values()))
    return found[1] if found is not None and some else ""


def _explained(every: list[str], shared: list[str], cleared: list[str], starts: bool) -> str:
    parts = [f"All run {', '.join(every)}." if every else "They share no component version that is known."]
    if shared:
        parts.append(f"All were reached by {', '.join(shared)}.")
    if cleared:
        parts.append(f"Not to blame, for some fail alike without: {', '.join(cleared)}.")
    if starts:
        parts.append("Every VM that starts now may fail: pause what starts VMs; what runs goes on.")
    return " ".join(parts)
