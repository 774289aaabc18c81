"""What may have made a VM unavailable, weighed: every cause that some record speaks for, with a score from 0 to 1.

A cause is scored by three things: how directly a record says it (a guest agent's word on who shut it down is a
statement; an update that was under way on the same server is a coincidence until more fits), whether it was there when
the interval began, and whether what was seen of the VM is what such a cause does (a reboot of the server starts its VMs
anew; an update of the network agent does not). The best cause stands if it has at least `ACCEPTED` and is `MARGIN`
ahead of the next one; otherwise the answer is UNKNOWN, and the candidates are told as what they are. The scores are our
judgement, in steps that a person can follow; what they are worth is measured by `leapwatch score --causes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from detectors.causes.intervals import FAILED, LOST, MOVED, NETWORK, REBOOTED, RESTARTED
from schemas.outputs import Evidence
from schemas.rca import Cause

ACCEPTED = 0.6
MARGIN = 0.1
SAID = 0.95
"""A record says it in so many words."""
FITS = 0.85
"""It was under way when the interval began, and the VM did what it makes VMs do."""
ALONE = 0.7
"""Only its trace is seen: a new boot, a new version."""
OVER = 0.65
"""It was over just before the interval began."""
WEAK = 0.4
LATE_MS = 60_000
"""An explanation stamped so much later, or earlier, still explains (DESIGN, time)."""
LEAD_MS = 30 * 60_000
"""How long before an interval an update may have begun. Source: seed 002, a host update takes 15 to 20 min."""
STOP_MS = 15 * 60_000
"""How long before an interval a planned reboot may be announced: OnStop may take 5 min (seed 002), the notice 15."""
PLUGIN_MS = 60 * 60_000
"""How long before an interval a change of the network's components counts. Source: CATALOGUE, network_loss."""
DEALLOCATED_MS = 60 * 60_000
"""How long before a reboot the deallocation may be that set off the race. Source: our judgement."""
NMAGENT_MOST_MS = 5 * 60_000
"""Source: CATALOGUE, root_cause."""
BLOB_RACE = "BLOB_CACHE_RACE"


@dataclass(frozen=True, slots=True)
class Case:
    """An interval as it is judged."""

    vm: str
    server: str
    start_ms: int
    end_ms: int | None
    """None while it goes on."""
    known_ms: int
    """Up to when everything is known."""
    signs: tuple[str, ...]
    failing_ms: int | None = None
    """Since when its starts failed, if they did."""

    @property
    def until_ms(self) -> int:
        """Return its end, or up to when it is known to last."""
        return self.known_ms if self.end_ms is None else self.end_ms

    @property
    def network_only(self) -> bool:
        """Tell whether it ran on and could only not be reached."""
        return set(self.signs) == {NETWORK}

    @property
    def server_down(self) -> bool:
        """Tell whether its server was down, or away."""
        return REBOOTED in self.signs or LOST in self.signs


@dataclass(frozen=True, slots=True)
class Clue:
    """A record that may explain an interval."""

    kind: str
    """reboot, update (of the server), component, vm-update, redeploy, healed, word, change, repair, deallocated or
    confirmed."""
    from_ms: int
    until_ms: int | None
    """None: it has not ended, or is a moment."""
    evidence: Evidence
    what: str = ""
    """The component, the process, the vm: by kind."""
    planned: bool = False
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause, and what speaks for it."""

    cause: str
    score: float
    why: str
    clues: tuple[Clue, ...] = ()
    planned: bool = False
    awaits: str = ""
    """What would make it final: until then it is provisional. Empty: nothing."""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One cause, and the others that were weighed, the best first."""

    best: Candidate
    others: tuple[Candidate, ...] = ()


def conclude(case: Case, clues: Iterable[Clue]) -> Conclusion:
    """Return the cause of an interval with its runners-up, or UNKNOWN; the order of the clues does not matter."""
    known = sorted(clues, key=lambda clue: (clue.from_ms, clue.kind, clue.what))
    confirmed = [clue for clue in known if clue.kind == "confirmed"]
    found = [candidate for weigh in WEIGHERS for candidate in weigh(case, known)]
    ranked = sorted(_best_of_each(found), key=lambda candidate: (-candidate.score, candidate.cause))
    if confirmed:
        return _as_confirmed(confirmed[-1], ranked)
    if not ranked:
        return Conclusion(Candidate(Cause.UNKNOWN, 0.0, _unknown(case, known)))
    best, rest = ranked[0], ranked[1:]
    if best.score >= ACCEPTED and (not rest or best.score - rest[0].score >= MARGIN):
        return Conclusion(best, tuple(rest))
    why = "several causes fit about equally well" if best.score >= ACCEPTED else _unknown(case, known)
    return Conclusion(Candidate(Cause.UNKNOWN, 0.0, why), tuple(ranked))


