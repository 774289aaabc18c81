"""The customers' code in the VMs: how long it takes to stop and to start, and what goes wrong in it.

Where the fleet has neither `onstop_s` nor `startup_s`, VMs stop and start as if they held no code at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.source import GaState, GuestKind
from streams.simulate.agents import SHUTDOWN
from streams.simulate.ledger import Fact
from streams.simulate.quantity import SECOND_MS
from streams.simulate.scenario import Fault

if TYPE_CHECKING:
    from collections.abc import Collection

    from streams.simulate.machines import Vm
    from streams.simulate.world import World

STOP_CONTAINER = "StopContainer()"
"""What the guest agent's log says at the same time (seed 002)."""
AT_ONCE_MS = 30 * SECOND_MS
"""How long the shutdown of a VM without customers' code takes."""
_OS_STOP_S = (10.0, 30.0)
_AGENT_AWAY_S = (5.0, 20.0)
_TASK_S = (5.0, 30.0)
"""How long a start-up task runs before it fails."""


class Roles:
    """The role instances of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = world.rng("roles")
        self._faults: list[tuple[Fault, frozenset[str]]] = []
        self._recycling: dict[str, Fault] = {}
        self._waiting: dict[str, Fault] = {}

    def _draw_ms(self, span: tuple[float, float]) -> int:
        low, high = span
        return int(1000 * (low + (high - low) * self._rng.random()))

    # faults

    def begin(self, fault: Fault, vms: Collection[Vm]) -> None:
        """Let a fault of the code of some VMs act, from their next stop or start on."""
        self._faults.append((fault, frozenset(vm.name for vm in vms)))

    def end(self, fault: Fault) -> None:
        """Let it act no more: what waits for it goes on."""
        self._faults = [item for item in self._faults if item[0] is not fault]
        self._recycling = {name: one for name, one in self._recycling.items() if one is not fault}
        for name in [name for name, one in self._waiting.items() if one is fault]:
            del self._waiting[name]
            vm = self.world.vms[name]
            if vm.off and vm.home.up:
                self.world.agents.start(vm, clean=False)
            elif not vm.off:
                self._ready(vm, vm.incarnation)

    def _hit_by(self, vm: Vm, kind: str) -> Fault | None:
        return next((fault for fault, names in self._faults if fault.kind == kind and vm.name in names), None)

    # stopping

    def shut_down(self, vm: Vm, cause: str, *, initiator: str = SHUTDOWN[0], reason: str = SHUTDOWN[1]) -> int:
        """Shut a VM down in order, and return after how many milliseconds it is off.

        OnStop runs between STOPPING and STOPPED, then the OS shuts down (event 1074 as SHUTDOWN), then the VM is off
        and waits for its host.
        """
        world = self.world
        world.outages.begin(vm, cause)
        slow = self._hit_by(vm, "slow_stop")
        if not vm.alive or not (slow or world.plan.onstop_s[1]):
            world.agents.stop(vm, initiator=initiator, reason=reason)
            return AT_ONCE_MS
        if initiator != SHUTDOWN[0]:
            # A process of the customer began it: its event comes first, and nobody stopped the container.
            world.agents.say(vm, GuestKind.SHUTDOWN, initiator=initiator, reason=reason)
        onstop_ms = self._stopping(vm, slow, STOP_CONTAINER if initiator == SHUTDOWN[0] else initiator, reason)
        off_ms = onstop_ms + self._draw_ms(_OS_STOP_S)
        world.at(world.now + onstop_ms, self._stopped, vm, vm.incarnation, initiator, reason)
        world.at(world.now + off_ms, self._off, vm, vm.incarnation)
        return off_ms

    def _stopping(self, vm: Vm, slow: Fault | None, initiator: str, reason: str) -> int:
        """Begin OnStop, and return how many milliseconds it takes."""
        world = self.world
        world.note("stopping", server=vm.home.name, vm=vm.name, detail=slow.name if slow else "")
        world.agents.say(vm, GuestKind.STOPPING, initiator=initiator, reason=reason)
        self._state(vm, GaState.STOPPING)
        return self._draw_ms(slow.onstop_s if slow else world.plan.onstop_s)

    def _state(self, vm: Vm, state: str) -> None:
        vm.ga = state
        vm.since_ms = self.world.now
        self.world.agents.vm_changed(vm)

    def _current(self, vm: Vm, incarnation: int) -> bool:
        return vm.incarnation == incarnation and vm.home.up

    def _stopped(self, vm: Vm, incarnation: int, initiator: str, reason: str) -> None:
        if self._current(vm, incarnation):
            platform = initiator == SHUTDOWN[0]
            self.world.agents.say(vm, GuestKind.STOPPED, initiator=STOP_CONTAINER if platform else initiator)
            if platform:
                self.world.agents.say(vm, GuestKind.SHUTDOWN, initiator=initiator, reason=reason)
            vm.alive = False

    def _off(self, vm: Vm, incarnation: int) -> None:
        if self._current(vm, incarnation):
            vm.off = True
            self._state(vm, GaState.WAITING_FOR_HOST)

    def update_agent(self, vm: Vm, version: str) -> None:
        """Update a guest agent: the host process of the role stops, the agent updates itself, the process starts."""
        if not vm.alive or not vm.home.up:
            return
        self.world.outages.begin(vm, "GUEST_AGENT_UPDATE")
        onstop_ms = self._stopping(vm, self._hit_by(vm, "slow_stop"), STOP_CONTAINER, "guest agent update")
        back_ms = onstop_ms + self._draw_ms(_AGENT_AWAY_S)
        self.world.at(self.world.now + onstop_ms, self._agent_away, vm, vm.incarnation)
        self.world.at(self.world.now + back_ms, self._agent_back, vm, vm.incarnation, version)

    def _agent_away(self, vm: Vm, incarnation: int) -> None:
        if self._current(vm, incarnation):
            self.world.agents.say(vm, GuestKind.STOPPED, initiator=STOP_CONTAINER)
            vm.alive = False

    def _agent_back(self, vm: Vm, incarnation: int, version: str) -> None:
        if self._current(vm, incarnation):
            vm.ga_version = version
            self.world.agents.say(vm, GuestKind.START)
            if not self.starts_up(vm):
                vm.alive = True
                self._ready(vm, incarnation)

    # starting

    def stays_off(self, vm: Vm) -> bool:
        """Return whether the platform fails to start a VM; it then waits for its host, without a network."""
        fault = self._hit_by(vm, "os_not_back")
        if fault is None:
            return False
        if vm.name not in self._waiting:
            self._waiting[vm.name] = fault
            vm.off = True
            vm.alive = False
            if vm.ga != GaState.WAITING_FOR_HOST:
                self._state(vm, GaState.WAITING_FOR_HOST)
            # It has waited since it was shut down.
            fact = Fact("waiting", vm.since_ms, self.world.name, vm.home.name, vm.name, fault.name)
            self.world.ledger.add(fact)
        return True

    def starts_up(self, vm: Vm) -> bool:
        """Begin the start-up tasks of a VM whose guest agent made contact; False: it has none, and is ready at once.

        It is BUSY until they are done. `vm.clean` still says whether this start is from a fresh image.
        """
        world = self.world
        fault = self._trouble(vm)
        if fault is None and not world.plan.startup_s[1]:
            return False
        vm.contact = vm.alive = True
        vm.clean = vm.healed = False
        vm.timeouts = 0
        world.note("startup", server=vm.home.name, vm=vm.name, detail=fault.name if fault else "")
        self._state(vm, GaState.BUSY)
        world.agents.say(vm, GuestKind.BUSY)
        world.agents.heartbeats(vm)
        takes_ms = self._draw_ms(fault.startup_s if fault and fault.kind == "slow_startup" else world.plan.startup_s)
        if fault is None or fault.kind == "slow_startup":
            world.at(world.now + takes_ms, self._ready, vm, vm.incarnation)
        elif fault.kind == "stuck_startup":
            world.at(world.now + SECOND_MS, self._stuck, vm, vm.incarnation, fault)
        else:
            self._recycling[vm.name] = fault
            world.at(world.now + self._draw_ms(_TASK_S), self._recycle, vm, vm.incarnation, fault)
        return True

    def _trouble(self, vm: Vm) -> Fault | None:
        """Return the fault that the start-up tasks of a VM meet in this start."""
        if vm.name in self._recycling:
            return self._recycling[vm.name]
        if vm.incarnation > 1:
            kind = "task_fails_reimaged" if vm.clean else "task_fails_twice"
            if fault := self._hit_by(vm, kind):
                return fault
        return self._hit_by(vm, "slow_startup") or self._hit_by(vm, "stuck_startup")

    def _ready(self, vm: Vm, incarnation: int) -> None:
        if self._current(vm, incarnation) and vm.alive:
            self.world.outages.end(vm)
            self._state(vm, GaState.READY)
            self.world.agents.say(vm, GuestKind.READY)

    def _stuck(self, vm: Vm, incarnation: int, fault: Fault) -> None:
        """Let the start-up code hang: the VM can be reached, and waits for its host as far as anyone can see."""
        if self._current(vm, incarnation) and vm.alive and self._hit_by(vm, fault.kind):
            self._waiting[vm.name] = fault
            self.world.note("waiting", server=vm.home.name, vm=vm.name, detail=fault.name)
            self._state(vm, GaState.WAITING_FOR_HOST)
        else:
            self._ready(vm, incarnation)

    def _recycle(self, vm: Vm, incarnation: int, fault: Fault) -> None:
        if self._current(vm, incarnation) and vm.alive:
            self.world.note("recycled", server=vm.home.name, vm=vm.name, detail=fault.name)
            self.world.agents.say(vm, GuestKind.RECYCLED, reason=fault.message)
            self.world.agents.start(vm, clean=False)
