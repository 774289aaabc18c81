"""Starts of VMs that stop making contact, told long before the first of them times out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector, State
from detectors.failfast.lives import FEEDS, known_until, start_of, unheard
from detectors.failfast.words import domains_of, listed, racks_of, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.lanes import FAR_MS
from detectors.picture import Picture, ServerView, Start
from schemas.inventory import Removed
from schemas.outputs import Evidence, Finding, Severity, Subject

BIN_MS = 10_000
"""Width of a bin of the learned ages."""
LEARNED_MOST = 4000
"""Starts remembered in the histogram; beyond, all counts are halved, so that it follows a slow change."""
LEARN_FROM = 200
"""Starts after which a cluster's own ages are believed more than the prior: ten beyond the 95 % mark."""
PRIOR_STARTS = 50
"""How many starts the prior weighs."""
HELD_MOST = 256
"""Ages held back while it is open whether they belong to a stall."""
MOST_RATE = 0.95
"""No rate is believed to be higher: a is where 95 % have made contact, and few failures must not prove a stall."""
FALL = 0.5
"""The alternative: half as many make contact as used to."""
_CUT = "\x1f"


@dataclass(frozen=True, slots=True)
class Config:
    """How sure one must be that starts stall."""

    age_s: float = field(default=300.0, metadata={"least": 10, "most": 600})
    """Seconds of observed time by which 95 % of starts have made contact, until the cluster has taught its own; also
    the most that is waited. Source: CATALOGUE, start_stall (prior 5 min)."""
    least_age_s: float = field(default=60.0, metadata={"least": 10, "most": 600})
    """No start is judged younger, however quick its cluster has learned to be. Source: host agents report once a
    minute, so that contact may be a minute old before it is told."""
    rate: float = field(default=0.93, metadata={"least": 0.5, "most": 0.95})
    """Share of starts in contact by that age, until learned. Source: CATALOGUE, start_stall (prior rate 93 %)."""
    false_alarm_starts: float = field(default=1e6, metadata={"least": 100, "most": 1e12})
    """At most one false alarm in so many starts. Source: CATALOGUE, start_stall."""
    servers: int = field(default=2, metadata={"least": 1, "most": 1000})
    """Servers on which starts must stall. Source: CATALOGUE, start_stall."""


@dataclass(slots=True)
class Stalled:
    """A start without contact at its age."""

    vm: str
    server: str
    at_ms: int
    ga_version: str
    evidence: Evidence


@dataclass(slots=True)
class Tally:
    """What one server's starts add to the test."""

    log_ratio: float = 0.0
    stalls: int = 0


@dataclass(slots=True)
class StallState(State):
    """The test as it stands, and what the cluster has taught."""

    stages: dict[str, int] = field(default_factory=dict)
    """Start to the age at which it is judged, in ms; 0: not chosen yet; -1: judged, its age of contact is to learn."""
    parked: dict[str, list[str]] = field(default_factory=dict)
    """Server to the starts that wait until it is heard again."""
    log_ratio: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By server, since the test last stood at its beginning."""
    stalled: list[Stalled] = field(default_factory=list)
    stalls: int = 0
    contacts: int = 0
    onset_ms: int = FAR_MS
    """The earliest start among the stalled ones."""
    recovery: float = 0.0
    recovered: dict[str, int] = field(default_factory=dict)
    """Server to starts in contact since the recovery's test last stood at its beginning."""
    ages: list[int] = field(default_factory=list)
    """Contacts by age in bins of BIN_MS; the last bin is of those later than the oldest age."""
    held: list[int] = field(default_factory=list)
    """Bins not learned yet, because they may belong to a stall."""


