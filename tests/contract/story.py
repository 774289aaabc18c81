"""Stories of one small cluster in trouble, by a seed.

Not a model of a fleet (that is the simulator): a few hours in which something happens to every kind of detector.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    Network,
    VmReport,
)
from schemas.telemetry import HostRow, Row
from tests.contract.blasts import BLASTS, FIRST_OF_BLASTS, group
from tests.contract.upgrades import FIRST_OF_UPGRADES, UPGRADES, furnish
from tests.kit import START_MS

CLUSTER = "c1"
LIMIT_S = 1500
INTERVAL_S = 60
FIRST_OF_WAVES = 300
"""Stories of this seed and greater ones are of planned maintenance (see WAVES)."""


@dataclass(slots=True)
class Machine:
    """A VM of the story."""

    name: str
    server: str
    incarnation: int = 0
    ga: str = GaState.UNKNOWN
    clean: bool = True
    network: str = Network.UP
    fails: int = 0
    """Starts that are still to fail."""
    says: bool = False
    """A start that fails says so."""
    group: str = ""
    service: str = ""
    update_domain: int = 0


@dataclass(slots=True)
class Host:
    """A server of the story."""

    name: str
    boots: int = 1
    seq: int = -1
    full: int = -1
    up: bool = True
    lost: bool = False
    """Its reports are lost on the way."""
    versions: dict[str, str] = field(default_factory=dict)
    """What it runs otherwise than the story's others."""


