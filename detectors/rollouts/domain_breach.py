"""Changes that do not keep to update domains: several at once, or a blast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import UPDATE_EVERY_MS, Detector, State
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture
from detectors.rollouts.breach_words import Reach, said_of_change, said_of_overlap, said_of_rollout, subject_of
from detectors.rollouts.overlap import Scope, Unit, together
from detectors.rollouts.recent import ENDED
from detectors.rollouts.spread import Reached, Spread, exceeding, largest_domain, per_minute, sample
from detectors.upkeep import RolloutView
from schemas.outputs import Action, Evidence, Finding, Severity, Subject
from schemas.source import HOST_AGENT, MAINTENANCE, MaintenanceEvent, MaintenanceKind

SPREADS_MOST = 128
"""Rollouts and changes of versions remembered of one cluster; the one that reached a server longest ago goes first."""
SCOPES_MOST = 20_000
"""Groups and rollouts remembered that have something under way."""
_VM_ENDS = (MaintenanceKind.VM_UPDATE_COMPLETED, MaintenanceKind.VM_UPDATE_FAILED)
_SERVER_ENDS = (MaintenanceKind.SERVER_UPDATE_COMPLETED, MaintenanceKind.SERVER_UPDATE_FAILED)
STARTED, REACHED = "started", "reached"
"""Why a change is looked at: its rollout was announced, or it reached a server."""
_STOPS = (MaintenanceKind.ROLLOUT_COMPLETED, MaintenanceKind.ROLLOUT_ABORTED)


@dataclass(frozen=True, slots=True)
class Config:
    """How much of a cluster may be changed how fast, and how long domains may overlap."""

    most_share: float = field(default=0.2, metadata={"least": 0, "most": 1})
    """Share of a cluster's servers that one change may reach within `window_s`, this included; its largest update
    domain always may. Source: CATALOGUE, domain_breach."""
    window_s: float = field(default=600.0, metadata={"least": 1, "most": 86_400})
    """Seconds in which they are counted, both ends included. Source: CATALOGUE, domain_breach."""
    together_s: float = field(default=5.0, metadata={"least": 0, "most": 3600})
    """Observed seconds for which two update domains may be under way at once: the end of one and the start of the next
    are written by several systems and cross on their way. Source: half of the 10 s in which a blast is to be told;
    senders reach their brokers within a second."""
    longest_s: float = field(default=7200.0, metadata={"least": 60, "most": 86_400})
    """Seconds after which an update whose end was never told is taken for ended. Source: four times the 30 min in
    which a VM is to be ready after its update (CATALOGUE, ready_overdue; seed 002)."""
    quiet_s: float = field(default=3600.0, metadata={"least": 60, "most": 86_400})
    """Observed seconds without another server after which a blast whose end was never told is over. Source: that of
    the leap day reached all servers at once (seed 004), so an hour is generous."""


@dataclass(slots=True)
class BreachState(State):
    """What is under way, and what was reached of late."""

    scopes: dict[str, Scope] = field(default_factory=dict)
    """`group NAME` or `servers ROLLOUT`."""
    breaches: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Key of an overlap's finding to its scopes, each with the update domains under way."""
    announced: dict[str, Spread] = field(default_factory=dict)
    """Rollout to the servers that its events name."""
    seen: dict[str, Spread] = field(default_factory=dict)
    """`component=version` to the servers whose reports show that they changed to it."""


