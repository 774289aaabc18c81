"""A server not heard for longer than it may be."""

import pytest

from detectors.hosts.host_silence import HostSilence
from schemas.inventory import InventoryState, Removed, Server
from schemas.outputs import Finding
from schemas.telemetry import HostRow
from tests.detectors.hosts.stories import assert_golden, beats
from tests.kit import Log, run, short

ONLY = ["host_silence", "cluster_dark", "blind"]
OTHERS = ("s2", "s3", "s4", "s5", "s6", "s7")


def alive(log: Log, from_s: float, until_s: float, names: tuple[str, ...] = OTHERS, every_s: int = 60) -> Log:
    """Let the other servers beat, and the clocks turn, so that one server alone is silent."""
    at_s = from_s
    while at_s < until_s:
        for number, name in enumerate(names):
            log.host(at_s + number * 0.1, name, interval_s=every_s)
        for turn in range(5, every_s + 1, 5):
            log.clocks(at_s + turn)
        at_s += every_s
    return log


def cluster(servers: int = 7) -> Log:
    return Log().inventory(servers)


def silences(log: Log) -> list[Finding]:
    return [finding for finding in run(log.frames, only=ONLY) if finding.detector == "host_silence"]


@pytest.mark.parametrize(("back_s", "found"), [(179.999, 0), (180.0, 0), (180.001, 2)])
def test_a_server_at_its_limit_is_alive(back_s: float, found: int) -> None:
    """Three intervals of 60 s without a report are not silence; a millisecond more is, and it ends at once."""
    log = alive(cluster().host(0, "s1"), 0.5, 119)
    log.host(back_s, "s1")
    findings = silences(alive(log, 181, 600, (*OTHERS, "s1")))

    assert found == len(findings)
    assert ["host_silence c1/s1 OPEN 180s", "host_silence c1/s1 CLOSED 180s"][:found] == short(findings)


@pytest.mark.parametrize(("back_s", "found"), [(90.0, 0), (90.001, 2)])
def test_a_short_interval_still_has_ninety_seconds(back_s: float, found: int) -> None:
    log = alive(cluster().host(0, "s1", interval_s=10), 0.5, 80, every_s=10)
    log.host(back_s, "s1", interval_s=10)

    assert found == len(silences(alive(log, 91, 300, (*OTHERS, "s1"), every_s=10)))


def test_a_dead_server_is_told_in_the_first_turn_behind_its_limit() -> None:
    findings = silences(alive(cluster().host(0, "s1"), 0.5, 400))

    assert ["host_silence c1/s1 OPEN 180s"] == short(findings)
    assert 180_500 == findings[0].at_ms - Log().start_ms
    assert "s1/b1/r1/0" == f"{findings[0].subject.server}/b1/r1/0"
    assert 1 == len(findings[0].evidence)


def test_it_closes_when_the_server_is_heard() -> None:
    log = alive(cluster().host(0, "s1"), 0.5, 300)
    findings = silences(log.host(301, "s1"))

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert "heard again after 5.02 min" == findings[1].close_reason


@pytest.mark.parametrize(("at_s", "explained"), [(-1.0, True), (60.0, True), (120.0, True), (120.001, False)])
def test_an_announcement_explains_up_to_a_minute_after_the_first_missed_report(at_s: float, explained: bool) -> None:
    log = cluster().host(-1, "s1") if at_s < 0 else cluster()
    log.host(0, "s1").clocks(0.4)
    if at_s < 0:
        log.maintenance(0.45, "NODE_REBOOT_STARTED", server="s1", planned=True)
    log = alive(log, 0.5, 59)
    if at_s > 0:
        log.maintenance(at_s, "NODE_REBOOT_STARTED", server="s1", planned=True)

    assert explained == (not silences(alive(log, 121, 600)))


@pytest.mark.parametrize(("back_s", "found"), [(1800.0, 0), (1800.001, 2)])
def test_under_a_host_update_the_limit_is_half_an_hour(back_s: float, found: int) -> None:
    log = cluster().host(0, "s1").maintenance(10, "SERVER_UPDATE_STARTED", server="s1", rollout="r7", system="host-os")
    log = alive(log, 10.5, 1750)
    log.host(back_s, "s1")
    findings = silences(alive(log, 1811, 2100, (*OTHERS, "s1")))

    assert ["HOST_UPDATE_OVERDUE"] * found == [finding.verdict for finding in findings]
    assert [1800.0] * found == [(finding.opened_ms - Log().start_ms) / 1000 for finding in findings]


def test_an_update_without_impact_and_one_that_was_over_explain_nothing() -> None:
    log = cluster().maintenance(-30, "COMPONENT_UPDATE_STARTED", server="s1", component="fc", impact="none")
    log.maintenance(-29, "NODE_REBOOT_STARTED", server="s1").maintenance(-5, "NODE_REBOOT_COMPLETED", server="s1")

    assert 1 == len(silences(alive(log.host(0, "s1"), 0.5, 400)))


def test_time_in_which_nobody_could_write_counts_for_nobody() -> None:
    log = cluster().host(0, "s1")
    log = alive(log, 0.5, 59)
    log.clocks(160, gaps=[(60.5, 160.0)])
    findings = silences(alive(log, 160.5, 600))

    assert [179 + 100.5] == [round((finding.opened_ms - Log().start_ms) / 1000 - 0.0, 1) for finding in findings]


