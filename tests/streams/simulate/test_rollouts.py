"""Rollouts of one cluster."""

import pytest

from schemas.history import SourceRecord
from schemas.source import MaintenanceEvent
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, said, scenario, world

LINES = '[[rollout]]\nname = "r"\nversions = { ga = "2" }\nat = "5m"\nlead = "2m"\ngap = "1m"\n'
FLEET = "update_domains = 3\nslow_starts = 0"


def rolled(lines: str = "", pause_s: float | None = None) -> tuple[World, list[SourceRecord]]:
    """Return a world of three update domains in which the rollout ran, paused at a second or not."""
    simulated = world(scenario(LINES + lines, servers=6, vms=1, fleet=FLEET))
    if pause_s is not None:
        simulated.at(at(pause_s), simulated.rollouts.pause, "a test")
    return simulated, list(simulated.run())


def domains(found: list[SourceRecord], kind: str) -> list[int | None]:
    return [event.update_domain for event in said(found, kind) if isinstance(event, MaintenanceEvent)]


def test_it_goes_one_update_domain_after_another_and_completes() -> None:
    simulated, found = rolled()

    assert [0, 1, 2] == domains(found, "UD_STARTED") == domains(found, "UD_COMPLETED")
    assert 1 == len(said(found, "ROLLOUT_COMPLETED"))
    assert {"2"} == {vm.ga_version for vm in simulated.vms.values()}


@pytest.mark.parametrize(("done", "started"), [(0, [0, 1, 2]), (2, [2]), (3, []), (4, [])])
def test_domains_that_are_done_run_the_new_version_from_the_start(done: int, started: list[int]) -> None:
    simulated, found = rolled(f"done = {done}\n")

    assert started == domains(found, "UD_STARTED")
    assert bool(started) == bool(said(found, "ROLLOUT_STARTED"))
    assert {"2"} == {vm.ga_version for vm in simulated.vms.values()}


def test_a_blast_starts_every_vm_in_one_moment_without_update_domains() -> None:
    simulated, found = rolled('mode = "blast"\n')

    assert [] == domains(found, "UD_STARTED")
    assert [at(420)] * 6 == [fact.at_ms for fact in simulated.ledger.facts("north-1", "start")]


def test_paused_it_ends_the_domain_under_way_and_opens_no_other() -> None:
    _, found = rolled(pause_s=310)

    assert [0] == domains(found, "UD_STARTED") == domains(found, "UD_COMPLETED")
    assert ["ROLLOUT_PAUSED"] == [event.kind for event in said(found, "ROLLOUT_PAUSED")]
    assert [] == said(found, "ROLLOUT_COMPLETED")


def test_behind_the_brake_none_begins() -> None:
    simulated = world(scenario(LINES, servers=6, vms=1, fleet=FLEET))
    simulated.controller.braked = True

    assert [] == said(list(simulated.run()), "ROLLOUT_STARTED")


def test_a_server_that_is_given_up_is_left_out() -> None:
    simulated = world(scenario(LINES, servers=6, vms=1, fleet=f"{FLEET}\nhealing = false"))
    bad = simulated.hosts[0]
    simulated.at(at(60), simulated.controller.give_up, bad, "a test")
    found = list(simulated.run())
    updated = {event.server for event in said(found, "SERVER_UPDATE_STARTED") if isinstance(event, MaintenanceEvent)}

    assert {host.name for host in simulated.hosts[1:]} == updated


def test_with_a_reboot_every_server_comes_back_with_the_new_version() -> None:
    text = LINES.replace('{ ga = "2" }', '{ host_os = "9" }') + "reboot = true\ndown_s = [60, 60]\n"
    found = list(world(scenario(text, servers=3, vms=1, fleet=FLEET)).run())
    last = {one.server: one.versions for one in reports(found) if one.versions is not None}

    assert {"9"} == {versions["host_os"] for versions in last.values()}
    assert 3 == len(said(found, "NODE_REBOOT_COMPLETED"))


def updated(found: list[SourceRecord]) -> set[str | None]:
    return {event.server for event in said(found, "SERVER_UPDATE_STARTED") if isinstance(event, MaintenanceEvent)}


def test_limited_to_some_servers_it_leaves_the_others_and_names_their_domain() -> None:
    simulated, found = rolled("servers = 1\n")
    (server,) = updated(found)
    host = next(host for host in simulated.hosts if host.name == server)

    assert [host.update_domain] == domains(found, "UD_STARTED") == domains(found, "UD_COMPLETED")
    assert {host.name: "2"} == {one.name: one.versions["ga"] for one in simulated.hosts if one.versions["ga"] != "1.0"}


def test_it_goes_to_the_servers_whose_versions_match_when_it_begins() -> None:
    second = (
        '[[rollout]]\nname = "back"\nversions = { ga = "3" }\nfrom = { ga = "2" }\nservers = 1\nmode = "blast"\n'
        'lead = 0\nat = "30m"\n'
    )
    simulated, found = rolled(f'servers = ["*-s0001", "*-s0002"]\n{second}')
    (started,) = [event for event in said(found, "ROLLOUT_STARTED") if event.rollout == "back"]  # type: ignore[union-attr]

    assert ["1.0"] * 4 + ["2", "3"] == sorted(host.versions["ga"] for host in simulated.hosts)
    assert "2" == started.from_version  # type: ignore[union-attr]
    assert [at(1800)] == [fact.at_ms for fact in simulated.ledger.facts("north-1", "changed") if fact.detail == "back"]


