"""When an absence is a silence."""

import pytest

from detectors.hosts.absence import Absence, Dark, State
from detectors.hosts.judging import NOTHING, TELL, Config, explained_by_ms, guests_lag, judge
from detectors.picture import Picture
from schemas.outputs import Evidence
from tests.detectors.pictured import pictured
from tests.kit import Log

LOG = Log()
NUMBERS = Config()


def watched(until_s: int, *, log: Log | None = None, back_s: int = 0) -> Picture:
    """Return a picture of seven servers: s1 was heard at 0 alone, the others from `back_s` on each minute."""
    log = (log or Log()).inventory(7).host(0, "s1")
    for at_s in range(0, until_s + 1, 60):
        for number in range(2, 8):
            if at_s >= back_s or at_s == 0:
                log.host(at_s + number * 0.01, f"s{number}")
        for turn in range(at_s + 5, min(at_s + 60, until_s) + 1, 5):
            log.clocks(turn)
    return pictured(log)


def absent(until_s: float | None = None) -> Absence:
    start_ms = LOG.ms(0)
    until_ms = None if until_s is None else LOG.ms(until_s)
    return Absence(start_ms, start_ms, 180_000, 60, "s1/b1/r1/0", Evidence(0, 0), until_ms)


def judged(absence: Absence, picture: Picture, at_s: float, state: State | None = None) -> int:
    return judge("s1", absence, state or State(counted=7), NUMBERS, picture, LOG.ms(at_s))


@pytest.mark.parametrize(("at_s", "answer"), [(179.999, LOG.ms(180)), (180.0, TELL), (180.001, TELL)])
def test_before_its_limit_it_is_asked_again_at_its_limit(at_s: float, answer: int) -> None:
    assert answer == judged(absent(), watched(300), at_s)


@pytest.mark.parametrize(("until_s", "answer"), [(179.999, NOTHING), (180.0, NOTHING), (180.001, TELL)])
def test_one_that_ended_at_its_limit_is_none_and_a_millisecond_later_is_one(until_s: float, answer: int) -> None:
    assert answer == judged(absent(until_s), watched(300), 200)


@pytest.mark.parametrize(("others", "answer"), [(0, TELL), (1, LOG.ms(300))])
def test_it_waits_two_minutes_while_a_fifth_of_the_servers_is_overdue(others: int, answer: int) -> None:
    overdue = {f"s{number + 2}/0": (LOG.ms(170), LOG.ms(400)) for number in range(others)}

    assert answer == judged(absent(), watched(300), 180, State(counted=7, overdue=overdue))


def test_under_an_announced_update_it_has_half_an_hour() -> None:
    log = Log().inventory(7).host(-6, "s1")
    log.maintenance(-5, "SERVER_UPDATE_STARTED", server="s1", rollout="r7", system="host-os")
    absence = absent()

    assert LOG.ms(1800) == judged(absence, watched(300, log=log), 180)
    assert "planned update (r7) from 2012-02-28 23:59:55 UTC" == absence.explained


def test_one_that_began_in_a_darkness_waits_for_half_an_hour_after_the_cluster_is_back() -> None:
    absence, start_ms = absent(), LOG.ms(0)
    since_ms = LOG.ms(0.07)
    state = State(counted=7, darks=[Dark("d1", start_ms - 1, since_ms, LOG.ms(210))])
    answer = judged(absence, watched(900, back_s=600), 600.5, state)

    assert since_ms == absence.dark_ms
    assert LOG.ms(600.02) + 1_800_000 == answer


@pytest.mark.parametrize(("moment_s", "by_s"), [(119.0, 119.0), (120.0, 120.0), (121.0, 120.0)])
def test_an_announcement_explains_for_one_interval_and_a_minute_but_not_past_the_limit(
    moment_s: float, by_s: float
) -> None:
    found_ms = explained_by_ms(absent(), LOG.ms(moment_s), NUMBERS, watched(300), LOG.ms(180))

    assert LOG.ms(by_s) == found_ms


@pytest.mark.parametrize(("guests_s", "lag"), [(200.0, True), (250.0, True), (250.001, False)])
def test_while_the_guests_lane_lags_a_quiet_cluster_is_not_judged(guests_s: float, lag: bool) -> None:
    log = Log().inventory(3).host(0, "s1").clocks(0.5)
    log.clocks(260, ["host-agent", "maintenance"]).clocks(guests_s, ["guest-agent"])

    assert lag == guests_lag(pictured(log), log.ms(250))


def test_a_cluster_that_reports_waits_for_no_guests() -> None:
    log = Log().inventory(3).host(0, "s1").clocks(0.5).clocks(55, ["host-agent", "maintenance"])

    assert not guests_lag(pictured(log), log.ms(50))
