"""One cluster through which changes go, written as the frames of its log: for `score --rollouts`.

It knows nothing of how a verdict is made. Load has a day and a night; failures come by VM, by bad server, by rack, and
in bursts that strike a whole cluster for an hour or two; what a guilty change does differs from server to server.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

from schemas.columns import pack_vms
from schemas.source import (
    GUEST_AGENT,
    HOST_AGENT,
    MAINTENANCE,
    GaState,
    GuestEvent,
    GuestKind,
    HostState,
    MaintenanceEvent,
    MaintenanceKind,
    Network,
    VmReport,
)
from schemas.telemetry import HostRow, Row

CLUSTER = "trial"
HOUR_S = 3600.0
DAY_S = 86_400.0
RETRY_S = 1500.0


@dataclass(slots=True)
class Plan:
    """One change: where it goes, and what it does."""

    name: str
    component: str
    begins_s: float
    spread_s: float
    """From the first server to the last; 0: all at once."""
    domains: int
    """Into how many steps."""
    by_rack: bool
    """Steps take racks after racks, instead of some servers of each."""
    share: float
    """Of all servers."""
    restarts: bool
    """It starts the VMs of a server anew."""
    announced: bool = True
    guilty: bool = False
    rate: float = 0.0
    """Share of starts (or of servers in a day) that it makes fail."""
    patchy: float = 1.0
    """Share of servers on which it does anything; there the rate is so much higher."""
    what: str = "error"
    """error, silent, reboot, hi or network."""
    sleeps_s: float = 0.0
    """How long after a server's change it begins to do harm there."""
    changed: dict[str, float] = field(default_factory=dict)
    """Server to when it was changed."""
    harmed: int = 0
    """Failures that it caused."""
    first_harm_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong anyhow."""

    starts_a_day: float
    """Starts of each server in a day, by load."""
    failing: float
    """Share of starts that fail, of one signature."""
    alike: bool
    """What a guilty change causes looks the same."""
    bursts_a_week: float
    bad_servers: int
    rack_troubles_a_week: float
    server_faults_a_year: float
    leap_s: float = math.inf
    """From here on every start fails, whatever runs there."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What of the telemetry is missing."""

    inventory: bool = False
    changed_s: float = math.inf
    """From here on the changed servers are heard no more: neither hosts nor guests."""
    guests: float = 0.0
    """Share of guest events lost on the way, everywhere."""


@dataclass(slots=True)
class Trial:
    """A cluster, its weather, and the changes that go through it."""

    seed: int
    kind: str
    servers: int
    vms: int
    racks: int
    days: float
    plans: list[Plan]
    weather: Weather
    lost: Lost = field(default_factory=Lost)


@dataclass(slots=True)
class Attempt:
    """One start as it truly was."""

    at_s: float
    server: str
    failed: str
    """Why; empty: it went well."""