def test_a_gap_in_the_maintenance_feed_is_told_for_a_reboot_cannot_be_ruled_out() -> None:
    log = alive(cluster().host(0, "s1"), 0.5, 59)
    log.clocks(61, ["maintenance"], gaps=[(30.0, 45.0)])
    findings = silences(alive(log, 61.5, 600))

    assert "blind" == findings[0].facts["maintenance"]
    assert "cannot be ruled out" in findings[0].explanation


def test_nothing_is_judged_while_a_lane_stands_and_all_when_it_goes_on() -> None:
    log = cluster().host(0, "s1").clocks(0.2)
    for at_s in range(1, 900, 5):
        if at_s % 60 == 1:
            for name in OTHERS:
                log.host(at_s, name)
        log.clocks(at_s + 1, ["host-agent", "guest-agent"])
    log.host(900, "s1")
    standing = silences(log)
    for at_s in range(1, 900, 5):
        log.clocks(at_s + 1, ["maintenance"])

    assert [] == standing
    assert ["host_silence c1/s1 OPEN 180s", "host_silence c1/s1 CLOSED 180s"] == short(silences(log))


def test_a_restarted_agent_a_repaired_clock_and_a_late_first_report_open_nothing() -> None:
    log = cluster()
    for turn in range(12):
        run_, seq = ("r1", turn) if turn < 4 else ("r2", turn - 4)
        sent_ms = 0 if turn < 6 else log.ms(turn * 60)
        log.batch("host-agent", [(turn * 60.0, HostRow("s1", "b1", run_, seq, -1, sent_ms, 60))])
        if turn > 7:
            log.host(turn * 60 + 0.05, "s7")
        alive(log, turn * 60 + 0.1, turn * 60 + 59, ("s2", "s3", "s4", "s5", "s6"))

    assert [] == silences(log)


def test_no_server_outside_the_inventory_or_out_of_service_is_silent() -> None:
    log = cluster().host(0, "stranger").host(0.1, "s1")
    log.batch("inventory", [(0.2, Server("c1", "s1", state=InventoryState.DECOMMISSIONED))])

    assert [] == silences(alive(log, 0.5, 600))


def test_one_put_into_service_while_silent_is_waited_for_from_then_on() -> None:
    log = alive(cluster().host(0, "s9"), 0.5, 300)
    log.batch("inventory", [(301.0, Server("c1", "s9"))])

    assert ["host_silence c1/s9 OPEN 481s"] == short(silences(alive(log, 301.5, 700)))


def test_removing_a_server_closes_its_finding_as_removed() -> None:
    log = alive(cluster().host(0, "s1"), 0.5, 300)
    log.batch("inventory", [(301.0, Removed("server", "s1"))])

    assert ["", "removed"] == [finding.close_reason for finding in silences(alive(log, 301.5, 400))]


def test_servers_never_heard_are_counted_once_for_the_cluster() -> None:
    log = alive(cluster(10), 0.5, 1900)
    log.host(1905, "s10")
    findings = silences(alive(log, 1910.5, 2000))

    assert ["INFO", "INFO"] == [finding.severity for finding in findings]
    assert [4.0, 3.0] == [finding.numbers["never_heard"] for finding in findings]


def test_while_a_fifth_of_the_servers_is_overdue_single_findings_wait_two_minutes() -> None:
    names = tuple(f"s{n}" for n in range(3, 8))
    findings = silences(alive(cluster().host(0, "s1").host(0.2, "s2"), 0.5, 500, names))

    assert ["host_silence c1/s1 OPEN 180s", "host_silence c1/s2 OPEN 180.2s"] == short(findings)
    assert [180.5, 300.5] == [(finding.at_ms - Log().start_ms) / 1000 for finding in findings]


def test_its_id_hangs_on_the_last_report_alone() -> None:
    one = silences(alive(cluster().host(0, "s1"), 0.5, 400))
    two = silences(alive(cluster().clocks(-20).host(0, "s1"), 0.5, 900))

    assert one[0].id == two[0].id


def test_a_beat_does_not_touch_the_deadlines() -> None:
    log = cluster().host(0, "s1")
    detector = HostSilence(HostSilence.Config())
    from detectors.lanes import Lanes  # noqa: PLC0415 - this test alone looks inside
    from detectors.picture import Picture  # noqa: PLC0415

    picture = Picture("c1", Lanes())
    for frame in log.host(60, "s1").host(120, "s1").frames:
        picture.fold(frame)  # type: ignore[arg-type]
        detector.step(frame, picture)

    assert [log.ms(180)] == [due for due, key in detector.state.deadlines.heap if key == "s1"]


def test_the_story_of_a_server_that_dies_and_of_one_that_is_updated() -> None:
    strips = dict.fromkeys(("s1", "s2", "s3", "s4", "s5", "s6", "s7"), "x " * 40)
    strips["s1"] = "x x x _ _ _ _ _ x x x x"
    strips["s2"] = "x x x x" + " _" * 34 + " x x"
    log = Log().inventory(sorted(strips)).maintenance(-0.5, "ROLLOUT_STARTED", rollout="r1", component="host_os")
    log.maintenance(-0.4, "SERVER_UPDATE_STARTED", server="s2", rollout="r1", system="host-os")

    assert_golden("dies_and_updated", run(beats(strips, log=log).frames, only=ONLY))
