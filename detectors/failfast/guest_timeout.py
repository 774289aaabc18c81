"""Guest agents that do not make contact in time, or fall silent for as long."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import Detector, State
from detectors.failfast.lives import FEEDS, known_until, next_start_ms, start_of, unheard, why_over
from detectors.failfast.waits import Case, Chain, Silence, evidence_of, explanation, facts_of, in_contact_since, title
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.lanes import FAR_MS
from detectors.picture import Picture, ServerView, VmView
from schemas.inventory import Removed
from schemas.outputs import Finding, Severity, Subject
from schemas.source import GUEST_AGENT, GaState, GuestEvent

_CUT = "\x1f"


@dataclass(frozen=True, slots=True)
class Config:
    """How long a guest agent may stay away."""

    timeout_s: float = field(default=1500.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time without a word of the guest agent; a VM exactly at the limit is alive. Source: seed 004,
    "the HA has a 25-minute timeout for hearing from the GA"."""
    replaced_early_s: float = field(default=5.0, metadata={"least": 0, "most": 3600})
    """An incarnation replaced without contact so many seconds before the limit, or later, has timed out at its
    replacement: the host agent acts at the limit by its own clock. Source: CATALOGUE, guest_timeout."""


@dataclass(slots=True)
class TimeoutState(State):
    """Who is waited for, and who timed out last."""

    silences: dict[str, Silence] = field(default_factory=dict)
    """By key of their due time."""
    silent: dict[str, str] = field(default_factory=dict)
    """VM to the key of its silence, while its host agent calls it SILENT."""
    parked: dict[str, list[str]] = field(default_factory=dict)
    """Server to the keys that wait until it is heard again."""
    chains: dict[str, Chain] = field(default_factory=dict)


