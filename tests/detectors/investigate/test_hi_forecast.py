"""The brake foretold."""

import dataclasses
from itertools import pairwise

import pytest

from detectors.contract import UPDATE_EVERY_MS
from schemas.commands import Close, Release
from schemas.inventory import Removed
from schemas.outputs import Finding, FindingState, Severity, Verdict
from schemas.source import GaState
from streams.config.catalogue import config_types
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.detectors.investigate.failing import CHAIN, LIMIT_S, Failing, cluster, names, of
from tests.kit import START_MS, run, short, vm


def forecasts(log: Failing) -> list[Finding]:
    """Return what `hi_forecast` finds in a log."""
    return of(run(log.frames, only=CHAIN), "hi_forecast")


def lines(log: Failing) -> list[str]:
    """Return the forecasts in short: state and the time told."""
    return [f"{finding.state} {finding.facts['crosses_at']}" for finding in forecasts(log)]


def first_time_outs(servers: int, failing: int) -> Failing:
    """Return a log up to the first time-outs of so many servers, at 00:25:00.2 and the milliseconds after."""
    return cluster(servers).fail(names(failing), 1)


@pytest.mark.parametrize(("failing", "told"), [(10, []), (11, ["OPEN 01:15:00"]), (12, ["OPEN 01:15:00"])])
def test_the_first_time_outs_of_as_many_servers_as_stop_it_tell_when(failing: int, told: list[str]) -> None:
    """Of 50 servers 11 stop it: below, at and above."""
    assert told == lines(first_time_outs(50, failing))


def test_the_leap_day_is_told_from_the_first_time_outs_on_and_closes_at_the_brake() -> None:
    """At 00:25:00.2 and a turn of the clocks: 01:15:00, fifty minutes ahead; then it is so."""
    log = cluster(50).fail(names(13), 3)
    found = forecasts(log)
    brake = of(run(log.frames, only=CHAIN), "hi_threshold")[0]

    assert FindingState.OPEN == found[0].state
    assert START_MS + 1_500_210 == found[0].opened_ms
    assert START_MS + 1_503_000 > found[0].at_ms
    assert {"01:15:00"} == {finding.facts["crosses_at"] for finding in found}
    assert brake.opened_ms == found[0].numbers["crosses_at_ms"]
    assert FindingState.CLOSED == found[-1].state
    assert "the brake is reached: see hi_threshold" == found[-1].close_reason


def test_it_is_told_to_the_second_below() -> None:
    """A start 0.999 s after midnight still leads to 01:15:00, one at 1.000 s to 01:15:01."""
    early = cluster(3).fail(names(3), 1, from_s=0.997)
    late = cluster(3).fail(names(3), 1, from_s=0.998)

    assert ["OPEN 01:15:00"] == lines(early)
    assert ["OPEN 01:15:01"] == lines(late)


def failed_starts(log: Failing, servers: list[str], at_s: float = 5, incarnation: int = 1) -> Failing:
    """Let the guest agents of these servers' VMs say that they cannot start."""
    for n, server in enumerate(servers):
        log.guest(at_s + n / 100, f"v-{server}", "START_FAILED", server=server, incarnation=incarnation, step="cert")
    return log


def test_failures_that_are_told_are_foretold_in_their_frame() -> None:
    """START_FAILED of clean VMs on as many servers: 75 minutes ahead, and the text does not waver at 00:25."""
    log = cluster(3)
    log.report(0.2, names(3), 1).clocks(2)
    failed_starts(log, names(3))

    assert ["OPEN 01:15:00"] == lines(log)
    assert START_MS + 5_020 == forecasts(log)[0].opened_ms

    log.clocks(10)
    log.tick(1490, names(3))
    log.report(1500.2, names(3), 2)
    failed_starts(log, names(3), 1505, 2).clocks(1510)
    log.tick(1600, names(3), 15)
    assert {"01:15:00"} == {finding.facts["crosses_at"] for finding in forecasts(log)}


def test_failed_starts_of_vms_that_are_not_clean_are_no_way_to_hi() -> None:
    """Customer code may be at fault."""
    log = cluster(3)
    log.report(0.2, names(3), 1, clean=False).clocks(2)

    assert [] == lines(failed_starts(log, names(3)))


