"""Why a VM was not available: one cause with its evidence and the runners-up, or UNKNOWN."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from detectors.causes.candidates import LATE_MS, Case, Clue, Conclusion, conclude
from detectors.causes.clues import clues_of, failing_since, signs_seen
from detectors.causes.intervals import AVAILABLE_AGAIN
from detectors.causes.statements import statement, text_of
from detectors.contract import UPDATE_EVERY_MS, Detector, OpenFinding
from detectors.contract import State as BaseState
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.lanes import overlap_ms
from detectors.picture import Picture
from schemas.commands import Confirm
from schemas.inventory import Removed
from schemas.outputs import Evidence, Finding, FindingState, Subject
from schemas.rca import ArticleState, Cause
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE

CASES_MOST = 50_000
"""Intervals remembered of one cluster, open ones among them: two of each VM of 1,000 servers with 20, and some."""
IDS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Config:
    """When a cause is told, and how long it may change."""

    provisional_s: float = field(default=300.0, metadata={"least": 1, "most": 86_400})
    """Seconds after an interval began at which its cause is told while it goes on. Source: CATALOGUE, root_cause."""
    settle_s: float = field(default=60.0, metadata={"least": 0, "most": 3600})
    """Seconds after its end that every lane must have passed before its cause is final. Source: DESIGN, time: an
    explanation stamped up to 60 s late still explains."""
    revise_s: float = field(default=21_600.0, metadata={"least": 60, "most": 86_400})
    """Seconds after its end in which later evidence revises it. Source: our judgement; a lane that lags for longer is
    told by `blind`."""
    confirm_s: float = field(default=86_400.0, metadata={"least": 60, "most": 604_800})
    """Seconds after its end for which one that awaits something stays open. Source: our judgement: a working day."""


@dataclass(slots=True)
class Tracked:
    """An interval of unavailability, and what was said of its cause."""

    vm: str
    server: str
    start_ms: int
    signs: tuple[str, ...]
    end_ms: int | None = None
    evidence: tuple[Evidence, ...] = ()
    revision: int = 0
    """Of the newest statement; 0: none yet."""
    said: str = ""
    """What it said: see `text_of`."""
    final: bool = False
    was_final: bool = False
    """A statement has been final: the next final one is a revision."""
    ids: tuple[str, ...] = ()
    """The ids of its findings, the newest last."""
    confirmed: Clue | None = None


@dataclass(slots=True)
class State(BaseState):
    """The intervals, by the id of their finding; and where they are looked for when something new comes."""

    cases: dict[str, Tracked] = field(default_factory=dict)
    by_vm: dict[str, list[str]] = field(default_factory=dict)
    by_server: dict[str, list[str]] = field(default_factory=dict)


class RootCause(Detector[Config, State]):
    """Finds the cause of each interval that `unavailability` tells of: one, with its evidence and the runners-up.

    Rule: provisional `provisional_s` after the interval began; final when it has ended and every lane has passed its
    end by `settle_s`, so that an explanation that comes late by another lane is known; UNKNOWN where no cause is
    accepted, or two fit about equally well. Causes are those of the catalogue; `candidates` says how they are weighed;
    the scores stand among the numbers. A reboot of its server tells workflow and cause; with BLOB_CACHE_RACE it cites
    the VM_DEALLOCATED on that server before it, or stays provisional. NMAGENT_UPDATE stays so until an operator
    confirms it (Confirm), and so does any cause where the maintenance feed was not watched meanwhile: something there
    might explain it better. Planned and unplanned are told apart.

    A VM that is deallocated or removed while it is not available is gone: what was said stands, and nothing is added.

    The finding closes when its cause is final, or `confirm_s` after the end of an interval whose cause awaits something
    still. If later evidence, or an operator, says otherwise within `revise_s`, a new finding supersedes it, with the
    next `revision`: nothing that was final is changed silently. Each statement is also an article of the topic `rca`.
    """

    Config = Config
    State = State
    memory_s = 6 * 3600
    feeds = (HOST_AGENT, GUEST_AGENT, MAINTENANCE)
    follows = ("unavailability",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what is concluded now."""
        if isinstance(frame, FindingFrame):
            return self._interval(frame)
        if isinstance(frame, DueFrame):
            due = self.state.deadlines.pop(frame.due_ms)
            return [found for key in due for found in self._due(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        self._news(frame, picture)
        found: list[Finding] = []
        for index, row in enumerate(frame.batch.rows):
            if isinstance(row, Confirm):
                found += self._confirm(row, frame, index, picture)
        if picture.news.inventory and any(isinstance(row, Removed) for row in frame.batch.rows):
            for vm in [vm for vm in self.state.by_vm if vm not in picture.vms]:
                for key in list(self.state.by_vm[vm]):
                    found += self._forget(key, frame, "removed")
        return found

    # -- intervals -----------------------------------------------------------------------------------------------

    def _interval(self, frame: FindingFrame) -> list[Finding]:
        """Take an interval that began or ended."""
        finding, state = frame.finding, self.state
        vm, server = finding.subject.vm or "", finding.facts["server"]
        if finding.state == FindingState.OPEN:
            case = Tracked(vm, server, int(finding.numbers["start_ms"]), _signs(finding), evidence=finding.evidence)
            state.cases[finding.id] = case
            state.by_vm.setdefault(vm, []).append(finding.id)
            state.by_server.setdefault(server, []).append(finding.id)
            state.deadlines.set(finding.id, case.start_ms + round(self.config.provisional_s * 1000))
            if len(state.cases) > CASES_MOST:
                oldest = next((key for key, known in state.cases.items() if known.final), next(iter(state.cases)))
                return self._forget(oldest, frame, "more intervals than can be remembered")
            return []
        known = state.cases.get(finding.id)
        if known is None or finding.state != FindingState.CLOSED:
            return []
        if finding.close_reason != AVAILABLE_AGAIN:
            # A VM that was deallocated or removed is gone: nobody asks when it was back.
            return self._forget(finding.id, frame, finding.close_reason)
        known.end_ms, known.signs, known.evidence = int(finding.numbers["end_ms"]), _signs(finding), finding.evidence
        # Just behind it: what is stamped exactly so late still counts, and is known then.
        state.deadlines.set(finding.id, known.end_ms + round(self.config.settle_s * 1000) + 1)
        return []

    def _forget(self, key: str, frame: Frame, reason: str) -> list[Finding]:
        case = self.state.cases.pop(key, None)
        if case is None:
            return []
        self.state.deadlines.drop(key)
        for index, name in ((self.state.by_vm, case.vm), (self.state.by_server, case.server)):
            index[name].remove(key)
            if not index[name]:
                del index[name]
        return self.state.openings.end(key, frame, reason)

    # -- what is new ---------------------------------------------------------------------------------------------

    def _news(self, frame: BatchFrame, picture: Picture) -> None:
        """Look again at intervals that something new may explain, once every lane has passed it."""
        if not self.state.cases:
            return
        for index, event in picture.news.maintenance:
            keys = self.state.by_server.get(event.server or "", []) + self.state.by_vm.get(event.vm or "", [])
            for key in keys:
                self._look(key, frame.batch.at_ms[index])
        for index, word in picture.news.guests:
            for key in self.state.by_vm.get(word.vm, ()):
                self._look(key, frame.batch.at_ms[index])

    def _look(self, key: str, at_ms: int) -> None:
        case = self.state.cases[key]
        if not case.revision:
            return
        if case.end_ms is not None and not case.start_ms - LATE_MS * 60 <= at_ms <= case.end_ms + self._revise_ms(case):
            return
        due_ms = self.state.deadlines.due.get(key)
        if due_ms is None or due_ms > at_ms:
            self.state.deadlines.set(key, at_ms)

    def _revise_ms(self, case: Tracked) -> int:
        return round((self.config.revise_s if case.final else max(self.config.revise_s, self.config.confirm_s)) * 1000)

    def _confirm(self, row: Confirm, frame: BatchFrame, index: int, picture: Picture) -> list[Finding]:
        """Take an operator's word; the finding it names is that of the interval, or of any statement of its cause."""
        if row.cause not in set(Cause):
            return []
        for key, case in self.state.cases.items():
            if row.finding_id == key or row.finding_id in case.ids:
                at_ms = frame.batch.at_ms[index]
                evidence = frame.evidence(index, f"confirmed by {row.by}: {row.reason}".rstrip(": "))
                facts = {"by": row.by, "reason": row.reason}
                case.confirmed = Clue("confirmed", at_ms, None, evidence, row.cause, facts=facts)
                return self._judge(key, case, at_ms, frame, picture)
        return []

    # -- judging -------------------------------------------------------------------------------------------------

    def _due(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        case = self.state.cases.get(key)
        if case is None:
            return []
        if case.end_ms is not None:
            settled_ms = case.end_ms + round(self.config.settle_s * 1000) + 1
            if frame.due_ms < settled_ms:
                self.state.deadlines.set(key, settled_ms)
                return []
            if frame.due_ms > case.end_ms + self._revise_ms(case):
                return self._forget(key, frame, "nobody confirmed it, and what it awaited did not come")
        return self._judge(key, case, frame.due_ms, frame, picture)

    def _judge(self, key: str, case: Tracked, known_ms: int, frame: Frame, picture: Picture) -> list[Finding]:
        """Say what the cause is, as far as it is known."""
        conclusion, judged = self._conclude(case, known_ms, picture)
        awaits = conclusion.best.awaits
        if not awaits and case.confirmed is None and case.end_ms is not None and unwatched(picture, case, self.config):
            awaits = "what the maintenance feed said, which was not watched for a part of this time"
        over = case.end_ms is not None and known_ms > case.end_ms + round(self.config.settle_s * 1000)
        final = not awaits and (over or (case.confirmed is not None and case.end_ms is not None))
        if case.end_ms is not None:
            self.state.deadlines.set(key, case.end_ms + self._revise_ms(replace(case, final=final)) + 1)
        said = text_of(conclusion, awaits)
        if case.final and said == case.said:
            return []
        open_now = self.state.openings.open.get(key)
        if not final and open_now is not None and said == case.said:
            return []
        if not final and open_now is not None and frame.at_ms < open_now.finding.at_ms + UPDATE_EVERY_MS:
            self.state.deadlines.set(key, max(known_ms, frame.at_ms) + UPDATE_EVERY_MS)
            return []
        return self._say(key, case, judged, conclusion, awaits, said, frame, picture, final=final)

    def _conclude(self, case: Tracked, known_ms: int, picture: Picture) -> tuple[Conclusion, Case]:
        until_ms = known_ms if case.end_ms is None else case.end_ms
        signs = case.signs
        if case.end_ms is None:
            seen = signs_seen(picture, case.vm, case.server, case.start_ms, until_ms)
            signs = tuple(dict.fromkeys((*signs, *seen)))
        failing_ms = failing_since(picture, case.vm, case.start_ms, until_ms, signs)
        judged = Case(case.vm, case.server, case.start_ms, case.end_ms, known_ms, signs, failing_ms)
        clues = clues_of(picture, case.vm, case.server, case.start_ms, known_ms)
        return conclude(judged, [*clues, *([] if case.confirmed is None else [case.confirmed])]), judged

    def _say(
        self,
        key: str,
        case: Tracked,
        judged: Case,
        conclusion: Conclusion,
        awaits: str,
        said: str,
        frame: Frame,
        picture: Picture,
        *,
        final: bool,
    ) -> list[Finding]:
        """Return the statement: opened, updated, closed where it is final; a revision of a final one is a new one."""
        openings = self.state.openings
        changed, revised = said != case.said, case.final
        state = ArticleState.REVISED if case.was_final else ArticleState.FINAL
        case.revision += 1 if changed else 0
        case.said, case.final, case.was_final = said, final, final or case.was_final
        state = state if final else ArticleState.PROVISIONAL
        fields = statement(key, judged, conclusion, state, case.revision, awaits, case.evidence)
        found: list[Finding] = []
        if key not in openings.open:
            subject = Subject(cluster=picture.cluster, vm=case.vm)
            opened_by = key if case.revision == 1 else f"{key}/{case.revision}"
            supersedes = case.ids[-1:] if revised else ()
            opened_ms = min(case.start_ms, frame.at_ms)
            found += self._open(key, frame, subject, opened_by, opened_ms=opened_ms, supersedes=supersedes, **fields)
            case.ids = (*case.ids, found[0].id)[-IDS_KEPT:]
        elif not final:
            found += openings.update(key, frame, **fields)
        if final:
            known = openings.open[key]
            openings.open[key] = OpenFinding(replace(known.finding, **fields), known.dismissed)
            found += openings.end(key, frame, f"{state.lower()}: {conclusion.best.cause}")
        return found


def _signs(finding: Finding) -> tuple[str, ...]:
    return tuple(finding.facts["signs"].split(", "))


def unwatched(picture: Picture, case: Tracked, config: Config) -> bool:
    """Tell whether a part of the time in which a maintenance system could have explained it was not watched."""
    since_ms = case.start_ms - LATE_MS
    until_ms = (case.end_ms or case.start_ms) + round(config.settle_s * 1000)
    lanes = picture.lanes.of((MAINTENANCE,), picture.state.sources)
    return any(lane is None or overlap_ms(lane.gaps, since_ms, until_ms) > 0 for lane in lanes)
