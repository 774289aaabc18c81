"""What became of a VM that failed: whether its trouble is over, and by what."""

from __future__ import annotations

from detectors.lanes import Interval
from detectors.picture import CONTACT_GA, ServerView, Start, VmView
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE

FEEDS = (HOST_AGENT, GUEST_AGENT, MAINTENANCE)
"""All feeds that could tell of a VM's contact, or explain why there was none."""

CONTACT = "its guest agent made contact"


def start_of(view: VmView | None, incarnation: int) -> Start | None:
    """Return the VM's start of this incarnation, None where it is unknown or no longer kept."""
    if view is not None:
        for start in reversed(view.starts):
            if start.incarnation == incarnation:
                return start
    return None


def next_start_ms(view: VmView, incarnation: int) -> int | None:
    """Return the stamp of the earliest start of a later incarnation, None where there is none."""
    return min((start.at_ms for start in view.starts if start.incarnation > incarnation), default=None)


def why_over(view: VmView | None, incarnation: int, server: str, after_ms: int) -> str:
    """Return why the trouble of a VM on this server, seen in this incarnation at `after_ms`, is over; empty: it is not.

    Over: contact after it, in this incarnation or a later one; the VM starts on another server; it was ended by
    something else than its next start on this server (healed, deallocated, no longer named). A mere restart is not.
    By stamps alone, so that it does not matter which lane told first.
    """
    if view is None:
        return "the VM was removed"
    for start in view.starts:
        if start.incarnation < incarnation:
            continue
        if start.server != server:
            return f"it was moved to {start.server}"
        if start.contact_ms is not None and start.contact_ms > after_ms:
            return CONTACT
        following = next_start_ms(view, start.incarnation)
        if start.ended_ms is not None and (following is None or start.ended_ms < following):
            return f"it no longer runs on {server}"
    newest = view.start
    if (
        newest is not None
        and newest.incarnation >= incarnation
        and view.ga in CONTACT_GA
        and view.ga_from_ms > after_ms
    ):
        return CONTACT
    return ""


def unheard(server: ServerView) -> tuple[Interval, ...]:
    """Return the stretches in which nothing was known of a server's VMs: a VM's time does not run in them.

    Its ended silences, beats that named a full report never seen (the last such stretch may go on), and what lies
    longer before its very first report than a silence lasts.
    """
    stretches = server.unheard()
    if server.first_heard_ms > server.silent_after_ms:
        stretches = [(0, server.first_heard_ms - server.silent_after_ms), *stretches]
    if server.unsure_since_ms is not None:
        stretches = [*stretches, (server.unsure_since_ms, 1 << 60)]
    return tuple(stretches)


def known_until(server: ServerView, moment_ms: int) -> bool:
    """Tell whether the server has spoken of its VMs up to `moment_ms`: else whoever judges them must wait for it."""
    if server.unsure_since_ms is not None and server.unsure_since_ms < moment_ms:
        return False
    return server.heard_ms >= moment_ms
