"""Tests of guest_timeout: the limit to the millisecond, what stops a VM's time, chains, replacement, silence."""

from __future__ import annotations

import pytest

from detectors.contract import registry
from schemas.inventory import Removed
from schemas.outputs import Finding, FindingState
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.kit import START_MS, Log, run, short, vm

LIMIT_S = 1500
ONLY = ("guest_timeout",)


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=ONLY)


def started(*, clean: bool = True, ga: str = "STARTING") -> Log:
    """Return a log in which v1 on s1 starts at 10 s, on a server heard before."""
    log = Log().inventory(2).host(0, "s1", vms=[])
    return log.host(10, "s1", vms=[vm("v1", ga=ga, clean=clean)])


def beats(log: Log, from_s: float, until_s: float, server: str = "s1") -> Log:
    """Let a server beat every minute, with a turn of the clocks behind each."""
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, server).clocks(at_s)
        at_s += 60
    return log


def test_vm_at_the_limit_is_alive() -> None:
    log = beats(started(), 60, 1500).guest(10 + LIMIT_S, "v1", "READY")
    beats(log, 1560, 1800)

    assert [] == found(log)


def test_contact_a_millisecond_later_is_too_late() -> None:
    log = beats(started(), 60, 1500).guest(10 + LIMIT_S + 0.001, "v1", "READY")
    beats(log, 1560, 1800)

    assert [
        "guest_timeout c1/s1/v1 OPEN 1510s",
        "guest_timeout c1/s1/v1 CLOSED 1510s",
    ] == short(found(log))


def test_nothing_is_said_before_every_lane_has_passed_the_limit() -> None:
    log = beats(started(), 60, 1500).host(1560, "s1")
    log.clocks(1560, feeds=("host-agent", "guest-agent"))

    assert [] == found(log)

    log.clocks(1560, feeds=("maintenance",))

    assert ["guest_timeout c1/s1/v1 OPEN 1510s"] == short(found(log))


@pytest.mark.parametrize("kind", ["BUSY", "READY", "HEARTBEAT"])
def test_any_word_of_the_agent_is_contact(kind: str) -> None:
    log = beats(started().guest(100, "v1", kind), 60, 2000)

    assert [] == found(log)


@pytest.mark.parametrize("kind", ["START", "START_FAILED", "RECYCLED"])
def test_a_failed_start_is_no_contact(kind: str) -> None:
    log = beats(started().guest(100, "v1", kind, step="x", error_code="E"), 60, 2000)

    assert ["guest_timeout c1/s1/v1 OPEN 1510s"] == short(found(log))


def test_id_comes_from_the_record_that_the_waiting_counts_from() -> None:
    """A second turn of the clocks, or other offsets, give the same id."""
    first = found(beats(started(), 60, 1800))
    other = Log().inventory(3).clocks(0).host(0, "s1", vms=[])
    second = found(beats(other.host(10, "s1", vms=[vm("v1", ga="STARTING")]), 60, 1800))

    assert 1 == len({finding.id for finding in (*first, *second)})


def test_time_stands_while_the_server_is_silent() -> None:
    """Heard up to 600 s and again from 1,000 s on: the 400 s between do not count, so the limit is at 1,910 s."""
    log = beats(beats(started(), 60, 600), 1000, 2200)

    assert ["guest_timeout c1/s1/v1 OPEN 1910s"] == short(found(log))


def test_nothing_opens_while_the_host_is_silent() -> None:
    """The server dies at 1,480 s, 30 s before the limit: the VM may be as dead as its server."""
    log = beats(started(), 60, 1440).host(1480, "s1").clocks(1480)
    for at_s in range(1540, 9000, 60):
        log.host(at_s, "s2").clocks(at_s)

    assert [] == found(log)


def test_a_server_that_comes_back_gives_the_vm_the_rest_of_its_time() -> None:
    log = beats(started(), 60, 1440)
    for at_s in range(1500, 3600, 60):
        log.clocks(at_s)
    beats(log, 3600, 3900)

    # 1,430 s had run when the server was last heard; 70 more from 3,600 s on.
    assert ["guest_timeout c1/s1/v1 OPEN 3670s"] == short(found(log))


def test_a_late_beat_is_no_silence() -> None:
    """Heard 80 s after its last report, the limit between them: the stretch counts, and the verdict waits for it."""
    log = beats(started(), 60, 1440).host(1500, "s1").clocks(1505).clocks(1550)

    assert [] == found(log)

    log.host(1580, "s1").clocks(1581)

    assert ["guest_timeout c1/s1/v1 OPEN 1510s"] == short(found(log))


def test_gaps_of_a_lane_count_for_nobody() -> None:
    log = beats(started(), 60, 600)
    log.host(660, "s1").clocks(660, gaps=[(610, 640)])
    beats(log, 720, 1800)

    assert ["guest_timeout c1/s1/v1 OPEN 1540s"] == short(found(log))


