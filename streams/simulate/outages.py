"""The times in which VMs were not available, as they were injected: begun, ended, and for what cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.simulate.machines import Vm
    from streams.simulate.world import World

CAUSES = (
    "HOST_REBOOT",
    "NMAGENT_UPDATE",
    "HOST_OS_UPDATE",
    "GUEST_OS_UPDATE",
    "GUEST_AGENT_UPDATE",
    "SELF_SERVICE_REDEPLOY",
    "SERVICE_HEALING",
    "GUEST_INITIATED",
    "START_FAILURE",
    "NETWORK_PLUGIN",
    "HARDWARE",
    "UNKNOWN",
)
"""The catalogue's causes (table Causes, `root_cause`)."""


class Outages:
    """Which VMs of one cluster are not available now. The ledger gets `down` and `up`, with the cause as detail."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._since: dict[str, str] = {}

    def begin(self, vm: Vm, cause: str) -> None:
        """Note that a VM is no longer available; of two causes the first counts."""
        if vm.name not in self._since:
            self._since[vm.name] = cause
            self.world.note("down", server=vm.home.name, vm=vm.name, detail=cause)

    def end(self, vm: Vm, cause: str = "") -> None:
        """Note that it is available again; nothing where it was, or where another cause than this one keeps it."""
        since = self._since.get(vm.name)
        if since is not None and cause in {"", since}:
            del self._since[vm.name]
            self.world.note("up", server=vm.home.name, vm=vm.name, detail=since)

    def forget(self, vm: Vm) -> None:
        """Take a VM that is gone for good out of the count."""
        self._since.pop(vm.name, None)