class StartStall(Detector[Config, StallState]):
    """Finds that starts of VMs stop making contact, with no error reported at all, minutes before they time out.

    Each start is judged once, at age a of observed time (a: where 95 % of this cluster's starts have made contact,
    learned; 5 min before 200 starts are known): has its guest agent made first contact by then? With r the learned
    rate at that age (prior 0.93, believed up to 0.95) the alternative is q = r / 2. A start without contact multiplies
    the likelihood ratio by (1 - q) / (1 - r), one with contact by q / r = 1/2; it never falls below 1 (Page's CUSUM).
    At 10^6 it opens: a CUSUM at threshold h has, while starts do as well as r or better, at least h starts between two
    false alarms (Lorden 1971), whenever one looks; so at most 1 in 10^6 starts.

    Arithmetic: r = 0.93: 0.535 / 0.07 = 7.64 a stalled start, 7.64^7 = 1.5 * 10^6: seven in a row suffice.
    r = 0.95: 10.5, six. Ten in a row suffice down to r = 0.857 (0.572 / 0.143 = 3.99).
    The starts must be independent for this, and those of one broken server are not: what a server adds is limited to
    five stalled starts, and without any one server the rest must still reach the square root of the threshold (10^3):
    ten starts that stall on two servers, five each, do (3.99^5 = 1,010), one server alone never does.

    Time runs only while the server is heard, and a start is judged when its server has spoken after age a: a stall is
    told a and one report interval after the start that decides. Starts ended before their age are not counted, nor
    VMs that a server's first full report shows. What is learned (a histogram of ages at contact, at most 4,000 starts)
    is held back while the ratio is above 1 and thrown away if it opens: it never learns from the stall itself.
    Closes when, by the mirrored test at 10^3, starts on as many servers make contact again (ten in a row suffice).
    """

    Config = Config
    State = StallState
    memory_s = 24 * 3600
    feeds = FEEDS

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what the starts that have reached their age tell."""
        if isinstance(frame, DueFrame):
            due = self.state.deadlines.pop(frame.due_ms)
            return [found for key in due for found in self._asked(key, frame, picture)]
        if isinstance(frame, BatchFrame):
            return self._batch(frame, picture)
        return []

    def _batch(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        state = self.state
        for vm, start in picture.news.starts:
            key = f"{vm}{_CUT}{start.incarnation}"
            state.stages[key] = 0
            state.deadlines.set(key, start.at_ms + self._least_age_ms)
        if state.parked:
            for server in picture.news.heard:
                for key in state.parked.pop(server, ()):
                    start_known = _start(key, picture)
                    if start_known is None or key not in state.stages:
                        state.stages.pop(key, None)
                    else:
                        state.deadlines.set(key, start_known.at_ms + state.stages[key])
        if picture.news.inventory and any(isinstance(row, Removed) for row in frame.batch.rows):
            for server in picture.news.removed_servers:
                for key in state.parked.pop(server, ()):
                    state.stages.pop(key, None)
        return []

    @property
    def _age_ms(self) -> int:
        return round(self.config.age_s * 1000)

    @property
    def _least_age_ms(self) -> int:
        return min(self._age_ms, round(self.config.least_age_s * 1000))

    # -- one start -----------------------------------------------------------------------------------------------

    def _asked(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Take a start one step further: choose its age, judge it there, learn from it."""
        state = self.state
        stage = state.stages.get(key)
        start = _start(key, picture)
        server = None if start is None else picture.servers.get(start.server)
        if stage is None or start is None or server is None or start.at_ms <= _seen_first_ms(server):
            # Unknown, or first seen when its server was: nobody knows when it really started.
            state.stages.pop(key, None)
            return []
        if stage == 0:
            stage = state.stages[key] = self._learned()[0]
            if start.at_ms + stage > frame.due_ms:
                state.deadlines.set(key, start.at_ms + stage)
                return []
        age_ms = self._age_ms if stage < 0 else stage
        moment_ms = start.at_ms + age_ms
        in_touch = start.contact_ms is not None and start.contact_ms <= moment_ms
        if not in_touch:
            moment_ms = picture.limit_passed_ms(FEEDS, start.at_ms, age_ms, unheard(server))
            in_touch = start.contact_ms is not None and start.contact_ms <= moment_ms
        if not in_touch:
            if start.ended_ms is not None and start.ended_ms <= moment_ms:
                del state.stages[key]
                return []
            if frame.due_ms < moment_ms < FAR_MS // 2:
                state.deadlines.set(key, moment_ms)
                return []
        # Those in contact wait for their server's word as well: if only the others did, a hundred starts of one minute
        # would be judged with all that stalled at the end, and a row of the few late ones would look like a fault.
        if (stage > 0 or not in_touch) and not known_until(server, moment_ms):
            state.parked.setdefault(start.server, []).append(key)
            return []
        if stage < 0:
            del state.stages[key]
            self._learn(start, in_touch)
            return []
        if start.at_ms + self._age_ms > frame.due_ms:
            state.stages[key] = -1
            state.deadlines.set(key, start.at_ms + self._age_ms)
        else:
            del state.stages[key]
        findings = self._judged(key, start, moment_ms, in_touch, frame, picture)
        if key not in state.stages:
            self._learn(start, in_touch)
        return findings

    # -- the test ------------------------------------------------------------------------------------------------

    def _judged(
        self, key: str, start: Start, moment_ms: int, in_touch: bool, frame: DueFrame, picture: Picture
    ) -> list[Finding]:
        """Take one start into the test; return what it decides."""
        state = self.state
        rate = self._learned()[1]
        down, up = math.log(FALL), math.log((1 - FALL * rate) / (1 - rate))
        if _KEY in state.openings.open:
            return self._recovering(start, in_touch, -down, up, frame, picture)
        tally = state.tallies.get(start.server)
        if in_touch:
            state.contacts += 1
            state.log_ratio += down
            if tally is not None:
                tally.log_ratio += down
            if state.log_ratio <= 0:
                self._begin_anew()
            return []
        if tally is None:
            tally = state.tallies[start.server] = Tally()
        tally.stalls += 1
        state.stalls += 1
        self._note(key, start)
        if tally.stalls <= _MOST_OF_ONE:
            tally.log_ratio += up
            state.log_ratio += up
        threshold = math.log(self.config.false_alarm_starts)
        stalled_servers = sum(1 for known in state.tallies.values() if known.stalls)
        rest = state.log_ratio - max(known.log_ratio for known in state.tallies.values())
        if state.log_ratio < threshold or stalled_servers < self.config.servers or not picture.guest_agents():
            return []
        if self.config.servers > 1 and rest < threshold / 2:
            return []
        state.held = []
        return self._open(
            _KEY,
            frame,
            Subject(cluster=picture.cluster),
            start.source,
            opened_ms=moment_ms,
            severity=Severity.CRITICAL,
            evidence=tuple(known.evidence for known in state.stalled),
            **self._said(picture),
        )

    def _recovering(
        self, start: Start, in_touch: bool, up: float, down: float, frame: DueFrame, picture: Picture
    ) -> list[Finding]:
        """Take one start into the test of whether the stall is over."""
        state = self.state
        if not in_touch:
            tally = state.tallies.setdefault(start.server, Tally())
            tally.stalls += 1
            state.stalls += 1
            state.recovery = max(0.0, state.recovery - down)
            if not state.recovery:
                state.recovered = {}
            return self._tell(frame, picture)
        state.contacts += 1
        state.recovery += up
        state.recovered[start.server] = state.recovered.get(start.server, 0) + 1
        enough = math.log(self.config.false_alarm_starts) / 2
        if state.recovery < enough or len(state.recovered) < self.config.servers:
            return self._tell(frame, picture)
        count = sum(state.recovered.values())
        findings = self.state.openings.end(
            _KEY, frame, f"starts make contact again: {count} on {len(state.recovered)} servers"
        )
        self._begin_anew()
        return findings

    def _begin_anew(self) -> None:
        """Set the test to its beginning, and learn what was held back."""
        state = self.state
        state.log_ratio, state.recovery = 0.0, 0.0
        state.tallies, state.recovered, state.stalled = {}, {}, []
        state.stalls, state.contacts, state.onset_ms = 0, 0, FAR_MS
        held, state.held = state.held, []
        for place in held:
            self._count(place)

    def _note(self, key: str, start: Start) -> None:
        state = self.state
        state.onset_ms = min(state.onset_ms, start.at_ms)
        if len(state.stalled) < EVIDENCE_KEPT:
            vm = key.partition(_CUT)[0]
            state.stalled.append(Stalled(vm, start.server, start.at_ms, start.ga_version, start.evidence))

    # -- learning ------------------------------------------------------------------------------------------------

    def _learned(self) -> tuple[int, float]:
        """Return the age at which starts are judged, in ms, and the share that has made contact by then."""
        ages = self.state.ages
        total = sum(ages)
        age_ms, within = self._age_ms, sum(ages[:-1])
        if total >= LEARN_FROM:
            so_far = 0
            for place, count in enumerate(ages[:-1]):
                so_far += count
                edge_ms = (place + 1) * BIN_MS
                if edge_ms >= self._least_age_ms and so_far >= MOST_RATE * total:
                    age_ms, within = min(edge_ms, self._age_ms), so_far
                    break
        rate = (PRIOR_STARTS * self.config.rate + within) / (PRIOR_STARTS + total)
        return age_ms, min(MOST_RATE, rate)

    def _learn(self, start: Start, in_touch: bool) -> None:
        """Take the age of a first contact into the histogram, or hold it back while it may belong to a stall."""
        if _KEY in self.state.openings.open:
            return
        late = math.ceil(self._age_ms / BIN_MS)
        place = late
        if in_touch and start.contact_ms is not None:
            # The age at exactly an edge belongs below it: by that age contact was made.
            place = min(late, max(0, math.ceil((start.contact_ms - start.at_ms) / BIN_MS) - 1))
        if self.state.log_ratio > 0:
            if len(self.state.held) < HELD_MOST:
                self.state.held.append(place)
            return
        self._count(place)

    def _count(self, place: int) -> None:
        ages = self.state.ages
        bins = math.ceil(self._age_ms / BIN_MS) + 1
        if len(ages) != bins:
            # First use, or another age was configured: what is known of other bins cannot be carried over.
            ages = self.state.ages = [0] * bins
        ages[min(place, bins - 1)] += 1
        if sum(ages) > LEARNED_MOST:
            self.state.ages = [count // 2 for count in ages]

    # -- saying --------------------------------------------------------------------------------------------------

    def _tell(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        known = self.state.openings.get(_KEY)
        if known is None or frame.at_ms < known.at_ms + 10_000:
            return []
        return self.state.openings.update(_KEY, frame, **self._said(picture))

    def _said(self, picture: Picture) -> dict[str, Any]:
        state = self.state
        age_ms, rate = self._learned()
        servers = sorted(server for server, tally in state.tallies.items() if tally.stalls)
        return {
            "title": f"starts in {picture.cluster} stall without a word: {state.stalls} on {len(servers)} servers",
            "explanation": f"The first of them started at {utc(state.onset_ms)}. Of this cluster's starts "
            f"{rate:.0%} used to make contact within {age_ms / 1000:g} s; these did not, though their servers are "
            "heard. No error need have been reported. They will time out 25 min after their start, and servers will be "
            "given up at the third time-out: see fault_class before that, and stop what starts more of them.",
            "numbers": {
                "stalled": state.stalls,
                "servers": len(servers),
                "racks": len(racks_of(picture, servers)),
                "update_domains": len(domains_of(picture, servers)),
                "contacts": state.contacts,
                "age_s": age_ms / 1000,
                "rate": round(rate, 4),
                "log10_likelihood_ratio": round(state.log_ratio / math.log(10), 3),
                "log10_threshold": round(math.log10(self.config.false_alarm_starts), 3),
                "onset_ms": state.onset_ms,
            },
            "facts": {
                "servers": listed(servers),
                "vms": listed(known.vm for known in state.stalled),
                "ga_versions": listed(known.ga_version for known in state.stalled if known.ga_version),
            },
        }


_KEY = "stall"
_MOST_OF_ONE = 5
"""Stalled starts of one server that count: see the class."""


def _seen_first_ms(server: ServerView) -> int:
    """Return when a server's VMs were seen first; an engine that joins a running fleet hears beats before that."""
    return max(server.first_heard_ms, server.first_full_ms)


def _start(key: str, picture: Picture) -> Start | None:
    vm, _, incarnation = key.partition(_CUT)
    return start_of(picture.vms.get(vm), int(incarnation))
