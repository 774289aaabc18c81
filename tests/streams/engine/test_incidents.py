"""Incidents as they stand, told by the fleet engine."""

from __future__ import annotations

from schemas.commands import Close, Release
from schemas.fleet import Incident, IncidentState, ServiceCount
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.incidents import decided_for
from streams.engine.runner import Runner
from tests.detectors.fleet.stories import FleetLog
from tests.kit import START_MS

CERT = {"signature": "cert:E"}
ONLY = ["common_cause"]


def told(log: FleetLog, runner: Runner | None = None) -> list[Incident]:
    runner = runner or Runner(0, only=ONLY, fleet=True)
    return [output for output in runner.tell(log.frames) if isinstance(output, Incident)]


def test_a_thousand_findings_are_one_incident_told_at_most_every_ten_seconds() -> None:
    log = FleetLog().facts(0, "a", region="north", servers=9, servers_out=3, services=(ServiceCount("acs", 4, 1),))
    for n in range(1_000):
        log.finding(1 + n / 100, f"f{n}", "server_hi", "a", advised=("stop-updates",))
    first, second = told(log.clocks(12))

    assert (IncidentState.OPEN, {"server_hi": 1}, 1.0) == (first.state, first.findings, first.numbers["findings"])
    assert ({"server_hi": 1_000}, ("a",), ("north",)) == (second.findings, second.clusters, second.regions)
    assert (3.0, ("acs (1 of 4 up)",)) == (second.numbers["servers_out"], second.services)
    assert ("stop-updates: advised in 1 cluster",) == second.actions
    assert first.id == second.id


def test_one_fault_in_two_clusters_is_one_incident_with_what_is_decided() -> None:
    log = FleetLog().finding(0, "f1", "start_failure", "a", subject=CERT)
    whole = told(log.finding(1, "f2", "start_failure", "b", subject=CERT))[-1]

    assert (("a", "b"), "cert:E", "SOFTWARE") == (whole.clusters, whole.cause, whole.verdict)
    proposed = {"pause-create everywhere: PROPOSED (advise)", "pause-scale-out everywhere: PROPOSED (advise)"}
    assert proposed <= set(whole.actions)


def test_what_clusters_decided_is_told_at_once_with_its_mode_and_its_release() -> None:
    """Also when the finding is closed, and the incident over: what was decided stands until a person releases it."""
    log = FleetLog().finding(0, "f", "hi_threshold", "a", advised=("stop-updates",))
    log.decision(0, "d", "stop-updates", "a", "f").closed(1, "f", "hi_threshold", "a")
    log.decision(2, "d", "stop-updates", "a", "f", state="RELEASED", by="ann")

    assert [
        ("OPEN", ("stop-updates: advised in 1 cluster",)),
        ("OPEN", ("stop-updates cluster:a: PROPOSED (advise)", "stop-updates: advised in 1 cluster")),
        ("RESOLVED", ("stop-updates cluster:a: PROPOSED (advise)",)),
        ("RESOLVED", ("stop-updates cluster:a: RELEASED by ann",)),
    ] == [(each.state, each.actions) for each in told(log)]


def test_what_was_decided_in_many_clusters_is_one_line() -> None:
    log = FleetLog()
    for n in range(5):
        log.finding(n, f"f{n}", "start_failure", f"c{n}", subject=CERT)
        log.decision(n, f"d{n}", "halt-rollout", f"c{n}", f"f{n}", target="rollout:r", state="ENFORCED", mode="enforce")
    log.decision(6, "d4", "halt-rollout", "c4", "f4", target="rollout:r", state="RELEASED", by="ann")
    whole = max(told(log.clocks(20)), key=lambda each: (each.at_ms, len(each.clusters)))

    assert "halt-rollout rollout:r in 4 clusters: ENFORCED (enforce)" in whole.actions
    assert "halt-rollout rollout:r cluster:c4: RELEASED by ann" in whole.actions


def test_what_the_fleet_engine_decided_before_it_kept_that_in_its_picture_is_told() -> None:
    log = (
        FleetLog()
        .finding(0, "f1", "start_failure", "a", subject=CERT)
        .finding(1, "f2", "start_failure", "b", subject=CERT)
    )
    runner = Runner(0, only=ONLY, fleet=True)
    told(log, runner)
    fleet = runner.clusters["*"].picture.fleet
    fleet.decisions.clear()
    whole = next(each for each in fleet.incidents.known.values() if each.common and each.open)
    whole.decisions.clear()

    made = decided_for(whole, fleet, runner.clusters["*"].policy.decisions)
    assert {"pause-create", "pause-scale-out"} <= {decision.action for decision in made}


def test_what_a_person_closes_or_releases_of_the_fleets_own_ends_in_its_incident_too() -> None:
    log = (
        FleetLog()
        .finding(0, "f1", "start_failure", "a", subject=CERT)
        .finding(1, "f2", "start_failure", "b", subject=CERT)
    )
    runner = Runner(0, only=ONLY, fleet=True)
    told(log, runner)
    decisions = list(runner.clusters["*"].policy.decisions.values())
    (whole,) = {decision.finding_ids[0] for decision in decisions}
    for n, decision in enumerate(decisions):
        log.batch(5 + n, "*", "operator", Release(f"r{n}", "*", decision.id, "ann", "over"))
    log.batch(9, "*", "operator", Close("c1", "*", whole, "ann", "known"))
    last = told(FleetLog.of(log.frames[2:]), runner)[-1]

    assert {f"{decision.action} everywhere: RELEASED by ann" for decision in decisions} <= set(last.actions)
    assert "common_cause" not in last.findings


def test_its_end_is_told_at_once() -> None:
    log = FleetLog().finding(0, "f", "network_loss", "a").closed(1, "f", "network_loss", "a")

    assert [("OPEN", 0), ("RESOLVED", START_MS + 1_000)] == [(each.state, each.resolved_ms) for each in told(log)]


def test_a_restored_fleet_engine_goes_on_where_it_stood() -> None:
    log = FleetLog().finding(0, "f", "network_loss", "a").finding(1, "g", "version_mix", "a")
    runner = Runner(0, only=ONLY, fleet=True)
    told(log, runner)
    again = Runner(0, only=ONLY, fleet=True)
    again.restore("*", decode_saved(encode_saved(runner.save("*"))), len(log.frames))
    more = FleetLog()
    more.frames = [*log.frames]
    more.clocks(12)

    assert [{"network_loss": 1, "version_mix": 1}] == [each.findings for each in told(more, again)]
