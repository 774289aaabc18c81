"""Updates of servers and VMs that take longer than their phase should."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector, State
from detectors.failfast.words import counted, listed, minutes, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.investigate.telling import tell, too_early
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture
from detectors.rollouts.phases import ENDED, PHASES, Phase, phase_of
from detectors.upkeep import Upkeep, VmUpdate
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, MaintenanceEvent, MaintenanceKind

_CUT = "\x1f"
UNITS_MOST = 400_000
"""Updates under way that are waited for: as many as VMs are kept of a cluster."""
COSTS_MOST = 64
"""Rollouts whose costs are remembered, the newest (as `detectors.upkeep.CHANGES_KEPT`)."""
_OVER = (MaintenanceKind.ROLLOUT_ABORTED, MaintenanceKind.ROLLOUT_COMPLETED)


@dataclass(frozen=True, slots=True)
class Config:
    """From when on an update is late."""

    server_s: float = field(default=1800.0, metadata={"least": 1, "most": 86_400})
    """Observed seconds that the update of one server, or of a component of it, may take; exactly so long is in time.
    Source: seed 002, "this Host OS update process will take 15 to 20 minutes"; CATALOGUE, host_silence (30)."""
    vm_s: float = field(default=2100.0, metadata={"least": 1, "most": 86_400})
    """Observed seconds that the update of one VM may take. Source: seed 002: 5 minutes for OnStop, and 30 for the
    start-up to READY."""


@dataclass(slots=True)
class Unit:
    """The update of one server or VM."""

    name: str
    of: str
    """server or VM."""
    phase: str
    system: str
    rollout: str
    since_ms: int
    event_id: str
    evidence: Evidence


@dataclass(slots=True)
class Cost:
    """What the updates of one rollout took that are complete."""

    done: int = 0
    failed: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class OverdueState(State):
    """Updates under way, those that are late, and what those that are over took."""

    units: dict[str, Unit] = field(default_factory=dict)
    late: dict[str, dict[str, Unit]] = field(default_factory=dict)
    """By rollout and phase, then by key of the unit."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """By rollout and phase."""


class UpdateOverdue(Detector[Config, OverdueState]):
    """Finds updates of servers and VMs that are under way for longer than their phase should take: one info a rollout.

    What a phase should cost (seed 002): the host pass 15 to 20 minutes a server; the guest pass a graceful shutdown
    and a start a VM; an agent update the end and the start of a process (`detectors/rollouts/phases.py`). Rule: an
    update that was told to have started (SERVER_UPDATE_STARTED, COMPONENT_UPDATE_STARTED, VM_UPDATE_STARTED) has
    neither completed nor failed after `server_s` or `vm_s` of observed time. Of servers only those that report count:
    one that is away for so long is `host_silence`'s. One finding for each rollout and phase tells how many are late,
    the longest first, and what those that are complete took.

    Info only: a list for whoever drives the rollout. What it does to anyone is told by ready_overdue, host_silence,
    stop_overrun and capacity. It ends when the late ones complete or fail, or the rollout is over.
    """

    Config = Config
    State = OverdueState
    memory_s = 3 * 3600
    feeds = (MAINTENANCE, HOST_AGENT, GUEST_AGENT)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what is late, and what is over."""
        state = self.state
        if isinstance(frame, DueFrame):
            findings: list[Finding] = []
            for key in state.deadlines.pop(frame.due_ms):
                findings += self._tell(key, frame) if key in state.late else self._judge(key, frame, picture)
            return findings
        if not isinstance(frame, BatchFrame):
            return []
        touched: dict[str, None] = {}
        for index, event in picture.news.maintenance:
            at_ms = frame.batch.at_ms[index]
            phase = phase_of(event)
            if phase is not None:
                self._started(event, phase, at_ms, frame.evidence(index))
            elif event.kind in ENDED or event.kind in _OVER:
                touched.update(self._late_of(event))
                self._ended(event, at_ms, picture)
        if picture.news.inventory:
            touched.update(dict.fromkeys(state.late))
        return [found for group in touched for found in self._over(group, frame, picture)]

    def _started(self, event: MaintenanceEvent, phase: Phase, at_ms: int, evidence: Evidence) -> None:
        name = (event.server if phase.of == "server" else event.vm) or ""
        unit = Unit(name, phase.of, phase.name, event.system, event.rollout or "", at_ms, event.event_id, evidence)
        if len(self.state.units) < UNITS_MOST:
            self.state.units[event.event_id] = unit
            self.state.deadlines.set(event.event_id, at_ms + self._limit_ms(unit))

    def _ended(self, event: MaintenanceEvent, at_ms: int, picture: Picture) -> None:
        """Let what an event may have ended be looked at: what it took is known then."""
        server, view = picture.servers.get(event.server or ""), picture.vms.get(event.vm or "")
        known: list[Upkeep | VmUpdate] = [*(server.upkeep if server is not None else [])]
        known += view.updates if view is not None else []
        for one in known:
            if one.until_ms == at_ms and one.event_id in self.state.units:
                self.state.deadlines.set(one.event_id, at_ms)

    def _limit_ms(self, unit: Unit) -> int:
        return round((self.config.server_s if unit.of == "server" else self.config.vm_s) * 1000)

    def _late_of(self, event: MaintenanceEvent) -> dict[str, None]:
        """Return the groups whose late units an event may end."""
        rollout = event.rollout or ""
        return {group: None for group in self.state.late if group.partition(_CUT)[0] == rollout}

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        unit = self.state.units.get(key)
        if unit is None:
            return []
        under_way, until_ms, failed = _stands(unit, picture)
        late_ms = picture.limit_passed_ms(self.feeds, unit.since_ms, self._limit_ms(unit), known_ms=frame.due_ms)
        if not under_way or (until_ms is not None and until_ms <= late_ms):
            del self.state.units[key]
            self._cost(unit, until_ms, failed=failed)
            return []
        if late_ms > frame.due_ms:
            self.state.deadlines.set(key, late_ms if late_ms < FAR_MS // 2 else again_ms(unit.since_ms, frame.due_ms))
            return []
        server = picture.servers.get(unit.name) if unit.of == "server" else None
        if server is not None and server.heard_ms < late_ms:
            # Away: host_silence's, until it reports again.
            self.state.deadlines.set(key, again_ms(unit.since_ms, frame.due_ms))
            return []
        del self.state.units[key]
        group = _CUT.join((unit.rollout, unit.system, unit.phase))
        self.state.late.setdefault(group, {})[key] = unit
        known = self.state.openings.open.get(group)
        if known is not None:
            return self._tell(group, frame)
        findings = self._open(
            group,
            frame,
            Subject(cluster=picture.cluster, rollout=unit.rollout or None, component=unit.system),
            unit.event_id,
            opened_ms=late_ms,
            severity=Severity.INFO,
            **self._said(group),
        )
        return findings + self._over(group, frame, picture)

    def _cost(self, unit: Unit, until_ms: int | None, *, failed: bool) -> None:
        """Remember what a complete update took."""
        if until_ms is None:
            return
        costs, group = self.state.costs, _CUT.join((unit.rollout, unit.system, unit.phase))
        cost = costs.pop(group, None) or Cost()
        costs[group] = cost
        took_s = max(0, until_ms - unit.since_ms) / 1000
        cost.failed += failed
        cost.done += not failed
        cost.total_s += took_s
        cost.longest_s = max(cost.longest_s, took_s)
        while len(costs) > COSTS_MOST:
            del costs[next(iter(costs))]

    def _over(self, group: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Take out of a group what is late no more; close it when nothing is left."""
        units = self.state.late.get(group)
        if units is None:
            return []
        for key, unit in list(units.items()):
            under_way, until_ms, failed = _stands(unit, picture)
            rollout = picture.state.rollouts.get(unit.rollout)
            over = rollout is not None and rollout.state in ("ABORTED", "COMPLETED")
            if not under_way or until_ms is not None or over:
                del units[key]
                self._cost(unit, until_ms, failed=failed)
        if units:
            return self._tell(group, frame)
        del self.state.late[group]
        self.state.deadlines.drop(group)
        return self.state.openings.end(group, frame, "none of them is under way any more")

    # -- saying --------------------------------------------------------------------------------------------------

    def _tell(self, group: str, frame: Frame) -> list[Finding]:
        if too_early(self.state, group, frame):
            return []
        return tell(self.state, group, frame, **self._said(group))

    def _said(self, group: str) -> dict[str, Any]:
        units = sorted(self.state.late[group].values(), key=lambda unit: (unit.since_ms, unit.name))
        first, cost = units[0], self.state.costs.get(group, Cost())
        phase = next(phase for phase in PHASES if (phase.name, phase.of) == (first.phase, first.of))
        limit = minutes(self._limit_ms(first) / 1000)
        about = f" of rollout {first.rollout}" if first.rollout else ""
        usual = f"{phase.costs_s[0] / 60:g} to {phase.costs_s[1] / 60:g} min"
        number = cost.done + cost.failed
        took = (
            f"{counted(number, 'update')} of it took {cost.total_s / number / 60:.1f} min on average, the longest "
            f"{cost.longest_s / 60:.1f}."
            if number
            else "None of it is known to be complete."
        )
        return {
            "title": f"{phase.name}{about} ({first.system}): {counted(len(units), phase.of)} under way for more than "
            f"{limit}",
            "explanation": f"The longest since {utc(first.since_ms)}: {listed(unit.name for unit in units)}. Of one "
            f"{phase.of} this phase takes {usual} as a rule ({phase.source}). {took}",
            "evidence": tuple(unit.evidence for unit in units),
            "numbers": {
                "late": len(units),
                "limit_s": self._limit_ms(first) / 1000,
                "costs_from_s": phase.costs_s[0],
                "costs_to_s": phase.costs_s[1],
                "done": cost.done,
                "failed": cost.failed,
                "mean_s": round(cost.total_s / number, 3) if number else 0.0,
                "longest_s": cost.longest_s,
            },
            "facts": {"phase": phase.name, "system": first.system, "late": listed(unit.name for unit in units)},
        }


def _stands(unit: Unit, picture: Picture) -> tuple[bool, int | None, bool]:
    """Return whether an update is remembered and not replaced, when it ended, and whether it failed."""
    known: list[Upkeep] | list[VmUpdate]
    if unit.of == "server":
        server = picture.servers.get(unit.name)
        known = server.upkeep if server is not None else []
    else:
        view = picture.vms.get(unit.name)
        known = view.updates if view is not None else []
    for one in known:
        if one.event_id == unit.event_id:
            return True, one.until_ms, one.failed
    return False, None, False
