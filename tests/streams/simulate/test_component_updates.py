"""Updates of a component of servers that run on."""

from schemas.history import SourceRecord
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, said, scenario, world

LINES = (
    '[[component_update]]\nname = "net-2"\nat = "10m"\nversion = "2"\ntakes_s = [100, 100]\nnetwork_s = [40, 40]\n'
    'spread = "5m"\n'
)


def updated(lines: str = "", mute: bool = False) -> tuple[World, list[SourceRecord]]:
    simulated = world(scenario(LINES + lines, servers=3, vms=2))
    if mute:
        simulated.hosts[0].muted = 1
    return simulated, list(simulated.run())


def stamp(found: list[SourceRecord], kind: str, server: str) -> int:
    return next(
        one.at_ms
        for one in found
        if getattr(one.record, "kind", "") == kind and getattr(one.record, "server", "") == server
    )


def test_vms_lose_their_network_within_the_update_and_have_it_again() -> None:
    simulated, found = updated()
    intervals = simulated.ledger.intervals("north-1")

    assert 6 == len(intervals)
    for one in intervals:
        assert "NMAGENT_UPDATE" == one.cause
        assert 40_000 == (one.until_ms or 0) - one.from_ms
        assert stamp(found, "COMPONENT_UPDATE_STARTED", one.server) < one.from_ms
        assert (one.until_ms or 0) < stamp(found, "COMPONENT_UPDATE_COMPLETED", one.server)
        rows = [row for report in reports(found, one.server) for row in report.vms or () if row.vm == one.vm]
        assert ["UP", "DOWN", "UP"] == [
            row.network for place, row in enumerate(rows) if not place or rows[place - 1].network != row.network
        ]


def test_servers_begin_over_the_spread_and_end_with_the_new_version() -> None:
    simulated, found = updated()
    starts = [one.at_ms for one in found if getattr(one.record, "kind", "") == "COMPONENT_UPDATE_STARTED"]

    assert at(600) <= min(starts) < max(starts) < at(901)
    assert {"2"} == {host.versions["nmagent"] for host in simulated.hosts}
    assert all(reports(found, host.name)[-1].run.endswith("run-1") for host in simulated.hosts)


def test_without_impact_no_network_is_lost() -> None:
    simulated, found = updated('impact = "none"\n')

    assert [] == simulated.ledger.intervals("north-1")
    assert 3 == len(said(found, "COMPONENT_UPDATE_COMPLETED"))


def test_a_server_that_is_away_is_left_out() -> None:
    simulated, found = updated(mute=True)

    assert 2 == len(said(found, "COMPONENT_UPDATE_STARTED"))
    assert "1.0" == simulated.hosts[0].versions["nmagent"]
