"""Every scenario, judged by its truth: what was injected is found in time, and nothing else.

Clusters of 120 servers here, so that all take minutes together; `make score` runs the sizes of the files, and
`leapwatch score --full` every cluster of them. The healthy day is whole: 1,000 servers of 20 VMs.
"""

from dataclasses import replace

import pytest

from streams.simulate.load import load, names
from streams.simulate.scenario import Size
from streams.simulate.score import Options, Result, score_scenario, sized

SMALL = Size(clusters=5, servers=120, vms=8)
TWO = Size(clusters=2, servers=120, vms=8)
SMALLER = {
    "bad-rack": TWO,
    "bad-server": TWO,
    "cascade": TWO,
    "clock-skew": TWO,
    "collector-outage": Size(clusters=2, servers=60, vms=6),
    "duplicates": TWO,
    "lag": Size(clusters=4, servers=40, vms=4),
    "power-loss": TWO,
    "leap-day": Size(clusters=5, servers=30, vms=4),
    "regression": Size(clusters=3, servers=80, vms=6),
    "innocent-rollout": Size(clusters=2, servers=80, vms=6),
    "os-upgrade": Size(clusters=3, servers=40, vms=6),
    "os-upgrade-faults": Size(servers=20, vms=4),
    "planned-maintenance": Size(servers=12, vms=3),
    "planned-maintenance-faults": Size(servers=12, vms=3),
}
"""Those whose clusters are all alike, and those that last long."""
CLOCKS_MS = {"leap-day": 5_000}
"""A day and a half, second by second, is 127,000 turns of the clocks in each cluster; its dawn has them all."""
LONGEST = (
    "leap-day",
    "os-upgrade-faults",
    "planned-maintenance-faults",
    "innocent-rollout",
    "os-upgrade",
    "leap-day-dawn",
)
"""First, so that processes that share the tests end together."""
ALONE = Options(processes=1)
"""Whoever runs the tests side by side has no processor to spare for clusters side by side."""
SEED = 7
"""Another seed than the files' own: what is found must not hang on one."""


def failed(result: Result) -> list[str]:
    """Return the lines of truth that were missed, or forbade what was found."""
    return [f"{row.cluster}: {row.label}: {row.note or row.found}" for row in result.rows if row.ok is False]


def test_a_healthy_day_of_a_whole_cluster_is_quiet_and_its_reboots_are_counted() -> None:
    scenario = sized(load("healthy-week"), Options())
    result = score_scenario(scenario, ALONE)

    assert [] == failed(result)
    assert (1_000, 20) == (scenario.clusters[0].servers, scenario.clusters[0].vms)


@pytest.mark.parametrize("name", [*LONGEST, *sorted({*names()} - {*LONGEST, "healthy-week"})])
def test_what_was_injected_is_found_and_nothing_else(name: str) -> None:
    scenario = sized(load(name), Options(size=SMALLER.get(name, SMALL), seed=SEED))
    turned = replace(scenario, clocks_ms=CLOCKS_MS.get(name, scenario.clocks_ms))
    result = score_scenario(turned, ALONE)

    assert [] == failed(result)
