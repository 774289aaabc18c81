"""Tests of network_loss: healthy VMs that cannot be reached, of one server and of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rollouts.network_loss import Config
from schemas.commands import Close
from schemas.inventory import Removed
from schemas.outputs import Finding, Severity
from schemas.source import VmReport
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.kit import START_MS, Log, run, short, vm

VERSIONS = {"ha": "1.6", "netplugin": "1.6"}


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=("network_loss",))


def vms(server: str, number: int, down: int, **fields: Any) -> list[VmReport]:
    """Return a server's VMs, so many of them without network."""
    return [vm(f"{server}-v{n}", network="DOWN" if n < down else "UP", **fields) for n in range(number)]


def healthy(servers: int = 4, number: int = 5) -> Log:
    log = Log().inventory(servers)
    for n in range(servers):
        log.host(n, f"s{n + 1}", vms=vms(f"s{n + 1}", number, 0), versions=VERSIONS)
    return log


def lose(log: Log, at_s: float, server: str, down: int, number: int = 5, **fields: Any) -> Log:
    return log.host(at_s, server, vms=vms(server, number, down), **fields)


def test_third_vm_of_a_server_opens_it_in_its_frame() -> None:
    log = lose(healthy(), 60, "s1", 2)
    assert [] == found(log)

    lose(log, 70, "s1", 3)
    finding = found(log)[0]

    assert ["network_loss c1/s1 OPEN 70s"] == short(found(log))
    assert (START_MS + 70_000, Severity.WARNING) == (finding.at_ms, finding.severity)
    assert "3 VMs on server s1 report well but have no network, since 2012-02-29 00:01:00Z" == finding.title
    assert {"vms": 3, "vms_most": 3, "vms_of_server": 5, "unexpected": 3, "changes_window_s": 3600} == finding.numbers
    assert [4, 5] == [record.source_offset for record in finding.evidence]


@pytest.mark.parametrize("ga", ["STARTING", "SILENT", "STOPPING", "WAITING_FOR_HOST", "UNKNOWN"])
def test_vms_whose_guest_agent_does_not_report_well_do_not_count(ga: str) -> None:
    log = healthy().host(60, "s1", vms=vms("s1", 5, 5, ga=ga))
    assert [] == found(log)

    log.host(70, "s1", vms=vms("s1", 5, 5, ga="BUSY"))
    assert ["network_loss c1/s1 OPEN 70s"] == short(found(log))


def test_a_server_in_hi_has_vms_to_lose_too() -> None:
    """The one-server test of the leap day was made on a server that automation had given up on."""
    assert ["network_loss c1/s1 OPEN 60s"] == short(found(lose(healthy(), 60, "s1", 3, state="FAULTED")))


def test_a_vm_that_a_guest_moved_first_counts_when_its_new_server_names_it() -> None:
    """Its own lane told of the new incarnation before the host's: what the old server said is not of this one."""
    log = lose(healthy(), 60, "s1", 2)
    log.guest(65, "s2-v0", "START", incarnation=2)
    log.host(66, "s2", vms=vms("s2", 5, 0)[1:])
    log.host(70, "s1", vms=[*vms("s1", 5, 2), vm("s2-v0", 2, network="DOWN")])

    assert ["network_loss c1/s1 OPEN 70s"] == short(found(log))


def test_it_ends_when_all_are_up_again_and_not_before() -> None:
    log = lose(lose(healthy(), 60, "s1", 4), 120, "s1", 1)
    assert [("OPEN", 4), ("UPDATED", 1)] == [(finding.state, finding.numbers["vms"]) for finding in found(log)]

    lose(log, 180, "s1", 0)
    assert ("CLOSED", "their VMs have network again, or are gone") == (
        found(log)[-1].state,
        found(log)[-1].close_reason,
    )


def test_unknown_network_silence_and_a_restart_end_nothing() -> None:
    log = lose(healthy(), 60, "s1", 3)
    log.host(90, "s1", vms=[vm(f"s1-v{n}", 2, ga="STARTING", network="DOWN") for n in range(3)])
    log.host(120, "s1", vms=[vm(f"s1-v{n}", 2, network="UNKNOWN") for n in range(3)])
    log.clocks(9000)

    assert ["OPEN"] == [finding.state for finding in found(log)]


def test_vms_that_are_gone_end_it() -> None:
    log = lose(healthy(), 60, "s1", 3)
    log.host(90, "s1", vms=vms("s1", 5, 0)[3:])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_vms_healed_elsewhere_end_it_there() -> None:
    log = lose(healthy(), 60, "s1", 3)
    for n in range(3):
        log.maintenance(70 + n, "VM_HEALED", vm=f"s1-v{n}", from_server="s1", to_server="s2")

    assert "network_loss c1/s1 CLOSED 60s" == short(found(log))[-1]


