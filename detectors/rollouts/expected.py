"""Whether a VM's loss of network is one that was announced, and for how long it is to be expected."""

from __future__ import annotations

from detectors.picture import ServerView
from detectors.upkeep import Upkeep

LATE_MS = 60_000
"""An explanation stamped up to 60 s late still explains (DESIGN, Time)."""
IMPACTS = ("network", "reboot")
"""Announced impacts (COMPONENT_UPDATE_STARTED) that take a VM's network away: a reboot takes all away."""


def expecting(server: ServerView | None, down_ms: int, longest_ms: int) -> Upkeep | None:
    """Return the newest upkeep of a server that announced the loss of network which began at `down_ms`; None: none.

    It does if it names such an impact, began at most `LATE_MS` after the loss, and had neither ended before it, but
    for `LATE_MS`, nor gone on for longer than `longest_ms`.
    """
    if server is None:
        return None
    for upkeep in reversed(server.upkeep):
        if upkeep.impact not in IMPACTS or not upkeep.from_ms - LATE_MS <= down_ms <= upkeep.from_ms + longest_ms:
            continue
        if upkeep.until_ms is None or down_ms <= upkeep.until_ms + LATE_MS:
            return upkeep
    return None


def overdue(server: ServerView, upkeep: Upkeep, longest_ms: int) -> bool:
    """Tell whether the server has reported later than `longest_ms` after the upkeep began.

    What it says then is no longer what was announced: exactly `longest_ms` is not longer. A beat whose full report is
    not known says nothing of its VMs.
    """
    return server.unsure_since_ms is None and server.heard_ms > upkeep.from_ms + longest_ms
