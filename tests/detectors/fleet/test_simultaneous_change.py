"""simultaneous_change: three clusters, both regions of a pair, or three regions within an hour."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.fleet import simultaneous_change
from detectors.fleet.simultaneous_change import State
from detectors.frames import ClocksFrame
from schemas.inventory import Region
from schemas.outputs import Finding, Severity
from schemas.telemetry import Clocks, Gap, Stretch
from streams.engine.runner import Runner
from tests.detectors.fleet.stories import FleetLog, run
from tests.kit import short

OLD = {"netplugin=1": 100, "ga=5": 1000}


def fleet(*regions: str) -> FleetLog:
    """Return clusters c0, c1, ... in these regions; north and south are paired."""
    log = FleetLog().told(-10, Region("north", "south"))
    for n, region in enumerate(regions):
        log.facts(-5, f"c{n}", region=region, servers=100, vms=1000, versions=OLD)
    return log


def blast(log: FleetLog, at_s: float, cluster: str, **fields: Any) -> FleetLog:
    known = {"rollout": "fix", "component": "netplugin", "to_version": "2", "mode": "blast", **fields}
    return log.event(at_s, cluster, "ROLLOUT_STARTED", **known)


def seen(log: FleetLog, at_s: float, cluster: str, count: int = 10, region: str = "r") -> FleetLog:
    """Let the facts of a cluster show the new version."""
    versions = {**OLD, "netplugin=1": 100 - count, "netplugin=2": count}
    return log.facts(at_s, cluster, region=region, servers=100, vms=1000, versions=versions)


def found(log: FleetLog) -> list[Finding]:
    return run(log, ["simultaneous_change"])


def test_the_third_cluster_within_an_hour_opens_it_in_its_frame() -> None:
    log = blast(blast(fleet("r", "r", "r"), 0, "c0"), 60, "c1")
    assert [] == found(log)
    [finding] = found(blast(log, 120, "c2"))

    assert ["simultaneous_change netplugin/2 OPEN 120s"] == short([finding])
    assert Severity.CRITICAL == finding.severity
    assert {"clusters": 3, "regions": 1, "within_s": 120} == finding.numbers
    assert (
        "netplugin 2 reaches 3 clusters in 1 region at once, from 2012-02-29 00:00:00Z on, and not by update domains"
    ) == finding.title


@pytest.mark.parametrize(("last_s", "opens"), [(3600, 1), (3600.001, 0)])
def test_the_hour_has_both_its_ends(last_s: float, opens: int) -> None:
    log = blast(blast(blast(fleet("r", "r", "r"), 0, "c0"), 60, "c1"), last_s, "c2")

    assert opens == len(found(log))


def test_partitions_may_bring_it_in_any_order() -> None:
    log = blast(blast(blast(fleet("r", "r", "r"), 3600, "c0"), 60, "c1"), 0, "c2")

    assert ["OPEN"] == [finding.state for finding in found(log)]


@pytest.mark.parametrize(
    ("regions", "opens"),
    [(("north", "south"), 1), (("north", "north"), 0), (("north", "east"), 0), (("north", ""), 0)],
)
def test_both_regions_of_a_pair_are_enough(regions: tuple[str, str], opens: int) -> None:
    assert opens == len(found(blast(blast(fleet(*regions), 0, "c0"), 60, "c1")))


def test_a_region_that_is_told_later_counts_from_then_on() -> None:
    log = blast(blast(fleet("north"), 0, "c0"), 60, "c1")

    assert ["OPEN"] == [finding.state for finding in found(seen(log, 90, "c1", region="south"))]


def test_more_than_two_regions_are_too_many() -> None:
    log = FleetLog()
    for n, region in enumerate(("east", "west", "mid")):
        log.facts(-5, f"c{n}", region=region)
    blast(blast(blast(log, 0, "c0"), 1, "c1"), 2, "c2")
    runner = Runner(0, only=["simultaneous_change"], fleet=True)
    known = runner.clusters["*"].detectors["simultaneous_change"]
    known.config = simultaneous_change.Config(clusters=9)

    assert 1 == len(runner.feed(log.frames))


@pytest.mark.parametrize("how", ["mode", "domains"])
def test_a_rollout_by_update_domains_may_go_everywhere(how: str) -> None:
    """Its versions show in the facts as it goes."""
    log = fleet("north", "south", "r")
    for n in range(3):
        blast(log, n, f"c{n}", mode="ud" if how == "mode" else None)
        log.event(n + 0.5, f"c{n}", "UD_STARTED", rollout="fix", update_domain=0)
        seen(log, n + 60, f"c{n}")

    assert [] == found(log)


def test_one_that_tells_of_update_domains_after_all_closes_it() -> None:
    log = blast(blast(blast(fleet("r", "r", "r"), 0, "c0", mode=None), 1, "c1", mode=None), 2, "c2", mode=None)
    log.event(3, "c2", "UD_STARTED", rollout="fix", update_domain=0).event(4, "c2", "UD_STARTED", rollout="fix")

    assert "it goes by update domains after all" == found(log)[-1].close_reason


def test_what_nobody_announced_is_seen_by_its_versions() -> None:
    log = seen(seen(seen(fleet("r", "r", "r"), 0, "c0"), 60, "c1"), 120, "c2", 50)
    [finding] = found(log)

    assert ("versions", "c0, c1, c2") == (finding.facts["seen_by"], finding.facts["clusters"])


@pytest.mark.parametrize(("known", "opens"), [(90, 1), (89, 0)])
def test_first_sight_of_versions_is_no_change(known: int, opens: int) -> None:
    """Nine tenths of its servers had told theirs."""
    log = FleetLog()
    for n in range(3):
        log.facts(-9, f"c{n}").facts(-5, f"c{n}", servers=100, versions={"netplugin=1": known})
        log.facts(n, f"c{n}", servers=100, versions={"netplugin=1": known, "netplugin=2": 10})

    assert opens == len(found(log))


@pytest.mark.parametrize(
    ("component", "ended_s", "opens"),
    [("host_os", None, 0), ("netplugin", None, 1), ("host_os", -3598, 0), ("host_os", -3601, 1)],
)
def test_a_wave_of_planned_maintenance_brings_a_host_os(component: str, ended_s: float | None, opens: int) -> None:
    """Until an hour after its end."""
    log = FleetLog()
    for n in range(3):
        log.facts(-5, f"c{n}", servers=10, versions={f"{component}=1": 10})
        log.event(-4000, f"c{n}", "WAVE_STARTED", wave="w", rollout="w")
        if ended_s is not None:
            log.event(ended_s, f"c{n}", "WAVE_COMPLETED", wave="w", rollout="w")
        log.facts(n, f"c{n}", servers=10, versions={f"{component}=1": 9, f"{component}=2": 1})

    assert opens == len(found(log))


def test_events_of_other_kinds_are_no_change() -> None:
    log = fleet("r").event(0, "c0", "MANAGEMENT_DISABLED").event(1, "c0", "ROLLOUT_COMPLETED", rollout="r")
    log.event(2, "c0", "ROLLOUT_STARTED", rollout="r").event(3, "c0", "UD_STARTED", rollout="r", update_domain=1)

    assert [] == found(log)


def test_further_clusters_are_added_to_it() -> None:
    log = fleet("r", "r", "r", "r")
    for n in range(4):
        blast(log, 20 * n, f"c{n}")
    blast(log, 100, "c3")

    assert [3, 4] == [finding.numbers["clusters"] for finding in found(log)]


@pytest.mark.parametrize(("until_s", "state"), [(3602, "OPEN"), (3602.001, "CLOSED")])
def test_it_ends_after_an_hour_without_another_cluster(until_s: float, state: str) -> None:
    log = blast(blast(blast(fleet("r", "r", "r").clocks(-1), 0, "c0"), 1, "c1"), 2, "c2").clocks(until_s)

    assert state == found(log)[-1].state


def test_time_that_was_not_observed_does_not_end_it() -> None:
    """An hour in which the engines stood still: their clocks went on from where they were."""
    log = blast(blast(blast(fleet("r", "r", "r").clocks(-1, lanes=(0, 1)), 0, "c0"), 1, "c1"), 2, "c2").clocks(4000)
    assert "OPEN" == found(log)[-1].state

    assert "no other cluster for 60 min" == found(log.clocks(4000, lanes=(1,)))[-1].close_reason


def test_a_gap_in_the_engines_clocks_does_not_end_it() -> None:
    log = blast(blast(blast(fleet("r", "r", "r").clocks(-1), 0, "c0"), 1, "c1"), 2, "c2")
    gap = Gap(log.ms(100), log.ms(200))
    stretch = Stretch("engine", "telemetry", "telemetry", 0, 1, 1, log.ms(0), log.ms(3650), (gap,))
    log.frames.append(ClocksFrame(0, len(log.frames), log.ms(3650), Clocks(0, (stretch,))))
    log.clocked[0] = (2, log.ms(3650))
    assert "OPEN" == found(log)[-1].state

    assert ["OPEN", "CLOSED"] == [found(log.clocks(at_s))[-1].state for at_s in (3702, 3703)]


def state_after(log: FleetLog) -> State:
    """Return what the detector remembers after a log."""
    runner = Runner(0, only=["simultaneous_change"], fleet=True)
    runner.feed(log.frames)
    state = runner.clusters["*"].detectors["simultaneous_change"].state
    assert isinstance(state, State)
    return state


def test_changes_and_rollouts_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simultaneous_change, "CHANGES_MOST", 1)
    monkeypatch.setattr(simultaneous_change, "ROLLOUTS_MOST", 1)
    log = blast(blast(fleet("r"), 0, "c0"), 5, "c0", rollout="other", to_version="3")
    state = state_after(log)

    assert (["netplugin=3"], ["c0/other"]) == (list(state.reached), list(state.started))


def test_clusters_reached_long_ago_are_forgotten() -> None:
    log = blast(blast(fleet("r", "r").clocks(0), 0, "c0").clocks(9000), 9001, "c1")

    assert ["c1"] == list(state_after(log).reached["netplugin=2"])
