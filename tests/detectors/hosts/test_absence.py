"""What is remembered of a server that is not heard, and what explains it."""

import pytest

from detectors.hosts.absence import Absence, Dark, State, Watch, explaining, maintenance_unseen
from detectors.upkeep import Upkeep
from detectors.views import ServerView
from schemas.outputs import Evidence
from schemas.telemetry import HostRow
from tests.detectors.pictured import pictured
from tests.kit import Log

PLACE = (0, 7, "host-agent", "id", 0)
NOWHERE = Evidence(0, 0)


def watch() -> Watch:
    return Watch(1000, 60, 180_000, "b1", "r1", 4, PLACE, 11)


def absent(since_ms: int) -> Absence:
    return Absence(since_ms, since_ms, 180_000, 60, "s1/b1/r1/4", NOWHERE)


def upkept(from_ms: int, until_ms: int | None, impact: str = "") -> ServerView:
    return ServerView("s1", upkeep=[Upkeep("update", from_ms, until_ms, True, NOWHERE, impact=impact)])


def test_an_absence_counts_from_the_last_report_and_cites_it() -> None:
    known = watch()
    known.take(2000, HostRow("s1", "b2", "r2", 5, 5, 2000, 60), PLACE, 12)
    absence = known.absence("s1")

    assert (2000, 2000, "s1/b2/r2/5") == (absence.since_ms, absence.base_ms, absence.source)
    assert (7, 12, 2000) == (absence.evidence.offset, absence.evidence.source_offset, absence.evidence.at_ms)


def test_of_a_server_put_into_service_while_silent_it_counts_from_then_on() -> None:
    known = watch()
    known.from_ms = 5000

    assert (1000, 5000) == (known.absence("s1").since_ms, known.absence("s1").base_ms)


def test_only_an_absence_that_goes_on_is_the_present_one() -> None:
    none, going, ended = watch(), watch(), watch()
    going.absences.append(going.absence("s1"))
    ended.absences.append(ended.absence("s1"))
    ended.absences[0].until_ms = 9000

    assert [None, going.absences[0], None] == [none.present, going.present, ended.present]


@pytest.mark.parametrize(("by_ms", "explained"), [(99, False), (100, True), (101, True)])
def test_what_was_announced_by_the_latest_time_allowed_explains(by_ms: int, explained: bool) -> None:
    assert explained == (explaining(upkept(100, None), absent(50), by_ms, 1000, 500) is not None)


@pytest.mark.parametrize(("since_ms", "explained"), [(199, True), (200, False), (201, False)])
def test_what_was_over_when_the_absence_began_does_not(since_ms: int, explained: bool) -> None:
    assert explained == (explaining(upkept(100, 200), absent(since_ms), 300, 1000, 500) is not None)


@pytest.mark.parametrize(("since_ms", "explained"), [(599, True), (600, False)])
def test_one_whose_end_is_not_known_yet_explains_for_as_long_as_an_update_lasts(since_ms: int, explained: bool) -> None:
    for server in (upkept(100, None), upkept(100, 2000)):
        assert explained == (explaining(server, absent(since_ms), 700, 1000, 500) is not None)


def test_an_update_without_impact_and_one_of_which_only_the_end_was_seen_explain_nothing() -> None:
    for server in (upkept(100, None, "none"), upkept(100, 100)):
        assert explaining(server, absent(50), 700, 50, 500) is None


@pytest.mark.parametrize(("at_ms", "overdue"), [(9, 0), (10, 1), (19, 1), (20, 0)])
def test_a_server_is_overdue_from_its_limit_until_it_is_heard(at_ms: int, overdue: int) -> None:
    assert overdue == State(overdue={"s1/0": (10, 20)}).overdue_at(at_ms)


@pytest.mark.parametrize(("since_ms", "folded"), [(9, None), (10, "d1"), (20, "d2"), (30, "d2"), (31, None)])
def test_the_newest_darkness_that_an_absence_began_in_takes_it(since_ms: int, folded: str | None) -> None:
    state = State(darks=[Dark("d1", 10, 20, 50), Dark("d2", 20, 30, 60)])
    dark = state.folded_under(absent(since_ms))

    assert folded == (dark.id if dark is not None else None)


@pytest.mark.parametrize(("from_s", "until_s", "unseen"), [(10, 30, False), (10, 31, True), (44, 60, True)])
def test_time_within_a_gap_of_the_maintenance_lane_was_not_watched(from_s: int, until_s: int, unseen: bool) -> None:
    log = Log().inventory(3).clocks(0).clocks(60, gaps=[(30.0, 45.0)])

    assert unseen == maintenance_unseen(pictured(log), log.ms(from_s), log.ms(until_s))
