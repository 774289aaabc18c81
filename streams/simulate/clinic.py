"""Simulated intervals with a known cause, and with other things going on beside it: what `score --causes` judges by.

A cluster for two hours. On each of its servers one thing happens, drawn by lot with its own physics (who tells of it,
how late, how long it takes), and, more often than not, something that could be mistaken for its cause: an update of
the network agent beside a reboot, a pending update of the VM when its owner restarts it, a network plugin that changed
a while ago, an update that was over. It knows nothing of the detectors: times, words and reports are all it makes.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from schemas.columns import pack_vms
from schemas.source import (
    GUEST_AGENT,
    HOST_AGENT,
    MAINTENANCE,
    GaState,
    GuestEvent,
    GuestKind,
    MaintenanceEvent,
    Network,
    VmReport,
)
from schemas.telemetry import HostRow, Row

CLUSTER = "clinic"
START_MS = 1_362_614_400_000
"""2013-03-07T00:00:00Z."""
LASTS_S = 7200.0
INTERVAL_S = 60
PLATFORM = "D:\\Packages\\GuestAgent\\WaAppAgent.exe"
CONTAINER = "StopContainer()"
OWNERS = (
    "C:\\Windows\\system32\\shutdown.exe",
    "C:\\Windows\\explorer.exe",
    "msiexec.exe",
    "winlogon.exe",
    "wuauclt.exe",
)
"""Who shuts a VM down besides the platform, as event 1074 names them."""


@dataclass(slots=True)
class Machine:
    """A VM."""

    name: str
    server: str
    incarnation: int = 1
    ga: str = GaState.READY
    network: str = Network.UP
    ga_version: str = "1.0"
    quiet: bool = False
    """Its guest agent sends no words."""


@dataclass(slots=True)
class Host:
    """A server."""

    name: str
    boot: int = 1
    seq: int = 0
    full: int = 0
    up: bool = True
    versions: dict[str, str] = field(default_factory=lambda: {"netplugin": "1.0", "ha": "1.0", "host_os": "1.0"})


@dataclass(frozen=True, slots=True)
class Injected:
    """One interval as it was made."""

    vm: str
    cause: str
    planned: bool
    at_s: float
    story: str


class Clinic:
    """One cluster; `rows` are its records by feed with their stamps, `truth` what was done to its VMs."""

    def __init__(self, seed: int, servers: int = 60) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.hosts = {f"s{n:03d}": Host(f"s{n:03d}") for n in range(servers)}
        self.vms: dict[str, Machine] = {}
        self.rows: dict[str, list[tuple[float, Row]]] = {HOST_AGENT: [], GUEST_AGENT: [], MAINTENANCE: []}
        self.truth: list[Injected] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._due: set[str] = set()
        self._named: dict[str, int] = {}
        """Server to the seq of its last full report."""

    def run(self, happening: Callable[[Clinic, Host], None]) -> None:
        """Let one thing happen to every server but the last ones, which take what is moved; then let time pass."""
        spare = max(2, len(self.hosts) // 10)
        for place, host in enumerate(self.hosts.values()):
            if place < len(self.hosts) - spare:
                for n in range(self.random.randint(1, 3)):
                    name = f"{host.name}-v{n}"
                    self.vms[name] = Machine(name, host.name, quiet=self.random.random() < 0.1)
                self.at(self.random.uniform(900, 3600), happening, self, host)
            self.at(self.random.uniform(0, INTERVAL_S), self._beat, host)
            self.at(0.001 * place, self._full, host)
        while self._queue and self._queue[0][0] < LASTS_S:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        for rows in self.rows.values():
            rows.sort(key=lambda row: row[0])

    # -- time and records ----------------------------------------------------------------------------------------

    def at(self, in_s: float, what: Callable[..., object], *args: Any) -> None:
        """Let something happen after so many seconds."""

        def happens() -> None:
            what(*args)

        heapq.heappush(self._queue, (self.now + in_s, next(self._numbers), happens))

    def between(self, low_s: float, high_s: float) -> float:
        """Return a time drawn by lot."""
        return self.random.uniform(low_s, high_s)

    def chance(self, share: float) -> bool:
        """Draw by lot."""
        return self.random.random() < share

    def on(self, host: Host) -> list[Machine]:
        """Return the VMs of a server."""
        return [vm for vm in self.vms.values() if vm.server == host.name]

    def spare(self) -> Host:
        """Return a server that takes what is moved."""
        names = sorted(self.hosts)
        return self.hosts[self.random.choice(names[-max(2, len(names) // 10) :])]

    def _send(self, feed: str, row: Row, late_s: float = 0.0) -> None:
        self.rows[feed].append((self.now + late_s + self.between(0.02, 0.3), row))

    def _beat(self, host: Host) -> None:
        if host.up:
            if host.name not in self._named or self.now - host.full > 290:
                self._full(host)
            else:
                self._report(host, None)
        self.at(INTERVAL_S + self.between(-0.5, 0.5), self._beat, host)

    def _report(self, host: Host, block: bytes | None) -> None:
        host.seq += 1
        named = host.seq if block is not None else self._named[host.name]
        versions = dict(host.versions) if block is not None else None
        sent_ms = START_MS + round(self.now * 1000)
        row = HostRow(
            host.name,
            f"{host.name}-b{host.boot}",
            f"r{host.boot}",
            host.seq,
            named,
            sent_ms,
            INTERVAL_S,
            versions=versions,
            vms_block=block,
        )
        if block is not None:
            self._named[host.name] = host.seq
        self.rows[HOST_AGENT].append((self.now + self.between(0.02, 0.3), row))

    def _full(self, host: Host) -> None:
        self._due.discard(host.name)
        if host.up:
            host.full = int(self.now)
            vms = [
                VmReport(vm.name, vm.incarnation, vm.ga, False, vm.ga_version, 0, vm.network) for vm in self.on(host)
            ]
            self._report(host, pack_vms(vms))

    def changed(self, host: Host) -> None:
        """Let a server report in full, within a second or two of what changed on it."""
        if host.name not in self._due:
            self._due.add(host.name)
            self.at(self.between(0.2, 1.5), self._full, host)

    def say(self, vm: Machine, kind: str, **fields: Any) -> None:
        """Send a guest agent's word."""
        if not vm.quiet or kind == GuestKind.START_FAILED:
            sent_ms = START_MS + round(self.now * 1000)
            name = f"g{next(self._numbers)}"
            self._send(
                GUEST_AGENT, GuestEvent(name, CLUSTER, vm.server, vm.name, vm.incarnation, sent_ms, kind, **fields)
            )

    def tell(self, kind: str, system: str = "fc", late_s: float = 0.0, **fields: Any) -> None:
        """Send a maintenance event."""
        sent_ms = START_MS + round(self.now * 1000)
        name = f"m{next(self._numbers)}"
        self._send(MAINTENANCE, MaintenanceEvent(name, CLUSTER, sent_ms, system, kind, **fields), late_s)

    def show(self, vm: Machine, *, ga: str = "", network: str = "") -> None:
        """Let a VM be seen otherwise."""
        vm.ga, vm.network = ga or vm.ga, network or vm.network
        self.changed(self.hosts[vm.server])

    def note(self, vm: Machine, cause: str, story: str, *, planned: bool = False) -> None:
        """Write down why a VM is not available from now on."""
        self.truth.append(Injected(vm.name, cause, planned, self.now, story))

    # -- the life of VMs and servers -----------------------------------------------------------------------------

    def stop(self, vm: Machine, initiator: str = PLATFORM, reason: str = "Legacy API shutdown") -> None:
        """Shut a VM down in order; who did it is told, if its guest agent tells anything."""
        if initiator == PLATFORM and self.chance(0.5):
            self.say(vm, GuestKind.STOPPING, initiator=CONTAINER)
        self.at(self.between(0, 8), lambda: self.say(vm, GuestKind.SHUTDOWN, initiator=initiator, reason=reason))
        vm.ga = GaState.STOPPING
        self.changed(self.hosts[vm.server])

    def start(self, vm: Machine, ready_s: float | None = None) -> None:
        """Start a VM anew where it stands; READY after a while, unless something else happens to it."""
        vm.incarnation += 1
        vm.ga = GaState.STARTING
        self.changed(self.hosts[vm.server])
        incarnation = vm.incarnation
        self.at(self.between(15, 120) if ready_s is None else ready_s, self._ready, vm, incarnation)

    def _ready(self, vm: Machine, incarnation: int) -> None:
        if vm.incarnation == incarnation and self.hosts[vm.server].up:
            vm.ga = GaState.READY
            self.say(vm, GuestKind.READY)
            self.changed(self.hosts[vm.server])

    def down(self, host: Host, for_s: float | None) -> None:
        """Take a server down; it boots after so long (None: never), and starts its VMs one after another."""
        host.up = False
        if for_s is not None:
            self.at(for_s, self._boot, host)

    def _boot(self, host: Host) -> None:
        host.up, host.seq = True, 0
        host.boot += 1
        for vm in self.on(host):
            self.start(vm)

    def move(self, vm: Machine) -> Host:
        """Put a VM on another server, and start it there."""
        target = self.spare()
        self.changed(self.hosts[vm.server])
        vm.server = target.name
        self.start(vm)
        return target

    def fail(self, vm: Machine, times: int) -> None:
        """Start a VM anew, in vain so many times; half of them say so, the others are timed out."""
        vm.incarnation += 1
        vm.ga = GaState.STARTING
        self.changed(self.hosts[vm.server])
        self.at(
            self.between(2, 20),
            lambda: self.say(vm, GuestKind.START_FAILED, step="transfer-certificate", error_code="0x80070057"),
        )
        if times > 1:
            self.at(self.between(60, 600), self.fail, vm, times - 1)
        else:
            self.at(self.between(60, 600), self.start, vm)
