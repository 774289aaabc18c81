"""window_breach: each of its rules at, below and above its limits (seed 003)."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rollouts import window_breach
from detectors.rollouts.window_breach import WAVES_KEPT_OF_VM, State
from schemas.inventory import Removed
from schemas.outputs import Severity
from streams.engine.runner import Runner
from tests.detectors.rollouts.waved import PLAN_S, SELF_S, announce, breaches, cluster, redeploy, rules, update, waved
from tests.kit import Log, run, short, vm

DAY_S = 86_400


def state_after(log: Log) -> State:
    """Return what the detector remembers after a log."""
    runner = Runner(0, only=["window_breach"])
    run(log.frames, runner=runner)
    state = runner.clusters["c1"].detectors["window_breach"].state
    assert isinstance(state, State)
    return state


def test_a_wave_that_keeps_its_promises_breaks_nothing() -> None:
    """Two owners redeploy onto updated nodes, the others' server is updated in the window."""
    log = redeploy(redeploy(waved(), SELF_S[0]), SELF_S[1], "v2", "s4")
    log.maintenance(PLAN_S[0], "WAVE_STARTED", wave="w1")
    update(log, PLAN_S[0], "s2").clocks(PLAN_S[1] + 61).maintenance(PLAN_S[1] + 70, "WAVE_COMPLETED", wave="w1")

    assert [] == breaches(log.clocks(PLAN_S[1] + 100))


# -- restarts outside the windows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "opens"),
    [(PLAN_S[0] - 0.001, True), (PLAN_S[0], False), (PLAN_S[1], False), (PLAN_S[1] + 0.001, True)],
)
def test_the_scheduled_window_has_both_its_ends(at_s: float, opens: bool) -> None:
    assert (["outside-window 2"] if opens else []) == rules(update(waved(), at_s, for_s=None))


def test_it_tells_which_wave_which_vms_and_which_windows() -> None:
    finding = breaches(update(waved(), 100))[0]

    assert short([finding]) == ["window_breach c1/w1/outside-window OPEN 100s"]
    assert "2 VMs restarted for maintenance outside the windows of wave w1 in c1, since 2012-02-29 00:01:40Z" == (
        finding.title
    )
    assert Severity.WARNING == finding.severity
    assert ("v1, v2", "s1") == (finding.facts["vms"], finding.facts["servers"])
    assert "2012-02-29 00:50:00Z to 2012-02-29 01:23:20Z" == finding.facts["scheduled"]


def test_all_vms_of_a_wave_are_one_finding() -> None:
    log = update(update(waved(), 100, for_s=None), 120, "s2", for_s=None)
    findings = breaches(log)

    assert ["OPEN", "UPDATED"] == [finding.state for finding in findings]
    assert {"vms": 4, "servers": 2, "last_ms": log.ms(120)} == findings[-1].numbers


def test_what_may_not_be_said_yet_is_said_when_its_time_has_come() -> None:
    log = update(update(waved(), 100, for_s=None), 105, "s2", for_s=None)
    assert [2] == [finding.numbers["vms"] for finding in breaches(log)]

    assert [2, 4] == [finding.numbers["vms"] for finding in breaches(log.clocks(111))]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("NODE_REBOOT_STARTED", {"server": "s1", "wave": "w1", "planned": True}),
        ("NODE_REBOOT_STARTED", {"server": "s1", "workflow": "w1"}),
        ("SERVER_UPDATE_STARTED", {"server": "s1", "rollout": "w1"}),
        ("COMPONENT_UPDATE_STARTED", {"server": "s1", "wave": "w1", "impact": "reboot"}),
    ],
)
def test_a_restart_is_a_waves_if_it_names_it(kind: str, fields: dict[str, Any]) -> None:
    assert ["outside-window 2"] == rules(waved().maintenance(100, kind, **fields))