def test_beats_that_name_an_unseen_full_report_say_nothing_of_the_vms() -> None:
    """From 300 s to 900 s the beats name a full report that never came: those 600 s do not count."""
    log = beats(started(), 60, 240)
    for at_s in range(300, 900, 60):
        log.host(at_s, "s1", full_seq=999).clocks(at_s)
    log.host(900, "s1", vms=[vm("v1", ga="STARTING")]).clocks(900)
    beats(log, 960, 3000)

    assert ["guest_timeout c1/s1/v1 OPEN 2110s"] == short(found(log))


def test_unsure_at_the_limit_waits() -> None:
    log = beats(started(), 60, 1440)
    for at_s in range(1500, 3000, 60):
        log.host(at_s, "s1", full_seq=999).clocks(at_s)

    assert [] == found(log)


# -- replacement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replaced_s", "expected"),
    [
        (10 + LIMIT_S - 5.001, []),
        (10 + LIMIT_S - 5, ["guest_timeout c1/s1/v1 OPEN 1505s"]),
        (10 + LIMIT_S - 4.999, ["guest_timeout c1/s1/v1 OPEN 1505s"]),
        (10 + LIMIT_S, ["guest_timeout c1/s1/v1 OPEN 1510s"]),
        (10 + LIMIT_S + 1, ["guest_timeout c1/s1/v1 OPEN 1510s"]),
    ],
)
def test_replaced_from_five_seconds_before_the_limit_on_has_timed_out(replaced_s: float, expected: list[str]) -> None:
    log = beats(started(), 60, 1440)
    log.host(replaced_s, "s1", vms=[vm("v1", 2, ga="STARTING")]).clocks(1520)
    findings = found(log)

    assert expected == [line.replace("1505.001s", "1505s") for line in short(findings)]
    for finding in findings:
        assert START_MS + min(round(replaced_s * 1000), 1_510_000) == finding.opened_ms


def test_replaced_with_contact_is_alive() -> None:
    log = beats(beats(started(), 60, 1380).guest(1400, "v1", "READY"), 1440, 1500)
    log.host(1510, "s1", vms=[vm("v1", 2, ga="STARTING")]).clocks(1600)

    assert [] == found(log)


def test_three_time_outs_in_a_row_are_counted() -> None:
    """As on the leap day: the host agent starts the VM anew at each limit, 00:25:00, 00:50:00, 01:15:00."""
    log = Log().inventory(2).host(-60, "s1", vms=[])
    for incarnation in range(1, 5):
        at_s = (incarnation - 1) * LIMIT_S
        log.host(at_s, "s1", vms=[vm("v1", incarnation, ga="STARTING")])
        beats(log, at_s + 60, at_s + 1440)
    opened = [finding for finding in found(log) if finding.state == FindingState.OPEN]

    assert [1, 2, 3] == [finding.numbers["in_a_row"] for finding in opened]
    assert [START_MS + 1_500_000 * n for n in (1, 2, 3)] == [finding.opened_ms for finding in opened]
    assert all("counts_towards_hi" not in finding.facts for finding in opened)


def test_a_restart_alone_ends_nothing_and_the_next_time_out_takes_over() -> None:
    log = beats(started(), 60, 1440).host(1510, "s1", vms=[vm("v1", 2, ga="STARTING")])
    beats(log, 1560, 3060)
    findings = found(log)

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in findings]
    assert "its next incarnation timed out too" == findings[1].close_reason
    assert findings[0].id != findings[2].id


def test_contact_resets_the_row() -> None:
    log = beats(started(), 60, 1500).host(1515, "s1", vms=[vm("v1", 2, ga="READY")])
    beats(log, 1560, 1800).host(1810, "s1", vms=[vm("v1", 3, ga="STARTING")])
    findings = found(beats(log, 1860, 3600))

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in findings]
    assert [1, 1] == [finding.numbers["in_a_row"] for finding in findings if finding.state == "OPEN"]


