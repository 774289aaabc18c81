"""The state of a worker, as its supervisor and its load balancer may ask for it.

    starting -> rebalancing -> catching_up -> running        and from any of them -> failed
                     ^______________|____________|

Alive is not the same as ready. A worker that rebalances or catches up does its work: to kill it then would make it
begin again. So only `failed`, or no progress for `stuck_after_s` while there is work, is unhealthy; and only `running`
is ready, while a broker answers: one that is away is waited for, which a new process could do no better.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from streams.kafka.bundle import ANSWERED_WITHIN_S
from streams.operate import metrics


class State(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    REBALANCING = "rebalancing"
    CATCHING_UP = "catching_up"
    RUNNING = "running"
    FAILED = "failed"


class Health:
    """One worker's state; its methods are called by the worker, `healthy` and `ready` by the pages.

    `stuck_after_s`: seconds without progress, by `clock`, after which a worker that has work is unhealthy; exactly at
    the limit it still is healthy. `catch_up_s`: seconds of source time behind which a worker counts as catching up.
    """

    def __init__(
        self,
        role: str,
        *,
        stuck_after_s: float = 60.0,
        catch_up_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.role = role
        self.stuck_after_s = stuck_after_s
        self.catch_up_s = catch_up_s
        self.state = State.STARTING
        self.reason = "the worker is starting"
        self._clock = clock
        self._since_s = clock()
        self._progress_s = clock()
        self._work = False
        self._behind_s = 0.0
        self._heard_s: float | None = None
        self._show()

    def rebalancing(self) -> None:
        """Partitions are on their way; also the first time."""
        self._go(State.REBALANCING, "partitions are being assigned")

    def restoring(self, reason: str = "state is being restored") -> None:
        """Partitions are here and their state is not yet."""
        self._go(State.CATCHING_UP, reason)

    def progress(self, *, behind_s: float, work: bool) -> None:
        """Something was done: the worker is `behind_s` seconds of source time behind, `work`: more is waiting."""
        self._progress_s = self._clock()
        self._work = work
        self._behind_s = behind_s
        metrics.progressed(self.role)
        if behind_s > self.catch_up_s:
            self._go(State.CATCHING_UP, f"{behind_s:.0f} s behind")
        else:
            self._go(State.RUNNING, "")

    def waiting(self, *, work: bool) -> None:
        """Nothing was done; `work`: although there is something to do."""
        if work and not self._work:
            self._progress_s = self._clock()  # the wait begins where the work does
        self._work = work

    def heard(self, at_s: float | None) -> None:
        """Note when a broker last answered, by `clock`; None: not since partitions came."""
        self._heard_s = at_s

    def failed(self, reason: str) -> None:
        """Say that nothing more will come of this worker; there is no way back but a new process."""
        self._go(State.FAILED, reason)

    def stuck(self) -> str:
        """Return why the worker counts as stuck, or an empty text."""
        if self.state not in {State.CATCHING_UP, State.RUNNING} or not self._work:
            return ""
        waited_s = self._clock() - self._progress_s
        return f"no progress for {waited_s:.0f} s although records are waiting" if waited_s > self.stuck_after_s else ""

    def unanswered(self) -> str:
        """Return since when no broker has answered, or an empty text."""
        if self._heard_s is None or (quiet_s := self._clock() - self._heard_s) <= ANSWERED_WITHIN_S:
            return ""
        return f"no answer of a broker for {quiet_s:.0f} s"

    def healthy(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the process should go on living, and why."""
        stuck = self.stuck()
        reasons = [reason for reason in (stuck, self.reason if self.state is State.FAILED else "") if reason]
        return not reasons, self._body("healthy" if not reasons else "unhealthy", reasons)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the worker is up to date, and what it is doing else."""
        doing = self.reason if self.state is not State.RUNNING else ""
        reasons = [reason for reason in (self.stuck(), self.unanswered(), doing) if reason]
        return not reasons, self._body("ready" if not reasons else "not ready", reasons)

    def _body(self, status: str, reasons: list[str]) -> dict[str, Any]:
        now_s = self._clock()
        return {
            "status": status,
            "role": self.role,
            "state": str(self.state),
            "reasons": reasons,
            "in_state_s": round(now_s - self._since_s, 1),
            "progress_age_s": round(now_s - self._progress_s, 1),
            "behind_s": round(self._behind_s, 1),
        }

    def _go(self, state: State, reason: str) -> None:
        if self.state is State.FAILED:
            return
        if state is not self.state:
            self._since_s = self._clock()
            if state is State.REBALANCING:
                metrics.REBALANCES.labels(self.role).inc()
            if self.state in {State.STARTING, State.REBALANCING}:
                self._progress_s = self._clock()  # nothing could progress until now
        self.state = state
        self.reason = reason
        self._show()

    def _show(self) -> None:
        for state in State:
            metrics.STATE.labels(self.role, str(state)).set(state is self.state)