def test_a_server_that_is_removed_takes_its_finding_along() -> None:
    log = lose(healthy(), 60, "s1", 3).batch("inventory", [(90, Removed("server", "s1"))])

    assert "removed" == found(log)[-1].close_reason


def test_vms_that_are_removed_are_gone() -> None:
    log = lose(healthy(), 60, "s1", 3).batch("inventory", [(90, Removed("vm", f"s1-v{n}")) for n in range(3)])

    assert "CLOSED" == found(log)[-1].state


# -- the cluster ---------------------------------------------------------------------------------------------------


def test_ten_vms_of_three_servers_are_one_finding_of_the_cluster() -> None:
    log = lose(lose(healthy(), 60, "s1", 2), 100, "s2", 2)
    lose(log, 180, "s3", 5)
    assert ["network_loss c1/s3 OPEN 180s"] == short(found(log))

    lose(log, 180, "s4", 1)
    opened = found(log)[-1]
    assert "network_loss c1 OPEN 180s" == short([opened])[0]
    assert Severity.CRITICAL == opened.severity
    assert "10 VMs on 4 servers of c1 report well but have no network, since 2012-02-29 00:01:00Z" == opened.title
    assert (found(log)[0].id,) == opened.supersedes


def test_nine_vms_are_not_enough() -> None:
    log = lose(lose(lose(healthy(), 60, "s1", 2), 61, "s2", 2), 62, "s3", 5)

    assert ["network_loss c1/s3 OPEN 62s"] == short(found(log))


def test_two_servers_are_not_enough() -> None:
    log = lose(lose(healthy(), 60, "s1", 5), 61, "s2", 5)

    assert ["network_loss c1/s1 OPEN 60s", "network_loss c1/s2 OPEN 61s"] == short(found(log))


@pytest.mark.parametrize(("last_s", "opens"), [(179.999, 1), (180, 1), (180.001, 0)])
def test_window_is_two_minutes_both_ends_included(last_s: float, opens: int) -> None:
    log = lose(lose(lose(healthy(), 60, "s1", 2), 70, "s2", 2), 80, "s3", 2)
    log.host(last_s, "s4", vms=vms("s4", 5, 4))

    assert opens == sum(1 for finding in found(log) if finding.subject.server is None)


def test_what_lasts_from_before_is_no_part_of_a_window() -> None:
    log = lose(lose(lose(healthy(), 60, "s1", 2), 70, "s2", 2), 80, "s3", 2)
    lose(log, 200.001, "s4", 4)
    lose(log, 300, "s3", 5)

    assert [None] not in [[finding.subject.server] for finding in found(log)]


def test_a_hundred_servers_in_one_frame_are_one_finding() -> None:
    log = Log().inventory(100)
    for n in range(100):
        log.host(n / 100, f"s{n + 1}", vms=vms(f"s{n + 1}", 5, 0), versions=VERSIONS)
    for n in range(100):
        lose(log, 60 + n / 10, f"s{n + 1}", 5)
    log.clocks(75).host(80, "s1")

    assert ["network_loss c1/s1 OPEN 60s", "network_loss c1/s2 OPEN 60.1s", "network_loss c1 OPEN 60.2s"] == [
        line for line in short(found(log)) if "OPEN" in line
    ]
    assert 500 == found(log)[-1].numbers["vms"]
    assert (100, 100) == (found(log)[-1].numbers["servers"], found(log)[-1].numbers["servers_of_cluster"])


def test_each_scope_ends_by_itself() -> None:
    log = healthy()
    for n in range(4):
        lose(log, 60 + n, f"s{n + 1}", 4)
    lose(log, 120, "s1", 0)
    lose(log, 130, "s2", 0)
    lose(log, 140, "s3", 0)
    ended = {finding.subject.server or "c1" for finding in found(log) if finding.state == "CLOSED"}
    assert {"s1", "s2"} == ended

    lose(log, 150, "s4", 0)
    assert "network_loss c1 CLOSED 62s" == short(found(log))[-1]


# -- what was announced --------------------------------------------------------------------------------------------


def announced(at_s: float = 55, impact: str = "network") -> Log:
    return healthy().maintenance(
        at_s, "COMPONENT_UPDATE_STARTED", system="nmagent", server="s1", component="nmagent", impact=impact
    )


def test_an_announced_loss_is_info() -> None:
    log = lose(announced(), 60, "s1", 5)
    lose(log, 90, "s1", 0).maintenance(91, "COMPONENT_UPDATE_COMPLETED", server="s1", component="nmagent")

    assert [Severity.INFO, Severity.INFO] == [finding.severity for finding in found(log)]
    assert "expected for 5 min" in found(log)[0].explanation


@pytest.mark.parametrize("impact", ["none", "freeze", ""])
def test_an_update_that_announced_no_loss_explains_none(impact: str) -> None:
    assert [Severity.WARNING] == [finding.severity for finding in found(lose(announced(impact=impact), 60, "s1", 5))]


