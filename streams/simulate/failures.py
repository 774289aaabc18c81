"""What makes starts fail: the faults that are asked at each start of a VM, and at each change of versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from schemas.source import Network
from streams.simulate.scenario import Fault

if TYPE_CHECKING:
    from streams.simulate.machines import Vm
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

    def begin(self, active: Active) -> None:
        """Let a fault act."""
        self._active.append(active)

    def end(self, fault: Fault) -> None:
        """Let it act no more."""
        self._active = [active for active in self._active if active.fault is not fault]

    def of_start(self, vm: Vm) -> Failure | None:
        """Return what makes the start of a VM fail now; None: nothing does. The first fault of the file wins."""
        for active in self._active:
            fault = active.fault
            if fault.effect != "network_down" and active.concerns(vm) and self._conditions(fault, vm):
                return Failure(fault.effect, fault.step, fault.error_code, fault.message)
        return None

    def network(self, vm: Vm) -> str:
        """Return whether a VM has a network, as far as bugs and bad hardware decide it."""
        for active in self._active:
            if active.fault.effect == "network_down" and active.concerns(vm) and self._conditions(active.fault, vm):
                return Network.DOWN
        return Network.UP

    def _conditions(self, fault: Fault, vm: Vm) -> bool:
        if fault.dates:
            # The bug reads the clock of the machine it runs on, right or wrong.
            local = datetime.fromtimestamp((self.world.now + vm.home.skew_ms) / 1000, tz=UTC)
            if f"{local:%Y-%m-%d}" not in fault.dates:
                return False
        versions = vm.home.versions
        return all(fnmatchcase(versions[component], pattern) for component, pattern in fault.versions.items())
