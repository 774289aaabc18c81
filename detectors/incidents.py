"""Findings of one cause, folded: a thousand findings stay one incident.

A finding of warning or above opens an incident of its cluster and family (what kind of trouble it tells of), or joins
the one that is open; findings of info join, and open none. `common_cause` makes one incident of those of its clusters.
An incident is over when none of its findings is open; what comes back within the hour is the same incident again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from schemas.outputs import Decision, Finding, FindingState, Severity, Verdict

FAMILIES: dict[str, str] = {
    "start_failure": "starts",
    "start_stall": "starts",
    "guest_timeout": "starts",
    "fault_class": "starts",
    "healing_cascade": "starts",
    "server_hi": "starts",
    "hi_threshold": "starts",
    "hi_forecast": "starts",
    "network_loss": "network",
    "version_mix": "network",
    "domain_breach": "network",
    "host_silence": "silence",
    "cluster_dark": "silence",
    "blind": "telemetry",
    "engine": "telemetry",
    "rollout_regression": "rollout",
    "simultaneous_change": "rollout",
}
"""Detector to the kind of trouble it tells of: what has one cause in a cluster shows in detectors of one family."""
OTHER_FAMILY = "maintenance"
AGAIN_MS = 3_600_000
"""What comes back so soon is the same incident. An hour: longer than any detector's window."""
INCIDENTS_KEPT = 1_000
FINDINGS_CITED = 64
DECISIONS_KEPT = 4_096
"""Decisions remembered of one incident: two a cluster, of more than a thousand clusters."""
RANK = (Severity.UNKNOWN, Severity.INFO, Severity.WARNING, Severity.CRITICAL)
COMMON = "common_cause"
APART = ("recovery_progress",)
"""Detectors that speak of incidents, and make none."""


@dataclass(slots=True)
class OpenFinding:
    """What an incident keeps of a finding that is open."""

    detector: str
    cluster: str
    severity: str
    advised: list[str] = field(default_factory=list)


@dataclass(slots=True)
class IncidentView:
    """An incident as it stands."""

    id: str
    family: str
    opened_ms: int
    at_ms: int
    severity: str
    title: str
    """That of its gravest finding, the first of these."""
    cause: str = ""
    verdict: str = Verdict.NONE
    trigger: str = ""
    explanation: str = ""
    common: bool = False
    """Named by `common_cause`: its words are those of the incident."""
    words_of: str = ""
    """The common cause whose words they are: while it is open, one that is found later adds what it found alone. A
    fault that agents report is soon seen as silence too, and its name says more."""
    clusters: dict[str, int] = field(default_factory=dict)
    """Cluster to when its first finding opened, in order of arrival."""
    open: dict[str, OpenFinding] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)
    total: int = 0
    """Findings that there were."""
    resolved_ms: int = 0
    """0: it goes on."""
    decisions: list[str] = field(default_factory=list)
    """Ids of what was decided for its findings, in order; they stand, or are released, whatever becomes of those."""


