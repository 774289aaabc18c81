"""Tests of domain_breach: update domains at once, blasts announced and not."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rollouts.domain_breach import Config
from schemas.commands import Close
from schemas.inventory import Vm
from schemas.outputs import Finding, Severity
from streams.config.thresholds import parse
from tests.kit import START_MS, Log, run, short

CLOSED_APART = "one update domain at a time, or none, is under way"


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=("domain_breach",))


def grouped() -> Log:
    """Return six VMs of one group in three update domains, and one VM of no group."""
    vms = [Vm(f"v{n}", "c1", "s1", group="web", update_domain=n % 3) for n in range(6)]
    return Log().inventory(4, vms=[*vms, Vm("alone", "c1", "s1", update_domain=1)]).clocks(0)


def vm_update(log: Log, at_s: float, vm: str, kind: str = "STARTED", **fields: Any) -> Log:
    return log.maintenance(at_s, f"VM_UPDATE_{kind}", vm=vm, **{"rollout": "guest", **fields})


def domain(log: Log, at_s: float, number: int, kind: str = "STARTED", **fields: Any) -> Log:
    return log.maintenance(at_s, f"UD_{kind}", update_domain=number, **{"rollout": "r1", **fields})


# -- VMs of a group ------------------------------------------------------------------------------------------------


def test_vms_of_two_domains_of_a_group_at_once() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(25)
    assert [] == found(log)

    log.clocks(26)
    finding = found(log)[0]
    assert ["domain_breach c1/guest OPEN 25s"] == short([finding])
    assert (Severity.CRITICAL, ("halt-rollout",)) == (finding.severity, finding.advised)
    assert "VMs of web of c1 are updated by rollout guest in 2 update domains at once: 0, 1" == finding.title
    assert (2, 1) == (finding.numbers["update_domains"], finding.numbers["groups"])
    assert [2, 1] == [record.source_offset for record in finding.evidence]


def test_vms_of_one_domain_may_be_updated_together() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v3").clocks(100)

    assert [] == found(log)


def test_vms_of_no_group_have_no_domains() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "alone").clocks(100)

    assert [] == found(log)


@pytest.mark.parametrize(("ends_s", "opens"), [(19, 0), (20, 0), (24, 0), (25, 0), (25.5, 1)])
def test_the_end_of_one_and_the_start_of_the_next_may_cross(ends_s: float, opens: int) -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1")
    vm_update(log, ends_s, "v0", "COMPLETED").clocks(30)

    assert opens == sum(1 for finding in found(log) if finding.state == "OPEN")


def test_it_is_judged_in_observed_time() -> None:
    """Nobody could write for a minute: the end may have come."""
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(80, gaps=[(21, 79)])
    assert [] == found(log)

    log.clocks(90)
    assert ["domain_breach c1/guest OPEN 83s"] == short(found(log))


def test_it_ends_with_all_but_one_domain() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(60)
    vm_update(log, 70, "v1", "FAILED").clocks(80)

    assert CLOSED_APART == found(log)[-1].close_reason


@pytest.mark.parametrize("kind", ["ROLLOUT_COMPLETED", "ROLLOUT_ABORTED"])
def test_it_ends_with_its_rollout(kind: str) -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(60)
    log.maintenance(70, kind, rollout="guest").clocks(80)

    assert CLOSED_APART == found(log)[-1].close_reason


def test_a_paused_rollout_ends_nothing() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(60)
    log.maintenance(70, "ROLLOUT_PAUSED", rollout="guest").clocks(80)

    assert ["OPEN"] == [finding.state for finding in found(log)]


def test_an_update_whose_end_was_never_told_counts_for_two_hours() -> None:
    assert 1 == len(found(vm_update(vm_update(grouped(), 0, "v0").clocks(7190), 7190, "v1").clocks(7300))[:1])
    assert [] == found(vm_update(vm_update(grouped(), 0, "v0").clocks(7190), 7196, "v1").clocks(7300))


def test_an_open_one_ends_when_an_end_is_two_hours_overdue() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0"), 20, "v1").clocks(60).clocks(7210)
    assert ["OPEN"] == [finding.state for finding in found(log)]

    log.clocks(7211)
    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_many_groups_are_one_finding_of_the_rollout() -> None:
    vms = [Vm(f"v{g}-{n}", "c1", "s1", group=f"g{g}", update_domain=n) for g in range(20) for n in range(2)]
    log = Log().inventory(4, vms=vms).clocks(0)
    for g in range(20):
        vm_update(vm_update(log, 10, f"v{g}-0"), 11, f"v{g}-1")
    log.clocks(20)
    for g in range(20):
        vm_update(log, 31, f"v{g}-0", "COMPLETED")
    log.clocks(40)
    found_now = found(log)

    assert ["OPEN", "UPDATED", "CLOSED"] == [finding.state for finding in found_now]
    assert ["domain_breach c1/guest OPEN 16s"] == short(found_now[:1])


def test_updates_without_a_rollout_are_told_of_their_group() -> None:
    log = vm_update(vm_update(grouped(), 10, "v0", rollout=None), 20, "v1", rollout=None).clocks(60)

    assert ["group web"] == [finding.subject.signature for finding in found(log)]


def test_update_domains_of_a_group_count_like_its_vms() -> None:
    log = vm_update(domain(grouped(), 10, 2, group="web"), 20, "v0").clocks(60)
    assert ["domain_breach c1/guest OPEN 25s"] == short(found(log))

    log = domain(domain(grouped(), 10, 2, group="web"), 20, 0, group="api").clocks(60)
    assert [] == found(log)


def test_a_completed_domain_has_no_vms_under_way() -> None:
    """The end of one VM was never told; that of its domain was."""
    log = domain(grouped(), 9, 0, group="web", rollout="guest")
    vm_update(log, 10, "v0")
    domain(log, 30, 0, "COMPLETED", group="web", rollout="guest")
    vm_update(log, 31, "v1").clocks(60)

    assert [] == found(log)


# -- servers of a rollout ------------------------------------------------------------------------------------------


def test_two_domains_of_servers_at_once() -> None:
    log = domain(domain(grouped(), 10, 0), 20, 1).clocks(60)
    finding = found(log)[0]

    assert ["domain_breach c1/r1 OPEN 25s"] == short([finding])
    assert "servers of c1 are updated by rollout r1 in 2 update domains at once: 0, 1" == finding.title


def test_two_rollouts_have_domains_of_their_own() -> None:
    assert [] == found(domain(domain(grouped(), 10, 0), 20, 1, rollout="r2").clocks(60))


def test_a_server_of_another_domain_than_the_one_announced() -> None:
    log = domain(Log().inventory(10).clocks(0), 10, 0)
    log.maintenance(11, "SERVER_UPDATE_STARTED", rollout="r1", server="s1").clocks(20)
    assert [] == found(log)

    log.maintenance(21, "SERVER_UPDATE_STARTED", rollout="r1", server="s2").clocks(30)
    assert ["domain_breach c1/r1 OPEN 26s"] == short(found(log))

    log.maintenance(31, "SERVER_UPDATE_COMPLETED", rollout="r1", server="s2").clocks(40)
    assert CLOSED_APART == found(log)[-1].close_reason


def test_servers_of_a_rollout_that_names_no_domains_are_judged_by_their_number() -> None:
    log = Log().inventory(10).clocks(0)
    for n in range(2):
        log.maintenance(10 + n, "SERVER_UPDATE_STARTED", rollout="r1", server=f"s{n + 1}")

    assert [] == found(log.clocks(60))


def test_a_rollout_by_domains_at_normal_speed_opens_nothing() -> None:
    """Ten domains of four servers; each begins in the second in which the one before ends, a little crossed."""
    log = Log().inventory(40, update_domains=10).clocks(0)
    log.maintenance(5, "ROLLOUT_STARTED", rollout="r1", component="ha", to_version="2", mode="ud")
    for ud in range(10):
        begin_s = 100 + ud * 700
        domain(log, begin_s - 0.3, ud)
        if ud:
            domain(log, begin_s, ud - 1, "COMPLETED")
        for k in range(4):
            server = f"s{ud + 10 * k + 1}"
            log.maintenance(begin_s + 10 * k, "SERVER_UPDATE_STARTED", rollout="r1", server=server)
            log.host(begin_s + 10 * k + 5, server, vms=[], versions={"ha": "1"})
            log.host(begin_s + 10 * k + 6, server, vms=[], versions={"ha": "2"})
            if k:
                log.maintenance(begin_s + 300 + k, "SERVER_UPDATE_COMPLETED", rollout="r1", server=server)
        log.clocks(begin_s + 60).clocks(begin_s + 400)

    assert [] == found(log)


# -- blasts --------------------------------------------------------------------------------------------------------


def blast(log: Log, at_s: float = 10, mode: str = "blast") -> Log:
    return log.maintenance(
        at_s, "ROLLOUT_STARTED", rollout="fix", component="ha", from_version="1.7", to_version="1.6", mode=mode
    )


def reach(log: Log, first_s: float, servers: int, every_s: float = 1.0) -> Log:
    for n in range(servers):
        log.maintenance(first_s + n * every_s, "SERVER_UPDATE_STARTED", rollout="fix", server=f"s{n + 1}")
    return log


def test_a_blast_is_told_in_the_frame_that_announces_it() -> None:
    log = blast(Log().inventory(20))
    finding = found(log)[0]

    assert ["domain_breach c1/fix OPEN 10s"] == short([finding])
    assert (START_MS + 10_000, Severity.CRITICAL) == (finding.at_ms, finding.severity)
    assert "rollout fix is a blast: it takes all it is for in c1 at once" == finding.title
    assert finding.evidence


def test_a_blast_ends_with_its_rollout() -> None:
    log = reach(blast(Log().inventory(20).clocks(0)), 11, 2).clocks(20)
    log.maintenance(30, "ROLLOUT_COMPLETED", rollout="fix").clocks(40)

    assert ("CLOSED", "its rollout has ended") == (found(log)[-1].state, found(log)[-1].close_reason)


def test_a_blast_that_reached_most_of_a_cluster_lasts_as_long_as_the_window_holds_it() -> None:
    log = reach(blast(Log().inventory(20).clocks(0)), 11, 20).clocks(35)
    log.maintenance(40, "ROLLOUT_COMPLETED", rollout="fix")
    # The eleventh newest server (ten are the largest update domain) began at 20 s.
    log.clocks(300).clocks(620)
    assert "CLOSED" not in [finding.state for finding in found(log)]

    log.clocks(621)
    assert "CLOSED" == found(log)[-1].state


def test_a_blast_whose_end_was_never_told_ends_after_a_quiet_hour() -> None:
    log = reach(blast(Log().inventory(20).clocks(0)), 11, 1).clocks(1000).clocks(3611)
    assert ["OPEN", "UPDATED"] == [finding.state for finding in found(log)]

    log.clocks(3612)
    assert "CLOSED" == found(log)[-1].state

    log.maintenance(4000, "ROLLOUT_PAUSED", rollout="fix").clocks(4001)
    assert ["OPEN", "UPDATED", "CLOSED"] == [finding.state for finding in found(log)]

    log.maintenance(4100, "SERVER_UPDATE_STARTED", rollout="fix", server="s9").clocks(4101)
    assert ["domain_breach c1/fix OPEN 4100s"] == short(found(log)[3:])
    assert 2 == len({finding.id for finding in found(log)})


def test_a_blast_that_begins_and_ends_in_one_batch_is_told() -> None:
    log = Log().inventory(20)
    first = blast(Log()).frames[0].batch.rows[0]  # type: ignore[union-attr]
    last = Log().maintenance(10, "ROLLOUT_COMPLETED", rollout="fix", event_id="m9").frames[0].batch.rows[0]  # type: ignore[union-attr]
    log.batch("maintenance", [(10, first), (10.1, last)]).clocks(20)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


@pytest.mark.parametrize(("servers", "domains", "opens"), [(4, 5, 0), (5, 5, 1), (10, 2, 0), (11, 2, 1)])
def test_more_than_a_fifth_or_the_largest_domain(servers: int, domains: int, opens: int) -> None:
    """Of 20 servers: four are a fifth of them; with two update domains ten are one of these."""
    log = reach(blast(Log().inventory(20, update_domains=domains), mode="ud"), 11, servers)

    assert opens == len(found(log))
    if opens:
        finding = found(log)[0]
        assert f"rollout fix has reached {servers} of 20 servers of c1 within 10 min" == finding.title
        assert (servers / 20, servers / 20) == (finding.numbers["share"], finding.numbers["share_per_min"])
        assert START_MS + (10 + servers) * 1000 == finding.opened_ms


@pytest.mark.parametrize(("every_s", "opens"), [(150, 1), (150.001, 0)])
def test_within_ten_minutes_both_ends_included(every_s: float, opens: int) -> None:
    log = reach(blast(Log().inventory(20, update_domains=20), mode="ud"), 0, 5, every_s)

    assert opens == len(found(log))


def test_before_the_inventory_is_complete_no_share_is_told() -> None:
    log = reach(blast(Log().inventory(20, complete=False), mode="ud"), 11, 20)

    assert [] == found(log)


def test_servers_that_the_inventory_does_not_name_are_no_part_of_it() -> None:
    log = blast(Log().inventory(2, update_domains=2), mode="ud")
    for n in range(9):
        log.maintenance(11 + n, "SERVER_UPDATE_STARTED", rollout="fix", server=f"x{n}")

    assert [] == found(log)


def running(servers: int = 20) -> Log:
    log = Log().inventory(servers).clocks(-0.5)
    for n in range(servers):
        log.host(n / 100, f"s{n + 1}", vms=[], versions={"netplugin": "1.6"})
    return log


def change(log: Log, first_s: float, servers: int, every_s: float = 1.0, version: str = "1.7") -> Log:
    for n in range(servers):
        log.host(first_s + n * every_s, f"s{n + 1}", vms=[], versions={"netplugin": version})
    return log


def test_a_blast_that_nobody_announced_is_still_one() -> None:
    log = change(running(), 60, 10)
    assert [] == found(log)

    change(log, 70, 11)
    finding = found(log)[0]
    assert ["domain_breach c1/netplugin/1.7 OPEN 80s"] == short([finding])
    assert "netplugin 1.7 has reached 11 of 20 servers of c1 within 10 min, and nobody announced" == finding.title
    assert ("halt-rollout",) == finding.advised


def test_one_that_was_announced_is_told_as_info_beside_it() -> None:
    log = reach(blast(running()), 59, 20, 0.1)
    change(log, 62, 20, 0.1)
    seen = [finding for finding in found(log) if finding.subject.component]

    assert [Severity.INFO] == [finding.severity for finding in seen[:1]]
    assert "Rollout fix announced it" in seen[0].explanation


def test_one_that_is_announced_later_becomes_info() -> None:
    log = change(running(), 60, 20, 0.1)
    reach(blast(log, 61, mode="ud"), 59, 20, 0.1)
    seen = [finding for finding in found(log) if finding.subject.component]

    assert [Severity.CRITICAL, Severity.INFO] == [finding.severity for finding in seen]


def test_it_ends_when_no_window_holds_so_many() -> None:
    log = change(running(), 60, 12).clocks(75).clocks(661)
    assert "CLOSED" not in [finding.state for finding in found(log)]

    log.clocks(662)
    assert "it reaches so many no more" == found(log)[-1].close_reason


def test_missing_data_ends_nothing() -> None:
    log = change(running(), 60, 12).clocks(75).clocks(2000, gaps=[(76, 1999)])

    assert ["OPEN", "UPDATED"] == [finding.state for finding in found(log)]


def test_numbers_are_told_again_after_ten_seconds() -> None:
    log = change(running(), 60, 20).clocks(79)
    assert [11] == [finding.numbers["servers_changed"] for finding in found(log)]

    log.clocks(81)
    assert [11, 20] == [finding.numbers["servers_changed"] for finding in found(log)]


def test_a_closed_one_stays_closed_while_it_lasts() -> None:
    log = blast(running())
    finding = found(log)[0]
    log.batch("operator", [(12, Close("k1", "c1", finding.id, "ada", "known"))])
    reach(log, 30, 20).clocks(60)

    assert ["OPEN", "CLOSED"] == [known.state for known in found(log)]


def test_its_numbers_are_read_from_the_log() -> None:
    thresholds = parse("[detectors.domain_breach]\nmost_share = 0.1\n", {"domain_breach": Config})
    assert 0.1 == thresholds.detectors["domain_breach"].most_share
