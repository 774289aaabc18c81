"""A new host OS on a few servers at once: their VMs are shut down in order, they reboot, and their VMs start again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.source import GaState
from schemas.source import MaintenanceKind as Kind
from streams.simulate.quantity import SECOND_MS

if TYPE_CHECKING:
    from random import Random

    from streams.simulate.machines import Host
    from streams.simulate.world import World

SYSTEM = "host-os"
LOOK_EVERY_MS = 15 * SECOND_MS
_LOST_AFTER_MS = 3_600_000
"""A server that is not back an hour after the update began has failed it."""


@dataclass(frozen=True, slots=True)
class HostUpdate:
    """How servers are updated."""

    versions: dict[str, str]
    ids: dict[str, Any]
    """What the events name: rollout, wave, component."""
    down_ms: tuple[int, int]
    spread_ms: int
    ready_wait_ms: int


def settled(host: Host) -> bool:
    """Return whether a server is back with all its VMs ready."""
    return host.speaks and all(vm.ga in {GaState.READY, GaState.UNKNOWN} for vm in host.vms.values())


class HostUpdates:
    """The update of some servers, which calls `done` when all are back, or waited for long enough."""

    def __init__(
        self, world: World, hosts: Iterable[Host], how: HostUpdate, rng: Random, done: Callable[[], None]
    ) -> None:
        self.world = world
        self.how = how
        self._rng = rng
        self._done = done
        self._began_ms = world.now + how.spread_ms
        self._back_ms: dict[str, int] = {}
        self._boots: dict[str, int] = {}
        self._waiting = [host for host in hosts if host.speaks and not host.given_up and not host.updating]
        for host in self._waiting:
            world.at(world.now + int(how.spread_ms * rng.random()), self._update, host)
        world.at(world.now + how.spread_ms + LOOK_EVERY_MS, self._look)

    def _send(self, kind: str, host: Host, **fields: Any) -> None:
        self.world.controller.send(kind, SYSTEM, server=host.name, **self.how.ids, **fields)

    def _update(self, host: Host) -> None:
        self._boots[host.name] = host.boots
        low, high = self.how.down_ms
        self._send(Kind.SERVER_UPDATE_STARTED, host)
        self.world.controller.reboot(
            host, planned=True, down_ms=low + int((high - low) * self._rng.random()), system=SYSTEM,
            reason="host OS update", cause="", workflow="update", outage="HOST_OS_UPDATE", versions=self.how.versions,
            **self.how.ids,
        )  # fmt: skip

    def _look(self) -> None:
        """Complete the servers that are back with their VMs ready, or whose VMs had their time."""
        now, waiting = self.world.now, []
        for host in self._waiting:
            if host.up and host.boots > self._boots[host.name]:
                back_ms = self._back_ms.setdefault(host.name, now)
                if settled(host) or now - back_ms > self.how.ready_wait_ms:
                    self._send(Kind.SERVER_UPDATE_COMPLETED, host)
                    continue
            elif now - self._began_ms > _LOST_AFTER_MS:
                self._send(Kind.SERVER_UPDATE_FAILED, host, error_code="NOT_BACK")
                continue
            waiting.append(host)
        self._waiting = waiting
        if waiting:
            self.world.at(now + LOOK_EVERY_MS, self._look)
        else:
            self._done()
