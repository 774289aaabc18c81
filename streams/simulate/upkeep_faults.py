"""What goes wrong in upkeep and in customers' code: role instances, owners, waves, and the blob cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.source import MaintenanceKind as Kind
from streams.simulate.choose import pick
from streams.simulate.scenario import Fault

if TYPE_CHECKING:
    from random import Random

    from streams.simulate.machines import Host, Vm
    from streams.simulate.world import World

ROLE_KINDS = frozenset(
    {"task_fails_twice", "task_fails_reimaged", "slow_startup", "stuck_startup", "os_not_back", "slow_stop"}
)
KINDS = ROLE_KINDS | {"guest_restart", "blob_cache_race", "owner_redeploy", "maintenance_restart"}


class UpkeepFaults:
    """The faults of upkeep in one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self, fault: Fault, hosts: list[Host], rng: Random) -> None:
        """Let a fault act now on the servers chosen, or on VMs of them."""
        world = self.world
        if fault.kind == "maintenance_restart":
            for vm in (vm for host in hosts for vm in host.vms.values()):
                world.note("fault", server=vm.home.name, vm=vm.name, detail=fault.name)
            if (run := world.waves.of(fault.wave)) is not None:
                run.restart(hosts)
            return
        if fault.kind == "blob_cache_race":
            self._hit_hosts(fault, hosts)
            for host in hosts:
                self._deallocate(fault, host, rng)
            return
        vms = [vm for host in hosts for vm in pick(list(host.vms.values()), fault.scope.vms, world.plan.names, rng)]
        for vm in vms:
            world.note("fault", server=vm.home.name, vm=vm.name, detail=fault.name)
        if fault.kind in ROLE_KINDS:
            world.roles.begin(fault, vms)
            if fault.for_ms is not None:
                world.at(world.now + fault.for_ms, world.roles.end, fault)
        elif fault.kind == "guest_restart":
            for vm in vms:
                self._restart(fault, vm, rng)
        else:
            self._owners(fault, vms)

    def _hit_hosts(self, fault: Fault, hosts: list[Host]) -> None:
        for host in hosts:
            self.world.note("fault", server=host.name, detail=fault.name)

    def _restart(self, fault: Fault, vm: Vm, rng: Random) -> None:
        """Let a process of the customer restart a VM."""
        if not vm.alive:
            return
        off_ms = self.world.roles.shut_down(vm, "GUEST_INITIATED", initiator=fault.initiator, reason=fault.reason)
        low, high = fault.down_ms
        back_ms = off_ms + low + int((high - low) * rng.random())
        self.world.at(self.world.now + back_ms, self._start, vm, vm.incarnation)

    def _start(self, vm: Vm, incarnation: int) -> None:
        if vm.home.up and vm.incarnation == incarnation:
            self.world.agents.start(vm, clean=False)

    def _owners(self, fault: Fault, vms: list[Vm]) -> None:
        run = self.world.waves.of(fault.wave)
        if run is None:
            return
        for place in range(fault.times):
            for vm in vms:
                self.world.at(self.world.now + place * fault.spacing_ms, self._redeploy, fault, vm)

    def _redeploy(self, fault: Fault, vm: Vm) -> None:
        run = self.world.waves.of(fault.wave)
        if run is not None:
            run.redeploy(vm, to=fault.to, result=fault.result, message=fault.message)

    def _deallocate(self, fault: Fault, host: Host, rng: Random) -> None:
        """Take a VM from a server for good, which starts the race; a while later the server reboots."""
        world = self.world
        if not host.speaks or not host.vms:
            return
        vm = list(host.vms.values())[int(len(host.vms) * rng.random())]
        off_ms = world.roles.shut_down(vm, "DEALLOCATED")
        low, high = fault.down_ms
        world.at(world.now + off_ms, self._gone, host, vm)
        world.at(world.now + off_ms + fault.delay_ms, self._reboot, host, low + int((high - low) * rng.random()))

    def _gone(self, host: Host, vm: Vm) -> None:
        if vm.home is host and vm.name in host.vms:
            del host.vms[vm.name]
            del self.world.vms[vm.name]
            self.world.outages.forget(vm)
            self.world.agents.changed(host)
            self.world.controller.send(Kind.VM_DEALLOCATED, vm=vm.name, server=host.name)

    def _reboot(self, host: Host, down_ms: int) -> None:
        self.world.controller.reboot(
            host, planned=False, down_ms=down_ms, reason="a workflow of the server timed out",
            cause="BLOB_CACHE_RACE", workflow="WORKFLOW_TIMEOUT",
        )  # fmt: skip
