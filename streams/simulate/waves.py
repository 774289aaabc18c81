"""Waves of planned maintenance as seed 003 tells them: announced, self-service by the owners, then by schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.source import MaintenanceKind as Kind
from streams.simulate.host_updates import SYSTEM, HostUpdate, HostUpdates
from streams.simulate.quantity import HOUR_MS, SECOND_MS
from streams.simulate.scenario import Wave

if TYPE_CHECKING:
    from streams.simulate.machines import Host, Vm
    from streams.simulate.world import World

COMPLETED, ABORTED, RETRY = "MaintenanceCompleted", "MaintenanceAborted", "RetryLater"
_MARGIN_MS = HOUR_MS
"""Owners act from an hour after their window opens to an hour before it closes."""
_CANCEL_AFTER_MS = 5 * 60 * SECOND_MS
"""A wave is aborted so long after the notices of the update domain that it no longer reaches."""


class Waves:
    """All waves of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._runs: dict[str, WaveRun] = {}

    def add(self, wave: Wave, hosts: list[Host]) -> None:
        """Plan a wave through the VMs of some servers, or through what another wave left."""
        self._runs[wave.name] = WaveRun(self.world, wave, hosts, self._runs.get(wave.remaining_of))

    def of(self, name: str) -> WaveRun | None:
        """Return a wave by its name; None: it does not concern this cluster."""
        return self._runs.get(name)