def test_where_no_version_matches_it_does_not_begin() -> None:
    simulated, found = rolled('from = { ha = "9" }\n')

    assert [] == said(found, "ROLLOUT_STARTED")
    assert 0 == simulated.ledger.count("rollout_started")


def test_unannounced_only_the_reports_show_it() -> None:
    simulated, found = rolled("announced = false\n")

    assert [] == [one for one in found if one.feed == "maintenance"]
    assert {"2"} == {vm.ga_version for vm in simulated.vms.values()}
    assert 1 == simulated.ledger.count("rollout_started")


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_people_push_goes_behind_the_brake_and_to_servers_in_hi(by_hand: bool) -> None:
    fleet = f"{FLEET}\nhealing = false"
    simulated = world(scenario(f"{LINES}by_hand = {str(by_hand).lower()}\n", servers=6, vms=1, fleet=fleet))
    simulated.at(at(60), simulated.controller.give_up, simulated.hosts[0], "a test")
    simulated.at(at(61), setattr, simulated.controller, "braked", True)
    found = list(simulated.run())

    assert ({host.name for host in simulated.hosts} if by_hand else set()) == updated(found)
    assert by_hand == (simulated.hosts[0].versions["ga"] == "2")


def test_no_brake_pauses_what_people_push() -> None:
    simulated = world(scenario(LINES + "by_hand = true\n", servers=6, vms=1, fleet=FLEET))
    simulated.at(at(310), simulated.rollouts.pause, "a test")

    assert [0, 1, 2] == domains(list(simulated.run()), "UD_COMPLETED")


def test_aborted_it_says_so_once_and_touches_nothing_more() -> None:
    simulated, found = rolled('abort_at = "310s"\n')

    assert 1 == len(said(found, "ROLLOUT_ABORTED"))
    assert [] == said(found, "UD_COMPLETED") + said(found, "ROLLOUT_COMPLETED") + said(found, "SERVER_UPDATE_COMPLETED")
    assert not any(host.updating for host in simulated.hosts)
    assert 0 == simulated.ledger.count("start")


def test_a_rollout_that_completed_is_not_aborted() -> None:
    assert [] == said(rolled('abort_at = "50m"\n')[1], "ROLLOUT_ABORTED")


@pytest.mark.parametrize(("restart", "anew"), [("all", 6), ("failed", 1), ("none", 0)])
def test_a_new_guest_agent_restarts_all_vms_or_those_that_failed_or_none(restart: str, anew: int) -> None:
    simulated = world(scenario(f'{LINES}restart = "{restart}"\n', servers=6, vms=1, fleet=FLEET))
    next(iter(simulated.hosts[3].vms.values())).ga = "STARTING"
    next(iter(simulated.hosts[3].vms.values())).contact = False
    list(simulated.run())

    assert anew == simulated.ledger.count("start")
    assert {"2"} == {host.versions["ga"] for host in simulated.hosts}


BLAST = (
    '[[rollout]]\nname = "old-agent"\nversions = { ha = "1.6", netplugin = "1.7" }\nmode = "blast"\nlead = 0\n'
    'spread = "15s"\nat = "10m"\n'
    '[[rollout]]\nname = "old-plugin"\nversions = { netplugin = "1.6" }\nmode = "blast"\nlead = 0\nat = "30m"\n'
    '[[fault]]\nname = "mix"\nkind = "bug"\nversions = { ha = "1.6", netplugin = "1.7" }\neffect = "network_down"\n'
)


def test_a_blast_of_host_components_restarts_agents_alone_and_a_bad_mix_takes_the_network_while_it_lasts() -> None:
    simulated = world(scenario(BLAST, servers=6, vms=2))
    found = list(simulated.run())
    runs = {(one.server, one.run) for one in reports(found)}
    networks = {
        (minute, vm.network)
        for one in reports(found)
        for minute in (9, 11, 31)
        if at(60 * minute) <= one.sent_ms < at(60 * minute + 300) and one.vms
        for vm in one.vms
    }
    ledger = simulated.ledger
    lost, back = ledger.facts("north-1", "blasted"), ledger.facts("north-1", "restored")

    assert 0 == ledger.count("start")
    assert 18 == len(runs)
    assert {(11, "DOWN"), (31, "UP")} == {each for each in networks if each[0] != 9}
    assert [12, 12] == [len({fact.vm for fact in facts}) for facts in (lost, back)] == [len(lost), len(back)]
    assert {"mix"} == {fact.detail for fact in lost + back}
    assert all(at(600) <= fact.at_ms <= at(615) for fact in lost)
    assert {at(1800)} == {fact.at_ms for fact in back}
    assert ["blast", "blast"] == [
        event.mode for event in said(found, "ROLLOUT_STARTED") if isinstance(event, MaintenanceEvent)
    ]
    assert 12 == len(said(found, "SERVER_UPDATE_STARTED")) == len(said(found, "SERVER_UPDATE_COMPLETED"))


@pytest.mark.parametrize("repairs", [True, False])
def test_what_people_push_may_take_servers_out_of_hi(repairs: bool) -> None:
    lines = f"{LINES}by_hand = true\nrepairs = {str(repairs).lower()}\n"
    simulated = world(scenario(lines, servers=6, vms=1, fleet=f"{FLEET}\nhealing = false"))
    bad = simulated.hosts[0]
    simulated.at(at(60), simulated.controller.give_up, bad, "a test")
    found = list(simulated.run())
    states = [event.state for event in said(found, "SERVER_STATE") if isinstance(event, MaintenanceEvent)]

    assert (["HI", "READY"] if repairs else ["HI"]) == states
    assert repairs != bad.given_up
    assert not bad.updating
