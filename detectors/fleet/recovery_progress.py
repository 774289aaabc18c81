"""How far each incident has recovered, how fast, and when it should be over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from detectors.contract import Detector
from detectors.contract import State as BaseState
from detectors.fleet.services import Standing, recovery_order
from detectors.fleet_view import evidence_of
from detectors.frames import BatchFrame, ClocksFrame, FindingFrame, Frame
from detectors.incidents import IncidentView
from detectors.picture import Picture
from schemas.fleet import ClusterFacts
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject

POINTS_KEPT = 128
SERVICES_NAMED = 20


@dataclass(frozen=True, slots=True)
class Config:
    """Over how long the rate of recovery is taken, and how often it is told."""

    rate_s: float = 1800.0
    """The rate is that of the last so many seconds. Source: seed 004, whose fixes took one to two hours to spread and
    whose page was found wanting for telling nothing new for an hour; half of that."""
    every_s: float = 60.0
    """A point is taken at most so often, in seconds. Source: a host agent's interval; nothing is known sooner."""
    least_share: float = 0.01
    """What has moved by less than this share of what was hit is no news. Source: one percent, the least that a page
    shows."""


@dataclass(slots=True)
class Course:
    """An incident's course: how much was out, when."""

    incident: str
    clusters: list[str]
    before: dict[str, int]
    """Cluster to how much was out when the incident reached it: that much was not its doing."""
    points: list[tuple[int, int]] = field(default_factory=list)
    """(at_ms, VMs and servers out), in order; at most POINTS_KEPT."""
    worst: int = 0
    told: int = -1
    told_services: str = ""


