"""Tests of expected losses of network: what was announced, and for how long."""

from __future__ import annotations

import pytest

from detectors.rollouts.expected import expecting, overdue
from detectors.views import ServerView
from tests.detectors.pictured import pictured
from tests.kit import Log

LONGEST_MS = 300_000


def server(until_s: float | None = None, impact: str = "network") -> tuple[ServerView, int]:
    """Return a server whose component is updated from second 100 on, and that second's stamp."""
    log = Log().inventory(1).host(0, "s1", vms=[])
    log.maintenance(100, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact=impact)
    if until_s is not None:
        log.maintenance(until_s, "COMPONENT_UPDATE_COMPLETED", server="s1", component="nmagent")
    return pictured(log).servers["s1"], log.ms(100)


@pytest.mark.parametrize(
    ("down_ms", "expected"), [(-60_001, False), (-60_000, True), (0, True), (300_000, True), (300_001, False)]
)
def test_from_a_minute_before_its_stamp_to_five_minutes_after(down_ms: int, expected: bool) -> None:
    view, from_ms = server()

    assert expected == (expecting(view, from_ms + down_ms, LONGEST_MS) is not None)


@pytest.mark.parametrize(("down_ms", "expected"), [(80_000, True), (80_001, False)])
def test_not_after_it_has_ended_but_for_a_minute(down_ms: int, expected: bool) -> None:
    view, from_ms = server(until_s=120)

    assert expected == (expecting(view, from_ms + down_ms, LONGEST_MS) is not None)


@pytest.mark.parametrize(("impact", "expected"), [("network", True), ("reboot", True), ("freeze", False), ("", False)])
def test_only_what_announced_it(impact: str, expected: bool) -> None:
    view, from_ms = server(impact=impact)

    assert expected == (expecting(view, from_ms, LONGEST_MS) is not None)


def test_of_an_unknown_server_nothing_is_expected() -> None:
    assert expecting(None, 0, LONGEST_MS) is None


def test_overdue_by_a_report_after_the_longest_time_that_tells_of_its_vms() -> None:
    view, from_ms = server()
    upkeep = expecting(view, from_ms, LONGEST_MS)
    assert upkeep is not None

    view.heard_ms = from_ms + LONGEST_MS
    assert not overdue(view, upkeep, LONGEST_MS)

    view.heard_ms += 1
    assert overdue(view, upkeep, LONGEST_MS)

    view.unsure_since_ms = 1
    assert not overdue(view, upkeep, LONGEST_MS)
