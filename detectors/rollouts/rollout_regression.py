"""Verdicts on rollouts: guilty, cleared, or too little known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from detectors.contract import Detector
from detectors.failfast.lives import FEEDS
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.picture import Picture
from detectors.rollouts.bounds import Bound, bound
from detectors.rollouts.changes import Change
from detectors.rollouts.counting import take, waiting
from detectors.rollouts.gathering import LOOK, RegressionState, gather, want
from detectors.rollouts.ledger import ANY, SERVER, START
from detectors.rollouts.verdicts import Case, advice, explanation, facts, judge, numbers, title
from detectors.rollouts.weighing import Weight, weigh
from schemas.outputs import Finding, Severity, Subject, Verdict

DAY_MS = 86_400_000
AT_REST_MS = 3_600_000
"""A change that reached nothing new for so long may have reached all that it will. Source: our judgement; an update of
a server takes 15 to 20 min (seed 004)."""
SOON_MS = 10_000
UNKNOWN_LEAST = 3
"""Starts with an unknown outcome, at least, that make a doubt: one or two may be servers that went away."""
SHARE_OF_AGE = 0.01
"""A change is weighed anew at most every 10 s, and every so much of its age: at an hour each 36 s, at two weeks each
three hours; verdicts on old changes need not hurry."""


@dataclass(frozen=True, slots=True)
class Config:
    """How sure a verdict must be, and how long a change is remembered."""

    guilty_alpha: float = field(default=0.01, metadata={"least": 1e-9, "most": 0.5})
    """Probability, at most, that a signature as frequent without a change as with it is ever taken for a regression;
    divided by the signatures seen. Source: issue's aim of at least 98 % precision; ADR 020."""
    apart_alpha: float = field(default=0.2, metadata={"least": 1e-9, "most": 1.0})
    """Probability, at most, that a disturbance which came in the hours of a change is taken for its doing, given that
    one came. Source: our judgement; few changes meet one. ADR 020."""
    cleared_alpha: float = field(default=0.05, metadata={"least": 1e-9, "most": 0.5})
    """Probability, at most, that a harmful change is ever cleared while it does harm. Source: our judgement."""
    ratio: float = field(default=1.5, metadata={"least": 1.0, "most": 100.0})
    """How many times as often a guilty change's failures must be seen to come, at least. Source: our judgement: what
    differs by less is drift of load."""
    harm_ratio: float = field(default=2.0, metadata={"least": 1.1, "most": 100.0})
    """Harm is so many times the failures without the change, or more ... Source: our judgement."""
    harm_excess: float = field(default=0.002, metadata={"least": 1e-6, "most": 0.5})
    """... and so large a share of all starts more. Source: issue: guilty rollouts fail from 0.2 % on."""
    alike_excess: float = field(default=0.02, metadata={"least": 1e-6, "most": 0.5})
    """Where the signatures that came with a change are as frequent without it, all its starts together may fail by
    less than this share more for it to be cleared: no other failures hide beside them. Source: our judgement; an
    operator goes on with a rollout of which one start in fifty may be retried."""
    disturbance_every_h: float = field(default=12.0, metadata={"least": 1, "most": 720})
    """Hours between disturbances that bring a new signature to a cluster, at least, as far as that is not known from
    the cluster's own past: what begins within minutes of a change is then hardly by chance. Source: our judgement,
    timid: a cluster with two a day would have no quiet week."""
    cleared_excess: float = field(default=0.005, metadata={"least": 1e-6, "most": 0.5})
    """A change is cleared if no more than this share of its starts can be failing for it. Source: our judgement: 0.2 %,
    the least harm of the issue, takes 1,674 starts without a failure, and 0.5 % takes 669. ADR 020."""
    harm_excess_servers: float = field(default=0.005, metadata={"least": 1e-6, "most": 0.5})
    """The same for faults of servers, as a share of servers in two hours. Source: our judgement; a year of it would
    fault each server twenty times."""
    servers: int = field(default=3, metadata={"least": 1, "most": 1000})
    """Changed servers that must have failed before a change is guilty (all, where no more were changed). Source:
    CATALOGUE, start_failure: one or two may be broken servers."""
    timeout_s: float = field(default=1500.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time after which a start without contact has failed. Source: seed 004, "the HA has a
    25-minute timeout"."""
    unheard_share: float = field(default=0.2, metadata={"least": 0.0, "most": 1.0})
    """Share of changed servers unheard, or of its time unwatched, from which on nothing is cleared. Source: CATALOGUE,
    host_silence: one fifth is a matter of the cluster, not of servers."""
    unknown_share: float = field(default=0.02, metadata={"least": 0.0, "most": 1.0})
    """Share of its starts of which nobody knows what came of them, or which only a VM's numbers show, from which on
    nothing is cleared. Source: our judgement; `alike_excess` of failures may be among them."""
    memory_days: float = field(default=30.0, metadata={"least": 1, "most": 40})
    """Days for which a change is remembered after it reached its last server, at least; beyond them until the next
    change of that component. Source: CATALOGUE, rollout_regression: a fault may sleep for two weeks."""


class RolloutRegression(Detector[Config, RegressionState]):
    """Judges each rollout, and each change of versions that nobody announced: GUILTY, CLEARED or INCONCLUSIVE.

    What can fail is counted: starts of VMs (START_FAILED, or no contact within `timeout_s`), by where and when they
    began, never VMs that merely ran on; and servers heard, in blocks of two hours, of which one may be moved to Human
    Investigate, report FAULTED, boot unannounced, or have VMs in contact whose network is DOWN. Failures are told apart
    by signature: step and code, or the message without its digits. Reboots that are planned, and boots that follow an
    update, are none. With the change are servers and VMs that it had reached; without it are those not yet reached, in
    the same hours, and all of them before. What fails on one server in two hours counts as one, and no rack counts for
    more than twice the third.

    Method: one confidence sequence for the rates with and without the change, by mixtures of likelihoods over the
    likelihood of the truth (Ville's inequality), valid at every look: `leapwatch` looks whenever something happens.
    GUILTY: a signature whose evidence against "no more often than without" reaches `1 / guilty_alpha`, even without the
    unit hit most, on `servers` servers; and whose evidence that it is the change and not the hour reaches
    `1 / apart_alpha`: those beside it in the same hours do not fail, or servers changed earlier fail earlier, or it
    began just when the change did, after enough starts that went well and in no calendar edge's wake. CLEARED: each
    signature that came with the change on `servers` servers contradicts `harm_ratio` with `1 / cleared_alpha` against
    those beside it (as on the leap day, whose bug was in both agents) and all starts together `alike_excess`; or starts
    and server-hours, in hours that are calm beside it, contradict `cleared_excess` and `harm_excess_servers`. All else
    is INCONCLUSIVE: no data, too little, no control, feeds unread, servers unheard, starts of unknown outcome or known
    by a VM's numbers only, an inventory that is not complete.
    A verdict may turn as more is known. Several changes at once are each compared where the others are alike (both,
    the other alone, none); what always came together is not told apart, and each names the other.

    A finding opens with the first thing that could fail with the change. It closes when the change is forgotten:
    `memory_days` after its last server, and when no server has it any more. Error rates, choices and measurements:
    ADR 020; `leapwatch score --rollouts` measures them.
    """

    Config = Config
    State = RegressionState
    state_version = 2
    memory_s = 24 * 3600
    feeds = FEEDS

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what has come to light of changes by now."""
        limit_ms = round(self.config.timeout_s * 1000)
        if isinstance(frame, BatchFrame):
            gather(self.state, frame, picture, limit_ms)
            return []
        if not isinstance(frame, DueFrame):
            return []
        keys = [key for key in self.state.deadlines.pop(frame.due_ms) if key != LOOK]
        for change in take(self.state, picture, keys, frame.due_ms, limit_ms):
            gap_ms = max(SOON_MS, round((frame.due_ms - change.began_ms) * SHARE_OF_AGE))
            next_ms = max(frame.due_ms, change.looked_ms + gap_ms if change.looked_ms else 0)
            change.want_ms = min(change.want_ms or next_ms, next_ms)
        return self._look(frame, picture)

    def _look(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Weigh the changes whose time has come; name the next time."""
        findings: list[Finding] = []
        changes = self.state.changes
        while (oldest := changes.oldest_beyond_bound()) is not None:
            findings += self._forget(oldest, frame, "forgotten: too many changes since")
        for change in list(changes.known.values()):
            if change.want_ms and change.want_ms <= frame.due_ms:
                change.want_ms, change.looked_ms = 0, frame.due_ms
                findings += self._tell(change, frame, picture)
            until_ms = change.last_ms + round(self.config.memory_days * DAY_MS)
            if frame.due_ms > until_ms and change.superseded:
                findings += self._forget(change, frame, "its memory ended: the component has been changed again since")
            elif change.want_ms:
                want(self.state, max(change.want_ms, frame.due_ms + 1))
            elif frame.due_ms <= until_ms:
                want(self.state, until_ms + 1)
        return findings

    def _forget(self, change: Change, frame: Frame, reason: str) -> list[Finding]:
        del self.state.changes.known[change.key]
        return self.state.openings.end(change.key, frame, reason)

    def _weights(self, change: Change) -> list[Weight]:
        """Return the weight of each signature that came with the change, and of all failures of each sphere."""
        found: list[Weight] = []
        for sphere, excess in ((START, self.config.harm_excess), (SERVER, self.config.harm_excess_servers)):
            if sphere not in change.exposed_ms:
                continue
            names = [key.partition("|")[2] for key in change.onsets if key.startswith(f"{sphere}|")]
            for signature in (*names, ANY):
                known = weigh(
                    change,
                    sphere,
                    signature,
                    self.state.ledger,
                    harm_ratio=self.config.harm_ratio,
                    harm_excess=excess,
                    alike_excess=self.config.alike_excess,
                    prior_ms=round(self.config.disturbance_every_h * 3_600_000),
                )
                found.append(known)
        return found

    def _bounds(
        self, change: Change, weights: list[Weight], frame: DueFrame, picture: Picture
    ) -> dict[str, tuple[Bound, Bound]]:
        """Return, by sphere, how much harm there may be: at most, and without failures that are alike beside it."""
        needed = -math.log(self.config.cleared_alpha)
        others = [other for other in self.state.changes.known.values() if other is not change]
        guilty = [other.number for other in others if any(onset.convicted for onset in other.onsets.values())]
        found: dict[str, tuple[Bound, Bound]] = {}
        for sphere, excess in (
            (START, self.config.cleared_excess),
            (SERVER, self.config.harm_excess_servers),
        ):
            if sphere not in change.exposed_ms:
                continue
            late = 0
            if sphere == START and not change.bounded:
                late = waiting(self.state, picture, change, frame.due_ms)
            alike = [
                known.signature
                for known in weights
                if known.sphere == sphere and known.signature != ANY and known.innocence_log >= needed
            ]
            most = partial(bound, change, sphere, self.state.ledger, excess, self.config.cleared_alpha)
            whole = most(guilty=guilty, waiting=late)
            found[sphere] = (whole, most(guilty=guilty, waiting=late, alike=alike) if alike else whole)
        return found

    def _tell(self, change: Change, frame: DueFrame, picture: Picture) -> list[Finding]:
        if not change.exposed_ms:
            return []
        weights = self._weights(change)
        case = judge(
            change,
            weights,
            self._doubts(change, frame, picture),
            self._levels(change, frame.due_ms),
            self._bounds(change, weights, frame, picture),
        )
        others = {other.number: other for other in self.state.changes.known.values()}
        fields: dict[str, Any] = {
            "verdict": case.verdict,
            "severity": Severity.CRITICAL if case.verdict == Verdict.GUILTY else Severity.INFO,
            "title": title(change, case, picture),
            "explanation": explanation(change, case, others),
            "numbers": numbers(change, case, picture, frame.due_ms, self.config.cleared_alpha),
            "facts": facts(change, case, others),
            "advised": advice(case),
        }
        known = self.state.openings.get(change.key)
        if change.key in self.state.openings.open:
            turned = known is not None and known.verdict != case.verdict
            if turned:
                fields["evidence"] = case.evidence(change)
            told = self.state.openings.update(change.key, frame, at_once=turned, **fields)
            if not told and known is not None and frame.at_ms < known.at_ms + SOON_MS:
                # Said too lately to be said again: the newest numbers are told in a while.
                change.want_ms = max(frame.due_ms, known.at_ms) + SOON_MS
            return told
        return self._open(
            change.key,
            frame,
            Subject(
                cluster=picture.cluster,
                rollout=change.rollout or None,
                component=change.component or None,
                version=change.version or None,
            ),
            change.source,
            opened_ms=min(change.exposed_ms.values()),
            evidence=case.evidence(change),
            **fields,
        )

    def _levels(self, change: Change, due_ms: int) -> tuple[float, float, float, float, int]:
        """Return the log evidence that guilt, guilt apart from the hour, and innocence need; ratio; servers."""
        config = self.config
        signatures = max(1, len(change.onsets))
        servers = config.servers
        if due_ms - change.last_ms >= AT_REST_MS:
            servers = min(servers, max(1, len(change.servers) or len(change.vms)))
        return (
            math.log(signatures / config.guilty_alpha),
            -math.log(config.apart_alpha),
            -math.log(config.cleared_alpha),
            config.ratio,
            servers,
        )

    def _doubts(self, change: Change, frame: DueFrame, picture: Picture) -> list[str]:
        """Return why nothing may be cleared: what is missing."""
        doubts = []
        share = self.config.unheard_share
        if not picture.state.inventory_complete:
            doubts.append("the inventory is not complete")
        names = [name for name, span in change.servers.items() if span[1] < 0]
        views = [view for name in names if (view := picture.servers.get(name)) is not None]
        unheard = sum(1 for view in views if frame.due_ms - view.heard_ms > view.silent_after_ms)
        if names and unheard >= share * len(names):
            doubts.append(f"{unheard} of {len(names)} changed servers are not heard")
        starts = change.known + change.unknown
        if change.unknown >= UNKNOWN_LEAST and change.unknown >= self.config.unknown_share * starts:
            doubts.append(f"nobody knows what came of {change.unknown} of {starts} starts with it")
        watched_ms = frame.due_ms - change.began_ms
        seen_ms = picture.waited_ms(self.feeds, change.began_ms, frame.due_ms)
        if watched_ms > 0 and watched_ms - seen_ms >= share * watched_ms:
            doubts.append(f"{round((watched_ms - seen_ms) / 1000)} s since it began were not watched")
        return doubts


__all__ = ["Case", "Config", "RolloutRegression"]
