"""Rollouts: a new version on its way through a cluster, by update domains or as a blast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.source import GaState, HostState
from schemas.source import MaintenanceKind as Kind
from streams.simulate.agents import SHUTDOWN
from streams.simulate.quantity import SECOND_MS, whole
from streams.simulate.scenario import Rollout

if TYPE_CHECKING:
    from streams.simulate.machines import Host
    from streams.simulate.world import World

_LOOK_EVERY_MS = 15 * SECOND_MS
_STOP_BEFORE_MS = 30 * SECOND_MS


class Rollouts:
    """All rollouts of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._passes: list[Pass] = []

    def add(self, rollout: Rollout) -> None:
        """Plan a rollout; the update domains that are done already get its versions now."""
        self._passes.append(Pass(self.world, rollout))

    def pause(self, reason: str) -> None:
        """Stop every rollout under way; what is already running is not touched."""
        for one in self._passes:
            one.pause(reason)


class Pass:
    """One rollout in one cluster."""

    def __init__(self, world: World, rollout: Rollout) -> None:
        self.world = world
        self.rollout = rollout
        self.paused = False
        self.under_way = False
        self._rng = world.rng(f"rollout {rollout.name}")
        component = rollout.component
        self._ids: dict[str, Any] = {"rollout": rollout.name, "component": component}
        self._from = world.plan.versions[component]
        if rollout.mode == "blast":
            self._domains: list[list[Host]] = [list(world.hosts)]
        else:
            self._domains = [
                [host for host in world.hosts if host.update_domain == domain]
                for domain in range(world.plan.domain_count)
            ]
        self._next = min(whole(rollout.done, {**world.plan.names, "uds": len(self._domains)}), len(self._domains))
        for domain in self._domains[: self._next]:
            for host in domain:
                host.versions = {**host.versions, **rollout.versions}
                for vm in host.vms.values():
                    vm.ga_version = host.versions["ga"] if world.plan.ga else ""
        world.at(rollout.at_ms, self._begin)

    def _send(self, kind: str, **fields: Any) -> None:
        self.world.controller.send(kind, self.rollout.system, **self._ids, **fields)

    def _begin(self) -> None:
        if self.world.controller.braked or self._next >= len(self._domains):
            return
        self.under_way = True
        rollout = self.rollout
        self._send(
            Kind.ROLLOUT_STARTED,
            from_version=self._from,
            to_version=rollout.versions[rollout.component],
            mode=rollout.mode,
        )
        self._open()

    def pause(self, reason: str) -> None:
        """Go no further than the update domain under way."""
        if self.under_way and not self.paused:
            self.paused = True
            self._send(Kind.ROLLOUT_PAUSED, reason=reason)

    def _open(self) -> None:
        """Open the next update domain: its servers are prepared, and at the end of the lead their VMs start anew."""
        if self.paused:
            return
        world, rollout = self.world, self.rollout
        hosts = [host for host in self._domains[self._next] if host.speaks and not host.given_up and not host.updating]
        if rollout.mode == "ud":
            self._send(Kind.UD_STARTED, update_domain=self._next)
        go_ms = world.now + rollout.lead_ms
        for host in hosts:
            host.updating = True
            world.at(world.now + int(rollout.lead_ms * 0.8 * self._rng.random()), self._prepare, host)
            host_go_ms = go_ms + int(rollout.spread_ms * self._rng.random())
            if not rollout.reboot and "ga" in rollout.versions:
                world.at(max(world.now, host_go_ms - _STOP_BEFORE_MS), self._stop, host)
            world.at(host_go_ms, self._go, host)
        world.at(go_ms + rollout.spread_ms + _LOOK_EVERY_MS, self._look, hosts, go_ms)

    def _prepare(self, host: Host) -> None:
        """Put the new components on a server; its VMs keep the guest agent that they run until they start anew."""
        self._send(Kind.SERVER_UPDATE_STARTED, server=host.name)
        if self.rollout.reboot:
            return
        self.world.agents.new_versions(host, self.rollout.versions)

    def _stop(self, host: Host) -> None:
        """Shut the VMs of a server down in order, half a minute before they start from the new image."""
        if host.up and not host.given_up:
            for vm in list(host.vms.values()):
                self.world.agents.stop(vm, initiator=SHUTDOWN[0], reason=SHUTDOWN[1])

    def _go(self, host: Host) -> None:
        """Start the VMs of a server anew, from the new image; or reboot it."""
        if host.given_up or not host.up:
            host.updating = False
            return
        if self.rollout.reboot:
            host.versions = {**host.versions, **self.rollout.versions}
            host.updating = False
            low, high = self.rollout.down_ms
            down_ms = low + int((high - low) * self._rng.random())
            self.world.controller.reboot(
                host, planned=True, down_ms=down_ms, system=self.rollout.system, reason=self.rollout.name, cause="",
                workflow="update",
            )  # fmt: skip
        elif "ga" in self.rollout.versions:
            for vm in list(host.vms.values()):
                self.world.agents.start(vm, clean=True)

    def _ready(self, host: Host) -> bool:
        if not host.speaks or host.state == HostState.UPDATING:
            return False
        return all(vm.contact or vm.ga in {GaState.READY, GaState.UNKNOWN} for vm in host.vms.values())

    def _look(self, hosts: list[Host], go_ms: int) -> None:
        """Complete the servers whose VMs are ready; go on when all are, or when the wait is over."""
        waiting: list[Host] = []
        for host in hosts:
            if self._ready(host):
                host.updating = False
                self._send(Kind.SERVER_UPDATE_COMPLETED, server=host.name)
            else:
                waiting.append(host)
        wait_ms = self.rollout.ready_wait_ms
        if waiting and not (wait_ms and self.world.now - go_ms > wait_ms + self.rollout.spread_ms):
            self.world.at(self.world.now + _LOOK_EVERY_MS, self._look, waiting, go_ms)
            return
        for host in waiting:
            host.updating = False
        if self.rollout.mode == "ud":
            self._send(Kind.UD_COMPLETED, update_domain=self._next)
        self._next += 1
        if self._next < len(self._domains):
            self.world.at(self.world.now + self.rollout.gap_ms, self._open)
        elif not self.paused:
            self.under_way = False
            self._send(Kind.ROLLOUT_COMPLETED)
