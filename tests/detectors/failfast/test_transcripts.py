"""Golden transcripts: what was told, and what was found, as a person reads it.

How they are written anew, tests/golden.py tells. Beats and turns of the clocks are left out where they bring nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.failfast.words import utc
from schemas.outputs import Finding
from schemas.source import GuestEvent, MaintenanceEvent
from schemas.telemetry import HostRow, Row
from tests.golden import assert_golden
from tests.kit import Log, vm
from tests.transcripts import transcript

GOLDEN = Path(__file__).parent / "golden"
OURS = ("start_failure", "start_stall", "guest_timeout", "server_hi", "fault_class", "healing_cascade")
CERT: dict[str, Any] = {"step": "transfer-certificate", "error_code": "CERT_E_VALIDITY"}


def beats(log: Log, from_s: int, until_s: int, servers: int = 4) -> Log:
    """Let all servers beat every minute, with a turn of the clocks behind."""
    for at_s in range(from_s, until_s, 60):
        for n in range(servers):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s + 1)
    return log


def cluster() -> Log:
    """Return four servers of two racks; s1 and s2 run the new versions."""
    log = Log().inventory(4)
    for n in range(4):
        log.host(-60, f"s{n + 1}", vms=[], versions={"ha": "1.7" if n < 2 else "1.6"})
    return log


def leap_day() -> Log:
    """Return the leap day in small: agents of two versions report the same error; a healed VM takes it along."""
    log = cluster()
    for n, (name, server, version) in enumerate((("v1", "s1", "1.7"), ("v2", "s2", "1.7"), ("v3", "s3", "1.6"))):
        log.guest(n, name, "START", server=server, ga_version=version)
        log.guest(5 + n, name, "START_FAILED", server=server, ga_version=version, **CERT)
    log.maintenance(30, "SERVER_STATE", server="s1", state="HI", reason="guest agent timed out three times in a row")
    for n, name in enumerate(("v1", "v4")):
        log.maintenance(40 + n, "VM_HEALED", vm=name, from_server="s1", to_server="s4")
        log.guest(41 + n, name, "START", server="s4", incarnation=2, ga_version="1.6")
        log.guest(50 + n, name, "START_FAILED", server="s4", incarnation=2, ga_version="1.6", **CERT)
    return beats(log, 60, 180)


def leap_day_silent() -> Log:
    """Return the same without a word: three VMs a server, started anew by their host agents every 25 minutes."""
    log = cluster()
    for turn in range(3):
        for n in range(4):
            vms = [vm(f"v{n}-{k}", turn + 1, ga="STARTING", ga_version="1.7" if n < 2 else "1.6") for k in range(3)]
            log.host(turn * 1500, f"s{n + 1}", vms=vms)
        beats(log, turn * 1500 + 60, turn * 1500 + 1500)
    for n in range(4):
        log.host(4500, f"s{n + 1}", vms=[vm(f"v{n}-{k}", 4, ga="STARTING") for k in range(3)])
    return beats(log, 4560, 4620)


def bad_server() -> Log:
    """Return one broken server: its VM times out three times there, and starts well where it is healed to."""
    log = cluster()
    for turn in range(4):
        log.host(turn * 1500, "s1", vms=[vm("v1", turn + 1, ga="STARTING")])
        beats(log, turn * 1500 + 60, turn * 1500 + (1500 if turn < 3 else 240))
    log.maintenance(4750, "SERVER_STATE", server="s1", state="HI")
    log.maintenance(4760, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    log.host(4760, "s1", vms=[]).guest(4765, "v1", "START", server="s2", incarnation=5)
    log.guest(4780, "v1", "READY", server="s2", incarnation=5)
    beats(log, 4800, 4920)
    return beats(log.maintenance(5000, "SERVER_STATE", server="s1", state="READY"), 5040, 5100)


def power_loss() -> Log:
    """Return a loss of power between the start of VMs and their limit: not a word of guests, and none of ours."""
    log = cluster()
    for n in range(4):
        log.host(0, f"s{n + 1}", vms=[vm(f"v{n}", ga="STARTING")])
    beats(log, 60, 120)
    for at_s in range(120, 7200, 60):
        log.clocks(at_s)
    for n in range(4):
        log.host(7200 + n, f"s{n + 1}", boot="b2", run="r2", vms=[vm(f"v{n}", 2, ga="STARTING")])
        log.guest(7230 + n, f"v{n}", "READY", server=f"s{n + 1}", incarnation=2)
    return log.clocks(7300).clocks(12_000)


STORIES: dict[str, Callable[[], Log]] = {
    "leap-day": leap_day,
    "leap-day-silent": leap_day_silent,
    "bad-server": bad_server,
    "power-loss": power_loss,
}


def record(row: Row) -> str:
    """Return a record as a person would say it."""
    if isinstance(row, GuestEvent):
        why = f" {row.step}:{row.error_code}" if row.step else ""
        return f"guest {row.vm} on {row.server}, incarnation {row.incarnation}: {row.kind}{why}"
    if isinstance(row, MaintenanceEvent):
        where = f" from {row.from_server} to {row.to_server}" if row.to_server else f" {row.state or ''}"
        return f"{row.system}: {row.kind} {row.vm or row.server}{where}"
    if isinstance(row, HostRow) and row.vms_block is not None:
        return f"host {row.server}: a full report"
    return ""


def told(finding: Finding) -> list[str]:
    """Return a finding as lines."""
    verdict = "" if finding.verdict == "NONE" else f" {finding.verdict}"
    trigger = f" by the {finding.trigger}" if finding.trigger else ""
    advised = f" (advised: {', '.join(finding.advised)})" if finding.advised else ""
    head = (
        f"    {finding.state} {finding.severity} {finding.detector}{verdict}{trigger}, since {utc(finding.opened_ms)}"
    )
    if finding.state == "CLOSED":
        return [f"{head}: {finding.close_reason}"]
    if finding.detector == "server_hi":
        # How it is worded is for its own tests.
        return [f"{head}: {finding.subject.server}"]
    return [f"{head}: {finding.title}{advised}", f"        {finding.explanation}"]


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_transcript_is_as_it_was(name: str) -> None:
    """Change it only if you know why it changed."""
    story = STORIES[name]

    assert_golden(
        GOLDEN / f"{name}.txt",
        transcript((story.__doc__ or "").removeprefix("Return ").strip(), story(), OURS, record, told),
    )


def test_power_loss_says_nothing() -> None:
    """Neither of guests, nor of starts."""
    assert "OPEN" not in transcript("", power_loss(), OURS, record, told)