def test_healing_to_another_server_resets_the_row() -> None:
    log = Log().inventory(2).host(0, "s1", vms=[]).host(0, "s2", vms=[])
    log.host(10, "s1", vms=[vm("v1", ga="STARTING")])
    for at_s in range(60, 1500, 60):
        log.host(at_s, "s1").host(at_s, "s2").clocks(at_s)
    log.host(1510, "s1", vms=[vm("v1", 2, ga="STARTING")])
    for at_s in range(1560, 1800, 60):
        log.host(at_s, "s1").host(at_s, "s2").clocks(at_s)
    log.maintenance(1800, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    log.host(1800, "s1", vms=[]).host(1801, "s2", vms=[vm("v1", 3, ga="STARTING")])
    for at_s in range(1860, 3400, 60):
        log.host(at_s, "s1").host(at_s, "s2").clocks(at_s)

    assert [
        "guest_timeout c1/s1/v1 OPEN 1510s",
        "guest_timeout c1/s1/v1 CLOSED 1510s",
        "guest_timeout c1/s2/v1 OPEN 3301s",
    ] == short(found(log))
    assert 1 == found(log)[-1].numbers["in_a_row"]


@pytest.mark.parametrize("how", ["healed", "deallocated", "gone"])
def test_an_incarnation_that_ends_otherwise_before_the_limit_has_not_timed_out(how: str) -> None:
    log = beats(started(), 60, 1440)
    if how == "healed":
        log.maintenance(1509, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    elif how == "deallocated":
        log.maintenance(1509, "VM_DEALLOCATED", vm="v1", server="s1")
    else:
        log.host(1509, "s1", vms=[])
    beats(log, 1560, 2000)

    assert [] == found(log)


# -- cause open --------------------------------------------------------------------------------------------------------


def test_a_vm_that_is_not_clean_never_counts_towards_hi() -> None:
    finding = found(beats(started(clean=False), 60, 1800))[0]

    assert "no" == finding.facts["counts_towards_hi"]
    assert "ause open" in finding.explanation


def test_time_outs_of_a_vm_not_clean_are_no_part_of_the_clean_row() -> None:
    log = beats(started(clean=False), 60, 1440).host(1510, "s1", vms=[vm("v1", 2, ga="STARTING")])
    opened = [finding for finding in found(beats(log, 1560, 3060)) if finding.state == "OPEN"]

    assert [("no", 1), (None, 1)] == [
        (finding.facts.get("counts_towards_hi"), finding.numbers["in_a_row"]) for finding in opened
    ]


@pytest.mark.parametrize(
    ("again_s", "expected"),
    [
        (1600, []),
        (1600.001, ["guest_timeout c1/s1/v1 OPEN 1600s", "guest_timeout c1/s1/v1 CLOSED 1600s"]),
    ],
)
def test_an_agent_once_heard_is_silent_for_longer_than_the_limit(again_s: float, expected: list[str]) -> None:
    """SILENT from 100 s on; in contact again at exactly 1,600 s it was away for the limit, and no longer."""
    log = started(ga="READY").host(100, "s1", vms=[vm("v1", ga="SILENT")])
    beats(log, 120, 1560).host(again_s, "s1", vms=[vm("v1", ga="READY")])
    findings = found(beats(log, 1620, 1800))

    assert expected == short(findings)
    for finding in findings:
        assert "no" == finding.facts["counts_towards_hi"]
        assert "ause open" in finding.explanation


def test_silent_but_heard_by_its_own_word_is_not_silent() -> None:
    log = started(ga="READY").host(100, "s1", vms=[vm("v1", ga="SILENT")])
    beats(log, 120, 900).guest(950, "v1", "HEARTBEAT")
    beats(log, 960, 2400)

    assert [] == found(log)


def test_a_silence_that_is_over_before_it_is_judged_is_judged_just_so() -> None:
    """The maintenance lane lags: SILENT from 100 s to 2,000 s is known to be over when its limit may be judged."""
    log = started(ga="READY").clocks(50).host(100, "s1", vms=[vm("v1", ga="SILENT")])
    for at_s in range(120, 2000, 60):
        log.host(at_s, "s1").clocks(at_s, feeds=("host-agent", "guest-agent"))
    log.host(2000, "s1", vms=[vm("v1", ga="READY")]).clocks(2060)

    assert ["guest_timeout c1/s1/v1 OPEN 1600s", "guest_timeout c1/s1/v1 CLOSED 1600s"] == short(found(log))


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_clusters_without_guest_agents_have_no_time_outs() -> None:
    log = Log().inventory(2, ga="none").host(0, "s1", vms=[]).host(10, "s1", vms=[vm("v1", ga="UNKNOWN")])

    assert [] == found(beats(log, 60, 3000))


def test_a_removed_server_closes_the_findings_of_its_vms() -> None:

    log = beats(started(), 60, 1800).batch("inventory", [(1801, Removed("server", "s1"))])
    findings = found(log)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert "removed" == findings[-1].close_reason


def test_a_limit_of_the_configuration_is_obeyed() -> None:

    kinds = {name: kind.Config for name, kind in registry().items()}
    runner = Runner(0, parse("[detectors.guest_timeout]\ntimeout_s = 60\n", kinds), only=ONLY)

    assert ["guest_timeout c1/s1/v1 OPEN 70s"] == short(run(beats(started(), 60, 200).frames, runner=runner))


def test_another_state_than_silent_is_no_silence() -> None:
    log = started().guest(20, "v1", "READY").host(30, "s1", vms=[vm("v1", ga="WAITING_FOR_HOST")])

    assert [] == found(beats(log, 60, 3000))