class GuestTimeout(Detector[Config, TimeoutState]):
    """Finds each VM whose guest agent (GA) makes no contact within 25 minutes of its start, or goes silent that long.

    Rule: no first contact (BUSY, READY or HEARTBEAT; a START_FAILED is none) within `timeout_s` of the start of an
    incarnation; or a GA once heard is SILENT, as its host agent says, for as long. Time is observed time: it stands
    while a feed has a gap, while the server is not heard, and while its beats name a full report that was never seen;
    at the limit the verdict waits until the server has spoken again, so that a lost server is never a failed guest.
    `opened_ms` is the moment of the limit, exactly. An incarnation replaced without contact from `replaced_early_s`
    before the limit on timed out at its replacement; one that ended earlier or otherwise did not time out at all.

    `in_a_row`: time-outs of this VM on this server without a contact between them; of a clean VM (no customer code has
    run since the last imaging) the clean ones are counted. One that is not clean, or SILENT, may be the customer's
    doing: the cause is open, and the fact `counts_towards_hi` says "no". Source of rule and numbers: seed 004.

    A finding stands until contact, until the VM leaves the server, or until its next incarnation times out, which is a
    finding of its own. A restart alone ends nothing. Clusters whose inventory says `ga: none` have no guest agents.
    """

    Config = Config
    State = TimeoutState
    memory_s = 3 * 3600
    feeds = FEEDS

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what time-outs have come to light, and which are over."""
        if isinstance(frame, BatchFrame):
            return self._batch(frame, picture)
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge(key, frame, picture)]
        return []

    @property
    def _limit_ms(self) -> int:
        return round(self.config.timeout_s * 1000)

    # -- what is waited for --------------------------------------------------------------------------------------

    def _batch(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        news, state = picture.news, self.state
        touched: dict[str, None] = {}
        for vm, start in news.starts:
            due_ms = min(start.at_ms + self._limit_ms, *_known(start.contact_ms), *_known(start.ended_ms), FAR_MS)
            state.deadlines.set(f"start{_CUT}{vm}{_CUT}{start.incarnation}", due_ms)
            touched[vm] = None
        for vm, start in (*news.contacts, *news.ended):
            touched[vm] = None
            key = f"start{_CUT}{vm}{_CUT}{start.incarnation}"
            for stamp in (*_known(start.contact_ms), *_known(start.ended_ms)):
                if stamp < state.deadlines.due.get(key, stamp):
                    state.deadlines.set(key, stamp)
        for vm, before in news.ga_changes:
            touched[vm] = None
            self._ga_changed(picture.vms[vm], before)
        if frame.batch.feed.partition("@")[0] == GUEST_AGENT and (state.silent or state.openings.open):
            self._words(frame, touched)
        if state.parked:
            for server in news.heard:
                self._unpark(server, picture)
        findings = [found for vm in touched if vm in state.openings.open for found in self._close(vm, frame, picture)]
        if news.inventory and any(isinstance(row, Removed) for row in frame.batch.rows):
            findings += self._removed(frame, picture)
        return findings

    def _ga_changed(self, view: VmView, before: str) -> None:
        """Begin or end the wait for a guest agent that its host agent calls SILENT."""
        state = self.state
        if before == GaState.SILENT and (key := state.silent.pop(view.vm, None)) is not None:
            silence = state.silences.get(key)
            if silence is not None and silence.until_ms is None:
                silence.until_ms = view.ga_from_ms
        start = view.start
        if view.ga == GaState.SILENT and start is not None:
            key = f"silent{_CUT}{view.vm}{_CUT}{view.ga_from_ms}"
            state.silences[key] = Silence(
                view.vm, start.incarnation, view.server, view.ga_from_ms, view.ga_source, view.ga_evidence
            )
            state.silent[view.vm] = key
            state.deadlines.set(key, view.ga_from_ms + self._limit_ms)

    def _words(self, frame: BatchFrame, touched: dict[str, None]) -> None:
        """Note what silent guests say themselves."""
        state = self.state
        for index, row in enumerate(frame.batch.rows):
            if not isinstance(row, GuestEvent):
                continue
            if row.vm in state.openings.open:
                touched[row.vm] = None
            silence = state.silences.get(state.silent.get(row.vm, ""))
            at_ms = frame.batch.at_ms[index]
            if (
                silence is not None
                and silence.since_ms < at_ms
                and (silence.word_ms is None or at_ms < silence.word_ms)
            ):
                silence.word_ms = at_ms

    def _unpark(self, server: str, picture: Picture) -> None:
        """Let the waits on a server that spoke again be judged at the next turn of the clocks."""
        for key in self.state.parked.pop(server, ()):
            case = self._case(key, picture)
            if case is None:
                self.state.silences.pop(key, None)
            else:
                self.state.deadlines.set(key, case.since_ms + self._limit_ms)

    def _park(self, key: str, server: str) -> None:
        self.state.parked.setdefault(server, []).append(key)

    # -- judging -------------------------------------------------------------------------------------------------

    def _case(self, key: str, picture: Picture) -> Case | None:
        """Return what a key waits for as it stands now; None where it is waited for no more."""
        kind, name, number = key.split(_CUT)
        view = picture.vms.get(name)
        silence = self.state.silences.get(key)
        incarnation = silence.incarnation if silence is not None else int(number)
        start = start_of(view, incarnation)
        if view is None or start is None or (kind == "silent" and silence is None):
            return None
        following = next_start_ms(view, incarnation)
        ends = [*_known(start.ended_ms), *_known(following)]
        if silence is None:
            end_ms = min(ends, default=None)
            return Case(view, start, start.at_ms, start.contact_ms, end_ms, end_ms is not None and end_ms == following)
        # Once heard, or it is the first contact that is waited for.
        if start.contact_ms is None or start.contact_ms > silence.since_ms:
            return None
        ends += _known(silence.until_ms)
        end_ms = min(ends, default=None)
        handed_on = end_ms is not None and following is not None and end_ms >= following
        return Case(view, start, silence.since_ms, None, end_ms, handed_on, silence)

    def _judge(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Return the time-out that a key came to; where it is too early to tell, wait on."""
        case = self._case(key, picture)
        if case is None:
            self.state.silences.pop(key, None)
            return []
        limit_ms = self._limit_ms
        early_ms = round(self.config.replaced_early_s * 1000)
        if case.contact_ms is not None and case.contact_ms <= case.since_ms + limit_ms:
            self._in_touch(case)
            return []
        if case.end_ms is not None and case.end_ms < case.since_ms + limit_ms - early_ms:
            self.state.silences.pop(key, None)
            return []
        server = picture.servers.get(case.start.server)
        if server is None:
            self._park(key, case.start.server)
            return []
        excluded = unheard(server)
        limit_at_ms = picture.limit_passed_ms(FEEDS, case.since_ms, limit_ms, excluded)
        if case.contact_ms is not None and case.contact_ms <= limit_at_ms:
            self._in_touch(case)
            return []
        opened_ms = limit_at_ms
        if case.end_ms is not None and case.end_ms <= limit_at_ms:
            near_ms = picture.limit_passed_ms(FEEDS, case.since_ms, limit_ms - early_ms, excluded)
            if not case.handed_on or case.end_ms < near_ms:
                self.state.silences.pop(key, None)
                return []
            opened_ms = case.end_ms
        if opened_ms < FAR_MS // 2 and opened_ms > frame.due_ms:
            self.state.deadlines.set(key, opened_ms)
            return []
        if opened_ms >= FAR_MS // 2 or not known_until(server, opened_ms):
            self._park(key, server.server)
            return []
        if case.silence is not None and self._spoke(key, case.silence, case.view, opened_ms, frame.due_ms):
            return []
        self.state.silences.pop(key, None)
        if not picture.guest_agents():
            return []
        return self._timed_out(case, server, opened_ms, frame, picture)

    def _in_touch(self, case: Case) -> None:
        chain = self.state.chains.get(case.view.vm)
        if chain is not None:
            chain.touched = max(chain.touched, case.start.incarnation)

    def _spoke(self, key: str, silence: Silence, view: VmView, limit_at_ms: int, due_ms: int) -> bool:
        """Tell whether the guest itself spoke while its host agent called it SILENT: then it waits anew from there.

        Known are its newest word and the first one read since; a lane that runs 25 min ahead of a host agent that
        contradicts it may hide one between them.
        """
        words = [word for word in (view.guest_ms, silence.word_ms) if word and silence.since_ms < word <= limit_at_ms]
        if not words:
            return False
        silence.since_ms = max(words)
        silence.word_ms = None
        self.state.deadlines.set(key, max(silence.since_ms + self._limit_ms, due_ms + 1))
        return True

    # -- saying --------------------------------------------------------------------------------------------------

    def _count(self, case: Case) -> int:
        """Return which time-out in a row this is, for this VM on this server."""
        if case.silence is not None:
            return 1
        start, chains = case.start, self.state.chains
        chain = chains.get(case.view.vm)
        if chain is not None and start.incarnation <= chain.incarnation:
            # Judged late, after a later one on another server: it is no part of that chain.
            return 1
        if chain is None or chain.server != start.server or in_contact_since(chain, case):
            chain = chains[case.view.vm] = Chain(start.server, start.incarnation)
        chain.incarnation = start.incarnation
        chain.any += 1
        chain.counted = chain.counted + 1 if start.clean else 0
        return chain.counted if start.clean else chain.any

    def _timed_out(
        self, case: Case, server: ServerView, opened_ms: int, frame: DueFrame, picture: Picture
    ) -> list[Finding]:
        vm, start, silence = case.view.vm, case.start, case.silence
        in_a_row = self._count(case)
        known = self.state.openings.open.get(vm)
        if known is not None and int(known.finding.facts["incarnation"]) > start.incarnation:
            # Judged late: a later incarnation has spoken for this VM already.
            return []
        findings = self.state.openings.end(vm, frame, "its next incarnation timed out too")
        findings += self._open(
            vm,
            frame,
            Subject(cluster=picture.cluster, server=start.server, vm=vm),
            f"silent/{silence.source}" if silence is not None else start.source,
            opened_ms=opened_ms,
            severity=Severity.WARNING,
            title=title(case, in_a_row, self.config.timeout_s),
            explanation=explanation(case, opened_ms, self.config.timeout_s),
            evidence=evidence_of(case, server),
            numbers={
                "in_a_row": in_a_row,
                "waited_s": picture.waited_ms(FEEDS, case.since_ms, opened_ms, unheard(server)) / 1000,
                "limit_s": self.config.timeout_s,
            },
            facts=facts_of(case),
        )
        return findings + self._close(vm, frame, picture)

    def _close(self, vm: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Close the time-out of a VM if it is over."""
        known = self.state.openings.open.get(vm)
        if known is None:
            return []
        finding, view = known.finding, picture.vms.get(vm)
        incarnation = int(finding.facts["incarnation"])
        reason = why_over(view, incarnation, finding.subject.server or "", finding.opened_ms)
        if not reason and view is not None and finding.facts["kind"] == "silent":
            newest = view.start is not None and view.start.incarnation == incarnation
            began_ms = int(finding.facts["since_ms"])
            changed = newest and (view.ga != GaState.SILENT or view.ga_from_ms > began_ms)
            if changed or view.guest_ms > finding.opened_ms:
                reason = "its guest agent was heard again"
        if not reason:
            return []
        # The chain stays: a lane ahead may have told of this contact before time-outs that came earlier are judged.
        return self.state.openings.end(vm, frame, reason)

    def _removed(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Close and forget what the inventory no longer names."""
        state = self.state
        for server in picture.news.removed_servers:
            for key in state.parked.pop(server, ()):
                state.silences.pop(key, None)
        for vm in [vm for vm in state.chains if vm not in picture.vms]:
            del state.chains[vm]
        for vm in [vm for vm in state.silent if vm not in picture.vms]:
            state.silences.pop(state.silent.pop(vm), None)
        gone = [
            vm
            for vm, known in state.openings.open.items()
            if vm not in picture.vms or known.finding.subject.server in picture.news.removed_servers
        ]
        return [found for vm in gone for found in state.openings.end(vm, frame, "removed")]


def _known(stamp: int | None) -> list[int]:
    return [] if stamp is None else [stamp]
