"""The passes through role instances: a new guest OS, or a new guest agent, service by service in update domains."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from schemas.source import GaState
from schemas.source import MaintenanceKind as Kind
from streams.simulate.host_updates import LOOK_EVERY_MS
from streams.simulate.scenario import Upgrade

if TYPE_CHECKING:
    from streams.simulate.machines import Vm
    from streams.simulate.world import World


class GuestPass:
    """One pass through the services of one cluster. They go side by side, each an update domain after another."""

    def __init__(self, world: World, upgrade: Upgrade, kind: str) -> None:
        """Prepare a pass of `kind` guest (OS) or agent."""
        self.world = world
        self.upgrade = upgrade
        self.kind = kind
        guest = kind == "guest"
        self.system = "guest-os" if guest else "guest-agent"
        self.ids: dict[str, Any] = {
            "rollout": f"{upgrade.name}-{kind}",
            "component": "guest_os" if guest else "ga",
        }
        self._rng = world.rng(f"{kind}s {upgrade.name}")
        self._under_way = 0

    def send(self, kind: str, **fields: Any) -> None:
        """Send an event of this pass."""
        self.world.controller.send(kind, self.system, **self.ids, **fields)

    def begin(self) -> None:
        """Start it, unless the cluster is stopped. Services with a fixed guest OS keep theirs."""
        world, plan, upgrade = self.world, self.world.plan, self.upgrade
        if world.controller.braked:
            return
        guest = self.kind == "guest"
        world.note("rollout_started", detail=self.ids["rollout"])
        self.send(
            Kind.ROLLOUT_STARTED, mode="ud", datacenter=plan.datacenter,
            from_version=plan.guest_os if guest else plan.versions["ga"],
            to_version=upgrade.guest_os if guest else upgrade.ga,
        )  # fmt: skip
        if not guest:
            for host in world.hosts:
                # What starts from now on starts with the new agent.
                host.versions = {**host.versions, "ga": upgrade.ga}
        services: dict[str, list[Vm]] = defaultdict(list)
        for vm in world.vms.values():
            if not (guest and vm.service in world.fixed_services):
                services[vm.service].append(vm)
        self._under_way = len(services)
        for vms in services.values():
            world.at(world.now + int(upgrade.spread_ms * self._rng.random()), ServicePass(self, vms).open)

    def completed(self) -> None:
        """Note that a service is done; the last one ends the pass."""
        self._under_way -= 1
        if not self._under_way:
            self.send(Kind.ROLLOUT_COMPLETED, datacenter=self.world.plan.datacenter)


class ServicePass:
    """One service's way through a pass."""

    def __init__(self, of: GuestPass, vms: list[Vm]) -> None:
        self.of = of
        self.world = of.world
        self._domains: dict[int, list[Vm]] = defaultdict(list)
        for vm in vms:
            self._domains[vm.home.update_domain].append(vm)
        self._left = sorted(self._domains)
        self._under_way = 0

    def open(self) -> None:
        """Open the next update domain, or the next few at once."""
        upgrade = self.of.upgrade
        while self._left and self._under_way < upgrade.parallel:
            domain = self._left.pop(0)
            self._under_way += 1
            vms = [vm for vm in self._domains[domain] if vm.home.speaks and not vm.home.given_up]
            for group in sorted({vm.group for vm in vms}):
                self.of.send(Kind.UD_STARTED, update_domain=domain, group=group)
            for vm in vms:
                self._update(vm)
            self.world.at(self.world.now + LOOK_EVERY_MS, self._look, domain, vms, vms, {})

    def _update(self, vm: Vm) -> None:
        self.of.send(Kind.VM_UPDATE_STARTED, vm=vm.name, server=vm.home.name)
        if self.of.kind == "agent":
            self.world.roles.update_agent(vm, self.of.upgrade.ga)
            return
        off_ms = self.world.roles.shut_down(vm, "GUEST_OS_UPDATE")
        self.world.at(self.world.now + off_ms, self._reimage, vm, vm.incarnation)

    def _reimage(self, vm: Vm, incarnation: int) -> None:
        """Start a VM from the new base image."""
        if vm.home.up and vm.incarnation == incarnation:
            vm.guest_os = self.of.upgrade.guest_os
            self.of.send(Kind.VM_CREATED, vm=vm.name, server=vm.home.name, reason="os-update")
            self.world.agents.start(vm, clean=True)

    def _look(self, domain: int, all_vms: list[Vm], waiting: list[Vm], up_ms: dict[str, int]) -> None:
        """Complete the VMs that are ready, and give those up that had their time since they started."""
        now, still = self.world.now, []
        for vm in waiting:
            if vm.ga == GaState.READY and vm.home.speaks:
                self.of.send(Kind.VM_UPDATE_COMPLETED, vm=vm.name, server=vm.home.name)
                continue
            if vm.ga != GaState.STOPPING:
                up_ms.setdefault(vm.name, now)
            if now - up_ms.get(vm.name, now) > self.of.upgrade.ready_wait_ms:
                self.of.send(Kind.VM_UPDATE_FAILED, vm=vm.name, server=vm.home.name, error_code="NOT_READY")
                continue
            still.append(vm)
        if still:
            self.world.at(now + LOOK_EVERY_MS, self._look, domain, all_vms, still, up_ms)
            return
        for group in sorted({vm.group for vm in all_vms}):
            self.of.send(Kind.UD_COMPLETED, update_domain=domain, group=group)
        self._under_way -= 1
        if self._left:
            self.world.at(now + self.of.upgrade.gap_ms, self.open)
        elif not self._under_way:
            self.of.completed()
