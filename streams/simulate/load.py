"""Reading a scenario file: TOML in, a `Scenario` out, or every error in it at once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.simulate import reading as read
from streams.simulate.choose import clusters_named
from streams.simulate.kinds import KINDS, SYSTEMS, FaultKind
from streams.simulate.load_truth import load_truth
from streams.simulate.quantity import DAY_MS, MINUTE_MS, duration_ms, moment_ms, number, size_names, whole
from streams.simulate.reading import ScenarioError, Table
from streams.simulate.scenario import ClusterPlan, Fault, Pick, RegionPlan, Rollout, Scenario, Scope, Size

SCENARIOS = Path(__file__).parent / "scenarios"
_FEEDS = ("host-agent", "guest-agent", "maintenance")
_MOST_CLUSTERS, _MOST_SERVERS, _MOST_VMS = 1000, 100_000, 1000


@dataclass(slots=True)
class _Clock:
    """The start of the scenario, for times that are given relative to it."""

    start_ms: int

    def moment(self, value: Any) -> int:
        return moment_ms(value, self.start_ms)


def names() -> list[str]:
    """Return the names of the scenarios that come with the simulator."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load(source: str | Path) -> Scenario:
    """Return the scenario of a file, or of a name such as `leap-day`; raises ScenarioError with every error."""
    path = Path(source)
    if path.suffix != ".toml" and not path.exists():
        path = SCENARIOS / f"{source}.toml"
        if not path.exists():
            raise ScenarioError(str(source), [f"no such scenario; give a .toml file or one of {', '.join(names())}"])
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), [f"the file cannot be read: {error}"]) from None
    return loads(text, str(path))


def loads(text: str, name: str = "scenario") -> Scenario:
    """Return the scenario that a text describes; `name` is what errors call it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(name, [f"is no TOML: {error}"]) from None
    errors: list[str] = []
    scenario = _scenario(Table(raw, "", errors), errors)
    if scenario is None or errors:
        raise ScenarioError(name, errors)
    return scenario


def _scenario(table: Table, errors: list[str]) -> Scenario | None:
    name = table.take("name", read.text, "")
    title = table.take("title", read.any_text, "")
    start = table.take("start", lambda value: moment_ms(value, 0), 0)
    clock = _Clock(start)
    duration = table.take("duration", duration_ms, 0)
    seed = table.take("seed", read.whole_between(0, 2**63), 1)
    interval = table.take("interval_s", read.whole_between(1, 3600), 60)
    latency = table.take("latency_ms", read.span, (20.0, 300.0))
    jitter = table.take("jitter_ms", read.whole_between(0, 3_600_000), 0)
    regions = tuple(_region(item) for item in table.tables("region"))
    clusters = _fleet(table)
    rollouts = tuple(_rollout(item, clock, clusters) for item in table.tables("rollout"))
    faults = tuple(_fault(item, clock, clusters) for item in table.tables("fault"))
    truth = load_truth(table.table("truth"), clock.start_ms, clusters, {fault.name for fault in faults if fault.name})
    for key in ("name", "start", "duration"):
        if key not in table:
            table.error(key, "is missing")
    if "duration" in table and duration <= 0:
        table.error("duration", "must be longer than nothing")
    if jitter >= interval * 1000:
        table.error("jitter_ms", f"is {jitter}; must be less than the interval of {interval} s")
    if not clusters:
        table.error("cluster", "is missing; name at least one [[cluster]]")
    _distinct(table, "cluster", [plan.name for plan in clusters])
    _distinct(table, "rollout", [rollout.name for rollout in rollouts])
    _distinct(table, "fault", [fault.name for fault in faults if fault.name])
    quick = _quick(table.table("quick"))
    table.close()
    if errors:
        return None
    low, high = round(latency[0]), round(latency[1])
    return Scenario(
        name,
        title,
        start,
        duration,
        seed,
        interval,
        (low, high),
        jitter,
        clusters,
        regions,
        rollouts,
        faults,
        truth,
        quick,
    )


def _quick(table: Table) -> Size:
    size = Size(
        table.take("clusters", read.whole_between(1, _MOST_CLUSTERS), None),
        table.take("servers", read.whole_between(1, _MOST_SERVERS), None),
        table.take("vms", read.whole_between(0, _MOST_VMS), None),
        table.take("days", read.real, None),
    )
    if size.days is not None and size.days <= 0:
        table.error("days", f"is {size.days}; must be more than 0")
    table.close()
    return size


def _distinct(table: Table, key: str, given: list[str]) -> None:
    for name in sorted({name for name in given if given.count(name) > 1}):
        table.error(key, f"the name {name!r} is given twice")


def _region(table: Table) -> RegionPlan:
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
}
_VERSIONS = {"fc": "1.0", "ha": "1.0", "netplugin": "1.0", "host_os": "1.0", "nmagent": "1.0", "ga": "1.0"}
_NONE_DONE: float | str = 0
_NO_VERSIONS: dict[str, str] = {}


def _fleet(table: Table) -> tuple[ClusterPlan, ...]:
    fleet = table.table("fleet")
    defaults = _size(fleet, _CLUSTER_DEFAULTS)
    versions = _VERSIONS | fleet.take("versions", _versions, _NO_VERSIONS)
    fleet.close()
    return tuple(_cluster(item, defaults, versions) for item in table.tables("cluster"))


def _versions(value: Any) -> dict[str, str]:
    versions = read.text_map(value)
    for component in versions:
        if component not in _VERSIONS:
            raise ValueError(f"component {component!r} is unknown; known: {', '.join(_VERSIONS)}")
    return versions


def _amount(value: Any) -> float | str:
    """Return a number or a formula, which is tried on a cluster of 1,000 servers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is {read.shown(value)}; must be a number or a formula")
    if number(value, size_names(1000, 20)) < 0:
        raise ValueError(f"is {read.shown(value)}; must not be negative")
    return value