@dataclass(slots=True)
class Incidents:
    """All incidents; saved and restored whole."""

    known: dict[str, IncidentView] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    """`family/cluster` to the incident that its findings join."""
    by_finding: dict[str, str] = field(default_factory=dict)
    by_decision: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """Incidents changed since they were last told; each once."""

    def take(self, finding: Finding) -> None:
        """Take a finding of a cluster or of the fleet, at its opening, at each update and at its closing."""
        if finding.detector in APART:
            return
        if finding.state == FindingState.CLOSED:
            self._closed(finding)
        elif finding.detector == COMMON:
            self._common(finding)
        elif finding.id in self.by_finding:
            self._heard(self.known[self.by_finding[finding.id]], finding)
        else:
            self._opened(finding, family_of(finding), finding.subject.cluster or "")

    def decided(self, decision: Decision) -> None:
        """Take a decision to the incident that it is of already, or that has one of its findings; else to none."""
        names = (self.by_finding.get(finding_id, "") for finding_id in decision.finding_ids)
        known = self.known.get(self.by_decision.get(decision.id) or next(filter(None, names), ""))
        if known is None:
            return
        if decision.id not in self.by_decision and len(known.decisions) < DECISIONS_KEPT:
            known.decisions.append(decision.id)
            self.by_decision[decision.id] = known.id
        self._touched(known, decision.at_ms)

    def find(self, family: str, cluster: str) -> IncidentView | None:
        """Return the incident that findings of this family and cluster join, open or just over."""
        known = self.by_key.get(f"{family}/{cluster}")
        return self.known.get(known) if known is not None else None

    def _opened(self, finding: Finding, family: str, cluster: str) -> None:
        incident = self.find(family, cluster)
        if incident is not None and incident.resolved_ms and finding.at_ms > incident.resolved_ms + AGAIN_MS:
            incident = None
        loud = _loud(finding.severity)
        if incident is None and not loud:
            return
        if incident is None:
            incident = self._make(finding, family)
            self.by_key[f"{family}/{cluster}"] = incident.id
        if incident.resolved_ms and loud:
            incident.resolved_ms = 0
        if not incident.resolved_ms:
            incident.total += 1
            self._heard(incident, finding)

    def _make(self, finding: Finding, family: str) -> IncidentView:
        name = hashlib.sha256(f"incident\x1f{finding.id}".encode()).hexdigest()[:32]
        if len(self.known) >= INCIDENTS_KEPT:
            over = (known for known in self.known.values() if known.resolved_ms)
            self._forget(min(over, key=lambda known: known.resolved_ms, default=next(iter(self.known.values()))))
        incident = IncidentView(
            name, family, finding.opened_ms, finding.at_ms, finding.severity, finding.title, cause_of(finding)
        )
        self.known[name] = incident
        return incident

    def _forget(self, incident: IncidentView) -> None:
        del self.known[incident.id]
        self.by_key = {key: known for key, known in self.by_key.items() if known != incident.id}
        for finding_id in incident.open:
            self.by_finding.pop(finding_id, None)
        for decision_id in incident.decisions:
            self.by_decision.pop(decision_id, None)
        if incident.id in self.changed:
            self.changed.remove(incident.id)

    def _heard(self, incident: IncidentView, finding: Finding) -> None:
        """Take a finding, new or known, into its incident."""
        cluster = finding.subject.cluster or ""
        if finding.id not in incident.open and len(incident.cited) < FINDINGS_CITED:
            incident.cited.append(finding.id)
        incident.open[finding.id] = OpenFinding(finding.detector, cluster, finding.severity, list(finding.advised))
        self.by_finding[finding.id] = incident.id
        if cluster:
            incident.clusters[cluster] = min(incident.clusters.get(cluster, finding.opened_ms), finding.opened_ms)
        incident.opened_ms = min(incident.opened_ms, finding.opened_ms)
        if not incident.common and _graver(finding, incident):
            incident.title, incident.severity = finding.title, finding.severity
            incident.explanation = finding.explanation
            incident.cause = cause_of(finding) or incident.cause
        if finding.verdict not in (Verdict.NONE, Verdict.UNKNOWN, Verdict.INCONCLUSIVE):
            incident.verdict = finding.verdict
        incident.trigger = finding.trigger or incident.trigger
        self._touched(incident, finding.at_ms)

    def _closed(self, finding: Finding) -> None:
        incident = self.known.get(self.by_finding.pop(finding.id, ""))
        if incident is None:
            return
        incident.open.pop(finding.id, None)
        if not any(_loud(known.severity) for known in incident.open.values()):
            incident.resolved_ms = finding.at_ms
        self._touched(incident, finding.at_ms)

    def _common(self, finding: Finding) -> None:
        """Make one incident of those of the clusters that a common cause names; it speaks for all of them."""
        family = finding.facts.get("family", "")
        if not family:
            return
        ids = [self.by_key.get(f"{family}/{cluster}") for cluster in finding.facts["clusters"].split(", ")]
        parts = [self.known[name] for name in dict.fromkeys(ids) if name is not None and name in self.known]
        if not parts:
            return
        whole = min(parts, key=lambda known: (known.opened_ms, known.id))
        for part in parts:
            if part is not whole:
                self._merge(whole, part)
        whole.common = True
        if whole.words_of in (finding.id, "") or whole.words_of not in whole.open:
            whole.words_of = finding.id
            whole.title, whole.severity, whole.explanation = finding.title, finding.severity, finding.explanation
            whole.cause = cause_of(finding) or whole.cause
        if finding.id not in self.by_finding:
            whole.total += 1
        self._heard(whole, finding)

    def _merge(self, whole: IncidentView, part: IncidentView) -> None:
        for cluster, opened_ms in part.clusters.items():
            whole.clusters[cluster] = min(whole.clusters.get(cluster, opened_ms), opened_ms)
        whole.open.update(part.open)
        for finding_id in part.open:
            self.by_finding[finding_id] = whole.id
        whole.cited = list(dict.fromkeys([*whole.cited, *part.cited]))[:FINDINGS_CITED]
        whole.decisions = [*whole.decisions, *part.decisions]
        for decision_id in part.decisions:
            self.by_decision[decision_id] = whole.id
        whole.total += part.total
        for key, known in self.by_key.items():
            if known == part.id:
                self.by_key[key] = whole.id
        part.open, part.decisions = {}, []
        part.resolved_ms = max(part.at_ms, 1)
        part.explanation = f"One with incident {whole.id}."
        part.common = True
        self._touched(part, part.at_ms)

    def _touched(self, incident: IncidentView, at_ms: int) -> None:
        incident.at_ms = max(incident.at_ms, at_ms)
        if incident.id not in self.changed:
            self.changed.append(incident.id)


def family_of(finding: Finding) -> str:
    """Return what kind of trouble a finding tells of."""
    return FAMILIES.get(finding.detector, OTHER_FAMILY)


def cause_of(finding: Finding) -> str:
    """Return what a finding says is at fault: a signature, a version, a rollout; empty where it does not say."""
    subject = finding.subject
    if subject.signature:
        return subject.signature
    if subject.component and subject.version:
        return f"{subject.component} {subject.version}"
    return f"rollout {subject.rollout}" if subject.rollout else ""


def _loud(severity: str) -> bool:
    return RANK.index(Severity(severity)) >= RANK.index(Severity.WARNING)


def _graver(finding: Finding, incident: IncidentView) -> bool:
    return RANK.index(Severity(finding.severity)) > RANK.index(Severity(incident.severity))