class World:
    """What happened in a trial, by its seed."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.rng = random.Random(trial.seed)
        self.names = [f"s{n}" for n in range(trial.servers)]
        self.rack = {name: f"r{n % trial.racks}" for n, name in enumerate(self.names)}
        self.rows: dict[str, list[tuple[float, Row]]] = {HOST_AGENT: [], GUEST_AGENT: [], MAINTENANCE: []}
        self.attempts: list[Attempt] = []
        self.faults: list[Attempt] = []
        self.events = 0
        self.incarnation: dict[str, int] = {}
        self.end_s = trial.days * DAY_S
        rate = trial.weather.bursts_a_week / 7 / DAY_S
        self.bursts = [
            (at, at + HOUR_S * self.rng.uniform(0.2, 3), self.rng.uniform(0.1, 0.9)) for at in self._times(rate)
        ]
        rate = trial.weather.rack_troubles_a_week / 7 / DAY_S
        self.troubles = [
            (at, at + HOUR_S * self.rng.uniform(0.5, 12), f"r{self.rng.randrange(trial.racks)}")
            for at in self._times(rate)
        ]
        self.bad = {
            name: self.rng.uniform(0, self.end_s) for name in self.rng.sample(self.names, trial.weather.bad_servers)
        }
        self.weak = {
            plan.name: {name for name in self.names if self.rng.random() < plan.patchy} for plan in trial.plans
        }
        for plan in trial.plans:
            self._reach(plan)
        self._starts()
        self._server_faults()
        self._reports()
        for rows in self.rows.values():
            rows.sort(key=lambda row: row[0])

    def _times(self, rate: float) -> list[float]:
        found, at = [], 0.0
        while rate > 0 and (at := at + self.rng.expovariate(rate)) < self.end_s:
            found.append(at)
        return found

    # -- changes -------------------------------------------------------------------------------------------------

    def _reach(self, plan: Plan) -> None:
        """Draw when each server is changed, and say so where the change is announced."""
        order = list(self.names)
        if plan.by_rack:
            order.sort(key=lambda name: (self.rack[name], name))
        else:
            self.rng.shuffle(order)
        order = order[: max(1, round(plan.share * len(order)))]
        if plan.announced:
            versions = {"component": plan.component, "from_version": "1.0", "to_version": f"2.{plan.name}"}
            mode = "ud" if plan.spread_s else "blast"
            self._say(plan.begins_s - 60, MaintenanceKind.ROLLOUT_STARTED, rollout=plan.name, mode=mode, **versions)
        for n, name in enumerate(order):
            step = n * plan.domains // len(order)
            at_s = plan.begins_s + plan.spread_s * step / max(1, plan.domains - 1) + self.rng.uniform(0, 120)
            if at_s >= self.end_s:
                continue
            plan.changed[name] = at_s
            if plan.announced:
                self._say(at_s - 20, MaintenanceKind.SERVER_UPDATE_STARTED, server=name, rollout=plan.name)

    def _say(self, at_s: float, kind: str, **fields: object) -> None:
        self.events += 1
        event = MaintenanceEvent(f"m{self.events}", CLUSTER, 0, "fc", kind, **fields)  # type: ignore[arg-type]
        self.rows[MAINTENANCE].append((at_s, event))

    # -- starts --------------------------------------------------------------------------------------------------

    def _starts(self) -> None:
        """Start VMs by load, by day and by night, and where a change does so; then see what comes of each."""
        trial, planned = self.trial, []
        per_s = trial.weather.starts_a_day / DAY_S
        for name in self.names:
            at = 0.0
            while (at := at + self.rng.expovariate(per_s * 1.6)) < self.end_s:
                if self.rng.random() < (1 + 0.6 * math.sin(2 * math.pi * at / DAY_S)) / 1.6:
                    planned.append((at, name, f"{name}-{self.rng.randrange(trial.vms)}", 0))
        for plan in trial.plans:
            for name, at in plan.changed.items() if plan.restarts else ():
                planned += [(at + self.rng.uniform(5, 90), name, f"{name}-{n}", 0) for n in range(trial.vms)]
        heapq.heapify(planned)
        busy: dict[str, float] = {}
        while planned:
            at, server, vm, tries = heapq.heappop(planned)
            if at >= self.end_s or busy.get(vm, -1.0) > at:
                continue
            failed = self._start(at, server, vm)
            busy[vm] = at + (RETRY_S if failed else 120)
            if failed and tries < 2:
                heapq.heappush(planned, (at + RETRY_S + 1, server, vm, tries + 1))

    def _start(self, at: float, server: str, vm: str) -> str:
        why, what = self._why(at, server)
        self.attempts.append(Attempt(at, server, why))
        number = self.incarnation[vm] = self.incarnation.get(vm, 1) + 1
        self._guest(at, server, vm, number, GuestKind.START)
        if not why:
            self._guest(at + self.rng.uniform(10, 90), server, vm, number, GuestKind.READY)
        elif what == "error":
            alike = self.trial.weather.alike or why in {"common", "leap"}
            code = "E_COMMON" if alike else f"E_{why}"
            self._guest(
                at + self.rng.uniform(2, 9), server, vm, number, GuestKind.START_FAILED, step="start", error_code=code
            )
        return why

    def _why(self, at: float, server: str) -> tuple[str, str]:
        """Return why a start fails, and how; empty: it does not."""
        weather, rng = self.trial.weather, self.rng
        if at >= weather.leap_s:
            return "leap", "error"
        for plan in self.trial.plans:
            began = plan.changed.get(server, math.inf) + plan.sleeps_s
            harmful = plan.guilty and plan.what in {"error", "silent"} and server in self.weak[plan.name]
            if harmful and at >= began and rng.random() < min(1.0, plan.rate / plan.patchy):
                plan.harmed += 1
                plan.first_harm_s = min(plan.first_harm_s, at)
                return plan.name, plan.what
        if any(start <= at < end and rng.random() < share for start, end, share in self.bursts):
            return "burst", "error"
        if any(
            start <= at < end and rack == self.rack[server] and rng.random() < 0.7 for start, end, rack in self.troubles
        ):
            return "rack", "silent"
        if at >= self.bad.get(server, math.inf) and rng.random() < 0.5:
            return "bad", "silent"
        return ("common", "error") if rng.random() < weather.failing else ("", "")

    def _guest(self, at: float, server: str, vm: str, number: int, kind: str, **fields: str) -> None:
        if self._unheard(at, server) or self.rng.random() < self.trial.lost.guests:
            return
        self.events += 1
        event = GuestEvent(f"g{self.events}", CLUSTER, server, vm, number, 0, kind, **fields)
        self.rows[GUEST_AGENT].append((at, event))

    def _unheard(self, at: float, server: str) -> bool:
        lost = self.trial.lost
        return at >= lost.changed_s and any(at >= plan.changed.get(server, math.inf) for plan in self.trial.plans)

    # -- faults of servers ---------------------------------------------------------------------------------------

    def _server_faults(self) -> None:
        weather, rng = self.trial.weather, self.rng
        for name in self.names:
            at = 0.0
            while (at := at + rng.expovariate(max(1e-12, weather.server_faults_a_year / 365 / DAY_S))) < self.end_s:
                self._fault(at, name, rng.choice(("reboot", "hi")), "common")
        for start, _, rack in self.troubles:
            for name in self.names:
                if self.rack[name] == rack and rng.random() < 0.6:
                    self._fault(start + rng.uniform(0, 300), name, "reboot", "rack")
        for plan in self.trial.plans:
            if not plan.guilty or plan.what in {"error", "silent"}:
                continue
            for name, changed in plan.changed.items():
                at = changed + plan.sleeps_s + rng.expovariate(plan.rate / DAY_S)
                if at < self.end_s and name in self.weak[plan.name]:
                    plan.harmed += 1
                    plan.first_harm_s = min(plan.first_harm_s, at)
                    self._fault(at, name, plan.what, plan.name)

    def _fault(self, at: float, server: str, what: str, why: str) -> None:
        self.faults.append(Attempt(at, server, why))
        if self._unheard(at, server):
            return
        if what == "reboot":
            self._say(at, MaintenanceKind.NODE_REBOOT_STARTED, server=server, planned=False, cause="HARDWARE")
        elif what == "hi":
            self._say(at, MaintenanceKind.SERVER_STATE, server=server, state="HI")

    # -- host reports --------------------------------------------------------------------------------------------

    def _reports(self) -> None:
        """Let each server beat, in full where its versions or its VMs' network change."""
        every = HOUR_S if self.trial.days < 10 else 2 * HOUR_S
        culprits = {plan.name for plan in self.trial.plans if plan.what == "network"}
        unreachable = {fault.server: fault.at_s for fault in self.faults if fault.failed in culprits}
        for name in self.names:
            marks = sorted(
                (plan.changed[name], plan.component, plan.name) for plan in self.trial.plans if name in plan.changed
            )
            down = unreachable.get(name, math.inf)
            times = sorted(
                {
                    *_every(self.rng.uniform(0, every), every, self.end_s),
                    *(at for at, _, _ in marks),
                    *([down] if down < self.end_s else []),
                }
            )
            versions, full, told = {"ga": "1.0", "ha": "1.0", "host_os": "1.0", "netplugin": "1.0"}, -1, False
            for seq, at in enumerate(times):
                news = not seq
                while marks and marks[0][0] <= at:
                    _, component, plan_name = marks.pop(0)
                    versions, news = {**versions, component: f"2.{plan_name}"}, True
                if at >= down and not told:
                    news = told = True
                full = seq if news else full
                if not self._unheard(at, name):
                    self._report(at, name, seq, full, round(every), versions if news else None, down=told)

    def _report(
        self, at: float, name: str, seq: int, full: int, every: int, versions: dict[str, str] | None, *, down: bool
    ) -> None:
        block = None
        if versions is not None:
            network = Network.DOWN if down else Network.UP
            reports = tuple(VmReport(f"{name}-n{n}", 1, GaState.READY, network=network) for n in range(2))
            block = pack_vms(reports)
        row = HostRow(name, "b", "r", seq, full, 0, every, HostState.READY, versions, block)
        self.rows[HOST_AGENT].append((at, row))


def _every(first: float, step: float, end: float) -> list[float]:
    return [first + step * n for n in range(max(0, math.ceil((end - first) / step)))]
