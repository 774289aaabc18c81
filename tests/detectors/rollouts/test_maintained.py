"""What a maintenance event restarts, and what is known of nodes."""

from __future__ import annotations

import pytest

from detectors.rollouts.maintained import node_updated, outside, restarts, right_again, version_at
from schemas.inventory import Vm
from schemas.source import MaintenanceEvent
from tests.detectors.pictured import pictured
from tests.detectors.rollouts.waved import PLAN_S, announce, cluster, redeploy, update, waved
from tests.kit import Log, vm


def event(kind: str = "SERVER_UPDATE_STARTED", **fields: str) -> MaintenanceEvent:
    return MaintenanceEvent("e", "c1", 0, "fc", kind, **{"wave": "w1", **fields})  # type: ignore[arg-type]


def test_a_restart_of_a_vm_that_nobody_knows_is_none() -> None:
    assert [] == restarts(event("VM_UPDATE_STARTED", vm="nobody"), 5, pictured(waved()))


def test_a_restart_of_nothing_is_none() -> None:
    assert [] == restarts(event(), 5, pictured(waved()))


@pytest.mark.parametrize("heard_s", [-0.5, 700])
def test_vms_are_found_whether_or_not_their_server_was_heard_lately(heard_s: float) -> None:
    """A report within ten minutes before names them; else all VMs are looked through."""
    log = waved().host(heard_s, "s1", vms=[vm("v1"), vm("v2")])

    found = restarts(event(server="s1"), log.ms(800), pictured(log))
    assert ["v1", "v2"] == [restart.vm for restart in found]


def test_a_report_from_after_the_restart_does_not_say_who_was_there() -> None:
    """v2 came later; v1, which had left by then, was there."""
    log = Log().inventory(2, vms=[Vm("v1", "c1", "s1"), Vm("v2", "c1", "s2")])
    announce(log).host(0, "s1", vms=[vm("v1")]).host(0, "s2", vms=[vm("v2")])
    log.host(100, "s1", vms=[vm("v2", 2)]).host(100, "s2", vms=[vm("v1", 2)])

    assert ["v1"] == [restart.vm for restart in restarts(event(server="s1"), log.ms(50), pictured(log))]


@pytest.mark.parametrize(
    ("at_s", "found"), [(PLAN_S[0] - 1, True), (PLAN_S[0], False), (PLAN_S[1], False), (PLAN_S[1] + 1, True)]
)
def test_outside_is_outside_the_scheduled_window(at_s: float, found: bool) -> None:
    log = waved()

    assert found == outside(pictured(log).state.waves["w1"], log.ms(at_s), 0)


def test_of_a_wave_that_nobody_knows_nothing_is_held_against_another() -> None:
    log = waved()
    picture = pictured(log)

    assert right_again(picture.state, picture.vms["v1"], "unknown", log.ms(5))
    assert not right_again(picture.state, picture.vms["v1"], "w1", log.ms(5))


def test_a_failed_self_service_makes_another_wave_right() -> None:
    log = redeploy(waved(), 1000, code="Aborted")
    picture = pictured(log)

    assert right_again(picture.state, picture.vms["v1"], "w1", log.ms(1001))
    assert not right_again(picture.state, picture.vms["v1"], "w1", log.ms(1000))


def judged(log: Log, to: str, source: str = "s1", at_s: float = 1500) -> bool | None:
    picture = pictured(log)
    return node_updated(picture.state.waves["w1"], picture.servers[source], picture.servers[to], log.ms(at_s))


def test_a_node_of_another_host_os_is_updated() -> None:
    assert [True, False] == [judged(waved(), "s3"), judged(waved(), "s5")]


def test_a_node_whose_version_nobody_knows_is_not_judged() -> None:
    log = announce(Log().inventory(2))

    assert None is judged(log, "s2")


@pytest.mark.parametrize(("until_s", "found"), [(1500, True), (1501, False)])
def test_a_node_whose_update_ended_before_is_updated(until_s: float, found: bool) -> None:
    assert found == judged(update(waved(), 1000, "s5", for_s=until_s - 1000), "s5")


def test_an_update_from_before_the_announcement_is_another() -> None:
    log = announce(update(cluster(), 10, "s5", wave="w0", for_s=20), at_s=50)

    assert not judged(log, "s5")


def test_a_node_is_held_against_its_source_as_it_was_before_the_wave_touched_it() -> None:
    """s1 was updated in the wave: both run the new version now, and that was right."""
    log = waved().maintenance(1000, "NODE_REBOOT_STARTED", server="s1", wave="w1")
    log.host(1100, "s1", vms=[], versions={"host_os": "os-2"})

    assert judged(log, "s3")
    assert not judged(log, "s5")


def test_versions_are_known_for_any_time() -> None:
    log = cluster().host(100, "s1", vms=[], versions={"host_os": "os-2"})
    log.host(200, "s1", vms=[], versions={"host_os": "os-3"})
    server = pictured(log).servers["s1"]

    assert ["os-1", "os-1", "os-2", "os-3"] == [
        version_at(server, "host_os", log.ms(at_s)) for at_s in (-50, 99, 100, 200)
    ]
    assert "" == version_at(server, "fc", log.ms(0))
