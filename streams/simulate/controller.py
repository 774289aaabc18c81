"""The fabric controller (FC) of a cluster: gives servers up, heals, creates VMs, reboots, and stops at its brake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.inventory import INVENTORY
from schemas.inventory import Vm as VmRecord
from schemas.source import MAINTENANCE, HostState, MaintenanceEvent
from schemas.source import MaintenanceKind as Kind
from streams.simulate.ledger import Fact
from streams.simulate.machines import Vm
from streams.simulate.quantity import SECOND_MS
from streams.simulate.roles import AT_ONCE_MS

if TYPE_CHECKING:
    from streams.simulate.machines import Host
    from streams.simulate.world import World

_RETRY_MS = 10 * SECOND_MS
_HOST_STOP_MS = 20 * SECOND_MS
"""The host OS shuts down when all guests are off (seed 002); its agent still reports."""


class Controller:
    """One cluster's fabric controller."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.last_at = 0
        self.down = False
        self.braked = False
        self.healing_off = 0
        self.management = True
        self.given_up: list[Host] = []
        self._events = 0
        self._created = 0
        self._rng = world.rng("controller")
        self._turn: list[Host] = []

    def begin(self) -> None:
        """Start creating VMs, where the plan says so."""
        every_ms = self.world.plan.create_every_ms
        if every_ms:
            self.world.at(self.world.now + int(every_ms * self._rng.random()), self._create_due, every_ms)

    def send(self, kind: str, system: str = "fc", **fields: Any) -> int | None:
        """Send a maintenance event; returns its broker's stamp, or None where it was lost or the FC is down."""
        if self.down:
            return None
        self._events += 1
        world = self.world
        event = MaintenanceEvent(f"{world.name}-m{self._events}", world.name, world.now, system, kind, **fields)
        return world.courier.send(MAINTENANCE, event, self, world.now)

    # Human Investigate and healing

    def give_up(self, host: Host, reason: str) -> None:
        """Move a server to HI; at the brake stop everything, else heal its VMs after a while."""
        if host.given_up or self.down:
            return
        host.given_up = True
        self.given_up.append(host)
        self.world.note("hi", server=host.name)
        self.send(Kind.SERVER_STATE, server=host.name, state="HI", reason=reason)
        if host.up:
            self.world.agents.changed(host)
        plan = self.world.plan
        if plan.brake and not self.braked and len(self.given_up) >= plan.brake_at:
            self.braked = True
            self.world.note("brake")
            self.world.rollouts.pause("HI threshold")
        self.world.at(self.world.now + plan.heal_delay_ms, self._heal, host)

    @property
    def heals(self) -> bool:
        """Return whether healing goes on."""
        return self.world.plan.healing and not self.braked and not self.healing_off and not self.down

    def healing_back(self) -> None:
        """Heal what waited while healing was off."""
        for host in self.given_up:
            self.world.at(self.world.now + self.world.plan.heal_delay_ms, self._heal, host)

    def _heal(self, host: Host) -> None:
        if self.heals:
            for place, vm in enumerate(list(host.vms.values())):
                self.world.at(self.world.now + place * self.world.plan.heal_spacing_ms, self._heal_vm, host, vm)

    def _heal_vm(self, host: Host, vm: Vm) -> None:
        """Move one VM to another server, of another rack where there is one, and start it there, clean."""
        if not self.heals or vm.home is not host:
            return
        target = self._place(lambda other: other.rack != host.rack) or self._place(lambda other: other is not host)
        if target is None:
            return
        self.world.outages.begin(vm, "SERVICE_HEALING")
        self.move(vm, target)
        vm.healed = True
        self.world.note("healed", server=target.name, vm=vm.name)
        self.send(Kind.VM_HEALED, vm=vm.name, from_server=host.name, to_server=target.name)
        self.world.agents.start(vm, clean=True)

    def move(self, vm: Vm, target: Host) -> None:
        """Put a VM on another server; who starts it there is the caller's business."""
        del vm.home.vms[vm.name]
        self.world.agents.changed(vm.home)
        target.vms[vm.name] = vm
        vm.home = target
        vm.timeouts = 0

    def _place(self, allowed: Any) -> Host | None:
        """Return the next server in turn that can take a VM; in turn, so that load spreads over all of them."""
        for _ in range(2):
            kept: list[Host] = []
            found = None
            while self._turn and found is None:
                host = self._turn.pop()
                if host.given_up or not host.speaks or host.updating or not allowed(host):
                    kept.append(host)
                else:
                    found = host
            self._turn += reversed(kept)
            if found is not None:
                return found
            self._turn = list(self.world.hosts)
            self._rng.shuffle(self._turn)
        return None

    def watch(self, host: Host) -> None:
        """Give a server up if it is still not heard after the plan's patience."""
        if self.world.plan.notice_ms:
            self.world.at(self.world.now + self.world.plan.notice_ms, self._look, host)

    def _look(self, host: Host) -> None:
        if not host.speaks:
            self.give_up(host, "the server does not answer")

    # new VMs

    def _create_due(self, every_ms: int) -> None:
        self.world.at(self.world.now + int(every_ms * (0.7 + 0.6 * self._rng.random())), self._create_due, every_ms)
        if self.management and not self.down:
            self.create()

    def create(self) -> None:
        """Create a VM on the next server in turn."""
        world = self.world
        host = self._place(lambda _: True)
        if host is None:
            return
        self._created += 1
        name = f"{world.name}-new-{self._created:05d}"
        service = world.services.of(f"{world.name}-svc-{self._created % world.plan.services}")
        vm = Vm(name, host, f"{world.name}-new-g{self._created // world.plan.group_size}", service, world.plan.guest_os)
        host.vms[name] = vm
        world.vms[name] = vm
        record = VmRecord(
            name, world.name, host.name, f"id-{name}", name, (), "", vm.group, host.update_domain, vm.service
        )  # fmt: skip
        world.courier.send(INVENTORY, record, self, world.now)
        reason = "scale-out" if self._created % 3 else "deploy"
        self.send(Kind.VM_CREATED, vm=name, server=host.name, reason=reason)
        world.agents.start(vm, clean=True)

    # reboots

    def reboot(
        self, host: Host, *, planned: bool, down_ms: int, system: str = "fc", reason: str, cause: str, workflow: str,
        outage: str = "HOST_REBOOT", versions: dict[str, str] | None = None, **more: str | None,
    ) -> bool:  # fmt: skip
        """Reboot a server; returns False where it is away already, in an update, or given up.

        `outage` is the cause of its VMs' not being available, `versions` what it comes back with, `more` further
        fields of the events. A planned one waits until every VM is shut down.
        """
        if not host.speaks or host.given_up or host.updating or self.down:
            return False
        host.updating = True
        ids: dict[str, Any] = {
            "server": host.name,
            "planned": planned,
            "reason": reason,
            "workflow": workflow or None,
            "cause": cause or None,
            **more,
        }
        if planned:
            self._announce(host, system, ids)
            host.state = HostState.UPDATING
            off_ms = max([AT_ONCE_MS, *(self.world.roles.shut_down(vm, outage) for vm in list(host.vms.values()))])
            if self.world.plan.onstop_s[1]:
                off_ms += _HOST_STOP_MS
            self.world.at(self.world.now + off_ms, self._go_down, host, down_ms, system, ids, outage, versions)
        else:
            delay_ms = int(5000 + 15_000 * self._rng.random())
            self.world.at(self.world.now + delay_ms, self._announce, host, system, ids)
            self._go_down(host, max(down_ms, delay_ms + SECOND_MS), system, ids, outage, versions)
        return True

    def _announce(self, host: Host, system: str, ids: dict[str, Any]) -> None:
        at_ms = self.send(Kind.NODE_REBOOT_STARTED, system, **ids)
        if at_ms is not None and at_ms < self.world.scenario.end_ms:
            kind = "reboot_planned" if ids["planned"] else "reboot_unplanned"
            self.world.ledger.add(Fact(kind, at_ms, self.world.name, host.name))

    def _go_down(
        self, host: Host, down_ms: int, system: str, ids: dict[str, Any], outage: str, versions: dict[str, str] | None
    ) -> None:
        if host.up:
            self.world.agents.down(host, outage)
            if versions:
                self.world.agents.put(host, versions)
            self.world.at(self.world.now + down_ms, self._come_up, host, host.boots, system, ids)

    def _come_up(self, host: Host, boots: int, system: str, ids: dict[str, Any]) -> None:
        host.updating = False
        if host.up or host.boots != boots or host.name in self.world.lost:
            return
        self.world.agents.boot(host)
        self.send(Kind.NODE_REBOOT_COMPLETED, system, **ids)
