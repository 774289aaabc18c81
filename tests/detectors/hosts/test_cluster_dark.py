"""A cluster whose servers fall silent together."""

import pytest

from detectors.frames import BatchFrame
from schemas.outputs import Finding
from tests.detectors.hosts.stories import assert_golden, beats
from tests.kit import Log, run

ONLY = ["host_silence", "cluster_dark", "blind"]


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=ONLY)


def names(findings: list[Finding]) -> list[str]:
    return [f"{finding.detector} {finding.state}" for finding in findings]


def dark(servers: int, gone: int, *, until_s: int = 600) -> Log:
    """Return a log in which `gone` of the servers fall silent after 2 min, and the others long before."""
    strips = {f"s{n}": "x x x" if n < gone else "x" for n in range(servers)}
    return beats(strips, until_s=until_s, log=Log().inventory(list(strips)))


@pytest.mark.parametrize(("servers", "gone", "dark_ones"), [(10, 8, 1), (2, 2, 0), (3, 3, 1)])
def test_four_fifths_and_three_servers_make_a_dark_cluster(servers: int, gone: int, dark_ones: int) -> None:
    findings = found(dark(servers, gone))

    assert dark_ones == sum(1 for finding in findings if finding.detector == "cluster_dark")


def test_less_than_four_fifths_together_is_no_dark_cluster() -> None:
    strips = {f"s{n}": "x x x x x x" if n < 7 else "x" for n in range(10)}
    findings = found(beats(strips, until_s=1200, log=Log().inventory(list(strips))))

    assert [] == [finding for finding in findings if finding.detector == "cluster_dark"]


def test_no_server_of_it_is_silent_by_itself() -> None:
    findings = found(dark(10, 10))

    assert ["cluster_dark OPEN"] == names(findings)
    assert 10.0 == findings[0].numbers["silent"]
    assert 10 == len(findings[0].supersedes)
    assert "CRITICAL" == findings[0].severity


def test_it_opens_at_the_limit_of_the_server_that_completes_the_share() -> None:
    findings = found(dark(10, 10))

    assert 120 + 180 + 0.07 == (findings[0].opened_ms - Log().start_ms) / 1000


def test_it_closes_when_a_report_returns_and_who_stays_away_is_told_half_an_hour_later() -> None:
    strips = {f"s{n}": "x x x" + " _" * 7 + " x" * 45 for n in range(10)}
    strips["s3"] = "x x x"
    findings = found(beats(strips, log=Log().inventory(list(strips))))

    assert ["cluster_dark OPEN", "cluster_dark CLOSED", "host_silence OPEN"] == [
        name for name in names(findings) if not name.startswith("blind")
    ]
    assert 600 + 1800 == (findings[-1].opened_ms - Log().start_ms) / 1000
    assert "s3" == findings[-1].subject.server


def test_guests_that_speak_make_it_blind_and_not_dark() -> None:
    strips = {f"s{n}": "x x x" for n in range(10)}
    log = beats(strips, log=Log().inventory(list(strips)))
    for at_s in range(180, 900, 10):
        log.guest(at_s, "v1", "HEARTBEAT", server="s1").clocks(at_s + 5)

    assert ["blind OPEN"] == names(found(log))


def test_the_last_words_of_guests_do_not_make_it_blind() -> None:
    strips = {f"s{n}": "x x x" for n in range(10)}
    log = Log().inventory(list(strips))
    beats(strips, log=log)
    log.guest(180, "v1", "HEARTBEAT", server="s1")
    for at_s in range(181, 900, 5):
        log.clocks(at_s)

    assert ["cluster_dark OPEN"] == names(found(log))


def test_guests_that_speak_after_it_was_judged_close_it_however_early_they_are_read() -> None:
    """What a lane ahead of the others tells of later times does not change what was judged before."""
    log = dark(10, 10, until_s=900)
    log.guest(890, "v1", "HEARTBEAT", server="s1").clocks(905)
    in_time = found(log)
    word = next(frame for frame in log.frames if isinstance(frame, BatchFrame) and frame.batch.feed == "guest-agent")
    early = [log.frames[0], word, *(frame for frame in log.frames[1:] if frame is not word)]

    assert ["cluster_dark OPEN", "cluster_dark CLOSED"] == [name for name in names(in_time) if "blind" not in name]
    assert [in_time[0].id, in_time[0].opened_ms] == [(f := run(early, only=ONLY)[0]).id, f.opened_ms]
    assert [] == [finding for finding in run(early, only=ONLY) if finding.detector == "host_silence"]


def test_a_cluster_updated_at_once_is_not_dark() -> None:
    strips = {f"s{n}": "x x x" for n in range(10)}
    log = Log().inventory(list(strips))
    beats(strips, log=log)
    for name in strips:
        log.maintenance(179, "NODE_REBOOT_STARTED", server=name, planned=True)

    for at_s in range(180, 900, 5):
        log.clocks(at_s)

    assert [] == found(log)


def test_a_gap_in_all_lanes_makes_nothing_dark() -> None:
    strips = {f"s{n}": "x x x" for n in range(10)}
    log = beats(strips, log=Log().inventory(list(strips)))
    log.clocks(600, gaps=[(176.0, 600.0)])
    for number, name in enumerate(strips):
        log.host(600.5 + number * 0.1, name)
    for at_s in range(602, 650, 5):
        log.clocks(at_s)

    assert [] == [finding for finding in found(log) if finding.detector != "blind"]


def test_the_story_of_a_loss_of_power() -> None:
    strips = {f"s{n}": "x x x" + " _" * 10 + " x x x x x x" for n in range(6)}

    assert_golden("loss_of_power", found(beats(strips)))
