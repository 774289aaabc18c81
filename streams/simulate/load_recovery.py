"""Reading the repairs and the named services of a scenario file."""

from __future__ import annotations

from typing import Any

from streams.simulate import reading as read
from streams.simulate.choose import clusters_named
from streams.simulate.load_fleet import amount, matches_some, pick_of
from streams.simulate.quantity import Clock, duration_ms
from streams.simulate.reading import Table
from streams.simulate.scenario import ClusterPlan, Fault, Repair, ServicePlan

_ONE: float | str = 1


def load_repair(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...], faults: tuple[Fault, ...]) -> Repair:
    """Return one `[[repair]]`; what is wrong in it is noted."""
    repair = Repair(
        name=table.take("name", read.text, "repair"),
        clusters=table.take("clusters", read.texts, ("*",)),
        at_ms=table.take("at", clock.moment, 0),
        for_ms=table.take("for", duration_ms, None),
        per_minute=table.take("per_minute", _rate, _ONE),
        servers=table.take("servers", pick_of, None),
        of=table.take("of", read.texts, ()),
        takes_ms=table.take("takes", duration_ms, 0),
        restart=table.take("restart", read.one_of("all", "failed", "none"), "failed"),
        lifts_brake=table.take("lifts_brake", read.flag, True),
    )
    if "at" not in table:
        table.error("at", "is missing")
    corrupted = sorted(fault.name for fault in faults if fault.kind == "corrupted")
    for name in repair.of:
        if name not in corrupted:
            table.error("of", f"{name!r} is no fault of kind corrupted; there are {', '.join(corrupted) or 'none'}")
    matches_some(table, "clusters", repair.clusters, clusters)
    table.close()
    return repair


def _rate(value: Any) -> float | str:
    rate = amount(value)
    if rate == 0:
        raise ValueError("is 0; must be servers a minute, above 0")
    return rate


def load_services(tables: list[Table], clusters: tuple[ClusterPlan, ...]) -> tuple[ServicePlan, ...]:
    """Return every `[[service]]`; what is wrong in them is noted."""
    services = tuple(_service(table, clusters) for table in tables)
    names = {service.name for service in services}
    for table, service in zip(tables, services, strict=True):
        for needed in service.depends_on:
            if needed not in names:
                table.error("depends_on", f"no service is named {needed!r}; there are {', '.join(sorted(names))}")
        for plan in clusters:
            runs = [f"{plan.name}-{k + 1}" for k in range(plan.count)]
            held = sum(bool(clusters_named(other.clusters, runs)) for other in services)
            if held > plan.services:
                table.error("clusters", f"{plan.name} would run {held} named services; it has {plan.services}")
    return services


def _service(table: Table, clusters: tuple[ClusterPlan, ...]) -> ServicePlan:
    service = ServicePlan(
        name=table.take("name", read.text, ""),
        clusters=table.take("clusters", read.texts, ("*",)),
        priority=table.take("priority", read.whole_between(0, 1000), 0),
        depends_on=table.take("depends_on", read.texts, ()),
        needed_by=table.take("needed_by", read.texts, ()),
        guest_os=table.take("guest_os", read.text, "auto"),
    )
    if not service.name:
        table.error("name", "is missing")
    matches_some(table, "clusters", service.clusters, clusters)
    matches_some(table, "needed_by", service.needed_by, clusters)
    table.close()
    return service
