"""What makes starts fail: the faults that are asked at each start of a VM, and at each change of versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from schemas.source import Network
from streams.simulate.scenario import Fault

if TYPE_CHECKING:
    from streams.simulate.machines import Host, Vm
    from streams.simulate.world import World


@dataclass(frozen=True, slots=True)
class Failure:
    """What keeps a start from making contact: an error that is reported, or nothing said."""

    effect: str
    step: str
    error_code: str
    message: str


@dataclass(frozen=True, slots=True)
class Active:
    """A fault of starts under way, and whom it concerns."""

    fault: Fault
    hosts: frozenset[str]
    vms: frozenset[str] | None
    """Only these VMs, wherever they run; None: every VM on the hosts."""

    def concerns(self, vm: Vm) -> bool:
        """Return whether a VM that starts where it stands is in its scope."""
        return vm.name in self.vms if self.vms is not None else vm.home.name in self.hosts


class Failures:
    """The faults of starts under way in one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._active: list[Active] = []
        self._rng = world.rng("failures")
        self._drawn: dict[tuple[str, str], float] = {}

    def begin(self, active: Active) -> None:
        """Let a fault act."""
        self._active.append(active)

    def end(self, fault: Fault) -> None:
        """Let it act no more."""
        self._active = [active for active in self._active if active.fault is not fault]

    def of_start(self, vm: Vm) -> Failure | None:
        """Return what makes the start of a VM fail now; None: nothing does. The first fault of the file wins."""
        if vm.home.name in self.world.repairs.corrupted:
            return Failure("silent", "", "", "")
        for active in self._active:
            fault = active.fault
            if (
                fault.effect in {"error", "silent"}
                and active.concerns(vm)
                and self.strikes(fault, vm.home)
                and (fault.rate is None or self._rng.random() < fault.rate)
            ):
                return Failure(fault.effect, fault.step, fault.error_code, fault.message)
        return None

    def network_fault(self, vm: Vm) -> Fault | None:
        """Return what takes the network of a VM, as far as bugs and bad hardware decide it; None: nothing does."""
        for active in self._active:
            fault = active.fault
            if (
                fault.effect == "network_down"
                and active.concerns(vm)
                and self.strikes(fault, vm.home, vm.ga_version)
                and self._drawn_for(fault, vm)
            ):
                return fault
        return None

    def network(self, vm: Vm) -> str:
        """Return whether a VM has a network, as far as bugs and bad hardware decide it."""
        return Network.UP if self.network_fault(vm) is None else Network.DOWN

    def changed(self, host: Host) -> None:
        """Look again at the networks of a server when what sleeps in its new versions awakes."""
        for delay_ms in sorted({active.fault.after_ms for active in self._active if active.fault.after_ms}):
            self.world.at(self.world.now + delay_ms, self._awake, host)

    def _awake(self, host: Host) -> None:
        for vm in host.vms.values():
            if self.world.agents.renew_network(vm):
                self.world.agents.vm_changed(vm)

    def _drawn_for(self, fault: Fault, vm: Vm) -> bool:
        """Return whether a VM is of the share that a bug strikes; drawn once, so that it is always the same VMs."""
        if fault.rate is None:
            return True
        key = (fault.name, vm.name)
        if key not in self._drawn:
            self._drawn[key] = self._rng.random()
        return self._drawn[key] < fault.rate

    def strikes(self, fault: Fault, host: Host, ga: str | None = None) -> bool:
        """Return whether all conditions of a bug hold on a server now; `ga`: the one that a VM there runs."""
        if fault.dates:
            # The bug reads the clock of the machine it runs on, right or wrong.
            local = datetime.fromtimestamp((self.world.now + host.skew_ms) / 1000, tz=UTC)
            if f"{local:%Y-%m-%d}" not in fault.dates:
                return False
        versions = host.versions if ga is None else {**host.versions, "ga": ga}
        if not all(fnmatchcase(versions[component], pattern) for component, pattern in fault.versions.items()):
            return False
        if not fault.after_ms:
            return True
        # What a server had from the start it has had for long.
        changed = [host.changed_ms[component] for component in fault.versions if component in host.changed_ms]
        return not changed or self.world.now - max(changed) >= fault.after_ms