def test_a_vm_that_is_known_to_be_clean_later_counts_from_then() -> None:
    """The guest's word may come before its host's report."""
    log = failed_starts(cluster(3), names(3))

    assert [] == lines(log)
    log.report(6, names(3), 1)
    assert ["OPEN 01:15:05"] == lines(log)


def test_a_start_that_is_replaced_before_its_limit_is_no_more_failing() -> None:
    """Whether the new start fails too is not known."""
    log = cluster(3)
    log.report(0.2, names(3), 1).clocks(2)
    failed_starts(log, names(3)).report(60, ["s1"], 2).clocks(70)

    assert ["OPEN 01:15:00", "CLOSED 01:15:00"] == lines(log)


@pytest.mark.parametrize("way", ["contact", "healed", "deallocated", "moved", "removed"])
def test_it_closes_when_the_path_is_gone(way: str) -> None:
    """One of eleven is well, or elsewhere."""
    log = first_time_outs(50, 11)
    if way == "contact":
        log.guest(1600, "v-s1", "READY", server="s1", incarnation=2)
    elif way == "healed":
        log.maintenance(1600, "VM_HEALED", vm="v-s1", from_server="s1", to_server="s20")
    elif way == "deallocated":
        log.maintenance(1600, "VM_DEALLOCATED", vm="v-s1", server="s1")
    elif way == "moved":
        log.host(1600, "s20", [vm("v-s1", 3, GaState.STARTING)])
    else:
        log.batch("inventory", [(1600, Removed("server", "s1"))])
    log.clocks(1610)

    found = forecasts(log)
    assert [FindingState.OPEN, FindingState.CLOSED] == [finding.state for finding in found]
    assert "too few servers are left on the way to the brake" == found[-1].close_reason


def test_servers_that_are_out_already_are_part_of_the_way() -> None:
    """Nine in HI by the FC, two failing."""
    log = cluster(50)
    for n, server in enumerate(names(9, 21)):
        log.maintenance(100 + n, "SERVER_STATE", server=server, state="HI")
    log.clocks(110)
    log.fail(["s1", "s2"], 1, from_s=120)

    found = forecasts(log)
    assert ["OPEN 01:17:00"] == lines(log)
    assert (9, 2, 11) == tuple(found[0].numbers[name] for name in ("out", "failing", "servers"))


def test_it_is_updated_as_the_count_moves_at_most_every_ten_seconds() -> None:
    """Two more servers fail later: said once, and never two records within 10 s."""
    log = first_time_outs(50, 11)
    log.fail(names(2, 30), 1, from_s=1510).clocks(3025)
    found = forecasts(log)

    assert 13 == found[-1].numbers["servers"]
    assert all(later.at_ms - earlier.at_ms >= UPDATE_EVERY_MS for earlier, later in pairwise(found))


def test_servers_fallen_silent_make_it_inconclusive_and_never_close_it() -> None:
    """Power is lost on the way: no time-outs come, and nobody says why. Heard again, it goes on."""
    log = first_time_outs(3, 3).tick(4000, [], 10)
    found = forecasts(log)

    assert [Verdict.NONE, Verdict.INCONCLUSIVE] == [finding.verdict for finding in found]
    assert "unknown" == found[-1].facts["crosses_at"]
    assert FindingState.UPDATED == found[-1].state

    log.report(4010, names(3), 3)
    for n in range(12):
        log.clocks(4011 + n)
    assert (Verdict.NONE, "01:56:50") == (forecasts(log)[-1].verdict, forecasts(log)[-1].facts["crosses_at"])


def test_before_the_inventory_is_complete_nothing_is_foretold() -> None:
    """Of an unknown whole no share can be told."""
    log = Failing()
    log.inventory(3, complete=False)

    assert [] == lines(log.fail(names(3), 1))


def test_a_cluster_of_two_has_nothing_to_foretell() -> None:
    """It has no brake."""
    assert [] == lines(first_time_outs(2, 2))


