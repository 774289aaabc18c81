"""The injector: begins and ends each fault of a scenario in one cluster, and writes down whom it hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.source import MaintenanceKind as Kind
from streams.simulate import upkeep_faults
from streams.simulate.choose import clusters_named, pick
from streams.simulate.crashes import crash
from streams.simulate.failures import Active
from streams.simulate.machines import Host, Vm
from streams.simulate.quantity import DAY_MS, MINUTE_MS
from streams.simulate.scenario import Fault, Scope
from streams.simulate.upkeep_faults import UpkeepFaults

if TYPE_CHECKING:
    from random import Random

    from streams.simulate.world import World

_DELIVERY = ("collector_outage", "lag", "duplicates", "loss")
_BOOT_SPREAD_MS = 2 * MINUTE_MS
_DOWN_MS = {True: (15 * MINUTE_MS, 20 * MINUTE_MS), False: (4 * MINUTE_MS, 8 * MINUTE_MS)}
"""How long a planned and an unplanned reboot keep a server away, where the file does not say it."""


class _Rack:
    def __init__(self, name: str) -> None:
        self.name = name


class Injector:
    """All faults of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.upkeep = UpkeepFaults(world)

    def begin(self) -> None:
        """Plan every fault whose scope names this cluster."""
        for place, fault in enumerate(self.world.scenario.faults):
            if clusters_named(fault.scope.clusters, [self.world.name]) and fault.kind != "pulse_outage":
                self._plan(fault, self.world.rng(f"fault {place} {fault.name}"))

    def _plan(self, fault: Fault, rng: Random) -> None:
        world = self.world
        hosts = self.hosts(fault.scope, rng)
        if fault.per_day is not None:
            first, last = max(fault.at_ms, world.scenario.start_ms), fault.until_ms(world.scenario.end_ms)
            amount = len(hosts) * fault.per_day * (last - first) / DAY_MS
            times = int(amount) + (rng.random() < amount - int(amount))
            for _ in range(times):
                world.at(first + int(rng.random() * (last - first)), self._once, fault, [rng.choice(hosts)], rng)
            return
        if fault.kind in {"reboot", "agent_restart"}:
            world.at(fault.at_ms, self._once, fault, hosts, rng)
            return
        if fault.kind in upkeep_faults.KINDS:
            world.at(fault.at_ms, self.upkeep.begin, fault, hosts, rng)
            return
        begin = getattr(self, f"_{fault.kind}", None) or self._delivery
        world.at(fault.at_ms, begin, fault, hosts, rng)

    def hosts(self, scope: Scope, rng: Random) -> list[Host]:
        """Return the servers of this cluster that a scope names."""
        world = self.world
        hosts = list(world.hosts)
        if scope.racks is not None:
            racks = pick(
                [_Rack(name) for name in dict.fromkeys(host.rack for host in hosts)], scope.racks, world.plan.names, rng
            )
            chosen = {rack.name for rack in racks}
            hosts = [host for host in hosts if host.rack in chosen]
        return pick(hosts, scope.servers, world.plan.names, rng)

    def _vms(self, fault: Fault, hosts: list[Host], rng: Random) -> list[Vm]:
        names = self.world.plan.names
        return [vm for host in hosts for vm in pick(list(host.vms.values()), fault.scope.vms, names, rng)]

    def _hit(self, fault: Fault, hosts: list[Host] | None = None, vms: list[Vm] | None = None) -> None:
        """Write down whom a fault hit: VMs, servers, or the cluster."""
        note = self.world.note
        for vm in vms or ():
            note("fault", server=vm.home.name, vm=vm.name, detail=fault.name)
        if not vms:
            for host in hosts or ():
                note("fault", server=host.name, detail=fault.name)
        if not vms and not hosts:
            note("fault", detail=fault.name)

    def _later(self, fault: Fault, end: Any, *arguments: Any) -> None:
        """Plan the end of a fault, unless it lasts to the end of the scenario."""
        if fault.for_ms is not None:
            self.world.at(fault.at_ms + fault.for_ms, end, *arguments)

    # what happens once

    def _once(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        for host in hosts:
            if fault.kind == "agent_restart":
                if host.speaks:
                    self._hit(fault, [host])
                    self.world.agents.new_run(host)
                continue
            low, high = (
                fault.down_ms if fault.down_ms[1] else ((900_000, 1_200_000) if fault.planned else (240_000, 480_000))
            )
            done = self.world.controller.reboot(
                host,
                planned=fault.planned,
                down_ms=low + int((high - low) * rng.random()),
                reason=fault.reason or ("host maintenance" if fault.planned else "the server stopped answering"),
                cause=fault.cause or ("" if fault.planned else "HARDWARE"),
                workflow=fault.workflow,
            )
            if done:
                self._hit(fault, [host])

    # starts that fail

    def _bug(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        vms = None if fault.scope.vms is None else frozenset(vm.name for vm in self._vms(fault, hosts, rng))
        self._hit(fault)
        if fault.effect == "reboot":
            crash(self.world, fault, hosts, rng)
            return
        self._begin_failing(fault, Active(fault, frozenset(host.name for host in hosts), vms))

    def _bad_hardware(self, fault: Fault, hosts: list[Host], _rng: Random) -> None:
        self._hit(fault, hosts)
        self._begin_failing(fault, Active(fault, frozenset(host.name for host in hosts), None))
        self._restart(fault, [vm for host in hosts for vm in host.vms.values()])

    def _agent_error(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        vms = self._vms(fault, hosts, rng)
        self._hit(fault, vms=vms)
        self._begin_failing(fault, Active(fault, frozenset(), frozenset(vm.name for vm in vms)))
        self._restart(fault, vms)

    def _begin_failing(self, fault: Fault, active: Active) -> None:
        self.world.failures.begin(active)
        self._networks()
        self._later(fault, self._end_failing, fault)

    def _end_failing(self, fault: Fault) -> None:
        self.world.failures.end(fault)
        self._networks()

    def _restart(self, fault: Fault, vms: list[Vm]) -> None:
        if fault.restart:
            for vm in vms:
                if vm.home.up:
                    self.world.agents.start(vm, clean=True)

    def _networks(self) -> None:
        """Report the VMs whose network a beginning or ending fault changes."""
        for vm in self.world.vms.values():
            if self.world.agents.renew_network(vm):
                self.world.agents.vm_changed(vm)

    # agents

    def _agent_dies(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        if fault.agent == "host":
            self._hit(fault, hosts)
            self._mute(hosts)
            self._later(fault, self._unmute, hosts, True)
            return
        vms = self._vms(fault, hosts, rng)
        self._hit(fault, vms=vms)
        for vm in vms:
            if vm.alive:
                self.world.agents.fall_silent(vm)

    def _agent_hangs(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        if fault.agent == "host":
            self._hit(fault, hosts)
            self._mute(hosts)
            self._later(fault, self._unmute, hosts, False)
            return
        vms = self._vms(fault, hosts, rng)
        self._hit(fault, vms=vms)
        for vm in vms:
            if vm.alive:
                self.world.agents.fall_silent(vm)
                self._later(fault, self.world.agents.speak_again, vm, vm.incarnation)

    def _mute(self, hosts: list[Host]) -> None:
        for host in hosts:
            host.muted += 1
            self.world.controller.watch(host)

    def _unmute(self, hosts: list[Host], anew: bool) -> None:
        for host in hosts:
            host.muted -= 1
            if host.speaks:
                if anew:
                    self.world.agents.new_run(host)
                else:
                    self.world.agents.changed(host)

    # machines

    def _server_lost(self, fault: Fault, hosts: list[Host], _rng: Random) -> None:
        self._hit(fault, hosts)
        for host in hosts:
            self.world.lost.add(host.name)
            self.world.agents.down(host)
            self.world.controller.watch(host)

    def _corrupted(self, fault: Fault, hosts: list[Host], _rng: Random) -> None:
        self._hit(fault, hosts)
        self.world.repairs.corrupt(hosts, fault.name)

    def _rack_lost(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        self._server_lost(fault, hosts, rng)
        self._later(fault, self._back, hosts, rng)

    def _power_lost(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        self._hit(fault, hosts)
        self.world.controller.down = True
        for host in hosts:
            self.world.lost.add(host.name)
            self.world.agents.down(host)
        self._later(fault, self._power_back, hosts, rng)

    def _power_back(self, hosts: list[Host], rng: Random) -> None:
        self.world.controller.down = False
        self._back(hosts, rng)

    def _back(self, hosts: list[Host], rng: Random) -> None:
        for host in hosts:
            self.world.at(self.world.now + int(_BOOT_SPREAD_MS * rng.random()), self._boot, host)

    def _boot(self, host: Host) -> None:
        self.world.lost.discard(host.name)
        if not host.up:
            host.updating = False
            self.world.agents.boot(host)

    def _network_down(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        vms = self._vms(fault, hosts, rng)
        self._hit(fault, vms=vms)
        for vm in vms:
            vm.home.vms_down.add(vm.name)
            self.world.outages.begin(vm, "UNKNOWN")
            self.world.agents.vm_changed(vm)
        self._later(fault, self._network_up, [(vm.home, vm) for vm in vms])

    def _network_up(self, places: list[tuple[Host, Vm]]) -> None:
        for host, vm in places:
            host.vms_down.discard(vm.name)
            self.world.outages.end(vm, "UNKNOWN")
            self.world.agents.vm_changed(vm)

    def _clock_skew(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        self._hit(fault, hosts)
        low, high = fault.skew_s
        shifts = [(host, int(1000 * (low + (high - low) * rng.random()))) for host in hosts]
        self._skew(shifts, 1)
        self._later(fault, self._skew, shifts, -1)

    def _skew(self, shifts: list[tuple[Host, int]], sign: int) -> None:
        for host, shift_ms in shifts:
            host.skew_ms += sign * shift_ms
            host.rows = None
            for vm in host.vms.values():
                vm.row = None

    # controller and delivery

    def _healing_off(self, fault: Fault, _hosts: list[Host], _rng: Random) -> None:
        self._hit(fault)
        self.world.controller.healing_off += 1
        self._later(fault, self._healing_on)

    def _healing_on(self) -> None:
        self.world.controller.healing_off -= 1
        self.world.controller.healing_back()

    def _management_disabled(self, fault: Fault, _hosts: list[Host], _rng: Random) -> None:
        self._hit(fault)
        self.world.controller.management = False
        self.world.controller.send(Kind.MANAGEMENT_DISABLED, scope=f"cluster:{self.world.name}")
        self._later(fault, self._management_restored)

    def _management_restored(self) -> None:
        self.world.controller.management = True
        self.world.controller.send(Kind.MANAGEMENT_RESTORED, scope=f"cluster:{self.world.name}")

    def _delivery(self, fault: Fault, _hosts: list[Host], _rng: Random) -> None:
        if fault.kind not in _DELIVERY:
            raise AssertionError(f"fault kind {fault.kind!r} has nobody to inject it")
        self._hit(fault)
        if fault.kind == "lag" and fault.mode == "read":
            return  # the reader's affair: see generator.delays
        self.world.courier.begin(fault, fault.until_ms(self.world.scenario.end_ms))
        self._later(fault, self.world.courier.end, fault)
