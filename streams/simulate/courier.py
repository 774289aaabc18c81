"""The way from senders to brokers: latency, and all that can happen to a record between the two."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import attrgetter
from random import Random
from typing import Protocol

from schemas.history import Source, SourceRecord
from streams.simulate.scenario import Fault

_at_ms: Callable[[SourceRecord], int] = attrgetter("at_ms")


class Sender(Protocol):
    """Whoever sends: its records keep their order, as one connection to one broker keeps it."""

    last_at: int


class Courier:
    """Stamps records as their broker would have, and hands them out in the order of the stamps."""

    def __init__(self, latency_ms: tuple[int, int], jitter_ms: int, rng: Random) -> None:
        self._rng = rng
        self.random = rng.random
        self.low, self.spread = latency_ms[0], latency_ms[1] - latency_ms[0] + 1
        self.jitter_ms = jitter_ms
        self.troubles: list[tuple[Fault, int]] = []
        """Faults of delivery under way, each with its end."""
        self.out: list[SourceRecord] = []

    def begin(self, fault: Fault, until_ms: int) -> None:
        """Let a fault of delivery act."""
        self.troubles.append((fault, until_ms))

    def end(self, fault: Fault) -> None:
        """Let it act no more."""
        self.troubles = [item for item in self.troubles if item[0] is not fault]

    def send(self, feed: str, record: Source, sender: Sender, now_ms: int) -> int | None:
        """Return the broker's stamp of a record sent now; None: it was lost."""
        at_ms = now_ms + self.low + int(self.random() * self.spread)
        if self.troubles:
            return self._troubled(feed, record, sender, now_ms, at_ms)
        if at_ms < sender.last_at:  # noqa: PLR1730  (half the time of max(), once a record)
            at_ms = sender.last_at
        sender.last_at = at_ms
        self.out.append(SourceRecord(feed, at_ms, record))
        return at_ms

    def _troubled(self, feed: str, record: Source, sender: Sender, now_ms: int, at_ms: int) -> int | None:
        again: list[Fault] = []
        for fault, until_ms in self.troubles:
            if feed not in fault.feeds:
                continue
            if fault.kind == "collector_outage" or (fault.kind == "loss" and self._rng.random() < fault.fraction):
                return None
            if fault.kind == "lag" and fault.mode == "stamped":
                # What waits is let through at the end of the fault at the latest, in a burst.
                at_ms += min(fault.delay_ms, max(0, until_ms - now_ms))
            elif fault.kind == "duplicates" and self._rng.random() < fault.fraction:
                again.append(fault)
        at_ms = max(at_ms, sender.last_at)
        sender.last_at = at_ms
        self.out.append(SourceRecord(feed, at_ms, record))
        for fault in again:
            for _ in range(fault.copies):
                later = at_ms + 1 + int(self._rng.random() * fault.delay_ms)
                self.out.append(SourceRecord(feed, later, record))
        return at_ms

    def take(self, before_ms: int) -> list[SourceRecord]:
        """Return what is stamped before a time, in order; no record sent later can be stamped earlier."""
        # The sort is stable and nearly done already: equal stamps keep the order of sending.
        self.out.sort(key=_at_ms)
        place = bisect_left(self.out, before_ms, key=_at_ms)
        taken = self.out[:place]
        del self.out[:place]
        return taken
