"""Waves of planned maintenance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.history import SourceRecord
from schemas.source import MaintenanceEvent
from streams.simulate.quantity import DAY_MS, HOUR_MS
from streams.simulate.world import World
from tests.streams.simulate.worlds import START_MS, scenario, world

WAVE = """
[[wave]]
name = "first"
host_os = "2"
announced = "1h"
self_service = ["1d", "2d"]
scheduled = ["2d12h", "3d"]
redeploys = 0.25
"""
FLEET = "spare = 1\nupdate_domains = 2\nslow_starts = 0\nonstop_s = [5, 20]\nstartup_s = [10, 30]\n"


def ran(lines: str = WAVE, days: int = 4) -> tuple[World, list[SourceRecord]]:
    chosen = scenario(lines, servers=5, vms=2, duration=f"{days}d", fleet=FLEET)
    simulated = world(replace(chosen, interval_s=3600))
    return simulated, list(simulated.run())


def events(found: list[SourceRecord], *kinds: str, wave: str = "") -> list[tuple[int, MaintenanceEvent]]:
    return [
        (one.at_ms - START_MS, one.record)
        for one in found
        if isinstance(one.record, MaintenanceEvent) and one.record.kind in kinds and wave in {"", one.record.wave}
    ]


def redeployed(found: list[SourceRecord]) -> list[MaintenanceEvent]:
    return [event for _, event in events(found, "VM_REDEPLOYED")]


def test_a_wave_is_announced_with_its_vms_and_windows_then_started_then_completed() -> None:
    _, found = ran()
    told = events(found, "WAVE_ANNOUNCED", "WAVE_STARTED", "WAVE_COMPLETED")
    (at_ms, first), (started_ms, _), (ended_ms, _) = told

    assert ["WAVE_ANNOUNCED", "WAVE_STARTED", "WAVE_COMPLETED"] == [event.kind for _, event in told]
    assert (1, 24) == (at_ms // HOUR_MS, started_ms // HOUR_MS)
    assert (8, "north", "first") == (len(first.vms or ()), first.region, first.wave)
    assert [START_MS + day for day in (DAY_MS, 2 * DAY_MS, 2 * DAY_MS + DAY_MS // 2, 3 * DAY_MS)] == [
        first.self_service_start_ms, first.self_service_end_ms, first.scheduled_start_ms, first.scheduled_end_ms,
    ]  # fmt: skip
    assert 2 * DAY_MS + DAY_MS // 2 < ended_ms < 3 * DAY_MS


def test_owners_redeploy_a_share_of_the_vms_in_their_window_to_servers_that_are_updated() -> None:
    simulated, found = ran()
    spare = simulated.hosts[-1].name
    moves = events(found, "VM_REDEPLOYED")

    assert [(spare, "MaintenanceCompleted", "customer")] * 2 == [
        (event.to_server, event.result_code, event.system) for _, event in moves
    ]
    assert all(DAY_MS <= at_ms < 2 * DAY_MS for at_ms, _ in moves)
    assert {spare} == {simulated.vms[event.vm or ""].home.name for _, event in moves}


def test_every_vm_is_touched_once_and_every_server_updated_by_update_domains_in_its_window() -> None:
    simulated, found = ran()
    touched = [one.vm for one in simulated.ledger.intervals("north-1")]
    reboots = events(found, "NODE_REBOOT_STARTED")

    assert len(touched) == len(set(touched)) == 8
    assert {"2"} == {host.versions["host_os"] for host in simulated.hosts if host.vms}
    domains = {host.name: host.update_domain for host in simulated.hosts}
    order = [domains[event.server or ""] for at_ms, event in reboots if at_ms >= 2 * DAY_MS]
    assert sorted(order) == order
    assert all(2 * DAY_MS + DAY_MS // 2 < at_ms < 3 * DAY_MS for at_ms, event in reboots[1:])


def test_each_reboot_is_noticed_with_its_lead() -> None:
    _, found = ran(WAVE.replace("0.25", "0"))
    notices = events(found, "SCHEDULED")
    reboots = {event.server: at_ms for at_ms, event in events(found, "NODE_REBOOT_STARTED")}

    assert 4 == len(notices) == len({event.notice_id for _, event in notices})
    for at_ms, event in notices:
        assert ("Reboot", 900_000) == (event.event_type, (event.not_before_ms or 0) - event.sent_ms)
        assert 900_000 <= reboots[event.server] - at_ms + 1000 < 902_000


def test_an_aborted_wave_cancels_its_notices_and_leaves_its_vms_to_a_later_one() -> None:
    second = WAVE.replace("first", "second").replace("redeploys = 0.25", 'redeploys = 0\nremaining_of = "first"')
    for was, now in (("1h", "4d"), ('"1d", "2d"', '"5d", "6d"'), ('"2d12h", "3d"', '"7d", "8d"')):
        second = second.replace(was, now)
    simulated, found = ran(WAVE + "abort_after = 1\n" + second, days=9)
    (aborted_ms, aborted) = events(found, "WAVE_ABORTED")[0]
    ((_, announced),) = events(found, "WAVE_ANNOUNCED", wave="second")

    assert [] == events(found, "WAVE_COMPLETED", wave="first")
    given = [event for at_ms, event in events(found, "SCHEDULED") if aborted_ms - 600_000 < at_ms < aborted_ms]
    assert {event.notice_id for event in given} == {event.notice_id for _, event in events(found, "CANCELLED")}
    assert given
    assert announced.vms
    assert set(announced.vms) == set(aborted.vms or ())
    touched = [one.vm for one in simulated.ledger.intervals("north-1")]
    assert len(touched) == len(set(touched)) == 8
    assert 1 == len(events(found, "WAVE_COMPLETED", wave="second"))


def test_a_failed_self_service_takes_the_vm_out_of_the_wave_untouched() -> None:
    fault = '[[fault]]\nname = "fails"\nkind = "owner_redeploy"\nwave = "first"\nresult = "MaintenanceAborted"\n'
    fault += 'at = "1d30m"\nscope = { servers = ["*-s0001"], vms = ["*-v00"] }\nmessage = "no capacity"\n'
    simulated, found = ran(WAVE + fault)
    failed = [event for event in redeployed(found) if event.result_code == "MaintenanceAborted"]

    assert [("north-1-s0001-v00", None, "no capacity")] == [
        (event.vm, event.to_server, event.message) for event in failed
    ]
    assert "north-1-s0001-v00" not in {one.vm for one in simulated.ledger.intervals("north-1")}
    # Its neighbour's owner acts, so that its server need not be rebooted.
    assert "north-1-s0001-v01" in {event.vm for event in redeployed(found)}
    run = simulated.waves.of("first")
    assert run is not None
    assert ["north-1-s0001-v00"] == list(run.remaining())


@pytest.mark.parametrize(("to", "version"), [("updated", "2"), ("old", "1.0")])
def test_an_owner_may_redeploy_twice_and_to_the_wrong_server(to: str, version: str) -> None:
    fault = f'[[fault]]\nname = "owner"\nkind = "owner_redeploy"\nwave = "first"\nto = "{to}"\ntimes = 2\n'
    fault += 'at = "1d2h"\nscope = { servers = ["*-s0000"], vms = ["*-v00"] }\n'
    lines = WAVE.replace("redeploys = 0.25", "redeploys = 0") + fault
    chosen = scenario(lines, servers=6, vms=2, duration="2d", fleet=FLEET.replace("spare = 1", "spare = 2"))
    simulated = world(replace(chosen, interval_s=3600))
    found = list(simulated.run())

    moves = redeployed(found)
    hosts = {host.name: host for host in simulated.hosts}
    assert 2 == len(moves)
    assert [version] * 2 == [hosts[event.to_server or ""].versions["host_os"] for event in moves]
    assert HOUR_MS - 60_000 < moves[1].sent_ms - moves[0].sent_ms < HOUR_MS + 60_000


def test_a_redeploy_before_any_server_is_updated_is_to_be_tried_later() -> None:
    fault = '[[fault]]\nkind = "owner_redeploy"\nwave = "first"\nat = "12h"\nscope = { servers = 1, vms = 1 }\n'
    _, found = ran(WAVE.replace("redeploys = 0.25", "redeploys = 0") + fault)

    assert ["RetryLater"] == [event.result_code for event in redeployed(found)]


def test_servers_can_be_rebooted_for_a_wave_outside_its_windows_and_are_left_alone_from_then_on() -> None:
    fault = '[[fault]]\nname = "early"\nkind = "maintenance_restart"\nwave = "first"\nat = "12h"\n'
    fault += 'scope = { servers = ["*-s0002"] }\n'
    simulated, found = ran(WAVE + fault)
    reboots = [one for one in events(found, "NODE_REBOOT_STARTED") if one[1].server == "north-1-s0002"]

    assert [(12, "first")] == [(at_ms // HOUR_MS, event.wave) for at_ms, event in reboots]
    assert 2 == len(simulated.ledger.hit("early", "vm"))


def test_a_wave_without_vms_is_none() -> None:
    _, found = ran(WAVE.replace('host_os = "2"', 'host_os = "2"\nscope = { servers = ["*-s0004"] }'))

    assert [] == events(found, "WAVE_ANNOUNCED", "WAVE_STARTED", "WAVE_COMPLETED")