def test_what_a_person_closed_is_not_said_again_while_it_lasts() -> None:
    """Closed by name; the next time-outs on the same way say nothing."""
    log = first_time_outs(3, 3)
    target = forecasts(log)[0].id
    log.batch("operator", [(1600, Close("k", "c1", target, "ada", "known"))])
    log.report(3000.2, names(3), 3).clocks(3002)

    found = forecasts(log)
    assert [FindingState.OPEN, FindingState.CLOSED] == [finding.state for finding in found]
    assert "closed by ada: known" == found[-1].close_reason


def test_after_the_brake_is_released_the_same_servers_are_no_way_to_it() -> None:
    """They were counted; only others can lead to it again."""
    log = cluster(3).fail(names(3), 3)
    brake = of(run(log.frames, only=CHAIN), "hi_threshold")[0].id
    log.batch("operator", [(4600, Release("r", "c1", brake, "ada", "seen to"))])
    log.report(6000.3, names(3), 5).clocks(6010)
    log.tick(6200, names(3), 10)

    assert FindingState.CLOSED == forecasts(log)[-1].state
    assert 1 == len([finding for finding in forecasts(log) if finding.state == FindingState.OPEN])


def test_what_a_stranger_reads_says_when_why_and_what_to_do() -> None:
    """A golden text."""
    finding = forecasts(first_time_outs(50, 11))[0]

    assert (
        "cluster c1 reaches its brake at 01:15:00 UTC if this goes on: 11 servers out or failing, 11 stop it"
        == finding.title
    )
    assert (
        "0 servers are in Human Investigate or under repair, and 11 clean VMs on 11 more fail to start; the brake is "
        "at 11 of 50. Each start that fails is given up after 25 min, 3 in a row give up the server: at 01:15:00 UTC "
        "on 2012-02-29 s11 will be number 11. Stop the updates that restart VMs now, while it is not too late; "
        "start_failure, start_stall and fault_class say what fails." == finding.explanation
    )
    assert ("stop-updates",) == finding.advised
    assert Severity.CRITICAL == finding.severity
    assert {"crosses_at": "01:15:00", "crosses_on": "2012-02-29", "server": "s11"} == finding.facts
    assert 11 == len(finding.evidence)
    assert ["hi_forecast c1 OPEN 1500.21s"] == short([dataclasses.replace(finding)])
    assert LIMIT_S * 3 == (int(finding.numbers["crosses_at_ms"]) - START_MS) // 1000


def test_a_brake_that_the_fc_alone_leads_to_is_not_foretold() -> None:
    """Servers given up one by one: there is no way ahead to tell of, and none is told in the frame of the brake."""
    log = cluster(5)
    for n, server in enumerate(names(5)):
        log.maintenance(100 + n, "SERVER_STATE", server=server, state="HI")

    assert [] == lines(log)
    assert 1 == len(of(run(log.frames, only=CHAIN), "hi_threshold")[:1])


def test_servers_that_were_released_with_the_brake_are_no_way_to_it_while_they_are_out() -> None:
    """Their VMs start anew and fail: a server in HI already is no new one."""
    log = cluster(3)
    for n, server in enumerate(names(3)):
        log.maintenance(100 + n, "SERVER_STATE", server=server, state="HI")
    brake = of(run(log.frames, only=CHAIN), "hi_threshold")[0].id
    log.batch("operator", [(200, Release("r", "c1", brake, "ada", "seen to"))])
    log.report(300, names(3), 1).clocks(302)
    failed_starts(log, names(3), 305)

    assert [] == lines(log)


def test_a_cluster_smaller_than_the_fewest_servers_has_nothing_to_foretell_whatever_the_brake() -> None:
    """Of two servers one would be enough, if two were not too few."""
    text = "[detectors.hi_forecast]\nleast_servers = 1\nroot_factor = 0.5\n"
    log = first_time_outs(2, 2)
    for fewest, told in ((2, 1), (3, 0)):
        thresholds = parse(f"{text}fewest_servers = {fewest}\n", config_types())
        found = run(log.frames, runner=Runner(0, thresholds, only=CHAIN))
        assert told == len(of(found, "hi_forecast"))