def test_an_update_of_one_vm_is_its_restart() -> None:
    assert ["outside-window 1"] == rules(waved().maintenance(100, "VM_UPDATE_STARTED", vm="v3", wave="w1"))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("NODE_REBOOT_STARTED", {"server": "s1", "wave": "w1", "planned": False}),
        ("NODE_REBOOT_STARTED", {"server": "s1", "planned": False}),
        ("SERVER_UPDATE_STARTED", {"server": "s1", "rollout": "host-os-7", "system": "host-os"}),
        ("COMPONENT_UPDATE_STARTED", {"server": "s1", "wave": "w1", "impact": "network"}),
        ("VM_UPDATE_STARTED", {"vm": "v1", "rollout": "guest-os-7", "system": "guest-os"}),
        ("SERVER_STATE", {"server": "s1", "wave": "w1", "state": "HI"}),
    ],
)
def test_other_restarts_are_no_waves(kind: str, fields: dict[str, Any]) -> None:
    assert [] == rules(waved().maintenance(100, kind, **fields))


@pytest.mark.parametrize(
    ("at_s", "fields", "opens"),
    [
        (SELF_S[0] - 1, {}, False),
        (SELF_S[0], {}, True),
        (SELF_S[0], {"rollout": "os-7"}, False),
        (SELF_S[0], {"cause": "HARDWARE"}, False),
        (SELF_S[0], {"reason": "host-os-update"}, False),
        (SELF_S[0], {"system": "host-os"}, False),
        (PLAN_S[0], {}, False),
    ],
)
def test_a_planned_reboot_that_names_nothing_is_the_waves_that_is_under_way(
    at_s: float, fields: dict[str, Any], opens: bool
) -> None:
    log = waved().maintenance(at_s, "NODE_REBOOT_STARTED", server="s1", planned=True, **fields)

    assert (["outside-window 2"] if opens else []) == rules(log)


def test_a_wave_that_has_started_is_under_way() -> None:
    log = waved().maintenance(50, "WAVE_STARTED", wave="w1")

    assert ["outside-window 2"] == rules(log.maintenance(60, "NODE_REBOOT_STARTED", server="s1", planned=True))


@pytest.mark.parametrize(("after_s", "opens"), [(60, False), (60.001, True)])
@pytest.mark.parametrize("kind", ["WAVE_ABORTED", "WAVE_COMPLETED"])
def test_a_minute_after_its_end_a_wave_may_restart_nothing_more(kind: str, after_s: float, opens: bool) -> None:
    log = waved().maintenance(PLAN_S[0] + 10, kind, wave="w1")
    update(log, PLAN_S[0] + 10 + after_s)

    assert (["outside-window 2"] if opens else []) == rules(log)


def test_a_wave_that_never_named_its_window_is_not_judged() -> None:
    log = cluster().maintenance(0, "WAVE_STARTED", wave="w1", vms=("v1",))

    assert [] == rules(update(log, 100, "s3"))


def test_vms_that_came_after_the_announcement_had_no_notice() -> None:
    log = announce(cluster(), vms=("v1", "v3", "v4"))

    assert ["unannounced 1"] == rules(update(log, PLAN_S[0]))


@pytest.mark.parametrize(("server", "vms"), [("s1", ["outside-window 1"]), ("s5", ["outside-window 1"]), ("s3", [])])
def test_a_vm_is_where_it_was_healed_to(server: str, vms: list[str]) -> None:
    """Its new server has not named it yet; the old one still does."""
    log = waved().maintenance(50, "VM_HEALED", vm="v1", from_server="s1", to_server="s5")

    assert vms == rules(update(log, 60, server))


# -- more than once ----------------------------------------------------------------------------------------------


def second_wave(log: Log) -> Log:
    """Announce w2 10,000 s later, and update s1 in its window."""
    announce(log, "w2", PLAN_S[1] + 1000, 10_000)
    return update(log, PLAN_S[0] + 10_000, wave="w2")


def test_a_vm_is_included_in_one_wave() -> None:
    assert ["second-wave 2"] == rules(second_wave(update(waved(), PLAN_S[0])))


def test_a_wave_after_an_aborted_one_is_right() -> None:
    log = update(waved(), PLAN_S[0]).maintenance(PLAN_S[0] + 1000, "WAVE_ABORTED", wave="w1")

    assert [] == rules(second_wave(log))


def test_a_wave_after_a_failed_self_service_is_right() -> None:
    log = redeploy(redeploy(waved(), SELF_S[0], code="Aborted"), SELF_S[0] + 1, "v2", code="Aborted")

    assert [] == rules(second_wave(log))


def test_a_wave_after_a_self_service_that_worked_is_a_second_one() -> None:
    log = redeploy(waved(), SELF_S[0], "v1", "s3")
    announce(log, "w2", PLAN_S[1] + 1000, 10_000)

    assert ["second-wave 1"] == rules(update(log, PLAN_S[0] + 10_000, "s3", wave="w2"))


