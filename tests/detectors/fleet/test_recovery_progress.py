"""How far an incident has recovered."""

from __future__ import annotations

from schemas.fleet import ServiceCount
from schemas.inventory import Service
from schemas.outputs import Finding
from tests.detectors.fleet.stories import FleetLog, run
from tests.kit import START_MS


def hit(*, before: int = 100) -> FleetLog:
    """Return a cluster of a hundred VMs, of which some are ready, and then an incident."""
    log = FleetLog().facts(0, "a", vms=100, vms_ready=before)
    return log.finding(60, "f", "network_loss", "a")


def progress(log: FleetLog) -> list[Finding]:
    return run(log, ["recovery_progress"])


def shares(log: FleetLog) -> list[tuple[float, float, float]]:
    return [(each.numbers["share"], each.numbers["out"], each.numbers["worst"]) for each in progress(log)]


def test_what_was_out_before_is_not_of_the_incident() -> None:
    log = hit(before=90).facts(120, "a", vms=100, vms_ready=40).facts(300, "a", vms=100, vms_ready=65)

    assert [(1.0, 0, 0), (0.0, 50, 50), (0.5, 25, 50)] == shares(log)


def test_the_end_is_expected_by_the_rate_of_the_last_half_hour() -> None:
    log = hit().facts(120, "a", vms=100, vms_ready=0)
    log.facts(720, "a", vms=100, vms_ready=20).facts(1320, "a", vms=100, vms_ready=60)
    last = progress(log)[-1]

    assert (0.6, 180.0) == (last.numbers["share"], last.numbers["per_hour"])
    assert "2012-02-29 00:35 UTC" == last.facts["expected_end"]


def test_while_nothing_comes_back_the_end_is_unknown() -> None:
    last = progress(hit().facts(120, "a", vms=100, vms_ready=10).facts(300, "a", vms=100, vms_ready=5))[-1]

    assert "unknown: nothing comes back yet" == last.facts["expected_end"]
    assert 0 == last.numbers["per_hour"]


def test_the_same_again_is_not_told() -> None:
    log = hit().facts(120, "a", vms=100, vms_ready=0)
    for n in range(10):
        log.facts(180 + 60 * n, "a", vms=100, vms_ready=0)

    assert 2 == len(progress(log))


def test_services_that_others_need_come_first() -> None:
    log = FleetLog().told(0, Service("acs", 2), Service("bus", 1, ("acs",)))
    log.facts(0, "a", vms=9, vms_ready=9).finding(60, "f", "network_loss", "a")
    log.facts(90, "a", vms=9, vms_ready=2, services=(ServiceCount("acs", 4, 1), ServiceCount("web", 5, 1)))

    last = progress(log)[-1]
    assert "acs (1 of 4 up), bus (needs acs), web (1 of 5 up)" == last.facts["services"]
    assert "2" == last.facts["services_hit"]


def test_a_cluster_that_joins_brings_its_own_before_and_servers_out_count() -> None:
    log = hit().facts(90, "a", vms=100, vms_ready=90).facts(95, "b", vms=50, vms_ready=45)
    log.finding(100, "g", "network_loss", "b").facts(160, "b", vms=50, vms_ready=25, servers_out=2)
    worst = {each.facts["incident"]: each.numbers["worst"] for each in progress(log)}
    assert [10, 22] == list(worst.values())

    together = [each for each in run(log, ["common_cause", "recovery_progress"]) if each.numbers.get("worst")]
    assert 32 == together[-1].numbers["worst"]


def test_it_closes_with_its_incident() -> None:
    log = hit().facts(120, "a", vms=100, vms_ready=0).closed(900, "f", "network_loss", "a")

    assert ["OPEN", "UPDATED", "CLOSED"] == [each.state for each in progress(log)]
    assert START_MS + 60_000 == progress(log)[0].opened_ms
