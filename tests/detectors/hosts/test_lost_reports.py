"""Reports that hosts counted and we never saw."""

import pytest

from detectors.frames import DueFrame
from detectors.hosts.blindness import Config, Loss, State
from detectors.hosts.lost_reports import lost_reports
from detectors.picture import Picture
from schemas.outputs import Finding
from tests.detectors.pictured import pictured
from tests.kit import Log

LOSER = "s1"


def cluster(servers: int, losers: int) -> tuple[Log, Picture, State]:
    """Return a cluster in which the first servers lost two reports each, seen at 120 s."""
    log = Log().inventory(servers)
    for number in range(1, losers + 1):
        log.host(60, f"s{number}", seq=0).host(120, f"s{number}", seq=3)
    losses = {f"s{number}": Loss(0, log.ms(120)) for number in range(1, losers + 1)}
    return log, pictured(log), State(losses=losses)


def asked(log: Log, picture: Picture, state: State, at_s: float) -> list[Finding]:
    frame = DueFrame(0, 99, log.ms(at_s), log.ms(at_s))
    return lost_reports(LOSER, "blind", state, Config(), frame, picture)


def test_one_hosts_losses_are_counted_in_one_finding_that_is_asked_again_when_it_may_close() -> None:
    log, picture, state = cluster(10, 1)
    (finding,) = asked(log, picture, state, 180)

    assert ("INFO", LOSER, {"lost": 2.0}) == (finding.severity, finding.subject.server, finding.numbers)
    assert log.ms(120) == finding.opened_ms
    assert log.ms(720) == state.deadlines.next_ms()


@pytest.mark.parametrize(("at_s", "states"), [(719.999, []), (720.0, ["CLOSED"])])
def test_it_closes_after_ten_minutes_without_a_further_loss(at_s: float, states: list[str]) -> None:
    log, picture, state = cluster(10, 1)
    asked(log, picture, state, 180)

    assert states == [finding.state for finding in asked(log, picture, state, at_s)]


@pytest.mark.parametrize(("servers", "losers", "many"), [(3, 2, False), (3, 3, True), (20, 3, False), (20, 4, True)])
def test_a_fifth_of_the_hosts_and_three_are_one_finding(servers: int, losers: int, many: bool) -> None:
    log, picture, state = cluster(servers, losers)
    (finding,) = asked(log, picture, state, 180)

    assert (None if many else LOSER) == finding.subject.server
    assert ("WARNING" if many else "INFO") == finding.severity
    assert (2.0 * losers if many else 2.0) == finding.numbers["lost"]


def test_a_hosts_own_finding_is_folded_when_they_become_many() -> None:
    log, picture, state = cluster(10, 3)
    later = [state.losses.pop(name) for name in ("s2", "s3")]
    (single,) = asked(log, picture, state, 180)
    state.losses |= dict(zip(("s2", "s3"), later, strict=True))
    closed, opened = asked(log, picture, state, 200)

    assert (single.id, "CLOSED") == (closed.id, closed.state)
    assert ("OPEN", 3.0) == (opened.state, opened.numbers["hosts"])


def test_a_new_run_of_the_agent_counts_from_nothing() -> None:
    log, picture, state = cluster(10, 1)
    state.losses[LOSER].told = 5
    (finding,) = asked(log, picture, state, 180)

    assert {"lost": 2.0} == finding.numbers


def test_nothing_is_said_of_a_host_that_lost_nothing_or_is_gone() -> None:
    log, picture, state = cluster(10, 1)
    state.losses[LOSER].told = 2
    assert [] == asked(log, picture, state, 180)
    state.losses.clear()

    assert [] == asked(log, picture, state, 180)
