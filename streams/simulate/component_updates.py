"""Updates of a component of servers that run on: of the network agent, whose VMs lose their network for seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.source import MaintenanceKind as Kind
from streams.simulate.scenario import ComponentUpdate

if TYPE_CHECKING:
    from streams.simulate.machines import Host, Vm
    from streams.simulate.world import World


class ComponentUpdates:
    """All updates of components in one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = world.rng("component updates")

    def add(self, update: ComponentUpdate, hosts: list[Host]) -> None:
        """Plan an update of some servers, each at a moment of its own within the spread."""
        for host in hosts:
            self.world.at(update.at_ms + int(update.spread_ms * self._rng.random()), self._begin, update, host)

    def _draw(self, span: tuple[int, int]) -> int:
        return span[0] + int((span[1] - span[0]) * self._rng.random())

    def _send(self, kind: str, update: ComponentUpdate, host: Host) -> None:
        ids: dict[str, Any] = {"component": update.component, "impact": update.impact, "rollout": update.name}
        self.world.controller.send(kind, update.system, server=host.name, **ids)

    def _begin(self, update: ComponentUpdate, host: Host) -> None:
        """Begin on one server; where the impact is the network, its VMs lose it within the update."""
        if not host.speaks or host.given_up or host.updating:
            return
        world = self.world
        self._send(Kind.COMPONENT_UPDATE_STARTED, update, host)
        takes_ms = self._draw(update.takes_ms)
        if update.impact == "network":
            network_ms = self._draw(update.network_ms)
            world.at(world.now + (takes_ms - network_ms) // 2, self._network, host, network_ms)
        world.at(world.now + takes_ms, self._end, update, host)

    def _network(self, host: Host, network_ms: int) -> None:
        vms = [vm for vm in host.vms.values() if vm.name not in host.vms_down and not vm.off]
        for vm in vms:
            host.vms_down.add(vm.name)
            self.world.outages.begin(vm, "NMAGENT_UPDATE")
            self.world.agents.vm_changed(vm)
        self.world.at(self.world.now + network_ms, self._network_back, host, vms)

    def _network_back(self, host: Host, vms: list[Vm]) -> None:
        for vm in vms:
            host.vms_down.discard(vm.name)
            self.world.outages.end(vm, "NMAGENT_UPDATE")
            self.world.agents.vm_changed(vm)

    def _end(self, update: ComponentUpdate, host: Host) -> None:
        if host.up:
            self.world.agents.new_versions(host, {update.component: update.version})
            self._send(Kind.COMPONENT_UPDATE_COMPLETED, update, host)
