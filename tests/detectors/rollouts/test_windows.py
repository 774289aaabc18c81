"""The windows of planned maintenance: what a VM's owner is told at each moment (seed 003)."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rollouts.windows import (
    MaintenanceStatus,
    Outcome,
    in_schedule,
    outcome_of,
    place_of,
    result_of,
    status_of,
    wave_named,
    wave_of_redeploy,
)
from detectors.upkeep import Redeploy
from schemas.inventory import Vm
from schemas.outputs import Evidence
from schemas.source import MaintenanceEvent
from tests.detectors.pictured import pictured
from tests.kit import Log, vm

DAY_S = 86_400
SELF_S = (31 * DAY_S, 35 * DAY_S)
PLAN_S = (36 * DAY_S, 40 * DAY_S)


def windows(log: Log) -> dict[str, Any]:
    return {
        "self_service_start_ms": log.ms(SELF_S[0]),
        "self_service_end_ms": log.ms(SELF_S[1]),
        "scheduled_start_ms": log.ms(PLAN_S[0]),
        "scheduled_end_ms": log.ms(PLAN_S[1]),
    }


def announced(wave: str = "w1", vms: tuple[str, ...] = ("v1", "v2"), log: Log | None = None) -> Log:
    """Return a wave of VMs on s1, announced at 0 s."""
    log = log or Log().inventory(3, vms=[Vm("v1", "c1", "s1"), Vm("v2", "c1", "s1")])
    return log.maintenance(0, "WAVE_ANNOUNCED", wave=wave, region="north", vms=vms, **windows(log))


def asked(log: Log, at_s: float, name: str = "v1") -> MaintenanceStatus:
    return status_of(pictured(log).state, name, log.ms(at_s))


def test_a_vm_of_a_wave_shows_its_four_times() -> None:
    log = announced()
    status = asked(log, 1)

    assert "w1" == status.wave
    assert tuple(windows(log).values()) == (
        status.self_service_start_ms,
        status.self_service_end_ms,
        status.scheduled_start_ms,
        status.scheduled_end_ms,
    )
    assert (Outcome.NONE, "") == (status.last_result_code, status.last_message)


@pytest.mark.parametrize(
    ("at_s", "allowed"),
    [(SELF_S[0] - 0.001, False), (SELF_S[0], True), (SELF_S[1], True), (SELF_S[1] + 0.001, False)],
)
def test_owners_may_redeploy_in_the_self_service_window_both_ends_included(at_s: float, allowed: bool) -> None:
    assert allowed == asked(announced(), at_s).customer_initiated_allowed


@pytest.mark.parametrize("name", ["v3", "nobody"])
def test_a_vm_of_no_wave_has_no_windows(name: str) -> None:
    assert MaintenanceStatus(name, announced().ms(5)) == asked(announced(), 5, name)


def test_what_was_not_yet_announced_is_not_shown() -> None:
    log = announced().maintenance(9, "WAVE_ANNOUNCED", wave="w9", vms=("v3",))

    assert "" == asked(log, 8, "v3").wave
    assert "w9" == asked(log, 9, "v3").wave
    assert None is asked(log, 9, "v3").scheduled_start_ms


@pytest.mark.parametrize("kind", ["WAVE_ABORTED", "WAVE_COMPLETED"])
def test_windows_are_no_longer_shown_once_a_wave_has_ended(kind: str) -> None:
    log = announced().maintenance(50, kind, wave="w1")

    assert ("w1", "") == (asked(log, 49).wave, asked(log, 50).wave)


def test_of_two_waves_the_one_that_ends_first_counts() -> None:
    log = announced()
    log.maintenance(5, "WAVE_ANNOUNCED", wave="w0", vms=("v1",), scheduled_end_ms=log.ms(PLAN_S[1] + 1))

    assert "w1" == asked(log, 6).wave


@pytest.mark.parametrize(
    ("code", "shown", "wave", "allowed"),
    [
        ("MaintenanceCompleted", Outcome.COMPLETED, "", False),
        ("MaintenanceAborted", Outcome.ABORTED, "", False),
        ("RetryLater", Outcome.RETRY_LATER, "w1", True),
        ("None", Outcome.NONE, "w1", True),
    ],
)
def test_one_redeploy_is_allowed_and_retry_later_is_none(code: str, shown: str, wave: str, allowed: bool) -> None:
    log = announced()
    log.maintenance(SELF_S[0] + 5, "VM_REDEPLOYED", vm="v1", to_server="s2", result_code=code, message="so")
    before, after = asked(log, SELF_S[0] + 4), asked(log, SELF_S[0] + 5)

    assert (True, Outcome.NONE) == (before.customer_initiated_allowed, before.last_result_code)
    assert (wave, allowed, shown, "so") == (
        after.wave,
        after.customer_initiated_allowed,
        after.last_result_code,
        after.last_message,
    )
    assert asked(log, SELF_S[0] + 5, "v2").customer_initiated_allowed


def test_after_a_failed_self_service_a_later_wave_offers_it_again() -> None:
    log = announced()
    log.maintenance(SELF_S[0], "VM_REDEPLOYED", vm="v1", result_code="MaintenanceAborted", message="no room")
    later_s = 60 * DAY_S
    log.maintenance(
        SELF_S[1],
        "WAVE_ANNOUNCED",
        wave="w2",
        vms=("v1",),
        self_service_start_ms=log.ms(later_s),
        self_service_end_ms=log.ms(later_s + 9),
    )
    status = asked(log, later_s)

    assert ("w2", True, Outcome.ABORTED) == (status.wave, status.customer_initiated_allowed, status.last_result_code)


@pytest.mark.parametrize("names", [{"wave": "w1"}, {"rollout": "w1"}, {"workflow": "w1"}])
@pytest.mark.parametrize(
    ("start", "end"),
    [("NODE_REBOOT_STARTED", "NODE_REBOOT_COMPLETED"), ("SERVER_UPDATE_STARTED", "SERVER_UPDATE_COMPLETED")],
)
def test_a_vm_whose_server_was_updated_is_done(names: dict[str, str], start: str, end: str) -> None:
    log = announced().maintenance(PLAN_S[0], start, server="s1", **names)
    log.maintenance(PLAN_S[0] + 900, end, server="s1", **names)

    assert "w1" == asked(log, PLAN_S[0] + 899).wave
    assert "" == asked(log, PLAN_S[0] + 900).wave


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        ("NODE_REBOOT_STARTED", "NODE_REBOOT_COMPLETED", {"server": "s1"}),
        ("SERVER_UPDATE_STARTED", "SERVER_UPDATE_FAILED", {"server": "s1", "wave": "w1"}),
        ("SERVER_UPDATE_STARTED", "SERVER_UPDATE_COMPLETED", {"server": "s2", "wave": "w1"}),
        ("VM_UPDATE_STARTED", "VM_UPDATE_FAILED", {"vm": "v1", "wave": "w1"}),
    ],
)
def test_other_work_does_not_end_its_wait(start: str, end: str, fields: dict[str, str]) -> None:
    log = announced().maintenance(PLAN_S[0], start, **fields).maintenance(PLAN_S[0] + 9, end, **fields)

    assert "w1" == asked(log, PLAN_S[0] + 10).wave


def test_an_update_of_the_vm_itself_ends_its_wait() -> None:
    log = announced().maintenance(PLAN_S[0], "VM_UPDATE_STARTED", vm="v1", wave="w1")
    log.maintenance(PLAN_S[0] + 9, "VM_UPDATE_COMPLETED", vm="v1", wave="w1")

    assert ("", "w1") == (asked(log, PLAN_S[0] + 9).wave, asked(log, PLAN_S[0] + 9, "v2").wave)


def test_the_schedule_has_both_its_ends() -> None:
    log = announced()
    wave = pictured(log).state.waves["w1"]

    found = [in_schedule(wave, log.ms(at_s)) for at_s in (PLAN_S[0] - 1, PLAN_S[0], PLAN_S[1], PLAN_S[1] + 1)]
    assert [False, True, True, False] == found


@pytest.mark.parametrize(
    ("code", "to_server", "outcome", "shown"),
    [
        ("maintenancecompleted", "", Outcome.COMPLETED, Outcome.COMPLETED),
        ("", "s2", Outcome.COMPLETED, Outcome.COMPLETED),
        ("", "", None, Outcome.NONE),
        ("retrylater", "", None, Outcome.RETRY_LATER),
        ("E_NO_ROOM", "", Outcome.ABORTED, Outcome.ABORTED),
    ],
)
def test_results_are_four_words(code: str, to_server: str, outcome: Outcome | None, shown: Outcome) -> None:
    redeploy = Redeploy(0, to_server, code, "", "e", Evidence(0, 0))

    assert (outcome, shown) == (outcome_of(redeploy), result_of(redeploy))


def test_a_redeploy_belongs_to_the_wave_it_names_or_in_whose_window_it_lies() -> None:
    log = announced()
    state = pictured(log).state

    def found(at_s: float, name: str = "v1", wave: str = "") -> str | None:
        redeploy = Redeploy(log.ms(at_s), "s2", "", "", "e", Evidence(0, 0), wave)
        known = wave_of_redeploy(state, name, redeploy)
        return None if known is None else known.wave

    assert ["w1", None, None, None, "w1"] == [
        found(SELF_S[0]),
        found(SELF_S[0] - 1),
        found(SELF_S[0], "v3"),
        found(SELF_S[0], wave="unknown"),
        found(5, wave="w1"),
    ]


def test_events_name_their_wave_or_none() -> None:
    state = pictured(announced()).state

    assert wave_named(state, MaintenanceEvent("e", "c1", 0, "fc", "NODE_REBOOT_STARTED", server="s1")) is None
    assert wave_named(state, MaintenanceEvent("e", "c1", 0, "fc", "SERVER_UPDATE_STARTED", rollout="os-7")) is None


def test_where_a_vm_was_follows_its_moves() -> None:
    log = Log().inventory(4, vms=[Vm("v1", "c1", "s1")])
    log.host(10, "s1", vms=[vm("v1")])
    log.maintenance(20, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    log.maintenance(30, "VM_REDEPLOYED", vm="v1", to_server="s3", result_code="MaintenanceAborted")
    log.maintenance(40, "VM_REDEPLOYED", vm="v1", to_server="s4", result_code="MaintenanceCompleted")
    view = pictured(log).vms["v1"]

    assert ["s1", "s1", "s2", "s2", "s4"] == [place_of(view, log.ms(at_s)) for at_s in (5, 10, 20, 30, 40)]