@pytest.mark.parametrize(("heard_s", "severity"), [(355, Severity.INFO), (355.001, Severity.WARNING)])
def test_a_loss_that_lasts_longer_than_announced_is_a_warning(heard_s: float, severity: str) -> None:
    """Told by a report later than five minutes after the update began; exactly five are not longer."""
    log = lose(announced(), 60, "s1", 5).host(heard_s, "s1")

    assert severity == found(log)[-1].severity


def test_a_beat_that_names_an_unknown_report_tells_nothing() -> None:
    log = lose(announced(), 60, "s1", 5).host(400, "s1", full_seq=77)

    assert Severity.INFO == found(log)[-1].severity


def test_an_announcement_that_comes_late_explains_still() -> None:
    log = lose(healthy(), 60, "s1", 5)
    log.maintenance(120, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact="network")

    assert [Severity.WARNING, Severity.INFO] == [finding.severity for finding in found(log)]


def test_one_that_comes_later_does_not() -> None:
    log = lose(healthy(), 60, "s1", 5)
    log.maintenance(120.001, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact="network")

    assert {Severity.WARNING} == {finding.severity for finding in found(log)}


def test_announced_losses_of_many_servers_are_info_and_one_that_stays_is_a_warning() -> None:
    log = healthy()
    for n in range(4):
        log.maintenance(55, "COMPONENT_UPDATE_STARTED", server=f"s{n + 1}", component="nmagent", impact="network")
    for n in range(4):
        lose(log, 60, f"s{n + 1}", 5)
    for n in range(3):
        lose(log, 80, f"s{n + 1}", 0)
    log.host(360, "s4")
    cluster = [finding for finding in found(log) if finding.subject.server is None]

    assert ["OPEN", "UPDATED", "UPDATED"] == [finding.state for finding in cluster]
    assert [Severity.INFO, Severity.INFO, Severity.WARNING] == [finding.severity for finding in cluster]


# -- what is said --------------------------------------------------------------------------------------------------


def test_it_says_what_changed_and_advises_to_halt_the_rollout_under_way() -> None:
    log = healthy()
    log.maintenance(
        50,
        "ROLLOUT_STARTED",
        rollout="ha-fix",
        component="ha",
        from_version="1.7",
        to_version="1.6",
        mode="blast",
    )
    log.maintenance(51, "SERVER_UPDATE_STARTED", rollout="ha-fix", server="s1")
    lose(log, 60, "s1", 5, versions={"ha": "1.6", "netplugin": "1.7"})
    finding = found(log)[0]

    assert ("halt-rollout",) == finding.advised
    assert "netplugin 1.6 -> 1.7 on 1 server" == finding.facts["changes"]
    assert "rollout ha-fix (ha 1.7 -> 1.6, blast, started) on 1 server" == finding.facts["rollouts"]
    assert "Changed on them in the 60 min before, or since: netplugin 1.6 -> 1.7" in finding.explanation


def test_it_says_so_where_nothing_changed() -> None:
    finding = found(lose(healthy(), 60, "s1", 5))[0]

    assert "Nothing is known to have been changed on them in the 60 min before." in finding.explanation
    assert () == finding.advised


def test_numbers_are_told_again_after_ten_seconds() -> None:
    log = lose(lose(healthy(), 60, "s1", 3), 69.999, "s1", 4)
    assert [3] == [finding.numbers["vms"] for finding in found(log)]

    log.host(70, "s2")
    assert [3, 4] == [finding.numbers["vms"] for finding in found(log)]


def test_a_closed_one_stays_closed_while_it_lasts() -> None:
    log = lose(healthy(), 60, "s1", 3)
    finding = found(log)[0]
    log.batch("operator", [(65, Close("k1", "c1", finding.id, "ada", "known"))])
    lose(log, 120, "s1", 5)
    log.host(180, "s1")
    assert ["OPEN", "CLOSED"] == [known.state for known in found(log)]


def test_its_numbers_are_read_from_the_log() -> None:
    thresholds = parse("[detectors.network_loss]\nserver_vms = 2\n", {"network_loss": Config})
    assert 2 == thresholds.detectors["network_loss"].server_vms


def test_it_goes_on_from_a_saved_state() -> None:
    log = lose(healthy(), 60, "s1", 3)
    runner = Runner(0, only=("network_loss",))
    run(log.frames, runner=runner)
    again = Runner(0, only=("network_loss",))
    for name in sorted(runner.clusters, key=lambda known: known != "*"):
        again.restore(name, runner.save(name), len(log.frames))
    lose(log, 120, "s1", 0)

    assert ["network_loss c1/s1 CLOSED 60s"] == short(run(log.frames[-1:], runner=again))
