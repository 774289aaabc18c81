"""The customers' code in the VMs: stopping, starting, and what goes wrong in it."""

from __future__ import annotations

import pytest

from schemas.history import SourceRecord
from schemas.source import GuestEvent
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, said, scenario, world

FLEET = "onstop_s = [20, 20]\nstartup_s = [60, 60]\nslow_starts = 0\ncontact_s = [20, 20]\n"
REBOOT = '[[fault]]\nkind = "reboot"\nplanned = true\nat = "5m"\ndown_s = [300, 300]\nscope = { servers = 1 }\n'


def ran(text: str, duration: str = "1h", fleet: str = FLEET) -> tuple[World, list[SourceRecord]]:
    simulated = world(scenario(text, servers=1, vms=1, duration=duration, fleet=fleet))
    return simulated, list(simulated.run())


def words(found: list[SourceRecord]) -> list[str]:
    return [str(one.record.kind) for one in found if isinstance(one.record, GuestEvent)]


def states(found: list[SourceRecord]) -> list[str]:
    """Return how the host agent saw the VM, each state once in a row, with its network."""
    rows = [row for report in reports(found) for row in report.vms or ()]
    seen: list[str] = []
    for row in rows:
        state = f"{row.ga} {row.network}"
        if not seen or seen[-1] != state:
            seen.append(state)
    return seen


def test_a_vm_is_shut_down_in_order_before_its_server_reboots_and_is_busy_until_its_tasks_are_done() -> None:
    simulated, found = ran(REBOOT)

    assert ["STOPPING", "STOPPED", "SHUTDOWN", "START", "BUSY", "READY"] == words(found)
    assert ["READY UP", "STOPPING UP", "WAITING_FOR_HOST DOWN", "STARTING UP", "BUSY UP", "READY UP"] == states(found)
    (one,) = simulated.ledger.intervals("north-1")
    assert (at(300), "HOST_REBOOT") == (one.from_ms, one.cause)
    assert at(320 + 30 + 300 + 80) <= (one.until_ms or 0) <= at(320 + 50 + 300 + 80)


def test_the_platform_says_stop_container_and_event_1074() -> None:
    _, found = ran(REBOOT)

    assert [("StopContainer()", "Legacy API shutdown")] == [
        (event.initiator, event.reason) for event in said(found, "STOPPING") if isinstance(event, GuestEvent)
    ]
    assert [("WaAppAgent.exe", "Legacy API shutdown")] == [
        (event.initiator, event.reason) for event in said(found, "SHUTDOWN") if isinstance(event, GuestEvent)
    ]


def test_a_process_of_the_customer_says_so_first_and_stops_no_container() -> None:
    simulated, found = ran('[[fault]]\nkind = "guest_restart"\nat = "5m"\n')

    assert ["SHUTDOWN", "STOPPING", "STOPPED", "START", "BUSY", "READY"] == words(found)
    assert [] == [one for one in found if getattr(one.record, "initiator", "") == "StopContainer()"]
    assert ["GUEST_INITIATED"] == [one.cause for one in simulated.ledger.intervals("north-1")]


def test_without_code_it_stops_and_starts_as_if_it_held_none() -> None:
    _, found = ran(REBOOT, fleet="slow_starts = 0")

    assert ["SHUTDOWN", "START", "READY"] == words(found)


def test_tasks_that_fail_a_second_time_recycle_the_role_until_the_fault_is_over() -> None:
    _, found = ran(REBOOT + '[[fault]]\nkind = "task_fails_twice"\nat = "1m"\nfor = "40m"\n', duration="90m")
    recycled = [one.at_ms for one in found if getattr(one.record, "kind", "") == "RECYCLED"]

    # After the reboot (STOPPING at 5 min, away for 5) and until 41 min there are cycles of well under two minutes.
    assert len(recycled) >= 12
    assert at(600) < recycled[0] < recycled[-1] <= at(41 * 60 + 60)
    assert "READY" == words(found)[-1]


