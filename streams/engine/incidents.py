"""Says incidents as they stand: at once what matters, the rest at most every ten seconds. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from detectors.contract import UPDATE_EVERY_MS
from detectors.failfast.words import counted
from detectors.fleet.services import recovery_order
from detectors.fleet_view import FleetState
from detectors.incidents import IncidentView
from schemas.fleet import Incident, IncidentState
from schemas.inventory import Service
from schemas.outputs import Decision, DecisionState

CLUSTERS_NAMED = 1_000
SERVICES_NAMED = 50
SCOPES_NAMED = 3
"""Clusters, or regions, in which the same was decided, that are named; of more, how many they are."""


@dataclass(slots=True)
class IncidentsTold:
    """What was told of which incident; saved and restored whole."""

    told: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Incident to when it was told last, and what it concluded then."""

    def due(
        self, at_ms: int, fleet: FleetState, services: dict[str, Service], own: Mapping[str, Decision]
    ) -> list[Incident]:
        """Return the incidents to be told now; those that have just been told and differ in detail alone wait."""
        found: list[Incident] = []
        waiting: list[str] = []
        for name in fleet.incidents.changed:
            view = fleet.incidents.known[name]
            concluded = _concluded(view, fleet)
            told_ms, before = self.told.get(name, (0, []))
            if concluded == before and at_ms < told_ms + UPDATE_EVERY_MS:
                waiting.append(name)
                continue
            self.told[name] = (at_ms, concluded)
            found.append(incident_of(view, fleet, services, own))
        fleet.incidents.changed = waiting
        for name in [known for known in self.told if known not in fleet.incidents.known]:
            del self.told[name]
        return found


def _concluded(view: IncidentView, fleet: FleetState) -> list[str]:
    """Return what is told at once where it changes: the end, how grave, why, how far, and what was decided."""
    told = [str(view.resolved_ms > 0), view.severity, view.verdict, view.trigger, str(len(view.clusters))]
    states = Counter(fleet.decisions[name].state for name in view.decisions if name in fleet.decisions)
    return [*told, *(f"{state} {count}" for state, count in sorted(states.items()))]


def incident_of(
    view: IncidentView, fleet: FleetState, services: dict[str, Service], own: Mapping[str, Decision]
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
        actions=_actions(view, decided_for(view, fleet, own)),
        services=() if over else tuple(one.words() for one in recovery_order(services, counted))[:SERVICES_NAMED],
        resolved_ms=view.resolved_ms,
    )


def decided_for(view: IncidentView, fleet: FleetState, own: Mapping[str, Decision]) -> list[Decision]:
    """Return what was decided for an incident's findings, in clusters and by the fleet engine, as it stands."""
    known = {**own, **fleet.decisions}
    mine = [known[decision_id] for decision_id in view.decisions if decision_id in known]
    ids = set(view.decisions)
    # What the fleet engine had decided before it kept decisions in its picture.
    others = (one for one in own.values() if one.id not in ids and not view.open.keys().isdisjoint(one.finding_ids))
    return [*mine, *others]


def _actions(view: IncidentView, decided: Iterable[Decision]) -> tuple[str, ...]:
    """Return what is decided for its findings, what stands first; then what they advise."""
    scopes: dict[tuple[bool, str, str, str], list[str]] = {}
    for one in decided:
        released = one.state == DecisionState.RELEASED
        how = f"{one.state} by {one.by}" if released else f"{one.state} ({one.mode})"
        what = f"{one.action} {one.target}".rstrip()
        scopes.setdefault((released, what, one.scope.partition(":")[0], how), []).append(one.scope)
    lines = []
    for (_, what, kind, how), named in sorted(scopes.items()):
        shown = sorted(named)
        if len(shown) > SCOPES_NAMED:
            shown = [f"in {len(shown)} {kind}s"]
        lines += [f"{what} {where}: {how}" for where in shown]
    asked = {(one.cluster, action): None for one in view.open.values() if one.cluster for action in one.advised}
    advised = Counter(action for _, action in asked)
    return (*lines, *(f"{what}: advised in {counted(count, 'cluster')}" for what, count in sorted(advised.items())))
