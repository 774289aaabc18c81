"""Host agents and guest agents: what they do when a VM starts, fails, goes silent, and what they report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.source import GUEST_AGENT, HOST_AGENT, GaState, GuestEvent, GuestKind, HostReport, HostState, Network
from streams.simulate.ledger import Fact
from streams.simulate.quantity import MINUTE_MS, SECOND_MS

if TYPE_CHECKING:
    from streams.simulate.failures import Failure
    from streams.simulate.machines import Host, Vm
    from streams.simulate.scenario import Fault
    from streams.simulate.world import World

TIMEOUT_MS = 25 * MINUTE_MS
"""How long a host agent waits to hear from a guest agent (the leap day's document)."""
TIMEOUTS_TO_FAULT = 3
FULL_EVERY_MS = 5 * MINUTE_MS
_SETTLE_MS = SECOND_MS
"""Least time between two full reports of a server: what changes within it travels together."""
_SILENT_AFTER_MS = 60 * SECOND_MS
SHUTDOWN = ("WaAppAgent.exe", "Legacy API shutdown")


class Agents:
    """All agents of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = world.rng("agents")
        self._full_after_ms = FULL_EVERY_MS - world.scenario.interval_s * SECOND_MS // 2

    # reports of host agents

    def beat(self, host: Host) -> None:
        """Send the report that is due now: full every five minutes, else the beat that says "as before"."""
        world = self.world
        now = world.now
        if now - host.full_ms >= self._full_after_ms:
            self.full(host)
            return
        courier = world.courier
        host.seq += 1
        if courier.jitter_ms:
            now += int(courier.random() * courier.jitter_ms)
        report = HostReport(
            world.name, host.name, host.boot_id, host.run, host.seq, host.full_seq, now + host.skew_ms,
            world.scenario.interval_s, host.state, None, None,
        )  # fmt: skip
        courier.send(HOST_AGENT, report, host, now)

    def full(self, host: Host) -> None:
        """Send a full report."""
        world = self.world
        host.full_ms = world.now
        host.seq += 1
        host.full_seq = host.seq
        report = HostReport(
            world.name, host.name, host.boot_id, host.run, host.seq, host.seq, world.now + host.skew_ms,
            world.scenario.interval_s, host.state, host.host_versions(), host.report(),
        )  # fmt: skip
        world.courier.send(HOST_AGENT, report, host, world.now)

    def changed(self, host: Host) -> None:
        """Plan a full report: now, or a second after the last one."""
        host.rows = None
        if not host.due:
            host.due = True
            self.world.at(max(self.world.now, host.full_ms + _SETTLE_MS), self._report, host)

    def _report(self, host: Host) -> None:
        host.due = False
        if host.speaks:
            self.full(host)

    def vm_changed(self, vm: Vm) -> None:
        """Plan the report of a change of a VM."""
        vm.row = None
        self.changed(vm.home)

    def new_run(self, host: Host) -> None:
        """Start the host agent anew: a new run, `seq` from 0, a full report."""
        host.runs += 1
        host.run = f"{host.name}-run-{host.runs}"
        host.seq = -1
        host.full_ms = -(10**15)
        self.changed(host)

    def put(self, host: Host, versions: dict[str, str]) -> None:
        """Put new versions on a server; they take effect when its agent, its VMs or all of it start anew."""
        host.versions = {**host.versions, **versions}
        for component in versions:
            host.changed_ms[component] = self.world.now
        self.world.failures.changed(host)

    def new_versions(self, host: Host, versions: dict[str, str]) -> None:
        """Put new versions on a server and restart its agent, which is how they take effect.

        Another host agent judges anew: that its predecessor found the server faulty it does not know.
        """
        self.put(host, versions)
        if "ha" in versions and host.state == HostState.FAULTED:
            host.state = HostState.READY
        for vm in host.vms.values():
            self.renew_network(vm)
        self.new_run(host)

    def renew_network(self, vm: Vm) -> bool:
        """Give a VM the network that its server's versions leave it; returns whether that is another than before."""
        fault = self.world.failures.network_fault(vm)
        vm.row = None
        if (fault is None) == (vm.network == Network.UP):
            return False
        vm.network = Network.UP if fault is None else Network.DOWN
        if vm.contact:
            self._note_network(vm, fault)
        return True

    def _note_network(self, vm: Vm, fault: Fault | None) -> None:
        """Write down that a VM which runs has lost its network by a change, or has it again."""
        if fault is not None and not vm.blasted:
            vm.blasted = fault.name
            self.world.outages.begin(vm, "NETWORK_PLUGIN")
            self.world.note("blasted", server=vm.home.name, vm=vm.name, detail=fault.name)
        elif fault is None and vm.blasted:
            self.world.outages.end(vm, "NETWORK_PLUGIN")
            self.world.note("restored", server=vm.home.name, vm=vm.name, detail=vm.blasted)
            vm.blasted = ""

    def boot(self, host: Host) -> None:
        """Bring a server up: new boot, new run, and all its VMs start; customer code had run in them."""
        host.up = True
        host.boots += 1
        host.boot_id = f"{host.name}-boot-{host.boots}"
        host.state = HostState.FAULTED if host.given_up else HostState.READY
        for vm in list(host.vms.values()):
            self.start(vm, clean=False)
        self.new_run(host)

    def down(self, host: Host, cause: str = "HARDWARE") -> None:
        """Take a server down with all its VMs, without a word; `cause` is why they are not available."""
        host.up = False
        for vm in host.vms.values():
            self.world.outages.begin(vm, cause)
            vm.alive = False

    # life of VMs

    def start(self, vm: Vm, *, clean: bool) -> None:
        """Start a VM where it stands: a new incarnation, whose guest agent makes contact or does not."""
        world, host = self.world, vm.home
        if world.roles.stays_off(vm):
            return
        vm.incarnation += 1
        vm.clean = clean
        vm.off = False
        vm.contact = vm.alive = False
        vm.since_ms = world.now
        vm.ga_version = host.versions["ga"] if world.plan.ga else ""
        vm.ga = GaState.STARTING if world.plan.ga else GaState.UNKNOWN
        vm.network = world.failures.network(vm)
        self.vm_changed(vm)
        world.note("start", server=host.name, vm=vm.name)
        if not world.plan.ga:
            return
        failure = world.failures.of_start(vm)
        if failure is None:
            low, high = world.plan.contact_s
            delay_s = low + (high - low) * self._rng.random() ** 2
            if self._rng.random() < world.plan.slow_starts:
                delay_s = 180 + 300 * self._rng.random()
            world.at(world.now + int(delay_s * 400), self._say_start, vm, vm.incarnation)
            world.at(world.now + int(delay_s * 1000), self._contact, vm, vm.incarnation)
        else:
            world.note("affected_start", server=host.name, vm=vm.name)
            world.outages.begin(vm, "START_FAILURE")
            if failure.effect == "error":
                delay_ms = int(2000 + 6000 * self._rng.random())
                world.at(world.now + delay_ms, self._say_start, vm, vm.incarnation)
                world.at(
                    world.now + delay_ms + int(200 + 1800 * self._rng.random()), self._fail, vm, vm.incarnation, failure
                )
        world.at(world.now + TIMEOUT_MS, self._time_out, vm, vm.incarnation)

    def _current(self, vm: Vm, incarnation: int) -> bool:
        return vm.incarnation == incarnation and vm.home.up

    def _say_start(self, vm: Vm, incarnation: int) -> None:
        if self._current(vm, incarnation):
            self.say(vm, GuestKind.START)

    def _contact(self, vm: Vm, incarnation: int) -> None:
        if not self._current(vm, incarnation) or self.world.roles.starts_up(vm):
            return
        self.world.outages.end(vm)
        vm.contact = vm.alive = True
        vm.clean = vm.healed = False
        vm.timeouts = 0
        vm.ga = GaState.READY
        vm.since_ms = self.world.now
        self.vm_changed(vm)
        self._note_network(vm, self.world.failures.network_fault(vm) if vm.network == Network.DOWN else None)
        self.say(vm, GuestKind.READY)
        self.heartbeats(vm)

    def _fail(self, vm: Vm, incarnation: int, failure: Failure) -> None:
        if not self._current(vm, incarnation):
            return
        at_ms = self.say(
            vm, GuestKind.START_FAILED, step=failure.step, error_code=failure.error_code, message=failure.message
        )
        if at_ms is None:
            return
        signature = f"{failure.step}/{failure.error_code or failure.message}"
        for kind in ("start_failed", "healed_failed") if vm.healed else ("start_failed",):
            self.world.ledger.add(Fact(kind, at_ms, self.world.name, vm.home.name, vm.name, signature))
        vm.healed = False

    def _time_out(self, vm: Vm, incarnation: int) -> None:
        """Act at the limit itself: note the time-out, re-image, restart; after the third the server is at fault."""
        world, host = self.world, vm.home
        if vm.contact or not self._current(vm, incarnation):
            return
        if host.muted:
            # A host agent that does not run times nothing; it looks again when it is back.
            world.at(world.now + MINUTE_MS, self._time_out, vm, incarnation)
            return
        world.note("timeout", server=host.name, vm=vm.name)
        if vm.healed:
            world.note("healed_failed", server=host.name, vm=vm.name, detail="timeout")
            vm.healed = False
        vm.timeouts = vm.timeouts + 1 if vm.clean else 0
        self.start(vm, clean=True)
        if vm.timeouts >= TIMEOUTS_TO_FAULT and not host.given_up:
            host.state = HostState.FAULTED
            world.controller.give_up(host, "guest agent timed out three times in a row")

    def stop(self, vm: Vm, *, initiator: str, reason: str) -> None:
        """Shut a VM down in order; who starts it again, and when, is the caller's business."""
        if self.world.plan.ga:
            if vm.alive:
                self.say(vm, GuestKind.SHUTDOWN, initiator=initiator, reason=reason)
            vm.ga = GaState.STOPPING
            vm.since_ms = self.world.now
        vm.alive = False
        self.vm_changed(vm)

    def fall_silent(self, vm: Vm) -> None:
        """Let the guest agent of a running VM end without a word."""
        vm.alive = False
        self.world.at(self.world.now + _SILENT_AFTER_MS, self._note_silent, vm, vm.incarnation)

    def _note_silent(self, vm: Vm, incarnation: int) -> None:
        if self._current(vm, incarnation) and vm.contact and not vm.alive and vm.ga == GaState.READY:
            vm.ga = GaState.SILENT
            vm.since_ms = self.world.now
            self.vm_changed(vm)
            self.world.at(self.world.now + TIMEOUT_MS, self._restart_silent, vm, incarnation, vm.since_ms)

    def _restart_silent(self, vm: Vm, incarnation: int, since_ms: int) -> None:
        if self._current(vm, incarnation) and vm.ga == GaState.SILENT and vm.since_ms == since_ms:
            self.start(vm, clean=True)

    def speak_again(self, vm: Vm, incarnation: int) -> None:
        """Let a guest agent that hung go on, unless its VM was restarted in the meantime."""
        if not self._current(vm, incarnation) or vm.alive or not vm.contact:
            return
        vm.alive = True
        if vm.ga == GaState.SILENT:
            vm.ga = GaState.READY
            vm.since_ms = self.world.now
            self.vm_changed(vm)
        self.heartbeats(vm)

    def heartbeats(self, vm: Vm) -> None:
        """Let a guest agent send heartbeats, where it does, from a random moment of its period on."""
        period_ms = self.world.plan.heartbeat_ms
        if period_ms:
            self.world.at(self.world.now + int(period_ms * self._rng.random()), self._heartbeat, vm, vm.incarnation)

    def _heartbeat(self, vm: Vm, incarnation: int) -> None:
        if vm.incarnation == incarnation and vm.alive:
            self.say(vm, GuestKind.HEARTBEAT)
            self.world.at(self.world.now + self.world.plan.heartbeat_ms, self._heartbeat, vm, incarnation)

    def say(
        self,
        vm: Vm,
        kind: str,
        *,
        step: str = "",
        error_code: str = "",
        message: str = "",
        reason: str = "",
        initiator: str = "",
    ) -> int | None:
        """Send a guest agent's event; returns its broker's stamp, or None where it was lost."""
        world = self.world
        vm.events += 1
        event = GuestEvent(
            f"{vm.name}-{vm.events}", world.name, vm.home.name, vm.name, vm.incarnation,
            world.now + vm.home.skew_ms, kind, vm.ga_version, vm.guest_os, step, error_code, message, reason, initiator,
        )  # fmt: skip
        return world.courier.send(GUEST_AGENT, event, vm, world.now)
