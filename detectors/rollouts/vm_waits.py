"""Waits for something that a VM should have done by a time: where each began, and the moment of its limit."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.crowds import CrowdState
from detectors.failfast.lives import FEEDS, known_until, start_of, unheard
from detectors.lanes import FAR_MS
from detectors.picture import News, Picture, Start
from schemas.outputs import Evidence

WAITS_MOST = 400_000
"""As many as VMs are kept of a cluster (`detectors.views`): more are not waited for, the newest go."""


@dataclass(slots=True)
class Wait:
    """One wait: what was said of a VM, and since when its time runs."""

    vm: str
    incarnation: int
    server: str
    since_ms: int
    source: str
    """The record that the wait counts from, in its source's own terms."""
    evidence: Evidence


@dataclass(slots=True)
class WaitState(CrowdState):
    """What is waited for, by key of the due time."""

    waits: dict[str, Wait] = field(default_factory=dict)
    parked: dict[str, list[str]] = field(default_factory=dict)
    """Server to the keys that wait until it is heard again."""

    def wait(self, key: str, wait: Wait, due_ms: int) -> None:
        """Wait until `due_ms`; what is waited for already begins at its least stamp."""
        known = self.waits.get(key)
        if known is not None and known.since_ms <= wait.since_ms:
            return
        if known is None and len(self.waits) >= WAITS_MOST:
            return
        self.waits[key] = wait
        self.deadlines.set(key, due_ms)

    def drop(self, key: str) -> None:
        """Wait no more."""
        self.waits.pop(key, None)
        self.deadlines.drop(key)

    def park(self, key: str, server: str) -> None:
        """Ask again when this server is heard."""
        keys = self.parked.setdefault(server, [])
        if key not in keys:
            keys.append(key)

    def unpark(self, news: News) -> None:
        """Let waits on servers that spoke be judged at the next turn of the clocks; on removed ones, never."""
        if not self.parked:
            return
        for server in dict.fromkeys(news.heard):
            for key in self.parked.pop(server, ()):
                if key in self.waits:
                    self.deadlines.set(key, self.waits[key].since_ms)
        for server in news.removed_servers:
            for key in self.parked.pop(server, ()):
                self.waits.pop(key, None)

    def limit_at(self, key: str, server: str, limit_ms: int, due_ms: int, picture: Picture) -> int | None:
        """Return the moment at which a wait on this server reached its limit; None: too early, and seen to.

        Time stands while a feed has a gap or is blind, and while the server's VMs are unknown; at the limit the answer
        waits until the server has spoken of them again.
        """
        view = picture.servers.get(server)
        wait = self.waits[key]
        if view is None:
            self.park(key, server)
            return None
        moment_ms = picture.limit_passed_ms(FEEDS, wait.since_ms, limit_ms, unheard(view), known_ms=due_ms)
        if moment_ms < FAR_MS // 2 and moment_ms > due_ms:
            self.deadlines.set(key, moment_ms)
            return None
        if moment_ms >= FAR_MS // 2 or not known_until(view, moment_ms):
            self.park(key, server)
            return None
        return moment_ms


def still(picture: Picture, wait: Wait) -> Start | None:
    """Return the incarnation that a wait is about, None where its VM was removed or it is no longer kept."""
    return start_of(picture.vms.get(wait.vm), wait.incarnation)


def first(*stamps: int | None) -> int | None:
    """Return the least of the stamps that are known, None where none is."""
    return min((stamp for stamp in stamps if stamp is not None), default=None)