class Story:
    """What happened, by a seed."""

    def __init__(self, seed: int, hours: float = 2.5, servers: int = 6, vms: int = 2, troubles: int = 4) -> None:
        self.random = random.Random(seed)
        self.until_s = hours * 3600
        self.now = 0.0
        self.hosts = {f"s{n + 1}": Host(f"s{n + 1}") for n in range(servers)}
        self.vms = {f"v{n + 1}": Machine(f"v{n + 1}", f"s{n % servers + 1}") for n in range(servers * vms)}
        self.rows: dict[str, list[tuple[float, Row]]] = {HOST_AGENT: [], GUEST_AGENT: [], MAINTENANCE: []}
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count(seed * 1_000_000)
        self.gaps: list[tuple[float, float]] = []
        self.versions = {"ha": "ha-1", "ga": "ga-1"} | ({"host_os": "os-1"} if seed >= FIRST_OF_WAVES else {})
        for host in self.hosts.values():
            self.at(self.random.uniform(0.1, INTERVAL_S), self.beat, host)
        for vm in self.vms.values():
            self.at(self.random.uniform(0, 5), self.start, vm)
        kinds = TROUBLES
        if FIRST_OF_BLASTS <= seed < FIRST_OF_UPGRADES:
            group(self)
            kinds = {**BLASTS, **{name: TROUBLES[name] for name in ("broker_down", "restarts_fail")}}
        elif FIRST_OF_UPGRADES <= seed < FIRST_OF_WAVES:
            furnish(self)
            kinds = {**UPGRADES, **{name: TROUBLES[name] for name in ("reboot", "silent_server", "broker_down")}}
        elif seed >= FIRST_OF_WAVES:
            kinds = WAVES
        names = self.random.sample(sorted(kinds) * (1 + troubles // len(kinds)), troubles)
        for name in names:
            self.at(self.random.uniform(300, max(3000.0, self.until_s - 3600)), kinds[name], self)
        while self.queue and self.queue[0][0] < self.until_s:
            self.now, _, what = heapq.heappop(self.queue)
            what()

    def at(self, in_s: float, what: Callable[..., None], *args: Any) -> None:
        """Let something happen after so many seconds."""
        heapq.heappush(self.queue, (self.now + in_s, next(self.numbers), lambda: what(*args)))

    # -- what is sent --------------------------------------------------------------------------------------------

    def send(self, feed: str, row: Row) -> None:
        """Send a record; now and then twice."""
        if any(start <= self.now <= end for start, end in self.gaps):
            return
        for _ in range(2 if self.random.random() < 0.02 else 1):
            self.rows[feed].append((self.now, row))

    def report(self, host: Host, *, full: bool) -> None:
        """Send a host report, unless the server is down or its reports are lost."""
        if not host.up:
            return
        host.seq += 1
        host.full = host.seq if full or host.full < 0 else host.full
        vms = [vm for vm in self.vms.values() if vm.server == host.name]
        block = pack_vms([VmReport(v.name, v.incarnation, v.ga, v.clean, "ga-1", 0, v.network) for v in vms])
        row = HostRow(
            host.name,
            f"b{host.boots}",
            f"r{host.boots}",
            host.seq,
            host.full,
            START_MS + round(self.now * 1000),
            INTERVAL_S,
            HostState.READY,
            {**self.versions, **host.versions} if host.full == host.seq else None,
            block if host.full == host.seq else None,
        )
        if not host.lost:
            self.send(HOST_AGENT, row)

    def beat(self, host: Host) -> None:
        """Report each interval, in full every fifth time."""
        self.report(host, full=host.seq % 5 == 4)
        self.at(INTERVAL_S + self.random.uniform(-0.5, 0.5), self.beat, host)

    def say(self, vm: Machine, kind: str, **fields: Any) -> None:
        """Send a guest event."""
        sent_ms = START_MS + round(self.now * 1000)
        name = f"g{next(self.numbers)}"
        self.send(GUEST_AGENT, GuestEvent(name, CLUSTER, vm.server, vm.name, vm.incarnation, sent_ms, kind, **fields))

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a maintenance event."""
        sent_ms = START_MS + round(self.now * 1000)
        self.send(MAINTENANCE, MaintenanceEvent(f"m{next(self.numbers)}", CLUSTER, sent_ms, "fc", kind, **fields))

    def server_state(self, server: str, state: str) -> None:
        """Let the FC say how it sees a server."""
        self.tell("SERVER_STATE", server=server, state=state)

    # -- the life of VMs -----------------------------------------------------------------------------------------

    def start(self, vm: Machine) -> None:
        """Start a VM anew, imaged."""
        host = self.hosts[vm.server]
        if not host.up:
            return
        vm.incarnation += 1
        vm.ga, vm.clean = GaState.STARTING, True
        self.report(host, full=True)
        if vm.fails:
            vm.fails -= 1
            if vm.says:
                self.at(self.random.uniform(2, 8), self.failed, vm, vm.incarnation)
            self.at(LIMIT_S + self.random.uniform(0, 0.3), self.timed_out, vm, vm.incarnation)
        else:
            self.at(self.random.uniform(10, 90), self.ready, vm, vm.incarnation)

    def failed(self, vm: Machine, incarnation: int) -> None:
        """Say that a start has failed."""
        if vm.incarnation == incarnation and self.hosts[vm.server].up:
            self.say(vm, GuestKind.START_FAILED, step="transfer-certificate", error_code="0x80090", ga_version="ga-1")

    def timed_out(self, vm: Machine, incarnation: int) -> None:
        """Restart what has not made contact."""
        if vm.incarnation == incarnation:
            self.start(vm)

    def ready(self, vm: Machine, incarnation: int) -> None:
        """Make contact."""
        if vm.incarnation != incarnation or not self.hosts[vm.server].up:
            return
        vm.ga, vm.clean = GaState.READY, False
        self.say(vm, GuestKind.READY)
        self.report(self.hosts[vm.server], full=True)
        self.at(120, self.heartbeat, vm, incarnation)

    def heartbeat(self, vm: Machine, incarnation: int) -> None:
        """Speak every two minutes."""
        if vm.incarnation == incarnation and vm.ga == GaState.READY and self.hosts[vm.server].up:
            self.say(vm, GuestKind.HEARTBEAT)
            self.at(120, self.heartbeat, vm, incarnation)

    def some(self, most: int) -> list[str]:
        """Return some servers."""
        return self.random.sample(sorted(self.hosts), self.random.randint(1, most))

    def down(self, host: Host, for_s: float) -> None:
        """Take a server down for so long."""
        host.up = False
        self.at(for_s, self.up, host)

    def up(self, host: Host) -> None:
        """Bring a server up; its VMs start."""
        host.up, host.seq, host.full = True, -1, -1
        host.boots += 1
        for vm in self.vms.values():
            if vm.server == host.name:
                self.start(vm)


def restarts_fail(story: Story) -> None:
    """Let the VMs of some servers start anew and fail, some of them for good."""
    for server in story.some(5):
        for vm in story.vms.values():
            if vm.server == server:
                vm.fails, vm.says = story.random.randint(1, 5), story.random.random() < 0.5
                story.at(story.random.uniform(0, 20), story.start, vm)


def silent_server(story: Story) -> None:
    """Lose one server without a word."""
    story.down(story.hosts[story.some(1)[0]], story.random.uniform(100, 3000))


def power_loss(story: Story) -> None:
    """Lose all servers within seconds."""
    for host in story.hosts.values():
        story.at(story.random.uniform(0, 5), story.down, host, story.random.uniform(600, 900))


def reboot(story: Story) -> None:
    """Reboot a server that says so before."""
    server = story.some(1)[0]
    story.tell("NODE_REBOOT_STARTED", server=server, planned=True, reason="host-os-update")
    story.at(5, story.down, story.hosts[server], 900)
    story.at(905, lambda: story.tell("NODE_REBOOT_COMPLETED", server=server, planned=True))


def controller(story: Story) -> None:
    """Let the FC give up servers, take them away, and give them back."""
    for server in story.some(5):
        after_s = story.random.uniform(0, 60)
        for state in ("HI", "OUT_FOR_REPAIR", "READY"):
            if story.random.random() < 0.7:
                story.at(
                    after_s, lambda server=server, state=state: story.tell("SERVER_STATE", server=server, state=state)
                )
            after_s += story.random.uniform(1, 3000)


def healing(story: Story) -> None:
    """Give up a server and start its VMs elsewhere, where they fail too."""
    server, target = story.random.sample(sorted(story.hosts), 2)
    story.tell("SERVER_STATE", server=server, state="HI")
    for vm in story.vms.values():
        if vm.server == server:
            story.tell("VM_HEALED", vm=vm.name, from_server=server, to_server=target)
            vm.server, vm.fails, vm.says = target, story.random.randint(0, 4), story.random.random() < 0.5
            story.at(2, story.start, vm)
    story.report(story.hosts[server], full=True)


def guests_hang(story: Story) -> None:
    """Let guest agents fall silent, some for good."""
    for vm in story.random.sample(sorted(story.vms.values(), key=lambda known: known.name), 3):
        if vm.ga == GaState.READY:
            vm.ga = GaState.SILENT
            story.report(story.hosts[vm.server], full=True)
            story.at(story.random.uniform(300, 3000), story.ready, vm, vm.incarnation)


def reports_lost(story: Story) -> None:
    """Lose all host reports on the way for a while, while guests speak."""
    for host in story.hosts.values():
        host.lost = True
        story.at(900, setattr, host, "lost", False)


def wave(story: Story) -> None:
    """Announce planned maintenance at short notice; owners and schedule keep to it, or not."""
    name, now_ms = f"w{next(story.numbers)}", START_MS + round(story.now * 1000)
    servers = story.some(4)
    vms = [vm for vm in story.vms.values() if vm.server in servers]
    story.tell(
        "WAVE_ANNOUNCED",
        wave=name,
        vms=tuple(vm.name for vm in vms),
        self_service_start_ms=now_ms + 60_000,
        self_service_end_ms=now_ms + 600_000,
        scheduled_start_ms=now_ms + 700_000,
        scheduled_end_ms=now_ms + 1_500_000,
    )
    for vm in story.random.sample(vms, min(3, len(vms))):
        for _ in range(story.random.randint(1, 2)):
            story.at(story.random.uniform(60, 600), redeployed, story, vm, name)
    for server in servers:
        story.at(story.random.uniform(600, 1600), maintained, story, server, name)
    story.at(1700, lambda: story.tell(story.random.choice(("WAVE_ABORTED", "WAVE_COMPLETED")), wave=name))


def redeployed(story: Story, vm: Machine, wave: str) -> None:
    """Let an owner redeploy a VM; some fail."""
    code = story.random.choice(("MaintenanceCompleted", "MaintenanceCompleted", "MaintenanceAborted", "RetryLater"))
    target = story.some(1)[0]
    story.tell("VM_REDEPLOYED", vm=vm.name, to_server=target, result_code=code, wave=wave)
    if code == "MaintenanceCompleted":
        source, vm.server = vm.server, target
        story.report(story.hosts[source], full=True)
        story.start(vm)


def maintained(story: Story, server: str, wave: str) -> None:
    """Update a server in a wave."""
    story.tell("SERVER_UPDATE_STARTED", server=server, wave=wave)
    story.at(5, story.down, story.hosts[server], 600)
    story.at(610, lambda: story.tell("SERVER_UPDATE_COMPLETED", server=server, wave=wave))


def notice(story: Story) -> None:
    """Tell of events that are to come, some too late."""
    for vm in story.random.sample(sorted(story.vms), 3):
        kind, name = story.random.choice(("Freeze", "Reboot", "Redeploy", "Preempt", "Terminate")), f"n{vm}{story.now}"
        not_before_ms = START_MS + round((story.now + story.random.uniform(10, 1200)) * 1000)
        story.tell("SCHEDULED", notice_id=name, event_type=kind, vms=(vm,), not_before_ms=not_before_ms)
        if story.random.random() < 0.3:
            story.at(5, lambda name=name: story.tell("CANCELLED", notice_id=name))


def broker_down(story: Story) -> None:
    """Let nobody write for a while."""
    story.gaps.append((story.now, story.now + story.random.uniform(20, 400)))


TROUBLES: dict[str, Callable[[Story], None]] = {
    what.__name__: what
    for what in (
        restarts_fail,
        silent_server,
        power_loss,
        reboot,
        controller,
        healing,
        guests_hang,
        reports_lost,
        broker_down,
    )
}
WAVES: dict[str, Callable[[Story], None]] = {what.__name__: what for what in (wave, notice, broker_down, silent_server)}
"""What happens in stories of planned maintenance: those of seeds from FIRST_OF_WAVES on."""
