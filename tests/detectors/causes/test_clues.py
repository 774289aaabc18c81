"""clues: what the picture holds of an interval's server and VM."""

import pytest

from detectors.causes.clues import TIMEOUT_MS, clues_of, failing_since, signs_seen
from detectors.lanes import Lanes
from detectors.picture import Picture
from tests.kit import START_MS, Log, vm


def picture(log: Log) -> Picture:
    """Return the picture after these frames."""
    folded = Picture("c1", Lanes())
    for frame in log.frames:
        folded.fold(frame)  # type: ignore[arg-type]
    return folded


def seen(log: Log, at_s: float = 100, known_s: float = 1000) -> list[tuple[str, str]]:
    """Return the clues of an interval of v1 on s1: kind, and what."""
    return [
        (clue.kind, clue.what)
        for clue in clues_of(picture(log), "v1", "s1", START_MS + round(at_s * 1000), START_MS + round(known_s * 1000))
    ]


def log() -> Log:
    """Return a VM on s1."""
    return Log().inventory(1).host(0, "s1", [vm("v1")], versions={"netplugin": "1"})


@pytest.mark.parametrize(
    ("kind", "system", "fields", "expected"),
    [
        ("NODE_REBOOT_STARTED", "fc", {"server": "s1"}, ("reboot", "")),
        ("SERVER_UPDATE_STARTED", "host-os", {"server": "s1", "rollout": "r"}, ("update", "host_os")),
        (
            "SERVER_UPDATE_STARTED",
            "fc",
            {"server": "s1", "rollout": "r", "component": "netplugin"},
            ("update", "netplugin"),
        ),
        ("COMPONENT_UPDATE_STARTED", "nmagent", {"server": "s1"}, ("component", "nmagent")),
        ("VM_UPDATE_STARTED", "guest-os", {"vm": "v1", "rollout": "r"}, ("vm-update", "guest_os")),
        ("VM_UPDATE_STARTED", "guest-agent", {"vm": "v1", "rollout": "r"}, ("vm-update", "ga")),
        ("VM_REDEPLOYED", "customer", {"vm": "v1", "to_server": "s2"}, ("redeploy", "v1")),
        ("VM_HEALED", "fc", {"vm": "v1", "from_server": "s1", "to_server": "s2"}, ("healed", "v1")),
        ("VM_DEALLOCATED", "storage", {"vm": "v9", "server": "s1"}, ("deallocated", "v9")),
        ("SERVER_STATE", "fc", {"server": "s1", "state": "OUT_FOR_REPAIR"}, ("repair", "s1")),
    ],
)
def test_what_maintenance_says(kind: str, system: str, fields: dict[str, str], expected: tuple[str, str]) -> None:
    assert [expected] == seen(log().maintenance(50, kind, system=system, **fields))


def test_a_server_in_the_state_hi_is_no_broken_hardware() -> None:
    """Automation gave up on it, and on the leap day that was the software's doing (seed 004)."""
    assert [] == seen(log().maintenance(50, "SERVER_STATE", server="s1", state="HI"))


def test_words_with_who_spoke_them_failures_and_changes() -> None:
    told = log().guest(60, "v1", "SHUTDOWN", initiator="WaAppAgent.exe").guest(61, "v1", "STOPPED")
    told.guest(70, "v1", "START_FAILED", step="transfer", error_code="5", incarnation=2)
    told.host(80, "s1", versions={"netplugin": "2"})

    assert [("change", "netplugin"), ("word", "WaAppAgent.exe"), ("failed", "transfer:5")] == seen(told)


def test_what_is_not_known_yet_or_lies_far_before_is_left_out() -> None:
    told = log().maintenance(50, "NODE_REBOOT_STARTED", server="s1")

    assert [] == seen(told, known_s=49)
    assert [] == seen(told, at_s=50 + 7200.001, known_s=9000)


def test_a_rollout_that_brings_new_guest_agents_restarts_vms_for_them() -> None:
    told = Log().inventory(1).host(0, "s1", [vm("v1", ga_version="1")])
    told.maintenance(50, "SERVER_UPDATE_STARTED", server="s1", rollout="r", component="fc")

    assert [("update", "fc")] == seen(told)
    told.host(100, "s1", [vm("v1", 2, ga_version="2")])
    assert [("update", "ga")] == seen(told)


def test_starts_fail_from_the_first_one_that_did() -> None:
    told = log().host(100, "s1", [vm("v1", 2, "STARTING")]).guest(110, "v1", "START_FAILED", incarnation=2)
    until_ms = START_MS + 400_000

    assert START_MS + 100_000 == failing_since(picture(told), "v1", START_MS + 90_000, until_ms, ())
    assert failing_since(picture(log()), "v1", START_MS + 90_000, until_ms, ()) is None


@pytest.mark.parametrize(("until_ms", "failed"), [(TIMEOUT_MS - 1, False), (TIMEOUT_MS, True)])
def test_a_start_without_contact_fails_when_its_time_is_over(until_ms: int, failed: bool) -> None:
    told = log().host(0, "s1", [vm("v1", 2, "STARTING")])

    since = failing_since(picture(told), "v1", START_MS, START_MS + until_ms, ("start timed out",))
    assert (START_MS if failed else None) == since


def test_what_starts_show_of_an_interval_that_goes_on() -> None:
    told = log().host(100, "s1", [vm("v1", 2, "STARTING")]).host(200, "s2", [vm("v1", 3, "STARTING")])

    assert ("restarted", "moved to another server") == signs_seen(
        picture(told), "v1", "s1", START_MS + 90_000, START_MS + 300_000
    )
