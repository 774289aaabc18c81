"""paired_regions: one region of a pair at a time (seed 003)."""

from __future__ import annotations

import pytest

from schemas.inventory import Region
from schemas.outputs import Finding, Severity
from tests.detectors.fleet.stories import FleetLog, run
from tests.kit import START_MS, short


def paired() -> FleetLog:
    return FleetLog().told(-5, Region("north", "south"), Region("south", "north"), Region("east", "west"))


def wave(log: FleetLog, at_s: float, cluster: str, region: str, what: str = "STARTED", name: str = "w") -> FleetLog:
    return log.event(at_s, cluster, f"WAVE_{what}", wave=f"{name}-{region}", region=region)


def found(log: FleetLog) -> list[Finding]:
    return run(log, ["paired_regions"])


def test_waves_in_both_regions_of_a_pair_are_told_once_all_engines_have_passed_the_second_start() -> None:
    log = wave(wave(paired(), 0, "a", "north"), 100, "b", "south").clocks(100)
    assert [] == found(log)
    [finding] = found(log.clocks(100.001))

    assert ["paired_regions south OPEN 100s"] == short([finding], START_MS)
    assert Severity.CRITICAL == finding.severity
    assert "maintenance is under way in both north and south, which are paired, since 2012-02-29 00:01:40Z" == (
        finding.title
    )
    assert {"pair": "north, south", "waves": "w-north, w-south", "clusters": "a, b"} == finding.facts


def test_other_regions_may_go_at_once() -> None:
    log = wave(wave(wave(paired(), 0, "a", "north"), 10, "b", "east"), 20, "c", "elsewhere")

    assert [] == found(log.clocks(50))


def test_two_clusters_of_one_region_are_no_pair() -> None:
    assert [] == found(wave(wave(paired(), 0, "a", "north"), 10, "b", "north").clocks(50))


@pytest.mark.parametrize(("end_s", "opens"), [(100, False), (100.001, True)])
@pytest.mark.parametrize("end", ["COMPLETED", "ABORTED"])
def test_one_may_start_when_the_other_has_ended(end: str, end_s: float, opens: bool) -> None:
    """The end comes late, from another partition."""
    log = wave(wave(paired().clocks(-1, lanes=(0, 1)), 0, "a", "north"), 100, "b", "south").clocks(200)
    wave(log, end_s, "a", "north", end).clocks(300, lanes=(1,)).clocks(300)

    assert (["OPEN", "CLOSED"] if opens else []) == [finding.state for finding in found(log)]


def test_it_closes_when_one_of_them_ends() -> None:
    log = wave(wave(paired(), 0, "a", "north"), 100, "b", "south").clocks(150)
    wave(log, 180, "c", "south").clocks(190)
    wave(log, 200, "b", "south", "COMPLETED")
    assert ["OPEN"] == [finding.state for finding in found(log)]
    wave(log, 210, "c", "south", "ABORTED")

    assert "only one of the two regions has a wave under way" == found(log)[-1].close_reason


def test_a_region_is_known_by_the_facts_of_its_cluster_too() -> None:
    log = paired().facts(0, "a", region="north").facts(0, "b", region="south")
    log.event(5, "a", "WAVE_STARTED", wave="w").event(6, "b", "WAVE_STARTED", wave="w")

    assert ["OPEN"] == [finding.state for finding in found(log.clocks(10))]


def test_a_wave_of_a_cluster_that_is_nowhere_is_not_judged() -> None:
    log = wave(paired(), 0, "a", "north").event(5, "b", "WAVE_STARTED", wave="w")

    assert [] == found(log.clocks(10).event(12, "b", "ROLLOUT_STARTED", rollout="r"))