def test_a_vm_whose_self_service_failed_is_out_of_the_wave() -> None:
    log = redeploy(waved(), SELF_S[0], code="Aborted")

    assert ["after-failed-self-service 1"] == rules(update(log, PLAN_S[0]))


def test_a_vm_whose_self_service_worked_is_done() -> None:
    log = redeploy(waved(), SELF_S[0], "v1", "s3")

    assert ["after-self-service 1"] == rules(update(log, PLAN_S[0], "s3"))


@pytest.mark.parametrize("code", ["RetryLater", "None"])
def test_a_redeploy_that_did_not_happen_changes_nothing(code: str) -> None:
    log = redeploy(redeploy(waved(), SELF_S[0], code=code), SELF_S[0] + 5, code=code)

    assert [] == rules(update(redeploy(log, SELF_S[0] + 9), PLAN_S[0]).clocks(PLAN_S[0] + 1000))


@pytest.mark.parametrize(("first", "opens"), [("Completed", True), ("Aborted", True), ("RetryLater", False)])
def test_self_service_is_enabled_once(first: str, opens: bool) -> None:
    log = redeploy(redeploy(waved(), SELF_S[0], code=first), SELF_S[0] + 100)

    assert (["second-redeploy v1"] if opens else []) == rules(log)


def test_it_tells_which_vm_its_owner_redeployed_again() -> None:
    finding = breaches(redeploy(redeploy(waved(), SELF_S[0]), SELF_S[0] + 100))[0]

    assert ["window_breach c1/v1/w1/second-redeploy OPEN 1100s"] == short([finding])
    assert "VM v1 was redeployed for maintenance by its owner a second time, in wave w1, at 2012-02-29 00:18:20Z" == (
        finding.title
    )


@pytest.mark.parametrize("aborted", [True, False])
def test_in_another_wave_an_owner_may_redeploy_after_an_abort_alone(aborted: bool) -> None:
    log = update(waved(), PLAN_S[0]).maintenance(
        PLAN_S[0] + 950, "WAVE_ABORTED" if aborted else "WAVE_COMPLETED", wave="w1"
    )
    announce(log, "w2", PLAN_S[1] + 1000, 10_000)

    assert ([] if aborted else ["second-redeploy v1"]) == rules(redeploy(log, SELF_S[0] + 10_000))


@pytest.mark.parametrize(
    ("at_s", "opens"),
    [(SELF_S[0] - 1, True), (SELF_S[0], False), (SELF_S[1], False), (SELF_S[1] + 1, True)],
)
def test_a_redeploy_that_names_its_wave_lies_in_the_self_service_window(at_s: float, opens: bool) -> None:
    assert (["redeploy-outside-window v1"] if opens else []) == rules(redeploy(waved(), at_s, wave="w1"))


def test_a_redeploy_of_an_owners_own_is_no_maintenance() -> None:
    assert [] == rules(redeploy(redeploy(waved(), 100), 200).clocks(300))


# -- the node ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "opens"), [("s3", False), ("s5", True)])
def test_a_redeploy_goes_to_a_node_already_updated(to: str, opens: bool) -> None:
    log = redeploy(waved(), SELF_S[0], to=to).clocks(SELF_S[0] + 1)

    assert (["node-not-updated v1"] if opens else []) == rules(log)


@pytest.mark.parametrize("fields", [{}, {"from_server": "s1"}])
def test_a_start_on_the_new_node_may_be_stamped_before_the_redeploy(fields: dict[str, str]) -> None:
    log = waved().guest(SELF_S[0] - 0.2, "v1", "START", server="s5", incarnation=2)
    log = redeploy(log, SELF_S[0], to="s5", **fields).clocks(SELF_S[0] + 1)

    assert ["node-not-updated v1"] == rules(log)


def test_a_node_is_judged_when_all_that_hosts_said_before_is_known() -> None:
    """s5 was updated before the redeploy: its report comes later."""
    log = redeploy(waved(), SELF_S[0], to="s5").clocks(SELF_S[0] + 50, feeds=["maintenance", "guest-agent"])
    log.host(SELF_S[0] - 10, "s5", vms=[], versions={"host_os": "os-2"}).clocks(SELF_S[0] + 50, feeds=["host-agent"])

    assert [] == rules(log)


