"""Tests of what starts are compared with."""

from __future__ import annotations

import pytest

from detectors.rollouts.combinations import Fares
from detectors.rollouts.control import onset_ms, others
from tests.detectors.pictured import pictured
from tests.kit import Log, vm

NOON_S = 43_200


def starts(log: Log, at_s: float, server: str, kind: str, number: int = 3, incarnation: int = 2) -> Log:
    """Let VMs of a server start and fail, or make contact."""
    names = [f"{server}-v{n}" for n in range(number)]
    log.host(at_s, server, vms=[vm(name, incarnation, ga="STARTING") for name in names], versions={"ha": "1"})
    for name in names:
        log.guest(at_s + 5, name, kind, server=server, incarnation=incarnation)
    return log


def test_onset_is_the_first_start_that_fails_and_goes_on() -> None:
    log = starts(Log().inventory(3), 100, "s1", "START_FAILED", incarnation=1)
    starts(log, 1600, "s1", "START_FAILED", incarnation=2)
    starts(log, 90, "s2", "READY")

    assert log.ms(100) == onset_ms(pictured(log), ["s2", "s1"])
    assert onset_ms(pictured(log), ["s2", "s9"]) is None


def test_starts_of_others_at_the_same_time() -> None:
    log = starts(starts(Log().inventory(3), NOON_S, "s1", "START_FAILED"), NOON_S + 1, "s2", "READY")

    assert Fares(starts=3) == others(pictured(log), ["s1"], log.ms(NOON_S), 3)
    assert Fares(starts=3, failed=3) == others(pictured(log), ["s2"], log.ms(NOON_S), 3)


def test_one_that_fails_beside_is_enough_to_know() -> None:
    log = starts(starts(Log().inventory(3), NOON_S, "s1", "START_FAILED"), NOON_S + 1, "s2", "START_FAILED", 1)

    assert Fares(starts=1, failed=1) == others(pictured(log), ["s1"], log.ms(NOON_S), 3)


def test_else_the_last_starts_before_the_same_vms_among_them() -> None:
    log = starts(Log().inventory(3), NOON_S - 900, "s1", "READY", incarnation=1)
    starts(log, NOON_S, "s1", "START_FAILED")

    assert Fares(starts=3) == others(pictured(log), ["s1"], log.ms(NOON_S), 3)
    assert others(pictured(log), ["s1"], log.ms(NOON_S), 4) is None


@pytest.mark.parametrize(("at_s", "known"), [(600, False), (600.001, True)])
def test_beside_a_calendar_edge_what_was_before_tells_nothing(at_s: float, known: bool) -> None:
    log = starts(Log().inventory(3), -900, "s1", "READY", incarnation=1)
    starts(log, at_s, "s1", "START_FAILED")

    assert known == (others(pictured(log), ["s1"], log.ms(at_s), 3) is not None)
