"""Incidents as they stand, told by the fleet engine."""

from __future__ import annotations

from schemas.fleet import Incident, IncidentState, ServiceCount
from streams.engine.cluster import decode_saved, encode_saved
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
    assert ("stop-updates: advised in 1000",) == second.actions
    assert first.id == second.id


def test_one_fault_in_two_clusters_is_one_incident_with_what_is_decided() -> None:
    log = FleetLog().finding(0, "f1", "start_failure", "a", subject=CERT)
    whole = told(log.finding(1, "f2", "start_failure", "b", subject=CERT))[-1]

    assert (("a", "b"), "cert:E", "SOFTWARE") == (whole.clusters, whole.cause, whole.verdict)
    assert {"pause-create everywhere: PROPOSED", "pause-scale-out everywhere: PROPOSED"} <= set(whole.actions)


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