def test_tasks_that_fail_a_second_time_do_not_fail_on_a_fresh_image() -> None:
    text = '[[fault]]\nkind = "task_fails_twice"\n[[upgrade]]\nname = "u"\nat = "0s"\ncopy = "1m"\n'
    _, found = ran(text + 'guest_os = "2"\nguest_at = "5m"\n')

    assert [] == said(found, "RECYCLED")


@pytest.mark.parametrize(("kind", "recycled"), [("task_fails_reimaged", True), ("slow_startup", False)])
def test_code_that_misses_what_a_reimage_took_recycles_after_it_and_not_after_a_reboot(
    kind: str, recycled: bool
) -> None:
    keys = "startup_s = [90, 90]\n" if kind == "slow_startup" else ""
    text = f'[[fault]]\nkind = "{kind}"\n{keys}[[upgrade]]\nname = "u"\nat = "0s"\ncopy = "1m"\n'
    _, rebooted = ran(REBOOT + f'[[fault]]\nkind = "{kind}"\n{keys}')
    _, reimaged = ran(text + 'guest_os = "2"\nguest_at = "5m"\n')

    assert [] == said(rebooted, "RECYCLED")
    assert recycled == bool(said(reimaged, "RECYCLED"))


def test_slow_tasks_keep_it_busy_as_long_as_they_take() -> None:
    _, found = ran(REBOOT + '[[fault]]\nkind = "slow_startup"\nstartup_s = [1900, 1900]\n')
    stamps = {str(getattr(one.record, "kind", "")): one.at_ms for one in found}

    assert 1899_000 < stamps["READY"] - stamps["BUSY"] < 1901_000


def test_code_that_hangs_waits_for_its_host_with_a_network_until_the_fault_is_over() -> None:
    simulated, found = ran(REBOOT + '[[fault]]\nkind = "stuck_startup"\nfor = "50m"\n', duration="1h")

    assert ["BUSY UP", "WAITING_FOR_HOST UP", "READY UP"] == states(found)[-3:]
    assert [at(3000)] == [one.until_ms for one in simulated.ledger.intervals("north-1")]


def test_an_os_that_does_not_come_back_waits_for_its_host_without_a_network_and_is_started_when_it_is_over() -> None:
    simulated, found = ran(REBOOT + '[[fault]]\nkind = "os_not_back"\nfor = "50m"\n', duration="1h")
    first = next(iter(simulated.vms.values()))

    assert ["STOPPING UP", "WAITING_FOR_HOST DOWN", "STARTING UP", "BUSY UP", "READY UP"] == states(found)[1:]
    assert 1 == len(said(found, "START"))
    assert "READY" == first.ga
    assert [at(3000)] == [fact.at_ms for fact in simulated.ledger.facts("north-1", "start")]


def test_a_slow_stop_holds_the_reboot_up() -> None:
    _, found = ran(REBOOT + '[[fault]]\nkind = "slow_stop"\nonstop_s = [400, 400]\n')
    stamps = {str(getattr(one.record, "kind", "")): one.at_ms for one in found}

    assert 399_000 < stamps["STOPPED"] - stamps["STOPPING"] < 401_000
    assert stamps["NODE_REBOOT_COMPLETED"] > at(300 + 400 + 10 + 300)


def test_a_guest_agent_that_updates_itself_restarts_no_vm() -> None:
    text = '[[upgrade]]\nname = "u"\nat = "0s"\nga = "2"\nagent_at = "5m"\n'
    simulated, found = ran(text)
    vm = next(iter(simulated.vms.values()))

    assert ["STOPPING", "STOPPED", "START", "BUSY", "READY"] == words(found)
    assert 0 == simulated.ledger.count("start")
    assert "2" == vm.ga_version
    assert ["GUEST_AGENT_UPDATE"] == [one.cause for one in simulated.ledger.intervals("north-1")]
