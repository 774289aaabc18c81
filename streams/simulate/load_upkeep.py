"""Reading what keeps a fleet up to date: `[[upgrade]]`, `[[wave]]` and `[[component_update]]` of a scenario file."""

from __future__ import annotations

from typing import Any

from streams.simulate import reading as read
from streams.simulate.kinds import SYSTEMS
from streams.simulate.load_fleet import COMPONENTS, matches_some, scope_of
from streams.simulate.quantity import MINUTE_MS, Clock, duration_ms
from streams.simulate.reading import Table
from streams.simulate.scenario import ClusterPlan, ComponentUpdate, Fault, Upgrade, Wave

_DOWN_S = (900.0, 1200.0)
"""15 to 20 min: how long a host takes to update (seed 002)."""
_READY_WAIT_MS = 30 * MINUTE_MS
"""In which a role instance should be ready (seed 002)."""
_IMPACTS = ("none", "freeze", "network", "reboot")


def load_upgrade(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...]) -> Upgrade:
    """Return one `[[upgrade]]`; what is wrong in it is noted."""
    at_ms = table.take("at", clock.moment, clock.start_ms)
    copy_ms = table.take("copy", duration_ms, 60 * MINUTE_MS)
    upgrade = Upgrade(
        name=table.take("name", read.text, ""),
        clusters=table.take("clusters", read.texts, ("*",)),
        at_ms=at_ms,
        copied_ms=at_ms + copy_ms,
        host_os=table.take("host_os", read.text, ""),
        guest_os=table.take("guest_os", read.text, ""),
        ga=table.take("ga", read.text, ""),
        host_at_ms=table.take("host_at", clock.moment, 0),
        guest_at_ms=table.take("guest_at", clock.moment, 0),
        agent_at_ms=table.take("agent_at", clock.moment, 0),
        gap_ms=table.take("gap", duration_ms, 10 * MINUTE_MS),
        spread_ms=table.take("spread", duration_ms, 2 * MINUTE_MS),
        parallel=table.take("parallel", read.whole_between(1, 100), 1),
        down_ms=_ms(table.take("down_s", read.span, _DOWN_S)),
        ready_wait_ms=table.take("ready_wait", duration_ms, _READY_WAIT_MS),
    )
    _needs(table, "name", "at")
    passes = {"host_os": "host_at", "guest_os": "guest_at", "ga": "agent_at"}
    if not any(key in table for key in passes):
        table.error("host_os", f"is missing; an upgrade has at least one of {', '.join(passes)}")
    for key, moment in passes.items():
        if (key in table) != (moment in table):
            missing, given = (moment, key) if key in table else (key, moment)
            table.error(missing, f"is missing; {given} needs it")
    matches_some(table, "clusters", upgrade.clusters, clusters)
    table.close()
    return upgrade


def load_wave(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...]) -> Wave:
    """Return one `[[wave]]`; what is wrong in it is noted. A notice that is too short is a fault, and no error."""

    def window(value: Any) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError(f"is {read.shown(value)}; must be two times")
        first, last = clock.moment(value[0]), clock.moment(value[1])
        if first >= last:
            raise ValueError(f"is {read.shown(value)}; must be two times, the earlier first")
        return first, last

    wave = Wave(
        name=table.take("name", read.text, ""),
        scope=scope_of(table.table("scope"), clusters),
        remaining_of=table.take("remaining_of", read.text, ""),
        host_os=table.take("host_os", read.text, ""),
        announced_ms=table.take("announced", clock.moment, 0),
        self_service_ms=table.take("self_service", window, (0, 1)),
        scheduled_ms=table.take("scheduled", window, (1, 2)),
        redeploys=table.take("redeploys", read.fraction, 0.2),
        lead_ms=table.take("lead", duration_ms, 15 * MINUTE_MS),
        gap_ms=table.take("gap", duration_ms, 10 * MINUTE_MS),
        down_ms=_ms(table.take("down_s", read.span, _DOWN_S)),
        ready_wait_ms=table.take("ready_wait", duration_ms, _READY_WAIT_MS),
        abort_after=table.take("abort_after", read.whole_between(0, 1000), None),
    )
    _needs(table, "name", "host_os", "announced", "self_service", "scheduled")
    if wave.self_service_ms[1] > wave.scheduled_ms[0]:
        table.error("self_service", "must end before the scheduled window begins")
    if wave.announced_ms > wave.self_service_ms[0]:
        table.error("announced", "must not be after the self-service window begins")
    table.close()
    return wave


def load_component_update(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...]) -> ComponentUpdate:
    """Return one `[[component_update]]`; what is wrong in it is noted."""
    update = ComponentUpdate(
        name=table.take("name", read.text, ""),
        scope=scope_of(table.table("scope"), clusters),
        system=table.take("system", read.one_of(*SYSTEMS), "nmagent"),
        component=table.take("component", read.one_of(*COMPONENTS), "nmagent"),
        version=table.take("version", read.text, ""),
        impact=table.take("impact", read.one_of(*_IMPACTS), "network"),
        at_ms=table.take("at", clock.moment, 0),
        spread_ms=table.take("spread", duration_ms, 0),
        takes_ms=_ms(table.take("takes_s", read.span, (60.0, 120.0))),
        network_ms=_ms(table.take("network_s", read.span, (5.0, 50.0))),
    )
    _needs(table, "name", "at", "version")
    if update.network_ms[1] >= update.takes_ms[0]:
        table.error("network_s", "must be shorter than takes_s: the network is down within the update")
    table.close()
    return update


def check_waves(table: Table, waves: tuple[Wave, ...], faults: tuple[Fault, ...]) -> None:
    """Note an error for each name of a wave that is none."""
    names = [wave.name for wave in waves]
    known = ", ".join(names) or "none"
    for place, wave in enumerate(waves):
        if wave.remaining_of and wave.remaining_of not in names[:place]:
            table.error(f"wave[{place}].remaining_of", f"no wave before it is named {wave.remaining_of!r}")
    for place, fault in enumerate(faults):
        if fault.wave and fault.wave not in names:
            table.error(f"fault[{place}].wave", f"no wave is named {fault.wave!r}; there are {known}")


def _needs(table: Table, *keys: str) -> None:
    for key in keys:
        if key not in table:
            table.error(key, "is missing")


def _ms(span: tuple[float, float]) -> tuple[int, int]:
    return round(span[0] * 1000), round(span[1] * 1000)
