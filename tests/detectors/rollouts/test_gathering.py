"""gathering: what waits for its place in the order of stamps, and until when."""

from __future__ import annotations

import pytest

from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import Picture
from detectors.rollouts.gathering import (
    BOOT,
    FAULT,
    HEARD,
    LOOK,
    SHOWN,
    UPDATE,
    RegressionState,
    gather,
    in_order,
    urgent,
)
from tests.kit import Log, vm


def gathered(log: Log) -> RegressionState:
    """Return the queue that a log leaves."""
    picture, state = Picture("c1", Lanes()), RegressionState()
    for frame in log.frames:
        if isinstance(frame, BatchFrame):
            picture.fold(frame)
            gather(state, frame, picture, 1_500_000)
    return state


def kinds(log: Log) -> list[int]:
    return [note.kind for note in sorted(gathered(log).queue, key=in_order)]


@pytest.mark.parametrize(("second_s", "heard"), [(7199, 1), (7200, 2)])
def test_a_server_is_heard_once_in_two_hours(second_s: float, heard: int) -> None:
    log = Log().inventory(1).host(0, "s1", vms=[]).host(second_s, "s1")

    assert [HEARD] * heard == kinds(log)


def test_a_boot_a_fault_and_a_move_to_hi_are_queued() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[]).host(60, "s1", vms=[], boot="b2")
    log.host(120, "s1", boot="b2", state="FAULTED").host(180, "s1", boot="b2", state="FAULTED")
    log.maintenance(200, "SERVER_STATE", server="s1", state="HI")
    log.maintenance(210, "SERVER_STATE", server="s1", state="READY")

    notes = sorted(gathered(log).queue, key=in_order)
    assert [HEARD, BOOT, FAULT, FAULT] == [note.kind for note in notes]
    assert ["", "server:reboot", "server:FAULTED", "server:HI"] == [note.signature for note in notes]


@pytest.mark.parametrize(("planned", "queued"), [(False, [FAULT]), (True, []), (None, [])])
def test_only_a_reboot_that_is_not_planned_is_a_fault(planned: bool | None, queued: list[int]) -> None:
    log = Log().inventory(1).maintenance(0, "NODE_REBOOT_STARTED", server="s1", planned=planned)

    assert queued == kinds(log)


@pytest.mark.parametrize(("ga", "queued"), [("READY", [FAULT]), ("STARTING", [])])
def test_a_network_that_is_down_counts_where_the_vm_is_in_contact(ga: str, queued: list[int]) -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1", ga=ga, network="DOWN")])

    assert [*queued, HEARD] == sorted(kinds(log), reverse=True)


def test_components_that_one_report_shows_changed_are_one_change() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[], versions={"ga": "1", "ha": "1"})
    log.host(60, "s1", vms=[], versions={"ga": "2", "ha": "2"})

    (note,) = [note for note in gathered(log).queue if note.kind == SHOWN]
    assert {"ga": ("1", "2"), "ha": ("1", "2")} == note.versions


def test_updates_of_servers_and_vms_are_queued_with_their_rollout() -> None:
    log = Log().inventory(1).maintenance(0, "SERVER_UPDATE_STARTED", server="s1", rollout="r", component="ga")
    log.maintenance(1, "VM_UPDATE_STARTED", vm="v1", rollout="r").maintenance(2, "SERVER_UPDATE_STARTED", server="s1")

    notes = gathered(log).queue
    assert [(UPDATE, "r", ""), (UPDATE, "r", "v1")] == [(note.kind, note.rollout, note.vm) for note in notes]
    assert notes[0].told is not None
    assert "ga" == notes[0].told.component


def test_a_start_is_waited_for_and_touched_by_what_tells_of_it() -> None:
    log = Log().inventory(1).guest(0, "v1", "START").guest(0, "v2", "START").guest(5, "v1", "START_FAILED", step="boot")
    state = gathered(log)

    assert {log.ms(1500)} == {due for key, due in state.deadlines.due.items() if key != LOOK}
    assert [log.ms(5)] == list(state.touched.values())
    assert log.ms(5) == state.deadlines.due[LOOK]


def test_what_went_well_can_wait_for_others() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[]).guest(0, "v1", "START").guest(33, "v1", "READY")
    state = gathered(log)

    assert [log.ms(40)] == list(state.touched.values())
    assert log.ms(600) == urgent(state.queue[0])
