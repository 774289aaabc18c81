"""Recovery: servers put right, corrupted ones, and the brake."""

import pytest

from schemas.history import SourceRecord
from schemas.source import MaintenanceEvent
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, said, scenario, world

REPAIR = '[[repair]]\nname = "r"\nat = "20m"\nper_minute = 0.5\n'
FLEET = "update_domains = 3\nslow_starts = 0\nhealing = false"


def repaired(
    lines: str = "", text: str = "", *, bad: int = 3, fleet: str = FLEET, duration: str = "1h"
) -> tuple[World, list[SourceRecord]]:
    """Return a world in which some servers were given up a minute after its start, and then the repair came."""
    simulated = world(scenario(REPAIR + lines + text, servers=12, vms=2, fleet=fleet, duration=duration))
    for host in simulated.hosts[:bad]:
        simulated.at(at(60), simulated.controller.give_up, host, "a test")
    return simulated, list(simulated.run())


def states(found: list[SourceRecord]) -> list[tuple[str | None, str | None]]:
    return [
        (event.server, event.state)
        for event in said(found, "SERVER_STATE")
        if isinstance(event, MaintenanceEvent) and event.state != "HI"
    ]


def test_servers_come_back_one_after_another_at_the_rate() -> None:
    simulated, found = repaired()
    facts = simulated.ledger.facts("north-1", "repaired")

    assert [at(1200), at(1320), at(1440)] == [fact.at_ms for fact in facts]
    assert [(host.name, "READY") for host in simulated.hosts[:3]] == states(found)
    assert not any(host.given_up for host in simulated.hosts)
    assert {"READY"} == {one.state for one in reports(found) if one.sent_ms > at(1500)}


def test_a_repair_that_takes_its_time_says_first_that_the_server_is_out() -> None:
    simulated, found = repaired('takes = "5m"\n', bad=1)
    name = simulated.hosts[0].name

    assert [(name, "OUT_FOR_REPAIR"), (name, "READY")] == states(found)
    assert [at(1500)] == [fact.at_ms for fact in simulated.ledger.facts("north-1", "repaired")]


@pytest.mark.parametrize(("lines", "times"), [("servers = 2\n", 2), ('for = "3m"\n', 2), ('servers = "50%"\n', 2)])
def test_it_goes_no_further_than_it_is_told(lines: str, times: int) -> None:
    assert times == repaired(lines)[0].ledger.count("repaired")


@pytest.mark.parametrize(("lifts", "braked"), [("true", False), ("false", True)])
def test_the_brake_is_lifted_with_the_last_of_them(lifts: str, braked: bool) -> None:
    simulated, _ = repaired(f"lifts_brake = {lifts}\n", bad=6)

    assert 1 == simulated.ledger.count("brake")
    assert braked == simulated.controller.braked


@pytest.mark.parametrize(("restart", "started"), [("failed", 1), ("all", 2), ("none", 0)])
def test_vms_without_contact_start_anew_or_all_or_none(restart: str, started: int) -> None:
    dead = '[[fault]]\nname = "d"\nkind = "agent_dies"\nat = "10m"\nscope = { servers = ["*0000"], vms = 1 }\n'
    simulated, _ = repaired(f'restart = "{restart}"\n{dead}', bad=1)

    assert started == sum(fact.at_ms == at(1200) for fact in simulated.ledger.facts("north-1", "start"))


def test_a_server_that_was_lost_boots_when_it_is_put_right() -> None:
    text = '[[fault]]\nname = "l"\nkind = "server_lost"\nscope = { servers = ["*0000"] }\nat = "1m"\n'
    simulated, found = repaired("", text, bad=0, fleet=f'{FLEET}\nnotice = "5m"')

    assert 1 == simulated.ledger.count("repaired")
    assert {"north-1-s0000-boot-1"} == {
        one.boot_id for one in reports(found, "north-1-s0000") if one.sent_ms > at(1200)
    }


CORRUPTED = '[[fault]]\nname = "c"\nkind = "corrupted"\nat = "5m"\nscope = { servers = ["*0005"] }\n'


def test_a_corrupted_server_is_given_up_and_waits_for_the_repair_that_names_its_fault() -> None:
    by_hand = '[[repair]]\nname = "by-hand"\nof = "c"\nat = "50m"\n'
    simulated, found = repaired("", CORRUPTED + by_hand, duration="2h")
    facts = simulated.ledger.facts("north-1", "repaired")

    assert ["r", "r", "r", "by-hand"] == [fact.detail for fact in facts]
    assert {"north-1-s0005"} == simulated.ledger.hit("c", "server")
    assert {"FAULTED"} == {one.state for one in reports(found, "north-1-s0005") if at(301) < one.sent_ms < at(3000)}
    assert {"READY"} == {vm.ga for vm in simulated.vms.values()}


def test_no_vm_starts_on_a_corrupted_server() -> None:
    simulated, _ = repaired("", CORRUPTED, bad=0)

    assert {"SILENT", "STARTING"} >= {vm.ga for vm in simulated.hosts[5].vms.values()}
    assert {"north-1-s0005"} == {fact.server for fact in simulated.ledger.facts("north-1", "affected_start")}


def test_a_server_that_a_rollout_put_right_meanwhile_is_put_right_once() -> None:
    text = (
        '[[rollout]]\nname = "push"\nversions = { ga = "2" }\nat = "22m"\nlead = 0\nmode = "blast"\nby_hand = true\n'
        "repairs = true\n"
    )
    simulated, _ = repaired('takes = "5m"\n', text, bad=1)

    assert ["push"] == [fact.detail for fact in simulated.ledger.facts("north-1", "repaired")]
