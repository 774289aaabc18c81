"""Tests of what became of VMs that failed."""

from __future__ import annotations

import pytest

from detectors.failfast.lives import known_until, next_start_ms, start_of, unheard, why_over
from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import Picture, ServerView
from tests.kit import START_MS, Log, vm


def picture(log: Log) -> Picture:
    found = Picture("c1", Lanes())
    for frame in log.frames:
        assert isinstance(frame, BatchFrame)
        found.fold(frame)
    return found


def why(log: Log, after_s: float = 10) -> str:
    return why_over(picture(log).vms.get("v1"), 1, "s1", START_MS + round(after_s * 1000))


def failing() -> Log:
    return Log().guest(0, "v1", "START").guest(10, "v1", "START_FAILED")


def test_a_restart_is_no_end() -> None:
    assert "" == why(failing())
    assert "" == why(failing().guest(20, "v1", "START", incarnation=2))


@pytest.mark.parametrize(("at_s", "reason"), [(10, ""), (10.001, "its guest agent made contact")])
def test_only_contact_after_the_trouble_ends_it(at_s: float, reason: str) -> None:
    assert reason == why(failing().guest(at_s, "v1", "READY"))


def test_contact_of_a_later_incarnation_ends_it() -> None:
    assert "its guest agent made contact" == why(failing().guest(20, "v1", "BUSY", incarnation=2))


def test_contact_made_before_and_again_after_ends_it() -> None:
    """First contact was before; the host agent calls it READY again after."""
    log = Log().host(0, "s1", vms=[vm("v1")]).host(20, "s1", vms=[vm("v1", ga="STARTING")])

    assert "" == why(log)
    assert "its guest agent made contact" == why(log.host(30, "s1", vms=[vm("v1")]))


def test_leaving_the_server_ends_it() -> None:
    assert "it was moved to s2" == why(failing().guest(20, "v1", "START", incarnation=2, server="s2"))
    healed = failing().maintenance(20, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    assert "it no longer runs on s1" == why(healed)
    assert "the VM was removed" == why(Log())


def test_starts_are_found_by_incarnation() -> None:
    view = picture(failing().guest(20, "v1", "START", incarnation=3)).vms["v1"]
    start = start_of(view, 3)

    assert start is not None
    assert START_MS + 20_000 == start.at_ms == next_start_ms(view, 1)
    assert (None, None, None) == (start_of(view, 2), start_of(None, 1), next_start_ms(view, 3))


def test_nothing_is_known_in_silences_unsure_beats_and_before_the_first_report() -> None:
    server = ServerView("s1", first_heard_ms=1_000_000, silences=[(2_000_000, 3_000_000)], unsure_since_ms=4_000_000)
    stretches = unheard(server)

    assert [(0, 820_000), (2_000_000, 3_000_000)] == list(stretches[:2])
    assert 4_000_000 == stretches[2][0]


@pytest.mark.parametrize(("moment_ms", "known"), [(99, True), (100, True), (101, False)])
def test_a_server_is_known_until_its_last_report(moment_ms: int, known: bool) -> None:
    assert known is known_until(ServerView("s1", heard_ms=100), moment_ms)
    assert not known_until(ServerView("s1", heard_ms=100, unsure_since_ms=50), moment_ms)
