"""Whether an absence is a silence, and from when on: what explains it, what it waits for, what it is folded under.

The numbers of host_silence stand here, where they are weighed; when to ask is its own business.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectors.hosts.absence import Absence, State, explaining
from detectors.hosts.telling import clock_time
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE

FEEDS = (HOST_AGENT, MAINTENANCE)
DARK_FEEDS = (HOST_AGENT, MAINTENANCE, GUEST_AGENT)
RECENT_QUIET_MS = 3_600_000
"""What guests told of a stretch without host reports is waited for while that stretch is younger than an hour."""
TELL, NOTHING = -1, -2


@dataclass(frozen=True, slots=True)
class Config:
    """The numbers of host_silence."""

    intervals: float = 3.0
    """Intervals of the server without a report; exactly so many are not silence. Source: CATALOGUE, host_silence."""
    at_least_s: float = 90.0
    """Seconds of observed time without a report, whatever the interval. Source: CATALOGUE, host_silence."""
    upkeep_s: float = 1800.0
    """Seconds of observed time under a known reboot or host update: an update takes 15 to 20 min. Source: CATALOGUE."""
    late_s: float = 60.0
    """Seconds after the first missed report within which an announcement still explains: brokers' clocks may differ.
    Source: DESIGN, Time."""
    mass_share: float = 0.2
    """Share of the cluster's servers overdue at once from which single findings wait. Source: CATALOGUE."""
    wait_s: float = 120.0
    """Seconds they wait for cluster_dark or blind. Source: CATALOGUE, host_silence."""
    never_heard_s: float = 1800.0
    """Seconds of observed time after the inventory named a server, before it counts as never heard: as long as a host
    update may take. Source: `upkeep_s`."""


def judge(name: str, absence: Absence, state: State, config: Config, picture: Picture, at_ms: int) -> int:
    """Return when to ask again about an absence; TELL: it is a finding; NOTHING: it is none."""
    key = f"{name}/{absence.since_ms}"
    while True:
        if absence.dark_ms and not _after_dark(absence, config, picture, at_ms):
            return max(at_ms + absence.limit_ms, again_ms(absence.dark_ms, at_ms))
        moment_ms = picture.limit_passed_ms(FEEDS, absence.base_ms, absence.limit_ms, known_ms=at_ms)
        if absence.until_ms is not None and absence.until_ms <= moment_ms:
            if not absence.dark_ms:
                state.overdue.pop(key, None)
            return NOTHING
        if moment_ms > at_ms:
            return moment_ms
        unexplained = not absence.explained and not absence.dark_ms
        if unexplained and _explain(name, absence, moment_ms, config, picture, at_ms):
            continue
        if not absence.overdue or absence.moment_ms != moment_ms:
            absence.overdue, absence.moment_ms = True, moment_ms
            if not absence.dark_ms:
                state.overdue[key] = (moment_ms, absence.until_ms or FAR_MS)
            wait = not absence.dark_ms and _wait(state, config, picture, moment_ms)
            absence.judge_ms = moment_ms + (round(config.wait_s * 1000) if wait else 0)
        if absence.judge_ms > at_ms:
            return absence.judge_ms
        judge_ms = _judged_with_guests_ms(absence, picture, at_ms)
        if judge_ms > at_ms:
            return judge_ms
        dark = state.folded_under(absence)
        if dark is None or absence.dark_ms or dark.judged_ms > at_ms:
            return TELL
        absence.dark_ms = dark.since_ms


def _explain(name: str, absence: Absence, moment_ms: int, config: Config, picture: Picture, at_ms: int) -> bool:
    """Give an absence the longer limit if a reboot or update explains it; tell whether one does."""
    by_ms = explained_by_ms(absence, moment_ms, config, picture, at_ms)
    upkeep_ms = round(config.upkeep_s * 1000)
    upkeep = explaining(picture.servers[name], absence, by_ms, at_ms, upkeep_ms)
    if upkeep is None:
        return False
    planned = "planned" if upkeep.planned else "unplanned"
    about = upkeep.rollout or upkeep.reason
    absence.explained = f"{planned} {upkeep.what}{f' ({about})' if about else ''} from {clock_time(upkeep.from_ms)}"
    absence.limit_ms = max(absence.limit_ms, upkeep_ms)
    return True


def explained_by_ms(absence: Absence, moment_ms: int, config: Config, picture: Picture, at_ms: int) -> int:
    """Return until when an announcement explains an absence; time that nobody could write in does not count."""
    late_ms = absence.interval_s * 1000 + round(config.late_s * 1000)
    return min(moment_ms, picture.limit_passed_ms(FEEDS, absence.since_ms, late_ms, known_ms=at_ms))


def _wait(state: State, config: Config, picture: Picture, moment_ms: int) -> bool:
    """Tell whether so many servers are overdue, or the cluster so quiet, that one cause may be behind it."""
    state.overdue = {key: known for key, known in state.overdue.items() if known[1] > moment_ms}
    if any(quiet.until_ms > moment_ms for quiet in picture.quiets(moment_ms)):
        return True
    return state.counted > 0 and state.overdue_at(moment_ms) >= config.mass_share * state.counted


def _judged_with_guests_ms(absence: Absence, picture: Picture, at_ms: int) -> int:
    """Return when an absence that waits can be judged: what cluster_dark waits for, all three feeds, too."""
    if absence.judge_ms == absence.moment_ms:
        return absence.judge_ms
    if not any(quiet.from_ms >= absence.since_ms for quiet in picture.quiets(at_ms)):
        return absence.judge_ms
    limit_ms = absence.limit_ms + absence.judge_ms - absence.moment_ms
    return picture.limit_passed_ms(DARK_FEEDS, absence.base_ms, limit_ms, known_ms=at_ms)


def _after_dark(absence: Absence, config: Config, picture: Picture, at_ms: int) -> bool:
    """Tell whether the cluster that an absence is folded under was heard again: waiting counts from then on."""
    if absence.base_ms <= absence.dark_ms:
        absence.limit_ms = round(config.upkeep_s * 1000)
        back_ms = _came_back_ms(picture, absence.dark_ms, at_ms)
        if back_ms is None:
            return False
        absence.base_ms, absence.overdue = back_ms, False
    return True


def _came_back_ms(picture: Picture, since_ms: int, at_ms: int) -> int | None:
    """Return when a cluster that went dark after `since_ms` was heard again, None while it is not (as of `at_ms`)."""
    for quiet in picture.quiets(at_ms):
        if quiet.from_ms == since_ms:
            return quiet.until_ms if quiet.until_ms <= at_ms else None
    return since_ms + 1


def guests_lag(picture: Picture, at_ms: int) -> bool:
    """Tell whether guests may yet tell that a stretch without host reports was blind, or the cluster not dark."""
    state = picture.state
    recent = bool(state.quiets) and state.quiets[-1].until_ms > at_ms - RECENT_QUIET_MS
    if not recent and at_ms - state.host_report_ms < state.longest_interval_s * 1000:
        return False
    passed_ms: int | None = None
    for quiet in picture.quiets(at_ms):
        if quiet.told_ms is None and quiet.from_ms + RECENT_QUIET_MS > at_ms:
            passed_ms = picture.passed_ms((GUEST_AGENT,)) if passed_ms is None else passed_ms
            if passed_ms <= at_ms:
                return True
    return False
