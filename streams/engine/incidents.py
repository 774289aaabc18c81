"""Says incidents as they stand: at once what matters, the rest at most every ten seconds. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from detectors.contract import UPDATE_EVERY_MS
from detectors.fleet.services import recovery_order
from detectors.fleet_view import FleetState
from detectors.incidents import IncidentView
from schemas.fleet import Incident, IncidentState
from schemas.inventory import Service
from schemas.outputs import Decision, DecisionState

CLUSTERS_NAMED = 1_000
SERVICES_NAMED = 50


@dataclass(slots=True)
class IncidentsTold:
    """What was told of which incident; saved and restored whole."""

    told: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Incident to when it was told last, and what it concluded then."""

    def due(
        self, at_ms: int, fleet: FleetState, services: dict[str, Service], decisions: Iterable[Decision]
    ) -> list[Incident]:
        """Return the incidents to be told now; those that have just been told and differ in detail alone wait."""
        found: list[Incident] = []
        waiting: list[str] = []
        for name in fleet.incidents.changed:
            view = fleet.incidents.known[name]
            concluded = [str(view.resolved_ms > 0), view.severity, view.verdict, view.trigger, str(len(view.clusters))]
            told_ms, before = self.told.get(name, (0, []))
            if concluded == before and at_ms < told_ms + UPDATE_EVERY_MS:
                waiting.append(name)
                continue
            self.told[name] = (at_ms, concluded)
            found.append(incident_of(view, fleet, services, decisions))
        fleet.incidents.changed = waiting
        for name in [known for known in self.told if known not in fleet.incidents.known]:
            del self.told[name]
        return found


def incident_of(
    view: IncidentView, fleet: FleetState, services: dict[str, Service], decisions: Iterable[Decision]
) -> Incident:
    """Return an incident as a stranger should read it: what, where, how many, since when, what is being done."""
    clusters = sorted(view.clusters, key=lambda name: (view.clusters[name], name))
    known = [fleet.clusters[name] for name in clusters if name in fleet.clusters]
    facts = [cluster.facts for cluster in known if cluster.facts is not None]
    counted: dict[str, tuple[int, int]] = {}
    for count in (count for one in facts for count in one.services):
        ready, instances = counted.get(count.service, (0, 0))
        counted[count.service] = (ready + count.ready, instances + count.instances)
    over = view.resolved_ms > 0
    return Incident(
        id=view.id,
        state=IncidentState.RESOLVED if over else IncidentState.OPEN,
        severity=view.severity,
        title=view.title,
        opened_ms=view.opened_ms,
        at_ms=view.at_ms,
        cause=view.cause,
        verdict=view.verdict,
        trigger=view.trigger,
        explanation=view.explanation,
        clusters=tuple(clusters[:CLUSTERS_NAMED]),
        regions=tuple(sorted({one.region for one in facts if one.region})),
        findings=dict(sorted(Counter(one.detector for one in view.open.values()).items())),
        finding_ids=tuple(view.cited),
        numbers={
            "clusters": float(len(clusters)),
            "findings": float(view.total),
            "servers_out": float(sum(one.servers_out for one in facts)),
            "vms_not_ready": float(sum(one.vms - one.vms_ready for one in facts)),
        },
        actions=_actions(view, decisions),
        services=() if over else tuple(one.words() for one in recovery_order(services, counted))[:SERVICES_NAMED],
        resolved_ms=view.resolved_ms,
    )


def _actions(view: IncidentView, decisions: Iterable[Decision]) -> tuple[str, ...]:
    """Return what is decided for its findings, and what they advise."""
    decided = {
        f"{decision.action} {decision.scope}: {decision.state}"
        for decision in decisions
        if decision.state != DecisionState.RELEASED and not view.open.keys().isdisjoint(decision.finding_ids)
    }
    advised: Counter[str] = Counter()
    for known in view.open.values():
        if known.cluster:
            advised.update(known.advised)
    return (*sorted(decided), *(f"{action}: advised in {count}" for action, count in sorted(advised.items())))
