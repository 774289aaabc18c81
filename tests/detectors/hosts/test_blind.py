"""What we do not see."""

import pytest

from schemas.outputs import Finding
from tests.detectors.hosts.stories import assert_golden, beats
from tests.kit import Log, run, short

ALL = ("host-agent", "guest-agent", "maintenance")


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=["blind"])


@pytest.mark.parametrize(("still_s", "opened"), [(30.0, 0), (30.001, 1)])
def test_a_lane_that_stands_while_another_goes_on_for_thirty_seconds(still_s: float, opened: int) -> None:
    log = Log().clocks(0).clocks(10, ("host-agent", "guest-agent"))
    log.clocks(20, ("host-agent", "guest-agent")).clocks(25, ("guest-agent",)).clocks(
        still_s, ("host-agent", "guest-agent")
    )

    assert opened == len(found(log))


@pytest.mark.parametrize(("behind_s", "opened"), [(60.0, 0), (60.001, 1)])
def test_a_lane_that_moves_may_be_a_minute_behind(behind_s: float, opened: int) -> None:
    log = Log()
    for at_s in range(0, 200, 5):
        log.clocks(at_s, ("host-agent", "guest-agent"))
        if at_s >= 60:
            log.clocks(at_s - behind_s, ("maintenance",))

    assert opened == sum(1 for finding in found(log) if finding.state == "OPEN" and "lags" in finding.title)


def test_a_late_lane_grows_critical_and_closes_when_it_has_caught_up() -> None:
    log = Log().clocks(0)
    for at_s in range(5, 400, 5):
        log.clocks(at_s, ("guest-agent", "maintenance"))
    log.clocks(390, ("host-agent",), unread=7).clocks(400)
    findings = found(log)
    late = [finding for finding in findings if "late" in finding.id or "stands" in finding.title]

    assert ["WARNING", "CRITICAL"] == list(dict.fromkeys(finding.severity for finding in late))
    assert "CLOSED" == [finding for finding in findings if finding.id == late[0].id][-1].state
    assert 30.0 == (late[0].opened_ms - log.start_ms) / 1000


def test_a_lane_that_runs_ahead_of_all_others_that_go_on() -> None:
    log = Log().clocks(0)
    for at_s in range(1, 60):
        log.clocks(at_s, ("host-agent", "guest-agent")).clocks(at_s + 65, ("maintenance",))
    findings = found(log)

    assert ["maintenance"] == list(dict.fromkeys(f.subject.feed for f in findings if "ahead" in f.title))
    assert [] == [finding for finding in findings if "behind" in finding.title]


@pytest.mark.parametrize(("until_s", "severity"), [(20.0, "INFO"), (66.0, "INFO"), (66.1, "WARNING")])
def test_a_gap_is_told_once_and_closes_as_the_lane_goes_on(until_s: float, severity: str) -> None:
    log = Log().clocks(0).clocks(5)
    log.clocks(until_s, ("host-agent",), gaps=[(6.0, until_s)]).clocks(until_s + 1, ("host-agent",))
    findings = [finding for finding in found(log) if "gap" in finding.numbers or "gap_s" in finding.numbers]

    assert [("OPEN", severity), ("CLOSED", severity)] == [(finding.state, finding.severity) for finding in findings]
    assert until_s - 6 == pytest.approx(findings[0].numbers["gap_s"])


def test_a_hole_counts_the_records_that_no_one_will_read() -> None:
    log = Log().clocks(0).clocks(1).clocks(2, ("host-agent",), skip=5)
    findings = found(log)

    assert ["WARNING"] == [finding.severity for finding in findings]
    assert 5.0 == findings[0].numbers["unread"]


def test_a_lane_of_which_no_clock_ever_told_is_named() -> None:
    log = Log()
    for at_s in range(0, 40, 5):
        log.clocks(at_s, ("host-agent", "guest-agent"))

    assert ["blind maintenance/0 OPEN -30s"] == [
        line.replace(" 30s", " -30s") for line in short(found(log)) if "maintenance" in line
    ]


def test_a_clusters_host_feed_is_blind_from_its_last_report_on() -> None:
    strips = {f"s{n}": "x x x _ _ _ _ _ _ _ x x" for n in range(5)}
    log = Log().inventory(list(strips))
    for place in range(12):
        for number, name in enumerate(strips):
            if place < 3 or place > 9:
                log.host(place * 60 + number * 0.01, name, seq=place)
        for at_s in range(place * 60 + 5, place * 60 + 60, 10):
            log.guest(at_s, "v1", "HEARTBEAT", server="s1").clocks(at_s + 5)
    for at_s in range(720, 800, 5):
        log.clocks(at_s)
    findings = found(log)

    assert ["CRITICAL", "CRITICAL", "WARNING"] == [finding.severity for finding in findings]
    assert "host reports come again after 8 min" == findings[1].close_reason
    assert 5 * 7.0 == findings[2].numbers["lost"]


def test_a_cluster_without_a_word_of_its_guests_is_not_called_blind() -> None:
    assert [] == found(beats({f"s{n}": "x x x" for n in range(5)}, until_s=900))


def test_lost_reports_of_one_host_are_told_a_minute_later_and_close_after_ten() -> None:
    log = Log().inventory(6)
    for place in range(16):
        for name in ("s1", "s2", "s3", "s4", "s5", "s6"):
            log.host(place * 60, name, seq=place + (2 if name == "s1" and place > 1 else 0))
        for at_s in range(place * 60 + 5, place * 60 + 60, 5):
            log.clocks(at_s)
    findings = found(log)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert 2.0 == findings[0].numbers["lost"]
    assert 120.0 == (findings[0].opened_ms - log.start_ms) / 1000


def test_a_report_that_comes_after_all_was_not_lost() -> None:
    log = Log().inventory(6).host(0, "s1", seq=0).host(60, "s1", seq=2).host(62, "s1", seq=1)
    for at_s in range(65, 300, 5):
        log.clocks(at_s)

    assert [] == found(log)


def test_the_story_of_a_standing_lane_a_gap_and_a_hole() -> None:
    log = Log().clocks(0).clocks(5)
    for at_s in range(10, 100, 10):
        log.clocks(at_s, ("host-agent", "guest-agent"))
    log.clocks(95, ("maintenance",)).clocks(101)
    log.clocks(130, ("guest-agent",), gaps=[(102.0, 130.0)]).clocks(131, ALL).clocks(132, ("host-agent",), skip=9)
    log.clocks(133)

    assert_golden("lanes", found(log))
