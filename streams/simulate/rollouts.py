"""Rollouts: a new version on its way through a cluster, by update domains or as a blast."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from schemas.source import GaState, HostState
from schemas.source import MaintenanceKind as Kind
from streams.simulate.agents import SHUTDOWN
from streams.simulate.choose import pick
from streams.simulate.quantity import SECOND_MS, whole
from streams.simulate.scenario import Rollout

if TYPE_CHECKING:
    from streams.simulate.machines import Host, Vm
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
        self.aborted = False
        self._rng = world.rng(f"rollout {rollout.name}")
        component = rollout.component
        self._ids: dict[str, Any] = {"rollout": rollout.name, "component": component}
        self._restarts = "ga" in rollout.versions and rollout.restart != "none" and not rollout.reboot
        if rollout.mode == "blast":
            self._domains: list[tuple[int, list[Host]]] = [(0, list(world.hosts))]
        else:
            self._domains = [
                (domain, [host for host in world.hosts if host.update_domain == domain])
                for domain in range(world.plan.domain_count)
            ]
        done = min(whole(rollout.done, {**world.plan.names, "uds": len(self._domains)}), len(self._domains))
        for _, hosts in self._domains[:done]:
            for host in hosts:
                host.versions = {**host.versions, **rollout.versions}
                for vm in host.vms.values():
                    vm.ga_version = host.versions["ga"] if world.plan.ga else ""
        self._domains = self._domains[done:]
        self._open_hosts: list[Host] = []
        """Of the update domain under way: those that are not complete."""
        world.at(rollout.at_ms, self._begin)
        if rollout.abort_ms is not None:
            world.at(rollout.abort_ms, self._abort)

    def _send(self, kind: str, **fields: Any) -> None:
        if self.rollout.announced:
            self.world.controller.send(kind, self.rollout.system, **self._ids, **fields)

    def _begin(self) -> None:
        rollout = self.rollout
        if self.world.controller.braked and not rollout.by_hand:
            return
        self._select()
        if not self._domains:
            return
        new = rollout.versions[rollout.component]
        older = (host.versions[rollout.component] for _, hosts in self._domains for host in hosts)
        self.under_way = True
        self.world.note("rollout_started", detail=rollout.name)
        self._send(
            Kind.ROLLOUT_STARTED,
            from_version=next((version for version in older if version != new), new),
            to_version=new,
            mode=rollout.mode,
        )
        self._open()

    def _select(self) -> None:
        """Leave the servers that the rollout is for: by the versions that they run now, and by number or name."""
        rollout = self.rollout
        if not rollout.origin and rollout.servers is None:
            return
        running = [
            host
            for _, hosts in self._domains
            for host in hosts
            if all(fnmatchcase(host.versions[component], version) for component, version in rollout.origin.items())
        ]
        chosen = {host.name for host in pick(running, rollout.servers, self.world.plan.names, self._rng)}
        left = [(domain, [host for host in hosts if host.name in chosen]) for domain, hosts in self._domains]
        self._domains = [(domain, hosts) for domain, hosts in left if hosts]

    def pause(self, reason: str) -> None:
        """Go no further than the update domain under way, unless people push it."""
        if self.under_way and not self.paused and not self.rollout.by_hand:
            self.paused = True
            self._send(Kind.ROLLOUT_PAUSED, reason=reason)

    def _abort(self) -> None:
        """Let the rollout be over where it is, and say nothing more of it."""
        if self.under_way:
            self.aborted = True
            self.under_way = False
            for host in self._open_hosts:
                host.updating = False
            self._send(Kind.ROLLOUT_ABORTED, reason="aborted by operators")

    def _open(self) -> None:
        """Open the next update domain: its servers are prepared, and at the end of the lead their VMs start anew."""
        if self.paused or self.aborted:
            return
        world, rollout = self.world, self.rollout
        domain, all_hosts = self._domains[0]
        hosts = [
            host for host in all_hosts if host.speaks and (rollout.by_hand or not (host.given_up or host.updating))
        ]
        if rollout.mode == "ud":
            self._send(Kind.UD_STARTED, update_domain=domain)
        self._open_hosts = hosts
        go_ms = world.now + rollout.lead_ms
        for host in hosts:
            host.updating = True
            prepare_ms = world.now + int(rollout.lead_ms * 0.8 * self._rng.random())
            late_ms = int(rollout.spread_ms * self._rng.random())
            # With a lead all are prepared in it; without one a server is prepared when it is its turn.
            world.at(prepare_ms if rollout.lead_ms else go_ms + late_ms, self._prepare, host)
            if self._restarts:
                world.at(max(world.now, go_ms + late_ms - _STOP_BEFORE_MS), self._stop, host)
            world.at(go_ms + late_ms, self._go, host)
        world.at(go_ms + rollout.spread_ms + _LOOK_EVERY_MS, self._look, hosts, go_ms)

    def _prepare(self, host: Host) -> None:
        """Put the new components on a server; its VMs keep the guest agent that they run until they start anew."""
        if self.aborted or not host.up:
            return
        self._send(Kind.SERVER_UPDATE_STARTED, server=host.name)
        if self.rollout.reboot:
            return
        self.world.note("changed", server=host.name, detail=self.rollout.name)
        self.world.agents.new_versions(host, self.rollout.versions)

    def _concerned(self, host: Host) -> list[Vm]:
        """Return the VMs of a server that start anew."""
        return [vm for vm in host.vms.values() if self.rollout.restart == "all" or not well(vm)]

    def _reachable(self, host: Host) -> bool:
        return host.up and not self.aborted and (self.rollout.by_hand or not host.given_up)

    def _stop(self, host: Host) -> None:
        """Shut the VMs of a server down in order, half a minute before they start from the new image."""
        if self._reachable(host):
            for vm in self._concerned(host):
                self.world.agents.stop(vm, initiator=SHUTDOWN[0], reason=SHUTDOWN[1])

    def _go(self, host: Host) -> None:
        """Start the VMs of a server anew, from the new image; or reboot it."""
        if not self._reachable(host):
            host.updating = False
            return
        if self.rollout.repairs and host.given_up:
            self.world.repairs.put_right(host, self.rollout.name)
            host.updating = True
        if self.rollout.reboot:
            self.world.note("changed", server=host.name, detail=self.rollout.name)
            self.world.agents.put(host, self.rollout.versions)
            host.updating = False
            low, high = self.rollout.down_ms
            down_ms = low + int((high - low) * self._rng.random())
            self.world.controller.reboot(
                host, planned=True, down_ms=down_ms, system=self.rollout.system, reason=self.rollout.name, cause="",
                workflow="update",
            )  # fmt: skip
        elif self._restarts:
            for vm in self._concerned(host):
                self.world.agents.start(vm, clean=True)

    def _ready(self, host: Host) -> bool:
        if not host.speaks or host.state == HostState.UPDATING:
            return False
        # Where no VM was restarted, the server is done with its agent.
        return not (self._restarts or self.rollout.reboot) or all(well(vm) for vm in host.vms.values())

    def _look(self, hosts: list[Host], go_ms: int) -> None:
        """Complete the servers whose VMs are ready; go on when all are, or when the wait is over."""
        if self.aborted:
            return
        waiting: list[Host] = []
        for host in hosts:
            if self._ready(host):
                host.updating = False
                self._send(Kind.SERVER_UPDATE_COMPLETED, server=host.name)
            else:
                waiting.append(host)
        self._open_hosts = waiting
        wait_ms = self.rollout.ready_wait_ms
        if waiting and not (wait_ms and self.world.now - go_ms > wait_ms + self.rollout.spread_ms):
            self.world.at(self.world.now + _LOOK_EVERY_MS, self._look, waiting, go_ms)
            return
        for host in waiting:
            host.updating = False
            self._send(Kind.SERVER_UPDATE_FAILED, server=host.name, error_code="VMS_NOT_READY")
        domain, _ = self._domains.pop(0)
        if self.rollout.mode == "ud":
            self._send(Kind.UD_COMPLETED, update_domain=domain)
        if self._domains:
            self.world.at(self.world.now + self.rollout.gap_ms, self._open)
        elif not self.paused:
            self.under_way = False
            self._send(Kind.ROLLOUT_COMPLETED)


def well(vm: Vm) -> bool:
    """Return whether a VM has made contact since it started, or has no guest agent that could."""
    return vm.contact or vm.ga in {GaState.READY, GaState.UNKNOWN}
