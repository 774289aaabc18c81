"""VMs that take longer to stop than they are given."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.crowds import CrowdDetector
from detectors.failfast.lives import FEEDS, next_start_ms
from detectors.failfast.words import minutes, utc
from detectors.frames import BatchFrame, DueFrame, Frame, source_name
from detectors.picture import Picture, Start, VmView
from detectors.rollouts.covers import cover_of
from detectors.rollouts.vm_waits import Wait, WaitState, first, still
from schemas.outputs import Finding, Severity, Subject
from schemas.source import GUEST_AGENT, GaState, GuestKind

_CUT = "\x1f"


@dataclass(frozen=True, slots=True)
class Config:
    """How long a VM's code may take to stop."""

    limit_s: float = field(default=300.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time from STOPPING to STOPPED; exactly so long is in time. Source: seed 002, "your code will
    have 5 minutes to finish cleanup work in OnStop before the process is shut down"; CATALOGUE."""
    shutdown_s: float = field(default=60.0, metadata={"least": 0, "most": 3600})
    """Where a guest agent never says STOPPING: a SHUTDOWN so many seconds before its host agent's STOPPING, or later,
    says that the operating system is what stops. Source: our judgement; two agents' records of one event."""


class StopOverrun(CrowdDetector[Config, WaitState]):
    """Finds each VM whose code takes more than 5 minutes to stop: from STOPPING to STOPPED.

    Rule: the guest agent's STOPPED comes more than `limit_s` after its STOPPING, or has not come by then, in observed
    time. What follows STOPPED (or a SHUTDOWN after STOPPING) is the shutdown of the operating system and does not
    count. Where the guest agent says nothing, its host agent's STOPPING counts from when it came, unless a SHUTDOWN
    says that it is the operating system that stops. A next start, leaving the server, and any other state end it; while
    the server is not heard, or a feed has a gap, the time of what has not come stands. `opened_ms` is the moment of
    the limit.

    After five minutes the platform ends the process (seed 002): what its OnStop had left to do is lost, and an update
    takes longer for all. It ends when the VM has stopped, starts anew or leaves. Each VM is an
    info finding, and one warning counts them.
    """

    Config = Config
    State = WaitState
    state_version = 2
    memory_s = 2 * 3600
    feeds = FEEDS

    crowd_advice = (
        "STOPPING, and not STOPPED in the time that their OnStop is given: then their processes are ended, whatever "
        "they had left to do. Their owners should shorten OnStop; whoever updates their servers waits for them."
    )

    def crowd_words(self, many: bool) -> str:
        """Return what is said of one, or of many."""
        return f"{'take' if many else 'takes'} more than {minutes(self.config.limit_s)} to stop"

    def judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what stops too slowly, and what has stopped."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        news, state = picture.news, self.state
        for index, event in news.guests:
            at_ms = frame.batch.at_ms[index]
            key = f"{event.vm}{_CUT}{event.incarnation}"
            if event.kind == GuestKind.STOPPING:
                wait = Wait(event.vm, event.incarnation, event.server, at_ms, event.event_id, frame.evidence(index))
                state.wait(f"{key}{_CUT}guest", wait, at_ms + self._limit_ms)
        for index, vm, start in news.turns:
            if start.turns[-1][1] == GaState.STOPPING:
                at_ms = start.turns[-1][0]
                source = source_name(frame.batch.rows[index], picture.cluster)
                wait = Wait(vm, start.incarnation, start.server, at_ms, source, frame.evidence(index))
                state.wait(f"{vm}{_CUT}{start.incarnation}{_CUT}host", wait, at_ms + self._limit_ms)
        state.unpark(news)
        if not state.vms_open():
            return []
        touched = dict.fromkeys(
            [vm for _, vm, _ in news.turns]
            + [vm for vm, _ in (*news.starts, *news.ended)]
            + [event.vm for _, event in news.guests]
        )
        findings = [found for vm in touched for found in self._close(vm, frame, picture)]
        if news.inventory:
            for vm in [known for known in state.vms_open() if known not in picture.vms]:
                findings += state.openings.end(vm, frame, "removed")
        return findings

    @property
    def _limit_ms(self) -> int:
        return round(self.config.limit_s * 1000)

    def _judge(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        wait, state = self.state.waits.get(key), self.state
        if wait is None:
            return []
        view, start = picture.vms.get(wait.vm), still(picture, wait)
        by_host = key.endswith("host")
        if view is None or start is None or (by_host and self._guest_tells(view, wait)):
            state.drop(key)
            return []
        stopped_ms = _stopped_ms(view, wait)
        if stopped_ms is not None:
            # It came: nothing was missed on the server's side, and its own feed alone measures.
            limit_ms = picture.limit_passed_ms((GUEST_AGENT,), wait.since_ms, self._limit_ms, known_ms=frame.due_ms)
            state.drop(key)
            return self._overrun(wait, limit_ms, frame, picture) if stopped_ms > limit_ms else []
        end_ms = _end_ms(view, start, wait.since_ms)
        if end_ms is not None and end_ms <= wait.since_ms + self._limit_ms:
            state.drop(key)
            return []
        at_ms = state.limit_at(key, wait.server, self._limit_ms, frame.due_ms, picture)
        if at_ms is None:
            return []
        state.drop(key)
        return [] if end_ms is not None and end_ms <= at_ms else self._overrun(wait, at_ms, frame, picture)

    def _guest_tells(self, view: VmView, wait: Wait) -> bool:
        """Tell whether the guest agent speaks of this stop itself: then its own words measure it."""
        early_ms = round(self.config.shutdown_s * 1000)
        return any(
            word.incarnation == wait.incarnation
            and (
                word.kind in (GuestKind.STOPPING, GuestKind.STOPPED)
                or (word.kind == GuestKind.SHUTDOWN and word.at_ms >= wait.since_ms - early_ms)
            )
            for word in view.words
        )

    def _overrun(self, wait: Wait, limit_ms: int, frame: DueFrame, picture: Picture) -> list[Finding]:
        view = picture.vms[wait.vm]
        cover = cover_of(picture, view, wait.server, limit_ms, 0)
        during = f" in {cover.what}" if cover is not None else ""
        limit = minutes(self.config.limit_s)
        findings = self.state.openings.end(wait.vm, frame, "it stops anew")
        findings += self._open(
            wait.vm,
            frame,
            Subject(cluster=picture.cluster, server=wait.server, vm=wait.vm),
            wait.source,
            opened_ms=limit_ms,
            severity=Severity.INFO,
            title=f"VM {wait.vm} on {wait.server} takes more than {limit} to stop{during}",
            explanation=f"STOPPING since {utc(wait.since_ms)}, and not STOPPED within the {limit} that its OnStop is "
            "given: then its process is ended, whatever it had left to do. The shutdown of its operating system is not "
            "counted. Its owner should shorten OnStop; whoever updates the server waits for it.",
            evidence=(wait.evidence, *([cover.evidence] if cover is not None else [])),
            numbers={"limit_s": self.config.limit_s, "since_ms": wait.since_ms},
            facts={"incarnation": str(wait.incarnation), "during": cover.what if cover is not None else "no update"},
        )
        return findings + self._close(wait.vm, frame, picture)

    def _close(self, vm: str, frame: Frame, picture: Picture) -> list[Finding]:
        known = self.state.openings.open.get(vm)
        if known is None:
            return []
        finding = known.finding
        since_ms = int(finding.numbers["since_ms"])
        wait = Wait(vm, int(finding.facts["incarnation"]), "", since_ms, "", finding.evidence[0])
        view, start = picture.vms.get(vm), still(picture, wait)
        if view is None or start is None:
            return self.state.openings.end(vm, frame, "it is gone")
        stopped_ms = _stopped_ms(view, wait)
        if stopped_ms is not None:
            reason = f"it stopped at {utc(stopped_ms)}, after {(stopped_ms - since_ms) / 1000:.0f} s"
            return self.state.openings.end(vm, frame, reason)
        if _end_ms(view, start, since_ms) is not None:
            return self.state.openings.end(vm, frame, "it no longer stops: it was shut down, started anew or left")
        return []


def _stopped_ms(view: VmView, wait: Wait) -> int | None:
    """Return when the guest said STOPPED after this STOPPING."""
    words = (word for word in view.words if word.incarnation == wait.incarnation and word.kind == GuestKind.STOPPED)
    return first(*(word.at_ms for word in words if word.at_ms >= wait.since_ms))


def _end_ms(view: VmView, start: Start, since_ms: int) -> int | None:
    """Return when what began at `since_ms` was over without a STOPPED: SHUTDOWN, another state, a start, its leaving.

    A host agent's report of another state is read from after the first in which it said STOPPING: it may be late.
    """
    stopping = [at_ms for at_ms, ga in start.turns if ga == GaState.STOPPING and at_ms >= since_ms - _LATE_MS]
    turn = first(*(at_ms for at_ms, ga in start.turns if stopping and at_ms > stopping[0] and ga != GaState.STOPPING))
    word = first(
        *(
            word.at_ms
            for word in view.words
            if word.incarnation == start.incarnation and word.at_ms > since_ms and word.kind in _ENDS
        )
    )
    following = next_start_ms(view, start.incarnation)
    return first(turn, word, following, start.ended_ms)


_LATE_MS = 60_000
"""Brokers' clocks of two feeds may differ by so much (DESIGN, Time)."""
_ENDS = (GuestKind.SHUTDOWN, GuestKind.START, GuestKind.START_FAILED, GuestKind.READY, GuestKind.RECYCLED)
