"""The fabric controller."""

from typing import Any

import pytest

from schemas.source import MaintenanceEvent
from tests.streams.simulate.worlds import at, reports, said, scenario, world

REBOOT: dict[str, Any] = {"reason": "", "cause": "", "workflow": ""}


@pytest.mark.parametrize(("given_up", "braked"), [(10, False), (11, True)])
def test_it_stops_itself_at_its_brake_and_heals_no_more(given_up: int, braked: bool) -> None:
    simulated = world(scenario(servers=50, vms=1))
    for host in simulated.hosts[:given_up]:
        # Twice the same server counts once.
        simulated.at(at(60), simulated.controller.give_up, host, "a test")
        simulated.at(at(60), simulated.controller.give_up, host, "a test")
    list(simulated.run())

    assert given_up == simulated.ledger.count("hi")
    assert (int(braked), 0 if braked else given_up) == (
        simulated.ledger.count("brake"),
        simulated.ledger.count("healed"),
    )


def test_a_vm_is_healed_to_another_rack_and_starts_there() -> None:
    simulated = world(scenario(servers=8, vms=2, fleet="racks = 2"))
    lost = simulated.hosts[0]
    simulated.at(at(60), simulated.controller.give_up, lost, "a test")
    found = list(simulated.run())
    racks = {host.name: host.rack for host in simulated.hosts}

    assert {} == lost.vms
    assert 2 == len(said(found, "VM_HEALED"))
    targets = {event.to_server for event in said(found, "VM_HEALED") if isinstance(event, MaintenanceEvent)}
    assert lost.rack not in {racks[name or ""] for name in targets}


def test_while_healing_is_off_nothing_is_healed_and_all_of_it_when_it_is_back() -> None:
    text = '[[fault]]\nkind = "healing_off"\nfor = "30m"'
    simulated = world(scenario(text, servers=8, vms=2))
    simulated.at(at(60), simulated.controller.give_up, simulated.hosts[0], "a test")
    list(simulated.run())

    assert 2 == len([1 for fact in simulated.ledger.facts("north-1", "healed") if fact.at_ms >= at(1800)])
    assert 2 == simulated.ledger.count("healed")


def test_a_planned_reboot_is_announced_before_the_server_falls_silent_and_told_when_it_is_back() -> None:
    simulated = world(scenario(servers=2, vms=1))
    host = simulated.hosts[0]

    def reboot() -> None:
        assert simulated.controller.reboot(host, planned=True, down_ms=900_000, **REBOOT)

    simulated.at(at(600), reboot)
    found = list(simulated.run())
    away = [one for one in reports(found, host.name) if at(631) < one.sent_ms < at(1530)]
    stamps = [one.at_ms for one in found if getattr(one.record, "kind", "").startswith("NODE_REBOOT")]

    assert [] == away
    assert f"{host.name}-boot-1" == reports(found, host.name)[-1].boot_id
    assert 2 == len(stamps)
    assert stamps[0] < at(601) < at(1530) <= stamps[1]


def test_a_server_that_is_away_given_up_or_in_an_update_is_not_rebooted() -> None:
    simulated = world(scenario(servers=4))
    down, given_up, updating, well = simulated.hosts
    down.up, given_up.given_up, updating.updating = False, True, True

    assert [False, False, False, True] == [
        simulated.controller.reboot(host, planned=False, down_ms=1, **REBOOT)
        for host in (down, given_up, updating, well)
    ]


def test_a_controller_without_power_says_and_does_nothing() -> None:
    simulated = world()
    simulated.controller.down = True
    simulated.controller.give_up(simulated.hosts[0], "a test")

    assert simulated.controller.send("SERVER_STATE") is None
    assert 0 == simulated.ledger.count("hi")


def test_no_vm_is_created_while_management_is_off() -> None:
    text = '[[fault]]\nkind = "management_disabled"\nat = "20m"\nfor = "20m"'
    found = list(world(scenario(text, fleet="create_every_s = 60")).run())
    created = [one.at_ms for one in found if getattr(one.record, "kind", "") == "VM_CREATED"]

    assert any(stamp < at(1200) for stamp in created)
    assert [] == [stamp for stamp in created if at(1201) <= stamp < at(2400)]
    assert any(stamp >= at(2400) for stamp in created)
