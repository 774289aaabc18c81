"""Servers that fail at a rate: what a bug does that reboots them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.simulate.quantity import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from random import Random

    from streams.simulate.machines import Host
    from streams.simulate.scenario import Fault
    from streams.simulate.world import World

TICK_MS = 10 * MINUTE_MS
"""How often it is drawn which servers fail; so late at most is the conditions' beginning noticed."""
DOWN_MS = (4 * MINUTE_MS, 8 * MINUTE_MS)
"""How long such a reboot keeps a server away."""


def crash(world: World, fault: Fault, hosts: list[Host], rng: Random) -> None:
    """Let each server on which a bug's conditions hold reboot with its rate an hour, from now to the fault's end."""
    until_ms = fault.until_ms(world.scenario.end_ms)
    share = (fault.rate or 0.0) * TICK_MS / HOUR_MS
    for host in hosts:
        # Every server draws, struck or not: the dice of the others do not hang on it.
        drawn, place_ms = rng.random(), int(TICK_MS * rng.random())
        if drawn < share and world.failures.strikes(fault, host):
            world.at(world.now + place_ms, _reboot, world, fault, host, rng.random())
    if world.now + TICK_MS < until_ms:
        world.at(world.now + TICK_MS, crash, world, fault, hosts, rng)


def _reboot(world: World, fault: Fault, host: Host, drawn: float) -> None:
    low, high = fault.down_ms if fault.down_ms[1] else DOWN_MS
    done = world.controller.reboot(
        host,
        planned=False,
        down_ms=low + int((high - low) * drawn),
        reason=fault.reason or "the server stopped answering",
        cause=fault.cause or "HARDWARE",
        workflow=fault.workflow,
    )
    if done:
        world.note("fault", server=host.name, detail=fault.name)
