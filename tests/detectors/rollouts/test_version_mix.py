"""Tests of version_mix: combinations of versions denied, or new and failing."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.contract import registry
from detectors.rollouts.version_mix import Config
from schemas.commands import Close
from schemas.outputs import Finding, Severity
from schemas.source import VmReport
from streams.config.problems import ConfigError
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.kit import START_MS, Log, run, short, vm

OLD = {"ha": "1.6", "netplugin": "1.6"}
NEW = {"ha": "1.7", "netplugin": "1.7"}
MIX = {"ha": "1.6", "netplugin": "1.7"}
NOON_S = 12 * 3600
"""Far from every calendar edge."""


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=("version_mix",))


def opened(log: Log) -> list[Finding]:
    return [finding for finding in found(log) if finding.state == "OPEN"]


def vms(server: str, number: int = 5, down: int = 0, **fields: Any) -> list[VmReport]:
    fields = {"ga_version": "1.6", **fields}
    return [vm(f"{server}-v{n}", network="DOWN" if n < down else "UP", **fields) for n in range(number)]


def cluster(servers: int = 10, new: int = 2, at_s: float = 0, number: int = 5) -> Log:
    """Return a cluster of old versions, of whose servers the first `new` run the new ones, as we come."""
    log = Log().inventory(servers)
    for n in range(servers):
        log.host(at_s + n / 10, f"s{n + 1}", vms=vms(f"s{n + 1}", number), versions=NEW if n < new else OLD)
    return log


def mix(log: Log, at_s: float, server: str, down: int = 5, number: int = 5, **fields: Any) -> Log:
    return log.host(at_s, server, vms=vms(server, number, down, **fields), versions=MIX)


def test_a_new_combination_without_network_names_the_plugin_against_the_older_agent() -> None:
    log = mix(cluster(), 1000, "s5")
    finding = found(log)[0]

    assert ["version_mix c1/netplugin/1.7/network DOWN OPEN 1000s"] == short(found(log))
    assert (START_MS + 1_000_000, Severity.CRITICAL) == (finding.at_ms, finding.severity)
    assert "netplugin 1.7 with ha 1.6 has taken the network of 5 of 5 VMs on 1 server of c1" == finding.title
    assert ("halt-rollout", "quarantine-version") == finding.advised
    assert ("netplugin=1.7,ha=1.6", "netplugin") == (finding.facts["combination"], finding.facts["differs"])
    assert {"vms": 5, "failing": 5, "share": 1, "others_vms": 45, "others_failing": 0, "servers": 1} == {
        name: finding.numbers[name] for name in ("vms", "failing", "share", "others_vms", "others_failing", "servers")
    }
    assert "one server only" in finding.explanation
    assert finding.evidence


def test_the_agent_put_back_under_the_newer_plugin_is_named_alike() -> None:
    """The one-server test of the leap day: the older host agent on a server that had the new ones."""
    assert ["version_mix c1/netplugin/1.7/network DOWN OPEN 1000s"] == short(found(mix(cluster(), 1000, "s1")))


def test_a_fixed_guest_agent_that_comes_with_it_is_not_blamed_for_the_network() -> None:
    log = mix(cluster(), 1000, "s1", ga_version="1.6.1", incarnation=1)

    assert ["netplugin=1.7,ha=1.6"] == [finding.facts["combination"] for finding in found(log)]


def test_it_says_what_else_they_ran() -> None:
    log = Log().inventory(10)
    for n in range(10):
        log.host(n, f"s{n + 1}", vms=vms(f"s{n + 1}"), versions=OLD)
    finding = found(mix(log, 1000, "s5"))[0]

    assert "netplugin 1.7 has taken the network" in finding.title
    assert "It ran with ga 1.6, ha 1.6." in finding.explanation


def test_combinations_that_share_the_difference_are_one_finding() -> None:
    log = mix(mix(cluster(), 1000, "s1", ga_version="1.7"), 1001, "s5").host(1020, "s9")

    assert ["OPEN", "UPDATED"] == [finding.state for finding in found(log)]
    assert (10, 2) == (found(log)[-1].numbers["failing"], found(log)[-1].numbers["servers"])


@pytest.mark.parametrize(("number", "down", "opens"), [(5, 3, 1), (5, 2, 0), (6, 3, 1), (4, 4, 0)])
def test_half_of_five_vms(number: int, down: int, opens: int) -> None:
    assert opens == len(opened(mix(cluster(), 1000, "s5", down, number)))


@pytest.mark.parametrize(("others_down", "opens"), [(1, 1), (2, 0)])
def test_others_stay_below_five_percent(others_down: int, opens: int) -> None:
    """Of 40 VMs on other combinations, two are five percent of them."""
    log = cluster(9)
    log.host(990, "s8", vms=vms("s8", 5, others_down))

    assert opens == len(opened(mix(log, 1000, "s5")))


def test_a_combination_that_the_cluster_ran_before_is_not_new() -> None:
    log = mix(cluster(), 500, "s5", 0)
    log.host(3000, "s5", vms=vms("s5", 5, 5))
    assert 1 == len(opened(log)), "it came by a change"

    log = Log().inventory(4)
    for n in range(4):
        log.host(n, f"s{n + 1}", vms=vms(f"s{n + 1}"), versions=MIX if n == 0 else OLD)
    log.host(3000, "s1", vms=vms("s1", 5, 5))
    assert [] == found(log)


@pytest.mark.parametrize(("first_s", "opens"), [(600, 0), (600.001, 1)])
def test_what_is_first_seen_within_ten_minutes_was_there_before(first_s: float, opens: int) -> None:
    log = cluster().host(first_s, "s99", vms=vms("s99"), versions=MIX)
    log.host(3000, "s99", vms=vms("s99", 5, 5))

    assert opens == len(opened(log))


@pytest.mark.parametrize(("later_s", "opens"), [(86_400, 1), (86_400.001, 0)])
def test_a_combination_is_new_for_a_day(later_s: float, opens: int) -> None:
    log = mix(cluster(), 1000, "s5", 0)
    log.host(1000 + later_s, "s5", vms=vms("s5", 5, 5))

    assert opens == len(opened(log))


def test_where_no_other_is_left_the_same_vms_before_are_compared() -> None:
    log = Log().inventory(2, update_domains=1)
    for n in range(2):
        log.host(n, f"s{n + 1}", vms=vms(f"s{n + 1}"), versions=OLD)
    rows = [log.host(1000, f"s{n + 1}", vms=vms(f"s{n + 1}", 5, 5), versions=MIX).frames.pop() for n in range(2)]
    log.batch("host-agent", [(1000, frame.batch.rows[0]) for frame in rows])  # type: ignore[union-attr]

    assert ["version_mix c1/netplugin/1.7/network DOWN OPEN 1000s"] == short(found(log))


def test_where_the_same_vms_had_none_before_nobody_is_blamed() -> None:
    log = Log().inventory(2)
    for n in range(2):
        log.host(n, f"s{n + 1}", vms=vms(f"s{n + 1}", 5, 5), versions=OLD)
    rows = [log.host(1000, f"s{n + 1}", vms=vms(f"s{n + 1}", 5, 5), versions=MIX).frames.pop() for n in range(2)]
    log.batch("host-agent", [(1000, frame.batch.rows[0]) for frame in rows])  # type: ignore[union-attr]

    assert [] == found(log)


def test_a_loss_that_was_announced_is_none_until_it_lasts_too_long() -> None:
    log = cluster()
    log.maintenance(995, "COMPONENT_UPDATE_STARTED", server="s5", component="nmagent", impact="network")
    mix(log, 1000, "s5").host(1295, "s5")
    assert [] == found(log)

    log.host(1296, "s5")
    assert ["version_mix c1/netplugin/1.7/network DOWN OPEN 1296s"] == short(found(log))


def test_it_ends_when_nothing_runs_the_combination_any_more() -> None:
    log = mix(cluster(), 1000, "s5").host(2000, "s5", vms=vms("s5"), versions=OLD)

    assert ("CLOSED", "no server runs the combination any more") == (found(log)[-1].state, found(log)[-1].close_reason)


def test_it_ends_when_its_vms_are_well_again_and_not_before() -> None:
    log = mix(cluster(), 1000, "s5").host(2000, "s5", vms=vms("s5", 5, 1))
    assert ["OPEN", "UPDATED"] == [finding.state for finding in found(log)]

    log.host(3000, "s5", vms=vms("s5"))
    assert "its VMs are well again" == found(log)[-1].close_reason


def test_it_ends_when_the_others_come_to_fail_alike() -> None:
    log = mix(cluster(), 1000, "s5")
    for n in (1, 2, 3, 4, 6, 7, 8):
        log.host(1010 + n, f"s{n}", vms=vms(f"s{n}", 5, 5))

    assert "other combinations have come to fail alike" == found(log)[-1].close_reason


def test_one_that_comes_again_has_another_id() -> None:
    log = mix(cluster(), 1000, "s5").host(2000, "s5", vms=vms("s5"), versions=OLD)
    mix(log, 3000, "s6")

    assert 2 == len({finding.id for finding in opened(log)})


# -- starts --------------------------------------------------------------------------------------------------------


def restart(log: Log, at_s: float, server: str, versions: dict[str, str] | None, *, fails: bool, n: int = 2) -> Log:
    """Let all VMs of a server start anew and fail, or make contact, ten seconds later."""
    log.host(at_s, server, vms=vms(server, incarnation=n, ga="STARTING"), versions=versions)
    for k in range(5):
        kind = "START_FAILED" if fails else "READY"
        log.guest(at_s + 10, f"{server}-v{k}", kind, server=server, incarnation=n, step="x", error_code="E")
    return log


def test_starts_that_fail_under_a_new_combination_and_not_beside_it() -> None:
    log = restart(cluster(), NOON_S, "s9", None, fails=False)
    log.clocks(NOON_S + 20)
    restart(log, NOON_S + 100, "s5", MIX, fails=True)
    restart(log, NOON_S + 100, "s6", None, fails=False)
    log.host(NOON_S + 120, "s1")
    finding = opened(log)[0]

    assert ["starts fail"] == [finding.subject.signature for finding in opened(log)]
    assert "fails the start of 3 of 5 VMs on 1 server of c1" in finding.title


def test_where_nobody_starts_beside_it_the_last_starts_before_are_compared() -> None:
    log = restart(cluster(), NOON_S, "s5", MIX, fails=True)

    assert 1 == len(opened(log))


def test_beside_a_calendar_edge_the_clock_may_be_at_fault() -> None:
    """The leap day: nothing had started behind midnight but what was updated."""
    log = restart(cluster(at_s=-5000), 0, "s5", MIX, fails=True)
    assert [] == found(log)

    for n in (6, 7):
        restart(log, 60 + n, f"s{n}", None, fails=True)
    assert [] == found(log.host(200, "s1"))


def test_starts_that_fail_everywhere_blame_nobody() -> None:
    log = restart(cluster(), NOON_S, "s6", None, fails=True)
    restart(log, NOON_S - 1, "s5", MIX, fails=True)

    assert [] == [finding for finding in found(log.host(NOON_S + 60, "s1")) if finding.state == "UPDATED"]
    assert [] == [finding for finding in found(log) if finding.state == "OPEN" and finding.at_ms > NOON_S * 1000 + 60]


def test_a_few_starts_that_fail_where_most_vms_run_well_tell_of_their_servers() -> None:
    """Servers in corrupted states, of a combination that half the cluster runs since an hour."""
    log = cluster()
    for n in (5, 6, 7, 8):
        mix(log, NOON_S + n, f"s{n}", 0)
    restart(log, NOON_S + 3600, "s5", None, fails=True)

    assert [] == found(log.host(NOON_S + 3700, "s1"))


# -- denied --------------------------------------------------------------------------------------------------------


def denied(log: Log, *patterns: str) -> list[Finding]:
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    kinds = {name: kind.Config for name, kind in registry().items()}
    thresholds = parse(f"[detectors.version_mix]\ndeny = [{listed}]\n", kinds)
    return run(log.frames, runner=Runner(0, only=("version_mix",), thresholds=thresholds))


def test_a_denied_combination_is_told_in_the_frame_that_shows_it_well_or_not() -> None:
    log = mix(cluster(), 1000, "s5", 0)
    finding = denied(log, "ha=1.6,netplugin=1.7*", "ha=9")[0]

    assert (START_MS + 1_000_000, "c1") == (finding.opened_ms, finding.subject.cluster)
    assert Severity.CRITICAL == finding.severity
    assert "which the configuration denies" in finding.title


def test_a_denied_combination_ends_when_no_server_runs_it() -> None:
    log = mix(cluster(), 1000, "s5", 0).host(2000, "s5", vms=vms("s5"), versions=OLD)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in denied(log, "ha=1.6,netplugin=1.7")]
    assert [] == denied(log, "ha=1.7,netplugin=1.6")


def test_a_guest_agent_may_be_part_of_a_denied_combination() -> None:
    log = mix(cluster(), 1000, "s5", 0, ga_version="1.8")

    assert 1 == len([one for one in denied(log, "ha=1.6,ga=1.8") if one.state == "OPEN"])


def test_a_server_without_vms_runs_its_combination_too() -> None:
    log = cluster().host(1000, "s5", vms=[], versions=MIX)

    assert 1 == len([one for one in denied(log, "ha=1.6,netplugin=1.7") if one.state == "OPEN"])


def test_its_numbers_and_lists_are_read_from_the_log() -> None:
    thresholds = parse('[detectors.version_mix]\ndeny = ["ha=1.6,netplugin=1.7"]\nvms = 7\n', {"version_mix": Config})

    assert (("ha=1.6,netplugin=1.7",), 7) == (
        thresholds.detectors["version_mix"].deny,
        thresholds.detectors["version_mix"].vms,
    )


@pytest.mark.parametrize("text", ["ha", "ha=", "=1", "ha=1,ha=2", ""])
def test_a_pattern_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a combination reads like"):
        parse(f'[detectors.version_mix]\ndeny = ["{text}"]\n', {"version_mix": Config})


# -- telling -------------------------------------------------------------------------------------------------------


def test_numbers_are_told_again_after_ten_seconds() -> None:
    log = mix(mix(cluster(), 1000, "s5"), 1009.999, "s6")
    assert [5] == [finding.numbers["vms"] for finding in found(log)]

    log.host(1010, "s9")
    assert [5, 10] == [finding.numbers["vms"] for finding in found(log)]


def test_a_closed_one_stays_closed_while_it_lasts() -> None:
    log = mix(cluster(), 1000, "s5")
    finding = found(log)[0]
    log.batch("operator", [(1001, Close("k1", "c1", finding.id, "ada", "known"))])
    mix(log, 1100, "s6")

    assert ["OPEN", "CLOSED"] == [known.state for known in found(log)]
