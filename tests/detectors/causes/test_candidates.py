"""candidates: each cause where its records carry it, and not beyond."""

import itertools
from typing import Any

import pytest

from detectors.causes.candidates import MARGIN, Case, Clue, Conclusion, conclude
from schemas.outputs import Evidence

START_MS = 10_000_000
HERE = Evidence(0, 1)


def clue(
    kind: str, from_s: float, until_s: float | None = None, what: str = "", *, planned: bool = False, **facts: Any
) -> Clue:
    """Return a record, in seconds from the start of the interval."""
    until_ms = None if until_s is None else START_MS + round(until_s * 1000)
    return Clue(kind, START_MS + round(from_s * 1000), until_ms, HERE, what, planned, facts)


def why(signs: str, *clues: Clue, end_s: float | None = 300, failing_s: float | None = None) -> Conclusion:
    """Return what is concluded of an interval."""
    end_ms = None if end_s is None else START_MS + round(end_s * 1000)
    failing_ms = None if failing_s is None else START_MS + round(failing_s * 1000)
    known_ms = (end_ms or START_MS + 300_000) + 60_000
    return conclude(Case("v1", "s1", START_MS, end_ms, known_ms, tuple(signs.split(", ")), failing_ms), clues)


DOWN = "stopped, server not heard, server rebooted, starting"
RESTART = "stopped, restarted, starting"
NET = "network down"
AGENT = clue("word", 0, what="WaAppAgent.exe", reason="Legacy API shutdown")
THEIRS = clue("word", 0, what="C:\\app\\setup.exe", reason="Application: Installation")
GUEST_OS = clue("vm-update", -20, 310, "guest_os", planned=True, system="guest-os")
HOST_OS = clue("update", -60, 900, "host_os", planned=True, system="host-os")
REBOOT = clue("reboot", 10, 250, workflow="WORKFLOW_TIMEOUT")
RACE = clue("reboot", 10, 250, workflow="WORKFLOW_TIMEOUT", cause="BLOB_CACHE_RACE")
NMAGENT = clue("component", -10, 310, "nmagent", planned=True, impact="network")
CHANGED: dict[str, Any] = {"from": "1.6", "to": "1.7"}
PLUGIN = clue("change", -5, None, "netplugin", planned=False, **CHANGED)


@pytest.mark.parametrize(
    ("cause", "planned", "signs", "clues"),
    [
        ("HOST_REBOOT", False, DOWN, [REBOOT]),
        ("HOST_REBOOT", False, DOWN, []),
        ("HOST_REBOOT", True, DOWN, [clue("reboot", -30, 900, planned=True, system="fc", reason="repair"), AGENT]),
        ("HARDWARE", False, DOWN, [clue("reboot", 10, 250, cause="HARDWARE")]),
        ("HARDWARE", False, "server not heard, moved to another server", [clue("repair", 200), clue("healed", 220)]),
        ("HOST_OS_UPDATE", True, DOWN, [clue("reboot", -30, 900, planned=True, system="host-os"), AGENT]),
        ("HOST_OS_UPDATE", True, DOWN, [HOST_OS, clue("reboot", -30, 900, planned=True, system="fc")]),
        ("HOST_OS_UPDATE", True, DOWN, [HOST_OS]),
        ("GUEST_OS_UPDATE", True, RESTART, [GUEST_OS, AGENT]),
        ("GUEST_OS_UPDATE", True, RESTART, [GUEST_OS]),
        ("GUEST_AGENT_UPDATE", True, RESTART, [clue("vm-update", -20, 310, "ga", planned=True)]),
        ("GUEST_AGENT_UPDATE", True, RESTART, [clue("update", -20, 310, "ga", planned=True), AGENT]),
        ("SELF_SERVICE_REDEPLOY", True, "stopped, moved to another server", [clue("redeploy", 20, result_code="ok")]),
        ("SERVICE_HEALING", False, "moved to another server, starting", [clue("healed", 0)]),
        ("SERVICE_HEALING", False, "server not heard, moved to another server", [clue("healed", 250)]),
        ("GUEST_INITIATED", False, RESTART, [THEIRS]),
        ("GUEST_INITIATED", False, RESTART, [THEIRS, GUEST_OS]),
        ("NETWORK_PLUGIN", False, NET, [PLUGIN, clue("change", 298, what="netplugin")]),
        ("NMAGENT_UPDATE", True, NET, [NMAGENT]),
        ("UNKNOWN", False, NET, []),
        ("UNKNOWN", False, "guest agent silent, restarted", []),
        ("UNKNOWN", False, RESTART, [AGENT]),
        ("UNKNOWN", False, "server not heard", []),
    ],
)
def test_the_cause_is_what_its_records_carry(cause: str, planned: bool, signs: str, clues: list[Clue]) -> None:
    best = why(signs, *clues).best

    assert (cause, planned) == (best.cause, best.planned)


def test_a_race_in_the_blob_cache_cites_a_deallocation_before_it_or_awaits_it() -> None:
    gone = clue("deallocated", -3000, what="v9")
    cited, without, after = (
        why(DOWN, RACE, gone).best,
        why(DOWN, RACE).best,
        why(DOWN, RACE, clue("deallocated", 11)).best,
    )

    assert ("HOST_REBOOT", "", "v9") == (cited.cause, cited.awaits, cited.facts["deallocated_vm"])
    assert gone in cited.clues
    assert without.awaits
    assert without.awaits == after.awaits


