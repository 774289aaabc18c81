"""Recovery: servers that were given up are put right, and those that the transitions left corrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.source import HostState
from schemas.source import MaintenanceKind as Kind
from streams.simulate.choose import clusters_named, pick
from streams.simulate.quantity import MINUTE_MS, number
from streams.simulate.rollouts import well
from streams.simulate.scenario import Repair

if TYPE_CHECKING:
    from random import Random

    from streams.simulate.machines import Host, Vm
    from streams.simulate.world import World


class Repairs:
    """The repairs of one cluster, and its corrupted servers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.corrupted: dict[str, str] = {}
        """Server to the fault that corrupted it."""

    def begin(self) -> None:
        """Plan the scenario's repairs."""
        for place, repair in enumerate(self.world.scenario.repairs):
            if clusters_named(repair.clusters, [self.world.name]):
                rng = self.world.rng(f"repair {place} {repair.name}")
                self.world.at(repair.at_ms, self._begin, repair, rng)

    def corrupt(self, hosts: list[Host], fault: str) -> None:
        """Corrupt servers: their guest agents fall silent, no VM starts on them, and they are given up."""
        for host in hosts:
            if not host.up:
                continue
            self.corrupted[host.name] = fault
            for vm in host.vms.values():
                if vm.alive:
                    self.world.agents.fall_silent(vm)
            host.state = HostState.FAULTED
            self.world.controller.give_up(host, "the server is in a corrupted state")

    def _begin(self, repair: Repair, rng: Random) -> None:
        every_ms = round(MINUTE_MS / number(repair.per_minute, self.world.plan.names))
        chosen = {host.name for host in pick(self._waiting(repair), repair.servers, self.world.plan.names, rng)}
        self._turn(repair, max(1, every_ms), chosen if repair.servers is not None else None)

    def _waiting(self, repair: Repair) -> list[Host]:
        """Return the servers that a repair is for, in the order in which they were given up."""
        return [
            host
            for host in self.world.controller.given_up
            if (self.corrupted.get(host.name, "") in repair.of) == bool(repair.of)
            and (repair.of or host.name not in self.corrupted)
        ]

    def _turn(self, repair: Repair, every_ms: int, chosen: set[str] | None) -> None:
        """Take the next server out, and come again."""
        world = self.world
        end_ms = world.scenario.end_ms if repair.for_ms is None else repair.at_ms + repair.for_ms
        waiting = [
            host for host in self._waiting(repair) if not host.in_repair and (chosen is None or host.name in chosen)
        ]
        if waiting and not world.controller.down:
            host = waiting[0]
            host.in_repair = True
            if repair.takes_ms:
                world.controller.send(Kind.SERVER_STATE, server=host.name, state="OUT_FOR_REPAIR", reason=repair.name)
            world.at(world.now + repair.takes_ms, self._done, repair, host)
        if world.now + every_ms < end_ms:
            world.at(world.now + every_ms, self._turn, repair, every_ms, chosen)

    def _done(self, repair: Repair, host: Host) -> None:
        """Put a server right, and start its VMs anew where they should."""
        if not host.given_up:
            return  # put right by a rollout meanwhile
        was_up = host.up
        self.put_right(host, repair.name)
        if was_up:
            for vm in list(host.vms.values()):
                if repair.restart == "all" or (repair.restart == "failed" and not running(vm)):
                    self.world.agents.start(vm, clean=True)
        controller = self.world.controller
        if repair.lifts_brake and controller.braked and not controller.given_up:
            controller.braked = False

    def put_right(self, host: Host, by: str) -> None:
        """Let the FC report a server READY that was given up; one that is down boots."""
        world = self.world
        host.in_repair = host.given_up = host.updating = False
        world.controller.given_up.remove(host)
        self.corrupted.pop(host.name, None)
        world.lost.discard(host.name)
        host.state = HostState.READY
        world.note("repaired", server=host.name, detail=by)
        world.controller.send(Kind.SERVER_STATE, server=host.name, state="READY", reason=by)
        for vm in host.vms.values():
            vm.timeouts = 0
        if host.up:
            world.agents.changed(host)
        else:
            world.agents.boot(host)


def running(vm: Vm) -> bool:
    """Return whether a VM is well and its guest agent, where it has one, still speaks."""
    return well(vm) and (vm.alive or not vm.contact)
