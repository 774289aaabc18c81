"""What ready_overdue says: of one VM, of all that are late in an update, of an update domain that did not wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.failfast.words import counted, listed, minutes, utc
from detectors.picture import Picture
from detectors.rollouts.vm_waits import Wait
from schemas.outputs import Evidence, Finding


@dataclass(slots=True)
class DomainStart:
    """An UD_STARTED."""

    at_ms: int
    rollout: str
    group: str
    update_domain: int
    event_id: str
    evidence: Evidence


def one_said(vm: str, server: str, what: str, limit_s: float) -> str:
    """Return the title of one VM that is late; `what` names its update."""
    return f"VM {vm} on {server} is not READY {minutes(limit_s)} after its start-up began, in {what}"


def together_said(singles: Sequence[Finding], rollout: str) -> dict[str, Any]:
    """Return title, explanation, evidence, numbers and facts of an update in which these VMs are late."""
    vms = [finding.subject.vm or "" for finding in singles]
    servers = dict.fromkeys(finding.subject.server or "" for finding in singles)
    services = dict.fromkeys(service for finding in singles if (service := finding.facts["service"]))
    limit = minutes(singles[0].numbers["limit_s"])
    what = f"rollout {rollout}" if rollout else singles[0].facts["update"]
    who = f"VM {vms[0]}" if len(vms) == 1 else f"{len(vms)} VMs on {counted(len(servers), 'server')}"
    verb, whose = ("is", "its") if len(vms) == 1 else ("are", "their")
    return {
        "title": f"in {what} {who} {verb} not READY {limit} after {whose} start-up began",
        "explanation": f"Late: {listed(vms)}. Neither they nor their host agents have said READY. The update goes on "
        f"with the next domain after {limit}, and then several instances are out at once: hold it. Most often a "
        "start-up task or OnStart fails when it runs a second time, or finds its changes gone with the reimaged disk "
        "(seed 002): their owners should look there first. Where they fail with one signature, start_failure tells.",
        "evidence": tuple(evidence for finding in singles for evidence in finding.evidence),
        "numbers": {"vms": len(vms), "servers": len(servers), "limit_s": singles[0].numbers["limit_s"]},
        "facts": {"vms": listed(vms), "servers": listed(servers), "services": listed(services)},
    }


def domain_said(domain: DomainStart, out: Mapping[str, Wait], picture: Picture) -> dict[str, Any]:
    """Return title, explanation, evidence, numbers and facts of a domain that did not wait for these VMs."""
    of = f" of {domain.group}" if domain.group else ""
    return {
        "title": f"update domain {domain.update_domain}{of} of rollout {domain.rollout} starts before "
        f"{counted(len(out), 'VM')} of an earlier one {'is' if len(out) == 1 else 'are'} READY: several instances "
        "out at once",
        "explanation": f"UD_STARTED came at {utc(domain.at_ms)}. Not READY since their restart by the same "
        f"rollout: {listed(out)}. Services with instances in both domains run with fewer than planned; hold the "
        "rollout until these are READY, or find out what keeps them.",
        "evidence": (domain.evidence, *(out[vm].evidence for vm in sorted(out))),
        "numbers": {
            "vms": len(out),
            "update_domain": domain.update_domain,
            "longest_s": (domain.at_ms - min(wait.since_ms for wait in out.values())) / 1000,
        },
        "facts": {"vms": listed(out), "services": listed(picture.vms[vm].service for vm in out)},
    }