def test_a_node_updated_after_the_redeploy_was_not_updated() -> None:
    log = redeploy(waved(), SELF_S[0], to="s5")
    log.host(SELF_S[0] + 10, "s5", vms=[], versions={"host_os": "os-2"}).clocks(SELF_S[0] + 50)

    assert ["node-not-updated v1"] == rules(log)


def test_a_redeploy_of_a_vm_that_is_gone_is_not_judged() -> None:
    log = redeploy(waved(), SELF_S[0], to="s5").batch("inventory", [(SELF_S[0] + 1, Removed("vm", "v1"))])

    assert [] == rules(log.clocks(SELF_S[0] + 50))


def test_a_redeploy_onto_a_server_that_nobody_knows_is_not_judged() -> None:
    assert [] == rules(redeploy(waved(), SELF_S[0], to="s77").clocks(SELF_S[0] + 50))


# -- past the window's end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until_s", "opens"), [(PLAN_S[1], False), (PLAN_S[1] + 60, False), (PLAN_S[1] + 60.001, True)]
)
def test_an_update_ends_with_its_window_to_a_minute(until_s: float, opens: bool) -> None:
    log = update(waved(), PLAN_S[1] - 900, for_s=900 + until_s - PLAN_S[1]).clocks(PLAN_S[1] + 100)
    findings = breaches(log)

    assert (["OPEN", "CLOSED"] if opens else []) == [finding.state for finding in findings]
    assert all(log.ms(PLAN_S[1]) == finding.opened_ms for finding in findings)


def test_an_update_that_does_not_end_is_told_a_minute_after_the_window_and_closes_with_it() -> None:
    log = update(waved(), PLAN_S[1] - 900, for_s=None).clocks(PLAN_S[1] + 60)
    assert [] == breaches(log)
    log.clocks(PLAN_S[1] + 60.001).maintenance(PLAN_S[1] + 600, "SERVER_UPDATE_FAILED", server="s1", wave="w1")
    findings = breaches(log)

    assert ["window_breach c1/w1/past-window-end OPEN 5000s"] == short(findings[:1])
    assert "1 update of wave w1 in c1 run past the end of its window at 2012-02-29 01:23:20Z" == findings[0].title
    assert ("CLOSED", "its updates have ended") == (findings[-1].state, findings[-1].close_reason)


def test_time_that_nobody_watched_is_nobodys_overrun() -> None:
    """The end of the update falls into a gap, and is told after it."""
    log = update(waved(), PLAN_S[1] - 900, for_s=1500).clocks(PLAN_S[1] + 700, gaps=[(PLAN_S[1] - 5, PLAN_S[1] + 590)])

    assert [] == breaches(log)


def test_a_window_that_is_moved_is_judged_anew() -> None:
    log = update(waved(), PLAN_S[1] - 900, for_s=None).clocks(PLAN_S[1] + 100)
    announce(log, "w1", PLAN_S[1] + 200, 1000).clocks(PLAN_S[1] + 900)
    assert ["OPEN", "CLOSED"] == [finding.state for finding in breaches(log)]

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in breaches(log.clocks(PLAN_S[1] + 1061))]


def test_of_several_updates_the_last_closes_it() -> None:
    log = update(update(waved(), PLAN_S[0], for_s=None), PLAN_S[0], "s2", for_s=None).clocks(PLAN_S[1] + 100)
    log.maintenance(PLAN_S[1] + 200, "SERVER_UPDATE_COMPLETED", server="s1", wave="w1")
    assert ["OPEN", "UPDATED"] == [finding.state for finding in breaches(log)]
    log.maintenance(PLAN_S[1] + 300, "SERVER_UPDATE_COMPLETED", server="s2", wave="w1")

    assert "CLOSED" == breaches(log)[-1].state


def test_a_server_that_is_removed_will_not_end_its_update() -> None:
    log = update(waved(), PLAN_S[0], for_s=None).clocks(PLAN_S[1] + 100)
    log.batch("inventory", [(PLAN_S[1] + 200, Removed("server", "s1"))])

    assert "CLOSED" == breaches(log)[-1].state