class WaveRun:
    """One wave in one cluster."""

    def __init__(self, world: World, wave: Wave, hosts: list[Host], before: WaveRun | None) -> None:
        self.world = world
        self.wave = wave
        self._announced = False
        self._before = before
        self._hosts = hosts
        self._rng = world.rng(f"wave {wave.name}")
        self._ids: dict[str, Any] = {"wave": wave.name, "rollout": wave.name}
        self._how = HostUpdate({"host_os": wave.host_os}, self._ids, wave.down_ms, 0, wave.ready_wait_ms)
        self._left: dict[str, Vm] = {}
        """VMs of the wave that are not updated yet, and that it may still touch."""
        self._excluded: dict[str, Vm] = {}
        """VMs that a failed self-service took out of it."""
        self._domains: list[int] = []
        self._domains_done = 0
        self._notices = 0
        world.at(wave.announced_ms, self._announce)
        world.at(wave.self_service_ms[0], self._start)
        world.at(wave.scheduled_ms[0], self._scheduled)

    def remaining(self) -> dict[str, Vm]:
        """Return the VMs of the wave that it did not update."""
        return {**self._left, **self._excluded}

    def _send(self, kind: str, **fields: Any) -> None:
        self.world.controller.send(kind, SYSTEM, **self._ids, **fields)

    def _tell(self, kind: str, vms: dict[str, Vm]) -> None:
        wave = self.wave
        self._send(
            kind, region=self.world.plan.region, vms=tuple(vms),
            self_service_start_ms=wave.self_service_ms[0], self_service_end_ms=wave.self_service_ms[1],
            scheduled_start_ms=wave.scheduled_ms[0], scheduled_end_ms=wave.scheduled_ms[1],
        )  # fmt: skip

    def _announce(self) -> None:
        if self._before is not None:
            self._left = self._before.remaining()
        else:
            self._left = {vm.name: vm for host in self._hosts for vm in host.vms.values()}
        if self._left:
            self._announced = True
            self._tell(Kind.WAVE_ANNOUNCED, self._left)

    # the self-service window

    def _start(self) -> None:
        """Start the wave: servers without VMs are updated first, and owners redeploy to them one after another."""
        if not self._left:
            return
        world, wave = self.world, self.wave
        self._tell(Kind.WAVE_STARTED, self._left)
        spare = [host for host in world.hosts if not host.vms and not self._updated(host)]
        HostUpdates(world, spare, self._how, self._rng, lambda: None)
        owners = list(self._left.values())
        self._rng.shuffle(owners)
        del owners[round(len(owners) * wave.redeploys) :]
        first, last = wave.self_service_ms[0] + _MARGIN_MS, wave.self_service_ms[1] - _MARGIN_MS
        for place, vm in enumerate(owners):
            at_ms = first + int((last - first) * (place + 0.2 + 0.6 * self._rng.random()) / len(owners))
            world.at(at_ms, self._by_owner, vm)

    def _updated(self, host: Host) -> bool:
        return host.versions["host_os"] == self.wave.host_os

    def _by_owner(self, vm: Vm) -> None:
        """Redeploy a VM whose owner makes use of the window, once."""
        if vm.name in self._left and self.world.now < self.wave.self_service_ms[1]:
            self.redeploy(vm)

    def redeploy(self, vm: Vm, *, to: str = "updated", result: str = COMPLETED, message: str = "") -> bool:
        """Let an owner redeploy a VM: to a server that is `updated` or to an `old` one; returns whether it moves."""
        target = self._target(vm, updated=to == "updated")
        code = RETRY if result == COMPLETED and (target is None or not vm.alive) else result
        if code != COMPLETED or target is None:
            self._answer(vm, result_code=code, message=message or "the redeploy was not carried out")
            if code == ABORTED:
                self._exclude(vm)
            return False
        off_ms = self.world.roles.shut_down(vm, "SELF_SERVICE_REDEPLOY", reason="redeploy asked for by the owner")
        self.world.at(self.world.now + off_ms, self._move, vm, vm.incarnation, target)
        return True

    def _answer(self, vm: Vm, **fields: Any) -> None:
        self.world.controller.send(Kind.VM_REDEPLOYED, "customer", vm=vm.name, **self._ids, **fields)

    def _move(self, vm: Vm, incarnation: int, target: Host) -> None:
        if vm.incarnation != incarnation or not target.up:
            return
        source = vm.home
        self._left.pop(vm.name, None)
        self.world.controller.move(vm, target)
        self._answer(vm, from_server=source.name, to_server=target.name, result_code=COMPLETED, message="redeployed")
        self.world.agents.start(vm, clean=False)

    def _target(self, vm: Vm, *, updated: bool) -> Host | None:
        """Return the server with the fewest VMs, of those that are updated or of those that are not."""
        hosts = [
            host
            for host in self.world.hosts
            if host is not vm.home
            and self._updated(host) == updated
            and host.speaks
            and not host.updating
            and not host.given_up
        ]
        return min(hosts, key=lambda host: (len(host.vms), host.index), default=None)

    def _exclude(self, vm: Vm) -> None:
        """Take a VM out of the wave. Its neighbours' owners act, so that nothing of the wave is left on its server."""
        if self._left.pop(vm.name, None) is None:
            return
        self._excluded[vm.name] = vm
        for place, other in enumerate(list(vm.home.vms.values())):
            if other.name in self._left:
                self.world.at(self.world.now + (place + 1) * _MARGIN_MS // 2, self._by_owner, other)

    # the scheduled window

    def _scheduled(self) -> None:
        if self._left:
            self._domains = sorted({vm.home.update_domain for vm in self._left.values()})
            self._open()
        elif self._announced:
            self._tell(Kind.WAVE_COMPLETED, {})

    def _open(self) -> None:
        """Give the notices of the next update domain, and reboot its servers when they are due."""
        world, wave = self.world, self.wave
        domain = self._domains.pop(0)
        hosts = [
            host
            for host in world.hosts
            if host.update_domain == domain
            and any(name in self._left for name in host.vms)
            and not any(name in self._excluded for name in host.vms)
        ]
        due_ms = world.now + wave.lead_ms
        notices = [self._notice(host, due_ms) for host in hosts]
        if wave.abort_after is not None and self._domains_done >= wave.abort_after:
            world.at(world.now + min(_CANCEL_AFTER_MS, wave.lead_ms // 2), self._abort, notices)
        else:
            world.at(due_ms, self._reboot, hosts)

    def _notice(self, host: Host, due_ms: int) -> str:
        self._notices += 1
        notice = f"{self.world.name}-{self.wave.name}-n{self._notices}"
        self._send(
            Kind.SCHEDULED, notice_id=notice, event_type="Reboot", vms=tuple(host.vms), not_before_ms=due_ms,
            duration_s=self.wave.down_ms[1] // SECOND_MS, description="planned maintenance of the host",
            server=host.name,
        )  # fmt: skip
        return notice

    def _reboot(self, hosts: list[Host]) -> None:
        HostUpdates(self.world, hosts, self._how, self._rng, lambda: self._rebooted(hosts))

    def _strike_out(self, hosts: list[Host]) -> None:
        """Leave the VMs alone whose server is updated now."""
        for host in hosts:
            if self._updated(host):
                for name in host.vms:
                    self._left.pop(name, None)

    def _rebooted(self, hosts: list[Host]) -> None:
        self._strike_out(hosts)
        self._domains_done += 1
        if self._domains:
            self.world.at(self.world.now + self.wave.gap_ms, self._open)
        else:
            self._tell(Kind.WAVE_COMPLETED, {})

    def _abort(self, notices: list[str]) -> None:
        self._domains.clear()
        self._tell(Kind.WAVE_ABORTED, self.remaining())
        for notice in notices:
            self._send(Kind.CANCELLED, notice_id=notice, event_type="Reboot")

    def restart(self, hosts: list[Host]) -> None:
        """Reboot servers for this wave now, whatever its windows say."""
        HostUpdates(self.world, hosts, self._how, self._rng, lambda: self._strike_out(hosts))