def _as_confirmed(clue: Clue, ranked: list[Candidate]) -> Conclusion:
    same = next((candidate for candidate in ranked if candidate.cause == clue.what), None)
    by = clue.facts.get("by", "")
    said = f"confirmed by {by}"
    if same is None:
        best = Candidate(clue.what, 1.0, said, (clue,), planned=clue.planned, facts={"confirmed_by": by})
    else:
        facts = {**same.facts, "confirmed_by": by}
        best = replace(same, score=1.0, why=f"{same.why}; {said}", clues=(*same.clues, clue), awaits="", facts=facts)
    return Conclusion(best, tuple(candidate for candidate in ranked if candidate.cause != clue.what))


def _best_of_each(found: list[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for candidate in found:
        if candidate.score > 0 and (candidate.cause not in best or candidate.score > best[candidate.cause].score):
            best[candidate.cause] = candidate
    return list(best.values())


def _unknown(case: Case, clues: list[Clue]) -> str:
    if any(clue.kind == "word" and not _customers(clue) and _at_start(case, clue) for clue in clues):
        return "the platform stopped it, and no record says what for"
    return "no record explains it"


# -- what fits -------------------------------------------------------------------------------------------------------


def _at_start(case: Case, clue: Clue, lead_ms: int = LATE_MS) -> bool:
    """Tell whether something was there when an interval began: begun before it and not over, or a little later."""
    over_ms = case.start_ms if clue.until_ms is None else clue.until_ms
    return (
        clue.from_ms <= case.start_ms + LATE_MS
        and clue.from_ms >= case.start_ms - lead_ms
        and over_ms >= (case.start_ms - LATE_MS)
    )


def _fit(case: Case, clue: Clue, score: float) -> float:
    """Return the score of what was under way at the start; what was just over may be clocks that differ, or chance."""
    over = clue.until_ms is not None and clue.until_ms < case.start_ms
    return min(score, OVER) if over else score


def _within(case: Case, clue: Clue) -> bool:
    """Tell whether something happened while it lasted, or so near that clocks may differ."""
    return case.start_ms - LATE_MS <= clue.from_ms <= case.until_ms + LATE_MS


def _customers(clue: Clue) -> bool:
    """Tell whether a word names a process of the customer: WaAppAgent and StopContainer() are not (seed 002)."""
    name = clue.what.lower()
    return bool(name) and "waappagent" not in name and "stopcontainer" not in name


def _platform_word(case: Case, clues: list[Clue]) -> tuple[Clue, ...]:
    return tuple(c for c in clues if c.kind == "word" and c.what and not _customers(c) and _at_start(case, c))[:2]


def _starts_failed(case: Case) -> bool:
    """Tell whether most of the interval is due to starts that failed: then whatever stopped the VM only began it."""
    if case.failing_ms is None:
        return False
    return 2 * (case.until_ms - case.failing_ms) >= case.until_ms - case.start_ms


def _began(case: Case, score: float) -> float:
    """Return the score of what may have begun an interval, given that something else went on with it."""
    return min(score, WEAK) if _starts_failed(case) else score


# -- the causes ------------------------------------------------------------------------------------------------------


def start_failure(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh starts that failed: they are the cause where they make up most of the interval."""
    if case.failing_ms is None:
        return []
    how = "reported START_FAILED" if FAILED in case.signs else "made no contact in time"
    failed = tuple(clue for clue in clues if clue.kind == "failed" and _within(case, clue))[:3]
    facts = {"signature": failed[0].what} if failed and failed[0].what else {}
    score = SAID if _starts_failed(case) else WEAK
    return [Candidate(Cause.START_FAILURE, score, f"its starts {how}", failed, facts=facts)]


def guest_initiated(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh the guest agent's word that a process of the customer shut the VM down."""
    if case.network_only:
        return []
    words = [clue for clue in clues if clue.kind == "word" and _at_start(case, clue)]
    theirs = [clue for clue in words if _customers(clue)]
    if not theirs:
        return []
    first = next(clue for clue in words if clue.what)
    score = SAID if _customers(first) else WEAK
    if REBOOTED in case.signs or MOVED in case.signs:
        score = min(score, 0.55)
    process, reason = theirs[0].what, theirs[0].facts.get("reason", "")
    why = f"{process} shut it down" + (f" ({reason})" if reason else "")
    return [Candidate(Cause.GUEST_INITIATED, _began(case, score), why, (theirs[0],), facts={"process": process})]


def reboots(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh reboots of the server: for an update of its OS, for broken hardware, or for another reason told."""
    if case.network_only:
        return []
    found = []
    for clue in clues:
        lead_ms = STOP_MS if clue.planned else LATE_MS
        if clue.kind == "reboot" and (_at_start(case, clue, lead_ms) or (case.server_down and _within(case, clue))):
            found.append(_reboot(case, clue, clues))
    if not found and REBOOTED in case.signs:
        update = next((c for c in clues if _updates(c, "host_os") and _at_start(case, c, LEAD_MS)), None)
        if update is not None:
            why = "its server came up again within an update of its OS"
            score = _began(case, _fit(case, update, FITS))
            found.append(Candidate(Cause.HOST_OS_UPDATE, score, why, (update,), planned=True))
        else:
            why = "its server came up with a new boot; no record says why"
            found.append(Candidate(Cause.HOST_REBOOT, _began(case, ALONE), why, awaits=""))
    return found


def _reboot(case: Case, clue: Clue, clues: list[Clue]) -> Candidate:
    down = case.server_down or case.end_ms is None
    score = _began(case, (SAID if down else 0.5))
    if any(c.kind == "word" and _customers(c) and c.from_ms < clue.from_ms and _at_start(case, c) for c in clues):
        score = min(score, FITS)
    if "HARDWARE" in f"{clue.facts.get('cause', '')} {clue.facts.get('reason', '')}".upper():
        return Candidate(Cause.HARDWARE, score, "its server was rebooted for its hardware", (clue,), facts=clue.facts)
    updates = [c for c in clues if _updates(c, "host_os") and _near(case, c)]
    if clue.facts.get("system") == "host-os" or (clue.planned and updates):
        cited = (clue, *updates[:1], *_platform_word(case, clues))
        return Candidate(
            Cause.HOST_OS_UPDATE, score, "its server was updated and rebooted", cited, True, facts=clue.facts
        )
    if clue.facts.get("cause") == BLOB_RACE:
        before = [c for c in clues if c.kind == "deallocated" and 0 <= clue.from_ms - c.from_ms <= DEALLOCATED_MS]
        awaits = "" if before else "the VM_DEALLOCATED on that server before the reboot"
        facts = {**clue.facts, **({"deallocated_vm": before[-1].what} if before else {})}
        cited = (clue, *before[-1:])
        why = "its server was rebooted after a race in the cleanup of a deallocated VM"
        return Candidate(Cause.HOST_REBOOT, score, why, cited, clue.planned, awaits, facts)
    reason = clue.facts.get("cause") or clue.facts.get("workflow") or clue.facts.get("reason")
    why = "its server was rebooted" + (f": {reason}" if reason else "; no reason was told")
    return Candidate(Cause.HOST_REBOOT, score, why, (clue, *_platform_word(case, clues)), clue.planned, "", clue.facts)


def _near(case: Case, clue: Clue) -> bool:
    return _at_start(case, clue, LEAD_MS) or _within(case, clue)


def _updates(clue: Clue, component: str) -> bool:
    return clue.kind in ("update", "component", "change") and clue.what == component


def host_update(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh an update of the server's OS of which no reboot is told yet."""
    if case.network_only or any(clue.kind == "reboot" and _near(case, clue) for clue in clues):
        return []
    update = next(
        (c for c in clues if c.kind == "update" and c.what == "host_os" and _at_start(case, c, LEAD_MS)), None
    )
    if update is None or not (case.server_down or case.end_ms is None):
        return []
    cited = (update, *_platform_word(case, clues))
    why = "its server was away within an update of its OS"
    score = _began(case, _fit(case, update, FITS))
    return [Candidate(Cause.HOST_OS_UPDATE, score, why, cited, planned=True, facts=update.facts)]


def guest_updates(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh updates of the VM's own OS and agent, told of the VM or of its server."""
    if case.network_only:
        return []
    found = []
    words = _platform_word(case, clues)
    theirs = any(c.kind == "word" and _customers(c) and _at_start(case, c) for c in clues)
    for cause, component in ((Cause.GUEST_OS_UPDATE, "guest_os"), (Cause.GUEST_AGENT_UPDATE, "ga")):
        for clue in clues:
            if clue.kind not in ("vm-update", "update") or clue.what != component or not _at_start(case, clue, LEAD_MS):
                continue
            score = _fit(case, clue, (FITS if clue.kind == "vm-update" else ALONE) + (MARGIN if words else 0.0))
            if REBOOTED in case.signs or LOST in case.signs or (theirs and not words):
                score = min(score, 0.5)
            name = "OS" if component == "guest_os" else "guest agent"
            why = f"its {name} was being updated"
            found.append(Candidate(cause, _began(case, score), why, (clue, *words), planned=True, facts=clue.facts))
    return found


def moves(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh a redeploy that the owner asked for, a healing, and hardware that was given up."""
    found = []
    for clue in clues:
        if clue.kind == "redeploy" and _within(case, clue) and not case.network_only:
            why = "its owner redeployed it"
            score = SAID if MOVED in case.signs or RESTARTED in case.signs or case.end_ms is None else 0.5
            found.append(
                Candidate(
                    Cause.SELF_SERVICE_REDEPLOY, _began(case, score), why, (clue,), planned=True, facts=clue.facts
                )
            )
        elif clue.kind == "healed" and _within(case, clue) and not _starts_failed(case):
            from_start = clue.from_ms <= case.start_ms + LATE_MS
            why = "it was healed off its server" + ("" if from_start else ", which was not heard any more")
            reboot = any(c.kind == "reboot" and _at_start(case, c) for c in clues)
            score = WEAK if reboot else SAID if from_start else FITS
            found.append(Candidate(Cause.SERVICE_HEALING, score, why, (clue,), facts=clue.facts))
        elif clue.kind == "repair" and _within(case, clue) and LOST in case.signs and not _starts_failed(case):
            why = "its server stopped and was sent to repair"
            found.append(Candidate(Cause.HARDWARE, SAID + 0.03, why, (clue,), facts=clue.facts))
    return found


def network(case: Case, clues: list[Clue]) -> list[Candidate]:
    """Weigh changes of what makes the VM's network: the plugin on its server, the server's network agent."""
    if not (case.network_only or set(case.signs) == {LOST}):
        return []
    return [*_plugin(case, clues), *_agent(case, clues)]


def _plugin(case: Case, clues: list[Clue]) -> list[Candidate]:
    if not case.network_only:
        return []
    changes = [clue for clue in clues if clue.kind == "change" and clue.what in ("netplugin", "ha")]
    before = [c for c in changes if case.start_ms - PLUGIN_MS <= c.from_ms <= case.start_ms + LATE_MS]
    if not before:
        return []
    last = before[-1]
    score = SAID - 0.2 * max(0, case.start_ms - last.from_ms) / PLUGIN_MS
    cited: tuple[Clue, ...] = (last,)
    if case.end_ms is not None:
        # Two that do not fit together do not begin to: the network comes back with the next change, or it was not that.
        after = [c for c in changes if c.from_ms > last.from_ms and abs(c.from_ms - case.end_ms) <= 2 * LATE_MS]
        score = score if after else WEAK
        cited = (last, *after[-1:])
    facts = {"component": last.what, **last.facts}
    why = f"{last.what} of its server changed from {last.facts.get('from', '?')} to {last.facts.get('to', '?')}"
    return [Candidate(Cause.NETWORK_PLUGIN, score, why, cited, facts=facts)]


def _agent(case: Case, clues: list[Clue]) -> list[Candidate]:
    if case.until_ms - case.start_ms > NMAGENT_MOST_MS:
        return []
    found = []
    for clue in clues:
        inside = clue.from_ms <= case.start_ms and (clue.until_ms is None or case.until_ms <= clue.until_ms)
        if clue.kind in ("update", "component") and clue.what == "nmagent" and inside:
            score = 0.65 if clue.facts.get("impact") == "none" else FITS
            why = "the network agent of its server was being updated, and the interval lies inside the update"
            awaits = "an operator who confirms that the impact is primarily due to it"
            found.append(Candidate(Cause.NMAGENT_UPDATE, score, why, (clue,), True, awaits, clue.facts))
    return found


WEIGHERS: tuple[Callable[[Case, list[Clue]], list[Candidate]], ...] = (
    start_failure,
    guest_initiated,
    reboots,
    host_update,
    guest_updates,
    moves,
    network,
)
"""Every cause is weighed by one of these."""
