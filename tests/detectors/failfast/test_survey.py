"""Tests of how starts have fared: failed with an error, failed without a word, in contact, not known."""

from __future__ import annotations

import pytest

from detectors.failfast.survey import NO_CONTACT, survey
from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import Picture
from tests.kit import START_MS, Log, vm


def outcomes(log: Log, since_s: float = -100, no_contact_s: float = 300) -> list[tuple[str, str]]:
    """Return (vm, signature) of each start that came to something."""
    found = Picture("c1", Lanes())
    for frame in log.frames:
        assert isinstance(frame, BatchFrame)
        found.fold(frame)
    seen = survey(found, START_MS + round(since_s * 1000), round(no_contact_s * 1000))
    return [(attempt.vm, attempt.signature) for attempt in seen.attempts]


def started() -> Log:
    return Log().host(0, "s1", vms=[]).guest(10, "v1", "START")


def test_an_error_is_its_signature() -> None:
    assert [("v1", "boot:E")] == outcomes(started().guest(20, "v1", "START_FAILED", step="boot", error_code="E"))


def test_an_error_that_was_overcome_is_none() -> None:
    log = started().guest(20, "v1", "START_FAILED", step="boot", error_code="E").guest(30, "v1", "READY")

    assert [("v1", "")] == outcomes(log)


@pytest.mark.parametrize(("heard_s", "expected"), [(309.999, []), (310, [("v1", NO_CONTACT)])])
def test_no_contact_for_as_long_as_the_server_was_heard_is_a_failure(
    heard_s: float, expected: list[tuple[str, str]]
) -> None:
    assert expected == outcomes(started().host(heard_s, "s1"))


def test_one_ended_early_is_not_known() -> None:
    log = started().maintenance(100, "VM_DEALLOCATED", vm="v1", server="s1").host(4000, "s1")

    assert [] == outcomes(log)


def test_a_vm_first_seen_in_contact_was_not_seen_to_start() -> None:
    assert [] == outcomes(Log().host(0, "s1", vms=[vm("v1")]))


@pytest.mark.parametrize(("since_s", "count"), [(10, 1), (10.001, 0)])
def test_starts_before_the_time_asked_for_are_left_out(since_s: float, count: int) -> None:
    assert count == len(outcomes(started().guest(20, "v1", "READY"), since_s))
