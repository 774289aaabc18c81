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
