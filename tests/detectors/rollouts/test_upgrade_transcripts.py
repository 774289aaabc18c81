"""Golden transcripts of OS upgrades: clean, and with what seed 002 names; as a person reads them.

How they are written anew, tests/golden.py tells. Beats and turns of the clocks are left out where they bring nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.failfast.words import utc
from schemas.inventory import Vm
from schemas.outputs import Finding, Severity
from schemas.source import GuestEvent, MaintenanceEvent
from schemas.telemetry import HostRow, Row
from tests.golden import assert_golden
from tests.kit import Log, run, vm
from tests.transcripts import transcript

GOLDEN = Path(__file__).parent / "golden"
OURS = ("ready_overdue", "waiting_for_host", "recycling", "stop_overrun", "capacity", "update_overdue")
GUEST: dict[str, Any] = {"system": "guest-os", "rollout": "os-7"}
SERVERS = 4


def cluster() -> Log:
    """Return four servers in two update domains, with two instances of `web` each, and one of `lone`."""
    vms = [
        Vm(f"web{n}{k}", "c1", f"s{n + 1}", group="g", update_domain=n % 2, service="web")
        for n in range(SERVERS)
        for k in "ab"
    ]
    log = Log().inventory(SERVERS, vms=[*vms, Vm("lone", "c1", "s1", service="lone")])
    for n in range(SERVERS):
        log.host(0, f"s{n + 1}", vms=of(n))
    return log


def of(n: int, incarnation: int = 1, ga: str = "READY", **other: str) -> list[Any]:
    """Return the instances on server n as its host agent reports them; `other`: the state of some."""
    return [vm(f"web{n}{k}", incarnation, ga=other.get(f"web{n}{k}", ga)) for k in "ab"]


def beats(log: Log, from_s: int, until_s: int) -> Log:
    """Let all servers beat every minute, with a turn of the clocks behind."""
    for at_s in range(from_s, until_s, 60):
        for n in range(SERVERS):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s + 2)
    return log


def domain(log: Log, at_s: int, which: int, done_s: int = 200, **other: str) -> Log:
    """Update the instances of one domain: stop, reimage, start, READY; `other` stay in the state given."""
    log.maintenance(at_s, "UD_STARTED", update_domain=which, group="g", **GUEST)
    for n in range(which, SERVERS, 2):
        for k in "ab":
            log.maintenance(at_s + 1, "VM_UPDATE_STARTED", vm=f"web{n}{k}", **GUEST)
            log.guest(at_s + 2, f"web{n}{k}", "STOPPING", server=f"s{n + 1}")
            log.guest(at_s + 30, f"web{n}{k}", "STOPPED", server=f"s{n + 1}", initiator="WaAppAgent.exe")
        log.host(at_s + 90, f"s{n + 1}", vms=of(n, 2, "STARTING", **other))
    log.clocks(at_s + 91)
    for n in range(which, SERVERS, 2):
        log.host(at_s + done_s - 50, f"s{n + 1}", vms=of(n, 2, **other))
        for k in "ab":
            if f"web{n}{k}" not in other:
                log.maintenance(at_s + done_s, "VM_UPDATE_COMPLETED", vm=f"web{n}{k}", **GUEST)
    return log.clocks(at_s + done_s + 1)


def clean() -> Log:
    """Return a guest pass as it should be, one domain after the other."""
    log = cluster().maintenance(50, "ROLLOUT_STARTED", component="guest_os", mode="ud", **GUEST)
    return beats(domain(beats(domain(log, 60, 0), 300, 420), 480, 1), 720, 4000)


def slow_start() -> Log:
    """Return a pass in which the start-up code of one instance takes more than 30 minutes: the next domain starts."""
    log = beats(domain(cluster(), 60, 0, web0a="STARTING"), 300, 2040)
    log = beats(domain(log, 2100, 1), 2340, 2460)
    return beats(log.host(2470, "s1", vms=of(0, 2)), 2520, 2640)


def runs_twice() -> Log:
    """Return an instance whose start-up task fails when it runs a second time."""
    log = beats(domain(cluster(), 60, 0, web0a="STARTING"), 300, 360)
    for incarnation, at_s in enumerate((400, 640, 880), 3):
        log.guest(at_s - 5, "web0a", "START_FAILED", incarnation=incarnation - 1, step="startup-task", error_code="1")
        log.host(at_s, "s1", vms=[vm("web0a", incarnation, ga="STARTING"), vm("web0b", 2)])
        beats(log, at_s + 20, at_s + 200)
    return beats(log, 1100, 2200)


def host_waits() -> Log:
    """Return an instance that waits for its host after the pass, its network up, then down."""
    log = domain(cluster(), 60, 0, web0a="WAITING_FOR_HOST")
    return beats(log, 300, 2220)


def slow_stop() -> Log:
    """Return an instance that needs seven minutes to stop."""
    log = cluster().maintenance(60, "VM_UPDATE_STARTED", vm="web0a", **GUEST).guest(62, "web0a", "STOPPING")
    return beats(beats(log, 120, 480).guest(482, "web0a", "STOPPED"), 540, 660)


def two_domains() -> Log:
    """Return a pass that takes both update domains at once."""
    log = cluster()
    for at_s, n in ((60, 0), (61, 2), (70, 1), (71, 3)):
        for k in "ab":
            log.maintenance(at_s, "VM_UPDATE_STARTED", vm=f"web{n}{k}", **GUEST)
            log.guest(at_s + 2, f"web{n}{k}", "STOPPING", server=f"s{n + 1}")
        log.clocks(at_s + 4)
    return log


STORIES: dict[str, Callable[[], Log]] = {
    "upgrade-clean": clean,
    "upgrade-slow-start": slow_start,
    "upgrade-runs-twice": runs_twice,
    "upgrade-host-waits": host_waits,
    "upgrade-slow-stop": slow_stop,
    "upgrade-two-domains": two_domains,
}


def record(row: Row) -> str:
    """Return a record as a person would say it."""
    if isinstance(row, GuestEvent):
        return f"guest {row.vm}, incarnation {row.incarnation}: {row.kind}{f' {row.step}' if row.step else ''}"
    if isinstance(row, MaintenanceEvent):
        about = row.vm or row.server or (f"domain {row.update_domain}" if row.update_domain is not None else "")
        return f"{row.system}: {row.kind} {about}".rstrip()
    return f"host {row.server}: a full report" if isinstance(row, HostRow) and row.vms_block is not None else ""


def told(finding: Finding) -> list[str]:
    """Return a finding as lines."""
    verdict = "" if finding.verdict == "NONE" else f" {finding.verdict}"
    head = f"    {finding.state} {finding.severity} {finding.detector}{verdict}, since {utc(finding.opened_ms)}: "
    if finding.state == "CLOSED":
        return [head + finding.close_reason]
    return [head + finding.title, f"        {finding.explanation}"]


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_transcript_is_as_it_was(name: str) -> None:
    """Change it only if you know why it changed."""
    story = STORIES[name]

    assert_golden(
        GOLDEN / f"{name}.txt",
        transcript((story.__doc__ or "").removeprefix("Return ").strip(), story(), OURS, record, told),
    )


def test_a_clean_pass_opens_nothing_above_info() -> None:
    """And of all of ours only the list of services with one instance."""
    findings = run(clean().frames, only=OURS)

    assert [(Severity.INFO, "lone")] == [(finding.severity, finding.facts["services"]) for finding in findings]