class DomainBreach(Detector[Config, BreachState]):
    """Finds changes that reach more than one update domain at once, or most of a cluster within minutes.

    Rules. (1) VMs of more than one update domain of a group (availability set, scale set, cloud service) are being
    updated at once, by updates of VMs or update domains under way; or servers of more than one, where a rollout names
    update domains; for longer than `together_s`. (2) A rollout has mode blast: in the frame that says so. (3) A rollout
    reaches more of the cluster's servers within `window_s` than `most_share` and its largest update domain, by its
    events; or (4) so many servers' reports show one component change to one version, whether anybody announced it or
    not: info where a rollout's own finding tells of it already. "Deployment availability constraints called update
    domains" are what the blast of the leap day passed over (seed 004).

    The number that decides is the share of servers changed per minute. Shares need a complete inventory. An overlap
    ends with all but one update domain, or with its rollout; a blast when its rollout has ended; a reach when no window
    holds so many any more; each only in time that was observed.
    """

    Config = Config
    State = BreachState
    memory_s = 6 * 3600
    feeds = (MAINTENANCE, HOST_AGENT)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what events, changes of versions and passed times bring."""
        findings: list[Finding] = []
        if isinstance(frame, DueFrame):
            for key in self.state.deadlines.pop(frame.due_ms):
                kind = key.partition(" ")[0]
                if kind in ("reach", "seen"):
                    findings += self._judge_reach(key, frame, picture)
                else:
                    findings += self._judge_overlap(key, frame, picture)
        elif isinstance(frame, BatchFrame):
            for key, why in self._fold(frame, picture).items():
                findings += self._reach(key, why, frame, picture)
        return findings

    # -- what is under way ---------------------------------------------------------------------------------------

    def _fold(self, frame: BatchFrame, picture: Picture) -> dict[str, str]:
        """Take what the frame brings; return the keys of the changes it concerns, and why: what is new of them."""
        keys: dict[str, str] = {}
        for index, event in picture.news.maintenance:
            self._take(event, frame.batch.at_ms[index], frame.evidence(index), picture)
            if event.rollout is None or event.vm is not None:
                continue
            key = f"reach {event.rollout}"
            if event.kind == MaintenanceKind.ROLLOUT_STARTED:
                keys[key] = STARTED
            elif event.kind == MaintenanceKind.SERVER_UPDATE_STARTED and keys.get(key) != STARTED:
                keys[key] = REACHED
            else:
                keys.setdefault(key, "")
        for server, change in picture.news.changes:
            if change.evidence is not None:
                name = f"{change.component}={change.to_version}"
                reached = Reached(change.at_ms, change.source, change.evidence)
                self._reached(self.state.seen, name, server, reached, picture)
                keys[f"seen {name}"] = REACHED
        return keys

    def _take(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence, picture: Picture) -> None:
        """Take an event into what is under way, and into what its rollout has reached."""
        kind, rollout = event.kind, event.rollout or ""
        if event.vm is not None and (kind == MaintenanceKind.VM_UPDATE_STARTED or kind in _VM_ENDS):
            view = picture.vms.get(event.vm)
            if view is not None and view.group:
                unit = Unit(f"vm {event.vm}", view.update_domain, rollout, at_ms, event.event_id, evidence)
                self._unit(f"group {view.group}", unit, begins=kind not in _VM_ENDS, picture=picture)
        elif event.update_domain is not None and kind in (MaintenanceKind.UD_STARTED, MaintenanceKind.UD_COMPLETED):
            domain = event.update_domain
            scope = f"group {event.group}" if event.group else f"servers {rollout}"
            unit = Unit(f"domain {domain}", domain, rollout, at_ms, event.event_id, evidence)
            begins = kind == MaintenanceKind.UD_STARTED
            self._unit(scope, unit, begins=begins, picture=picture)
            if not begins and scope in self.state.scopes:
                self.state.scopes[scope].complete(domain, rollout, at_ms)
        elif event.server is not None and (kind == MaintenanceKind.SERVER_UPDATE_STARTED or kind in _SERVER_ENDS):
            self._server(event, event.server, at_ms, evidence, picture)
        elif kind in _STOPS:
            for scope, known in self.state.scopes.items():
                if known.stop(rollout, at_ms):
                    self._wake(scope, at_ms)
            if f"reach {rollout}" in self.state.openings.open:
                self._wake(f"reach {rollout}", at_ms)

    def _server(self, event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence, picture: Picture) -> None:
        view, rollout = picture.servers.get(name), event.rollout
        if view is None or view.inventory is None or not rollout:
            return
        begins = event.kind == MaintenanceKind.SERVER_UPDATE_STARTED
        scope = f"servers {rollout}"
        # Servers count by update domains where the rollout names these; else it is judged by how many it reaches.
        if scope in self.state.scopes:
            unit = Unit(f"server {name}", view.inventory.update_domain, rollout, at_ms, event.event_id, evidence)
            self._unit(scope, unit, begins=begins, picture=picture)
        if begins:
            self._reached(self.state.announced, rollout, name, Reached(at_ms, event.event_id, evidence), picture)

    def _unit(self, name: str, unit: Unit, *, begins: bool, picture: Picture) -> None:
        scopes = self.state.scopes
        scope = scopes.get(name)
        if scope is None:
            if not begins or len(scopes) >= SCOPES_MOST:
                return
            scope = scopes[name] = Scope()
        scope.forget(picture.passed_ms(self.feeds), round(self.config.longest_s * 1000))
        if begins:
            scope.begin(unit)
        else:
            scope.end(unit.name, unit.rollout, unit.from_ms)
        if scope.several() or self._breaching(name):
            self._wake(name, unit.from_ms)
        if not scope.units:
            del scopes[name]

    def _wake(self, scope: str, at_ms: int) -> None:
        """Look at a scope when all lanes have passed this time, or an earlier one that is waited for."""
        self.state.deadlines.set(scope, min(at_ms, self.state.deadlines.due.get(scope, at_ms)))

    # -- several update domains at once --------------------------------------------------------------------------

    def _breaching(self, scope: str) -> str:
        """Return the key of the finding that tells of this scope; empty: none does."""
        return next((key for key, scopes in self.state.breaches.items() if scope in scopes), "")

    def _judge_overlap(self, name: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Judge a scope as it stood at the due time; name the next."""
        longest_ms = round(self.config.longest_s * 1000)
        scope = self.state.scopes.get(name, Scope())
        active = scope.active(frame.due_ms, longest_ms)
        begun = together(active)
        next_ms = scope.next_ms(frame.due_ms, longest_ms)
        findings: list[Finding] = []
        if begun is None:
            findings += self._apart(name, frame, picture)
        else:
            limit_ms = picture.limit_passed_ms(self.feeds, begun[0], round(self.config.together_s * 1000))
            if limit_ms <= frame.due_ms:
                findings += self._together(name, active, begun[1], limit_ms, frame, picture)
            else:
                blind_ms = limit_ms if limit_ms < FAR_MS // 2 else again_ms(begun[0], frame.due_ms)
                next_ms = blind_ms if next_ms is None else min(next_ms, blind_ms)
        if next_ms is not None and (scope.several() or self._breaching(name)):
            self._wake(name, next_ms)
        return findings

    def _together(
        self, name: str, active: list[Unit], second: Unit, limit_ms: int, frame: DueFrame, picture: Picture
    ) -> list[Finding]:
        key = self._breaching(name) or f"overlap {second.rollout}"
        scopes = self.state.breaches.setdefault(key, {})
        scopes[name] = sorted({str(unit.domain) for unit in active}, key=int)
        if key in self.state.openings.open:
            return self._tell_overlap(key, frame, picture)
        subject = Subject(cluster=picture.cluster, rollout=second.rollout or None)
        if not second.rollout:
            subject = Subject(cluster=picture.cluster, signature=name)
        return self._open(
            key,
            frame,
            subject,
            second.event_id,
            opened_ms=limit_ms,
            severity=Severity.CRITICAL,
            evidence=tuple(unit.evidence for unit in (second, *(one for one in active if one is not second))),
            advised=(Action.HALT_ROLLOUT.value,),
            **self._said_of_overlap(key, picture),
        )

    def _apart(self, name: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        key = self._breaching(name)
        if not key:
            return []
        scopes = self.state.breaches[key]
        del scopes[name]
        if scopes:
            return self._tell_overlap(key, frame, picture)
        del self.state.breaches[key]
        return self.state.openings.end(key, frame, "one update domain at a time, or none, is under way")

    def _tell_overlap(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        known = self.state.openings.get(key)
        # Said at most every 10 s: what it would say is not even counted before.
        if known is None or frame.at_ms < known.at_ms + UPDATE_EVERY_MS:
            return []
        return self.state.openings.update(key, frame, **self._said_of_overlap(key, picture))

    def _said_of_overlap(self, key: str, picture: Picture) -> dict[str, Any]:
        rollout = key.partition(" ")[2]
        spread = self.state.announced.get(rollout, Spread())
        per_min = self._per_minute(spread.ordered(), picture)
        return said_of_overlap(picture.cluster, rollout, self.state.breaches[key], per_min, self.config.together_s)

    # -- many servers within minutes -----------------------------------------------------------------------------

    def _reached(self, spreads: dict[str, Spread], name: str, server: str, reached: Reached, picture: Picture) -> None:
        view = picture.servers.get(server)
        if view is None or not view.counted:
            return
        spread = spreads.get(name)
        if spread is None:
            if len(spreads) >= SPREADS_MOST:
                del spreads[min(spreads, key=lambda known: (spreads[known].newest_ms(), known))]
            spread = spreads[name] = Spread()
        spread.forget(picture.passed_ms(self.feeds) - round(self.config.window_s * 1000))
        spread.take(server, reached)

    def _spread(self, key: str) -> Spread:
        kind, _, name = key.partition(" ")
        return (self.state.announced if kind == "reach" else self.state.seen).get(name, Spread())

    def _most(self, picture: Picture) -> int | None:
        """Return how many servers one change may reach within the window; None: the inventory is not complete."""
        servers = picture.counted_servers()
        return max(int(self.config.most_share * servers), largest_domain(picture)) if servers else None

    def _per_minute(self, ordered: list[Reached], picture: Picture) -> float:
        return per_minute(ordered, picture.counted_servers(), round(self.config.window_s * 1000))

    def _reach(self, key: str, why: str, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Return what a change that reached servers now, or whose rollout was told of, brings."""
        known = self.state.openings.open.get(key)
        if known is not None:
            # What comes within the 10 s in which nothing is said is told behind them.
            self._wake(key, max(known.finding.opened_ms, self._spread(key).newest_ms()) + UPDATE_EVERY_MS)
            return self._tell_reach(key, frame, picture)
        ordered = self._spread(key).ordered()
        over = self._exceeding(ordered, picture)
        blast = self._blast(key, picture)
        evidence: tuple[Evidence, ...] = ()
        if blast is not None and why == STARTED:
            moment_ms, source = blast.started_ms, blast.event_id
            evidence = () if blast.evidence is None else (blast.evidence,)
        elif over is not None:
            moment_ms, source = over.at_ms, over.source
        elif blast is not None and why == REACHED and ordered and blast.state not in ENDED:
            # Nobody told us of its start, or it was quiet for so long that it was taken for ended.
            moment_ms, source = ordered[-1].at_ms, ordered[-1].source
        else:
            return []
        findings = self._open(
            key,
            frame,
            subject_of(key, picture.cluster),
            source,
            opened_ms=moment_ms,
            evidence=(*evidence, *sample(ordered)),
            **self._said_of_reach(key, picture),
        )
        self._wake(key, max(moment_ms, self._spread(key).newest_ms()))
        return findings + (self._explained(key, frame, picture) if key.startswith("reach ") else [])

    def _exceeding(self, ordered: list[Reached], picture: Picture) -> Reached | None:
        """Return the server with which a change reaches too many; None: it does not, or the inventory is not whole."""
        most = self._most(picture) if ordered else None
        return None if most is None else exceeding(ordered, most, round(self.config.window_s * 1000))

    def _tell_reach(self, key: str, frame: Frame, picture: Picture) -> list[Finding]:
        known = self.state.openings.get(key)
        if known is None or frame.at_ms < known.at_ms + UPDATE_EVERY_MS:
            return []
        return self.state.openings.update(key, frame, **self._said_of_reach(key, picture))

    @staticmethod
    def _blast(key: str, picture: Picture) -> RolloutView | None:
        """Return the rollout of this key if its mode is blast."""
        kind, _, name = key.partition(" ")
        rollout = picture.state.rollouts.get(name) if kind == "reach" else None
        return rollout if rollout is not None and rollout.mode == "blast" else None

    def _explained(self, key: str, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Tell of the changes seen in reports that this rollout's finding tells of them now."""
        findings: list[Finding] = []
        for other in list(self.state.openings.open):
            if other.startswith("seen ") and self._told_by(other) == key:
                said = self._said_of_reach(other, picture)
                findings += self.state.openings.update(other, frame, at_once=True, **said)
        return findings

    def _told_by(self, key: str) -> str:
        """Return the key of the open finding of a rollout that names most of the servers of this change; or nothing."""
        servers = self._spread(key).servers
        best = ("", 0)
        for other in self.state.openings.open:
            if other.startswith("reach "):
                named = sum(1 for name in self._spread(other).servers if name in servers)
                best = max(best, (other, named), key=lambda known: known[1])
        return best[0] if 2 * best[1] >= max(1, len(servers)) else ""

    def _said_of_reach(self, key: str, picture: Picture) -> dict[str, Any]:
        kind, _, name = key.partition(" ")
        ordered = self._spread(key).ordered()
        window_ms = round(self.config.window_s * 1000)
        reach = Reach(
            name,
            picture.cluster,
            [reached for reached in ordered if reached.at_ms >= ordered[-1].at_ms - window_ms],
            picture.counted_servers(),
            self._most(picture) or 0,
            self._per_minute(ordered, picture),
            self.config.window_s,
        )
        if kind == "reach":
            return said_of_rollout(reach, blast=self._blast(key, picture) is not None)
        return said_of_change(reach, self._told_by(key).removeprefix("reach "))

    def _judge_reach(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Close if, as of the due time, neither a window holds so many nor a blast goes on; else name the next time."""
        known = self.state.openings.open.get(key)
        if known is None:
            return []
        ordered = self._spread(key).ordered(frame.due_ms)
        most = self._most(picture)
        limits = []
        if most is not None and len(ordered) > most:
            since_ms = ordered[-most - 1].at_ms
            limits.append(picture.limit_passed_ms(self.feeds, since_ms, round(self.config.window_s * 1000)))
        blast = self._blast(key, picture)
        if blast is not None and blast.state not in ENDED:
            last_ms = max([known.finding.opened_ms, *(reached.at_ms for reached in ordered[-1:])])
            limits.append(picture.limit_passed_ms(self.feeds, last_ms, round(self.config.quiet_s * 1000)))
        later = [limit_ms for limit_ms in limits if limit_ms > frame.due_ms]
        if later:
            due_ms = min(later)
            told = self._tell_reach(key, frame, picture)
            if frame.at_ms < (tell_ms := known.finding.at_ms + UPDATE_EVERY_MS) and not told:
                due_ms = min(due_ms, tell_ms)
            later_ms = again_ms(known.finding.opened_ms, frame.due_ms)
            self.state.deadlines.set(key, due_ms if due_ms < FAR_MS // 2 else later_ms)
            return told
        ended = "its rollout has ended" if blast is not None and blast.state in ENDED else "it reaches so many no more"
        return self.state.openings.end(key, frame, ended)