@pytest.mark.parametrize(("before_s", "awaits"), [(3590, False), (3590.001, True)])
def test_a_deallocation_counts_for_an_hour(before_s: float, awaits: bool) -> None:
    assert awaits is bool(why(DOWN, RACE, clue("deallocated", -before_s)).best.awaits)


@pytest.mark.parametrize(
    ("from_s", "until_s", "end_s", "cause"),
    [
        (0, 300, 300, "NMAGENT_UPDATE"),
        (0.001, 300, 300, "UNKNOWN"),
        (0, 299.999, 300, "UNKNOWN"),
        (0, 400, 300.001, "UNKNOWN"),
    ],
)
def test_an_update_of_the_network_agent_explains_five_minutes_inside_it(
    from_s: float, until_s: float, end_s: float, cause: str
) -> None:
    update = clue("component", from_s, until_s, "nmagent", planned=True)

    assert cause == why(NET, update, end_s=end_s).best.cause


def test_an_update_of_the_network_agent_awaits_an_operator() -> None:
    confirmed = clue("confirmed", 400, what="NMAGENT_UPDATE", by="ada")

    assert why(NET, NMAGENT).best.awaits
    assert ("", "ada") == (
        why(NET, NMAGENT, confirmed).best.awaits,
        why(NET, NMAGENT, confirmed).best.facts["confirmed_by"],
    )


def test_an_operator_may_say_otherwise() -> None:
    concluded = why(DOWN, REBOOT, clue("confirmed", 400, what="HARDWARE", by="ada"))

    assert ("HARDWARE", ["HOST_REBOOT"]) == (concluded.best.cause, [other.cause for other in concluded.others])


def test_an_update_of_the_network_agent_restarts_no_vm() -> None:
    assert "UNKNOWN" == why(RESTART, NMAGENT).best.cause


def test_a_plugin_that_was_not_changed_back_did_not_keep_the_network_down() -> None:
    """What does not fit together does not begin to; within an update of the network agent it is that."""
    assert "UNKNOWN" == why(NET, PLUGIN).best.cause
    assert "NMAGENT_UPDATE" == why(NET, PLUGIN, NMAGENT).best.cause
    assert "NETWORK_PLUGIN" == why(NET, PLUGIN, end_s=None).best.cause


@pytest.mark.parametrize(("before_s", "cause"), [(3600, "NETWORK_PLUGIN"), (3600.001, "UNKNOWN")])
def test_a_change_of_the_plugin_counts_for_an_hour(before_s: float, cause: str) -> None:
    assert cause == why(NET, clue("change", -before_s, what="ha"), end_s=None).best.cause


@pytest.mark.parametrize(("failing_s", "cause"), [(150, "START_FAILURE"), (150.001, "GUEST_OS_UPDATE")])
def test_starts_that_fail_for_half_of_it_are_the_cause(failing_s: float, cause: str) -> None:
    """Whatever stopped the VM only began it: on the leap day an update did, and the bug kept it away."""
    assert cause == why(RESTART, GUEST_OS, AGENT, failing_s=failing_s).best.cause


@pytest.mark.parametrize(("late_s", "cause"), [(60, "HOST_REBOOT"), (60.001, "UNKNOWN")])
def test_an_explanation_may_be_stamped_a_minute_late(late_s: float, cause: str) -> None:
    assert cause == why(RESTART, clue("reboot", late_s, None), end_s=None).best.cause


@pytest.mark.parametrize(("lead_s", "cause"), [(1800, "GUEST_OS_UPDATE"), (1800.001, "UNKNOWN")])
def test_an_update_may_have_begun_half_an_hour_before(lead_s: float, cause: str) -> None:
    assert cause == why(RESTART, clue("vm-update", -lead_s, 900, "guest_os")).best.cause


@pytest.mark.parametrize(("until_s", "cause"), [(-60, "GUEST_OS_UPDATE"), (-60.001, "UNKNOWN")])
def test_an_update_that_was_over_explains_nothing(until_s: float, cause: str) -> None:
    assert cause == why(RESTART, clue("vm-update", -900, until_s, "guest_os")).best.cause


def test_two_that_fit_equally_well_are_unknown() -> None:
    other = clue("vm-update", -20, 310, "ga", planned=True)
    concluded = why(RESTART, GUEST_OS, other)

    assert "UNKNOWN" == concluded.best.cause
    assert {"GUEST_OS_UPDATE", "GUEST_AGENT_UPDATE"} == {candidate.cause for candidate in concluded.others}


def test_the_order_of_the_records_does_not_matter() -> None:
    clues = [HOST_OS, REBOOT, AGENT, NMAGENT]

    assert 1 == len({repr(why(DOWN, *order)) for order in itertools.permutations(clues)})


def test_runners_up_stand_a_margin_behind() -> None:
    concluded = why(RESTART, THEIRS, GUEST_OS)

    assert ["GUEST_OS_UPDATE"] == [other.cause for other in concluded.others]
    assert concluded.best.score - concluded.others[0].score >= MARGIN
