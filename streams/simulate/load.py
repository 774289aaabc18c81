"""Reading a scenario file: TOML in, a `Scenario` out, or every error in it at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

from streams.simulate import reading as read
from streams.simulate.load_faults import load_fault
from streams.simulate.load_fleet import load_fleet, load_region
from streams.simulate.load_recovery import load_repair, load_services
from streams.simulate.load_rollouts import load_rollout
from streams.simulate.load_truth import load_truth
from streams.simulate.load_upkeep import check_waves, load_component_update, load_upgrade, load_wave
from streams.simulate.quantity import Clock, duration_ms, moment_ms
from streams.simulate.reading import ScenarioError, Table
from streams.simulate.scenario import MOST_CLUSTERS, MOST_SERVERS, MOST_VMS, Scenario, Size
from streams.simulate.timeline import load_turn

SCENARIOS = Path(__file__).parent / "scenarios"


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
    clock = Clock(start)
    duration = table.take("duration", duration_ms, 0)
    seed = table.take("seed", read.whole_between(0, 2**63), 1)
    interval = table.take("interval_s", read.whole_between(1, 3600), 60)
    latency = table.take("latency_ms", read.span, (20.0, 300.0))
    jitter = table.take("jitter_ms", read.whole_between(0, 3_600_000), 0)
    clocks = table.take("clocks_s", read.whole_between(1, 300), 1)
    regions = tuple(load_region(item) for item in table.tables("region"))
    clusters = load_fleet(table)
    rollouts = tuple(load_rollout(item, clock, clusters) for item in table.tables("rollout"))
    upgrades = tuple(load_upgrade(item, clock, clusters) for item in table.tables("upgrade"))
    waves = tuple(load_wave(item, clock, clusters) for item in table.tables("wave"))
    updates = tuple(load_component_update(item, clock, clusters) for item in table.tables("component_update"))
    faults = tuple(load_fault(item, clock, clusters) for item in table.tables("fault"))
    repairs = tuple(load_repair(item, clock, clusters, faults) for item in table.tables("repair"))
    services = load_services(table.tables("service"), clusters)
    history = tuple(load_turn(item, clock, start + duration) for item in table.tables("history"))
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
    _distinct(table, "repair", [repair.name for repair in repairs])
    _distinct(table, "service", [service.name for service in services])
    _distinct(table, "upgrade", [upgrade.name for upgrade in upgrades])
    _distinct(table, "wave", [wave.name for wave in waves])
    check_waves(table, waves, faults)
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
        upgrades,
        waves,
        updates,
        faults,
        truth,
        clocks * 1000,
        quick,
        repairs=repairs,
        services=services,
        history=history,
    )


def _quick(table: Table) -> Size:
    size = Size(
        table.take("clusters", read.whole_between(1, MOST_CLUSTERS), None),
        table.take("servers", read.whole_between(1, MOST_SERVERS), None),
        table.take("vms", read.whole_between(0, MOST_VMS), None),
        table.take("days", read.real, None),
    )
    if size.days is not None and size.days <= 0:
        table.error("days", f"is {size.days}; must be more than 0")
    table.close()
    return size


def _distinct(table: Table, key: str, given: list[str]) -> None:
    for name in sorted({name for name in given if given.count(name) > 1}):
        table.error(key, f"the name {name!r} is given twice")