@dataclass(slots=True)
class State(BaseState):
    """The courses of the incidents that go on."""

    courses: dict[str, Course] = field(default_factory=dict)
    out: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Cluster to (stamp, how much is out) as its facts last said."""
    calm: dict[str, int] = field(default_factory=dict)
    """Cluster to how much was out when it last had no incident."""


class RecoveryProgress(Detector[Config, State]):
    """For each incident: the share recovered, the rate, the expected end, and which services come first.

    Rule: what an incident took is the greatest number of VMs not ready and servers out (Human Investigate, repair) in
    its clusters beyond what was out before it reached them, as the clusters' facts say. Recovered is the share of that
    which is back. The rate is that of the last `rate_s`; the expected end is when all is back at that rate, and unknown
    while nothing comes back. Services are listed in the order in which they should come back: those that others need
    first, then by priority (1 before 2, 0 last), then the one with most instances out; a service that depends on one
    that is out counts as affected, though its own instances run. Told when the share has moved by `least_share`, or the
    services have changed: new facts, not the same text again (seed 004). It closes with its incident.

    Numbers: share, out, worst, per_hour, clusters. Facts: incident, expected_end, services, services_hit.
    """

    Config = Config
    State = State
    scope = "fleet"
    feeds = ("engine",)
    memory_s = 86_400

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Take facts and findings; tell what has moved."""
        if isinstance(frame, BatchFrame):
            told = [row for row in frame.batch.rows if isinstance(row, ClusterFacts)]
            for facts in told:
                self._facts(frame, facts, picture)
            if told:
                return self._tell_all(frame, picture, {facts.cluster for facts in told})
        elif isinstance(frame, FindingFrame):
            return self._incidents(frame, picture)
        elif isinstance(frame, ClocksFrame):
            return self._tell_all(frame, picture, None)
        return []

    def _facts(self, frame: BatchFrame, facts: ClusterFacts, picture: Picture) -> None:
        out = facts.vms - facts.vms_ready + facts.servers_out
        at_ms = frame.batch.at_ms[-1]
        if at_ms < self.state.out.get(facts.cluster, (0, 0))[0]:
            return
        self.state.out[facts.cluster] = (at_ms, out)
        if not any(facts.cluster in known.clusters for known in self.state.courses.values()):
            self.state.calm[facts.cluster] = out

    def _incidents(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        """Begin the course of a new incident, let it spread, end it."""
        cluster = frame.finding.subject.cluster or ""
        found: list[Finding] = []
        for incident in _concerned(picture, frame.finding):
            course = self.state.courses.get(incident.id)
            if incident.resolved_ms:
                found += self._end(incident, frame)
                continue
            if course is None:
                course = self.state.courses[incident.id] = Course(incident.id, [], {})
            for name in incident.clusters:
                if name not in course.before:
                    course.before[name] = self.state.calm.get(name, 0)
                    course.clusters.append(name)
            if cluster:
                found += self._tell(incident, course, frame, picture)
        return found

    def _end(self, incident: IncidentView, frame: Frame) -> list[Finding]:
        self.state.courses.pop(incident.id, None)
        return self.state.openings.end(incident.id, frame, "the incident is over")

    def _tell_all(self, frame: Frame, picture: Picture, clusters: set[str] | None) -> list[Finding]:
        found: list[Finding] = []
        for course in list(self.state.courses.values()):
            incident = picture.fleet.incidents.known.get(course.incident)
            if incident is None or incident.resolved_ms:
                self.state.courses.pop(course.incident)
                found += self.state.openings.end(course.incident, frame, "the incident is over")
            elif clusters is not None and not clusters.isdisjoint(course.before):
                found += self._tell(incident, course, frame, picture)
        return found

    def _tell(self, incident: IncidentView, course: Course, frame: Frame, picture: Picture) -> list[Finding]:
        """Take a point of the course, and tell it if it is news."""
        out = sum(
            max(0, self.state.out.get(name, (0, 0))[1] - before) for name, before in sorted(course.before.items())
        )
        course.worst = max(course.worst, out)
        if course.points and frame.at_ms - course.points[-1][0] < self.config.every_s * 1000:
            course.points[-1] = (course.points[-1][0], out)
        else:
            course.points = [*course.points, (frame.at_ms, out)][-POINTS_KEPT:]
        services = _services(picture, course)
        said = self._said(incident, course, frame, out, services)
        if course.incident not in self.state.openings.open:
            course.told, course.told_services = out, said["facts"].get("services", "")
            first = next(iter(incident.cited), incident.id)
            return self._open(
                incident.id,
                frame,
                Subject(signature=incident.cause or None),
                first,
                opened_ms=incident.opened_ms,
                severity=Severity.INFO,
                **said,
            )
        moved = abs(out - course.told) >= max(1.0, self.config.least_share * course.worst)
        if not moved and said["facts"].get("services", "") == course.told_services:
            return []
        found = self.state.openings.update(incident.id, frame, **said)
        if found:
            course.told, course.told_services = out, said["facts"].get("services", "")
        return found

    def _said(
        self, incident: IncidentView, course: Course, frame: Frame, out: int, services: list[Standing]
    ) -> dict[str, Any]:
        share = 1 - out / course.worst if course.worst else 1.0
        per_hour = self._rate(course, frame.at_ms)
        end = ""
        if out and per_hour > 0:
            end = _utc(frame.at_ms + round(out / per_hour * 3_600_000))
        hit = [known for known in services if known.out]
        facts = {
            "incident": incident.id,
            "expected_end": end or ("" if not out else "unknown: nothing comes back yet"),
            "services": ", ".join(known.words() for known in services[:SERVICES_NAMED]),
            "services_hit": str(len(hit)),
        }
        what = incident.cause or incident.title
        here = evidence_of(frame) if isinstance(frame, FindingFrame) else _facts_of(frame)
        back = f"{share:.0%} recovered, {out} of {course.worst} still out" if course.worst else "nothing is out"
        return {
            "title": f"{what}: {back}" + (f", over at {end}" if end else ""),
            "explanation": _explained(course, per_hour, services),
            "evidence": (here,),
            "numbers": {
                "share": round(share, 4),
                "out": out,
                "worst": course.worst,
                "per_hour": round(per_hour, 1),
                "clusters": len(course.clusters),
            },
            "facts": {name: value for name, value in facts.items() if value},
        }

    def _rate(self, course: Course, at_ms: int) -> float:
        """Return how many come back in an hour, by the points of the last `rate_s`; 0 where none do."""
        since = [point for point in course.points if point[0] >= at_ms - self.config.rate_s * 1000]
        if len(since) < 2 or since[-1][0] == since[0][0]:
            return 0.0
        # From the worst of these on: what still falls away is no recovery.
        worst = max(since, key=lambda point: (point[1], point[0]))
        if worst[0] == since[-1][0]:
            return 0.0
        return max(0.0, (worst[1] - since[-1][1]) / (since[-1][0] - worst[0]) * 3_600_000)


def _facts_of(frame: Frame) -> Evidence:
    assert isinstance(frame, BatchFrame)  # noqa: S101 - told by facts, or by a finding
    return frame.evidence(len(frame.batch.rows) - 1, "facts")


def _concerned(picture: Picture, finding: Finding) -> list[IncidentView]:
    """Return the incidents that a finding has just changed."""
    incidents = picture.fleet.incidents
    name = incidents.by_finding.get(finding.id)
    if name is not None:
        return [incidents.known[name]]
    cluster = finding.subject.cluster or ""
    if finding.state != FindingState.CLOSED:
        return []
    return [known for known in incidents.known.values() if cluster in known.clusters and known.resolved_ms]


def _services(picture: Picture, course: Course) -> list[Standing]:
    """Return the services with instances out in these clusters, and those that need them, in order of recovery."""
    counted: dict[str, tuple[int, int]] = {}
    for name in course.before:
        known = picture.fleet.clusters.get(name)
        for count in known.facts.services if known is not None and known.facts is not None else ():
            ready, instances = counted.get(count.service, (0, 0))
            counted[count.service] = (ready + count.ready, instances + count.instances)
    return recovery_order(picture.state.services, counted)


def _explained(course: Course, per_hour: float, services: list[Standing]) -> str:
    parts = [f"In {len(course.clusters)} clusters: {', '.join(course.clusters[:SERVICES_NAMED])}."]
    if per_hour:
        parts.append(f"{per_hour:,.0f} an hour come back.")
    needed = [known.service for known in services if known.needed_by and known.out]
    if needed:
        parts.append(f"First, for others need them: {', '.join(needed[:5])}.")
    return " ".join(parts)


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