def test_an_update_removed_before_the_end_of_the_window_is_not_waited_for() -> None:
    log = update(waved(), PLAN_S[0], for_s=None).batch("inventory", [(PLAN_S[0] + 5, Removed("server", "s1"))])

    assert [] == breaches(log.clocks(PLAN_S[1] + 100))


# -- its end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("until_s", "state"), [(DAY_S + 100, "OPEN"), (DAY_S + 100.001, "CLOSED")])
def test_a_breach_is_over_after_a_day_without_another(until_s: float, state: str) -> None:
    assert state == breaches(update(waved(), 100, for_s=10).clocks(until_s))[-1].state


def test_time_that_nobody_watched_does_not_end_it() -> None:
    log = update(waved(), 100, for_s=10).clocks(DAY_S + 150, gaps=[(200, 300)])
    assert "OPEN" == breaches(log)[-1].state

    assert "no other for 24 h" == breaches(log.clocks(DAY_S + 201))[-1].close_reason


def test_another_breach_of_the_kind_goes_on_with_it() -> None:
    log = update(update(waved(), 100, for_s=10).clocks(200), 300, "s2", for_s=10).clocks(DAY_S + 200)

    assert "OPEN" == [finding for finding in breaches(log) if finding.state != "UPDATED"][-1].state


def test_a_vm_that_is_removed_closes_what_was_said_of_it() -> None:
    log = redeploy(redeploy(waved(), SELF_S[0]), SELF_S[0] + 100)
    log.batch("inventory", [(SELF_S[0] + 200, Removed("vm", "v1"))])

    assert "removed" == breaches(log)[-1].close_reason


def test_what_a_forgotten_wave_did_is_forgotten() -> None:
    """The picture forgets a wave four months after its last word."""
    log = update(update(waved(), PLAN_S[0]), PLAN_S[0] + 5, "s2", for_s=None).clocks(PLAN_S[1] + 100)
    later_s = 121 * DAY_S
    announce(log, "w2", later_s, later_s)
    findings = run(update(log, PLAN_S[0] + later_s, wave="w2").frames, only=["window_breach"])

    assert ["past-window-end"] == [finding.subject.signature for finding in findings if finding.state == "OPEN"]
    assert "nothing was heard of the wave for four months" == findings[-1].close_reason


def test_a_vm_that_has_just_come_to_a_server_is_restarted_with_it() -> None:
    """s3's last report, which names another VM alone, is from before."""
    log = waved().host(SELF_S[0] - 5, "s3", vms=[vm("v9")], versions={"host_os": "os-2"})
    log = redeploy(log, SELF_S[0], "v1", "s3")

    found = sorted(rules(update(log, SELF_S[0] + 50, "s3")))
    assert ["after-self-service 1", "outside-window 1", "unannounced 1"] == found


def test_what_came_to_a_server_that_is_removed_is_forgotten() -> None:
    log = redeploy(waved(), SELF_S[0], "v1", "s3")
    assert {"s3": ["v1"]} == state_after(log).arrived

    assert {} == state_after(log.batch("inventory", [(SELF_S[0] + 5, Removed("server", "s3"))])).arrived


def test_updates_under_way_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_breach, "RUNNING_MOST", 1)
    log = update(update(waved(), PLAN_S[0], for_s=None), PLAN_S[0], "s2", for_s=None)

    assert ["s2"] == [known.what for known in state_after(log).running.values()]


def test_an_update_removed_with_its_server_leaves_the_others_open() -> None:
    log = update(update(waved(), PLAN_S[0], for_s=None), PLAN_S[0], "s2", for_s=None).clocks(PLAN_S[1] + 100)
    log.batch("inventory", [(PLAN_S[1] + 200, Removed("server", "s1")), (PLAN_S[1] + 200, Removed("vm", "v9"))])

    assert ["OPEN", "UPDATED"] == [finding.state for finding in breaches(log)]


def test_what_is_remembered_of_one_vm_has_a_bound() -> None:
    """Nine waves restart it; each of them outside its window, so that nothing but its past counts."""
    log = cluster()
    for n in range(WAVES_KEPT_OF_VM + 1):
        update(announce(log, f"w{n}", 10 * n), 10 * n + 1, wave=f"w{n}", for_s=2)

    assert [f"w{n + 1}" for n in range(WAVES_KEPT_OF_VM)] == list(state_after(log).restarted["v1"])