def _whole_amount(value: Any) -> float | str:
    amount = _amount(value)
    whole(amount, size_names(1000, 20))
    return amount


def _domains_done(value: Any) -> float | str:
    """Return a number of update domains; its formula may also use `uds`, how many the cluster has."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"is {read.shown(value)}; must be a whole number or a formula")
    if whole(value, {**size_names(1000, 20), "uds": 20}) < 0:
        raise ValueError(f"is {read.shown(value)}; must not be negative")
    return value


def _size(table: Table, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that [fleet] and [[cluster]] share."""
    parsers: dict[str, Any] = {
        "servers": read.whole_between(1, _MOST_SERVERS),
        "vms": read.whole_between(0, _MOST_VMS),
        "racks": _whole_amount,
        "update_domains": _whole_amount,
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
        "create_every_s": _amount,
        "heartbeat": duration_ms,
        "contact_s": read.span,
        "slow_starts": read.fraction,
    }
    return {key: table.take(key, parser, defaults[key]) for key, parser in parsers.items()}


def _cluster(table: Table, defaults: dict[str, Any], versions: dict[str, str]) -> ClusterPlan:
    name = table.take("name", read.text, "")
    if not name:
        table.error("name", "is missing")
    count = table.take("count", read.whole_between(1, _MOST_CLUSTERS), 1)
    size = _size(table, defaults)
    own = versions | table.take("versions", _versions, _NO_VERSIONS)
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


def _matches_some(table: Table, key: str, patterns: tuple[str, ...], clusters: tuple[ClusterPlan, ...]) -> None:
    instances = [f"{plan.name}-{k + 1}" for plan in clusters for k in range(plan.count)]
    for pattern in patterns:
        if clusters and not clusters_named((pattern,), instances):
            table.error(key, f"no cluster is named {pattern!r}; there are {', '.join(instances[:8])}")


def _pick(value: Any) -> Pick:
    if isinstance(value, list):
        return read.texts(value)
    if isinstance(value, str) and value.endswith("%"):
        try:
            read.fraction(float(value[:-1]) / 100)
        except ValueError:
            raise ValueError(f"is {value!r}; a share is such as '25%'") from None
        return value
    return _whole_amount(value)


def _scope(table: Table, clusters: tuple[ClusterPlan, ...]) -> Scope:
    scope = Scope(
        table.take("clusters", read.texts, ("*",)),
        table.take("racks", _pick, None),
        table.take("servers", _pick, None),
        table.take("vms", _pick, None),
    )
    _matches_some(table, "clusters", scope.clusters, clusters)
    table.close()
    return scope


