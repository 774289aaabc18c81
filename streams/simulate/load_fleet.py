"""Reading the fleet of a scenario file: clusters, what all of them have, and regions."""

from __future__ import annotations

from typing import Any

from streams.simulate import reading as read
from streams.simulate.choose import clusters_named
from streams.simulate.quantity import MINUTE_MS, duration_ms, number, size_names, whole
from streams.simulate.reading import Table
from streams.simulate.scenario import MOST_CLUSTERS, MOST_SERVERS, MOST_VMS, ClusterPlan, Pick, RegionPlan, Scope


def load_region(table: Table) -> RegionPlan:
    """Return one `[[region]]`."""
    region = RegionPlan(table.take("region", read.text, ""), table.take("paired_with", read.any_text, ""))
    if not region.region:
        table.error("region", "is missing")
    table.close()
    return region


_CLUSTER_DEFAULTS: dict[str, Any] = {
    "servers": 1000,
    "vms": 20,
    "racks": "ceil(n / 25)",
    "update_domains": "max(1, floor(n / brake))",
    "group_size": 10,
    "services": 5,
    "ga": True,
    "region": "north",
    "datacenter": "north-1",
    "guest_os": "guest-os-1",
    "healing": True,
    "brake": True,
    "heal_delay": 30_000,
    "heal_spacing": 1000,
    "notice": 10 * MINUTE_MS,
    "create_every_s": 0,
    "heartbeat": 0,
    "contact_s": (15.0, 90.0),
    "slow_starts": 0.01,
    "onstop_s": (0.0, 0.0),
    "startup_s": (0.0, 0.0),
    "spare": 0,
    "single_services": 0,
    "fixed_services": 0,
}
_VERSIONS = {"fc": "1.0", "ha": "1.0", "netplugin": "1.0", "host_os": "1.0", "nmagent": "1.0", "ga": "1.0"}
COMPONENTS = tuple(_VERSIONS)
NO_VERSIONS: dict[str, str] = {}


def load_fleet(table: Table) -> tuple[ClusterPlan, ...]:
    """Return the kinds of cluster that `[fleet]` and each `[[cluster]]` describe."""
    fleet = table.table("fleet")
    defaults = _size(fleet, _CLUSTER_DEFAULTS)
    versions = _VERSIONS | fleet.take("versions", versions_of, NO_VERSIONS)
    fleet.close()
    return tuple(_cluster(item, defaults, versions) for item in table.tables("cluster"))


def versions_of(value: Any) -> dict[str, str]:
    """Return component to version; an unknown component is refused."""
    versions = read.text_map(value)
    for component in versions:
        if component not in _VERSIONS:
            raise ValueError(f"component {component!r} is unknown; known: {', '.join(_VERSIONS)}")
    return versions


def amount(value: Any) -> float | str:
    """Return a number or a formula, which is tried on a cluster of 1,000 servers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is {read.shown(value)}; must be a number or a formula")
    if number(value, size_names(1000, 20)) < 0:
        raise ValueError(f"is {read.shown(value)}; must not be negative")
    return value


def whole_amount(value: Any) -> float | str:
    """Return a whole number, or a formula that gives one."""
    given = amount(value)
    whole(given, size_names(1000, 20))
    return given


def _size(table: Table, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that [fleet] and [[cluster]] share."""
    parsers: dict[str, Any] = {
        "servers": read.whole_between(1, MOST_SERVERS),
        "vms": read.whole_between(0, MOST_VMS),
        "racks": whole_amount,
        "update_domains": whole_amount,
        "group_size": read.whole_between(1, 1000),
        "services": read.whole_between(1, 1000),
        "ga": read.flag,
        "region": read.text,
        "datacenter": read.text,
        "guest_os": read.text,
        "healing": read.flag,
        "brake": read.flag,
        "heal_delay": duration_ms,
        "heal_spacing": duration_ms,
        "notice": duration_ms,
        "create_every_s": amount,
        "heartbeat": duration_ms,
        "contact_s": read.span,
        "slow_starts": read.fraction,
        "onstop_s": read.span,
        "startup_s": read.span,
        "spare": whole_amount,
        "single_services": read.whole_between(0, MOST_VMS),
        "fixed_services": read.whole_between(0, 1000),
    }
    return {key: table.take(key, parser, defaults[key]) for key, parser in parsers.items()}


def _cluster(table: Table, defaults: dict[str, Any], versions: dict[str, str]) -> ClusterPlan:
    name = table.take("name", read.text, "")
    if not name:
        table.error("name", "is missing")
    count = table.take("count", read.whole_between(1, MOST_CLUSTERS), 1)
    size = _size(table, defaults)
    own = versions | table.take("versions", versions_of, NO_VERSIONS)
    table.close()
    return ClusterPlan(
        name=name,
        count=count,
        versions=own,
        heal_delay_ms=size.pop("heal_delay"),
        heal_spacing_ms=size.pop("heal_spacing"),
        notice_ms=size.pop("notice"),
        heartbeat_ms=size.pop("heartbeat"),
        **size,
    )


def matches_some(table: Table, key: str, patterns: tuple[str, ...], clusters: tuple[ClusterPlan, ...]) -> None:
    """Note an error at a key whose patterns name no cluster."""
    instances = [f"{plan.name}-{k + 1}" for plan in clusters for k in range(plan.count)]
    for pattern in patterns:
        if clusters and not clusters_named((pattern,), instances):
            table.error(key, f"no cluster is named {pattern!r}; there are {', '.join(instances[:8])}")


def pick_of(value: Any) -> Pick:
    """Return how many or which of some things: see `Pick`."""
    if isinstance(value, list):
        return read.texts(value)
    if isinstance(value, str) and value.endswith("%"):
        try:
            read.fraction(float(value[:-1]) / 100)
        except ValueError:
            raise ValueError(f"is {value!r}; a share is such as '25%'") from None
        return value
    return whole_amount(value)


def scope_of(table: Table, clusters: tuple[ClusterPlan, ...]) -> Scope:
    """Return where something happens."""
    scope = Scope(
        table.take("clusters", read.texts, ("*",)),
        table.take("racks", pick_of, None),
        table.take("servers", pick_of, None),
        table.take("vms", pick_of, None),
    )
    matches_some(table, "clusters", scope.clusters, clusters)
    table.close()
    return scope
