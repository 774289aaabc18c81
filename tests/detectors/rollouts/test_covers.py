"""Tests of covers: which update or reboot a start belongs to."""

from __future__ import annotations

import pytest

from detectors.rollouts.covers import OPEN_MOST_MS, Cover, cover_of
from tests.detectors.pictured import pictured
from tests.kit import Log, vm


def cover(log: Log, at_s: float, slack_s: float = 600) -> Cover | None:
    picture = pictured(log)
    return cover_of(picture, picture.vms["v1"], "s1", log.ms(at_s), round(slack_s * 1000))


def running() -> Log:
    return Log().inventory(1).host(0, "s1", vms=[vm("v1")])


@pytest.mark.parametrize(("at_s", "covers"), [(9.999, False), (10, True), (700, True), (700.001, False)])
def test_an_update_covers_from_its_start_to_the_slack_after_its_end(at_s: float, covers: bool) -> None:
    log = running().maintenance(10, "VM_UPDATE_STARTED", system="guest-os", rollout="r", vm="v1")
    log.maintenance(100, "VM_UPDATE_COMPLETED", system="guest-os", rollout="r", vm="v1")

    assert covers == (cover(log, at_s) is not None)


def test_one_that_never_ends_covers_a_day() -> None:
    log = running().maintenance(10, "SERVER_UPDATE_STARTED", system="host-os", rollout="r", server="s1")
    day_s = 10 + OPEN_MOST_MS / 1000

    assert cover(log, day_s) is not None
    assert None is cover(log, day_s + 0.001)


def test_the_newest_is_the_cause() -> None:
    log = running().maintenance(10, "SERVER_UPDATE_STARTED", system="host-os", rollout="r", server="s1")
    log.maintenance(20, "NODE_REBOOT_STARTED", server="s1", planned=True, reason="patch")
    known = cover(log, 30)

    assert known is not None
    assert ("reboot", "the planned reboot (patch, fc) of s1") == (known.kind, known.what)


def test_unplanned_reboots_ends_alone_and_updates_that_restart_nothing_are_no_cover() -> None:
    log = running().maintenance(10, "NODE_REBOOT_STARTED", server="s1", planned=False)
    log.maintenance(20, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact="network")
    log.maintenance(25, "SERVER_UPDATE_COMPLETED", server="s1", rollout="r")

    assert None is cover(log, 30)


def test_of_a_server_unknown_nothing_is_announced() -> None:
    picture = pictured(running())

    assert None is cover_of(picture, picture.vms["v1"], "s9", 0, 0)