def _rollout(table: Table, clock: _Clock, clusters: tuple[ClusterPlan, ...]) -> Rollout:
    versions = table.take("versions", _versions, _NO_VERSIONS)
    down = table.take("down_s", read.span, (900.0, 1200.0))
    rollout = Rollout(
        name=table.take("name", read.text, ""),
        clusters=table.take("clusters", read.texts, ("*",)),
        system=table.take("system", read.one_of(*SYSTEMS), "guest-agent"),
        versions=versions,
        component=table.take("component", read.text, next(iter(versions), "")),
        mode=table.take("mode", read.one_of("ud", "blast"), "ud"),
        at_ms=table.take("at", clock.moment, 0),
        lead_ms=table.take("lead", duration_ms, 10 * MINUTE_MS),
        gap_ms=table.take("gap", duration_ms, 10 * MINUTE_MS),
        spread_ms=table.take("spread", duration_ms, 0),
        reboot=table.take("reboot", read.flag, False),
        down_ms=(round(down[0] * 1000), round(down[1] * 1000)),
        done=table.take("done", _domains_done, _NONE_DONE),
        ready_wait_ms=table.take("ready_wait", duration_ms, 30 * MINUTE_MS),
    )
    for key in ("name", "at", "versions"):
        if key not in table:
            table.error(key, "is missing")
    if versions and rollout.component not in versions:
        table.error("component", f"{rollout.component!r} is none of versions: {', '.join(versions)}")
    _matches_some(table, "clusters", rollout.clusters, clusters)
    table.close()
    return rollout


def _dates(value: Any) -> tuple[str, ...]:
    days = value if isinstance(value, list) else [value]
    return tuple(_day(day) for day in days)


def _day(value: Any) -> str:
    at = moment_ms(f"{value}T00:00:00Z" if isinstance(value, str) else f"{value!s}T00:00:00Z", 0)
    if at % DAY_MS:
        raise ValueError(f"is {read.shown(value)}; must be UTC days, such as '2012-02-29'")
    return str(value)


def _ms_span(value: Any) -> tuple[int, int]:
    low, high = read.span(value)
    return round(low * 1000), round(high * 1000)


def _skew(value: Any) -> tuple[float, float]:
    values = value if isinstance(value, list) else [value, value]
    if len(values) != 2 or read.real(values[0]) > read.real(values[1]):
        raise ValueError(f"is {read.shown(value)}; must be seconds, or the least and the most of them")
    return read.real(values[0]), read.real(values[1])


def _feeds(value: Any) -> tuple[str, ...]:
    return tuple(read.one_of(*_FEEDS)(feed) for feed in read.texts(value))


def _per_day(value: Any) -> float:
    rate = read.real(value)
    if not 0 < rate <= 1000:
        raise ValueError(f"is {read.shown(value)}; must be a share of the servers a day, > 0")
    return rate


_FAULT_KEYS: dict[str, Any] = {
    "agent": read.one_of("guest", "host"),
    "effect": read.one_of("error", "silent", "network_down"),
    "step": read.text,
    "error_code": read.any_text,
    "message": read.any_text,
    "dates": _dates,
    "versions": _versions,
    "feeds": _feeds,
    "mode": read.one_of("stamped", "read"),
    "delay": duration_ms,
    "skew_s": _skew,
    "fraction": read.fraction,
    "copies": read.whole_between(1, 100),
    "restart": read.flag,
    "planned": read.flag,
    "down_s": _ms_span,
    "reason": read.text,
    "cause": read.text,
    "workflow": read.text,
    "per_day": _per_day,
}
_FIELDS = {"delay": "delay_ms", "down_s": "down_ms"}


def _fault(table: Table, clock: _Clock, clusters: tuple[ClusterPlan, ...]) -> Fault:
    kind_name = table.take("kind", read.one_of(*KINDS), "")
    if "kind" not in table:
        table.error("kind", f"is missing; one of {', '.join(KINDS)}")
    kind = KINDS.get(kind_name, FaultKind("", tuple(_FAULT_KEYS)))
    name = table.take("name", read.text, kind_name)
    scope = _scope(table.table("scope"), clusters)
    at = table.take("at", clock.moment, clock.start_ms)
    for_ms = table.take("for", duration_ms, None)
    values = dict(kind.defaults)
    for key, parser in _FAULT_KEYS.items():
        if key in kind.keys:
            if key in table or key not in values:
                given = table.take(key, parser, None)
                if given is not None:
                    values[_FIELDS.get(key, key)] = given
            else:
                table.take(key, parser, None)
        elif key in table and kind.doc:
            table.take(key, parser, None)
            table.error(key, f"is no key of {kind_name!r}; it takes {', '.join(kind.keys) or 'none of its own'}")
    for key in kind.required:
        if key not in table:
            table.error(key, f"is missing; {kind_name!r} needs it")
    table.close()
    return Fault(name=name, kind=kind_name, scope=scope, at_ms=at, for_ms=for_ms, **values)
