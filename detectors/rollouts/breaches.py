"""What is open of a breach of maintenance windows, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT
from detectors.failfast.words import counted, listed, utc
from detectors.picture import Picture
from schemas.outputs import Evidence

VMS_MOST = 50_000
"""VMs by name in one finding; more are counted no further."""

OUTSIDE, UNANNOUNCED, SECOND_WAVE = "outside-window", "unannounced", "second-wave"
EXCLUDED, AGAIN, OVERRUN = "after-failed-self-service", "after-self-service", "past-window-end"
SECOND_REDEPLOY, OWNER_OUTSIDE, NOT_UPDATED = "second-redeploy", "redeploy-outside-window", "node-not-updated"

WAVE_TITLES = {
    OUTSIDE: "{vms} restarted for maintenance outside the windows of wave {wave} in {cluster}, since {since}",
    UNANNOUNCED: "{vms} restarted for maintenance in wave {wave} that was never announced for them, in {cluster}, "
    "since {since}",
    SECOND_WAVE: "{vms} restarted for maintenance a second time, in wave {wave}, in {cluster}, since {since}",
    EXCLUDED: "{vms} restarted in wave {wave} although a failed self-service had taken them out of it, in {cluster}, "
    "since {since}",
    AGAIN: "{vms} restarted in wave {wave} although their owners had done their maintenance in it, in {cluster}, "
    "since {since}",
    OVERRUN: "{updates} of wave {wave} in {cluster} run past the end of its window at {since}",
}
WAVE_WORDS = {
    OUTSIDE: "Owners were told when their VMs would be restarted; a restart at another time meets them unprepared.",
    UNANNOUNCED: "The wave names its VMs and these are not among them: their owners had no notice and no window.",
    SECOND_WAVE: "A VM is included in one wave. Another is right only after an abort, or after the VM's self-service "
    "failed.",
    EXCLUDED: "A failed self-service redeploy leaves the VM as it was and takes it out of the wave; its owner is to be "
    "offered a later one.",
    AGAIN: "A self-service redeploy moves the VM to a node already updated: its maintenance in this wave is done.",
    OVERRUN: "Owners expect their VMs back by the end of the window.",
}
VM_TITLES = {
    SECOND_REDEPLOY: "VM {vm} was redeployed for maintenance by its owner a second time, in wave {wave}, at {since}",
    OWNER_OUTSIDE: "VM {vm} was redeployed by its owner outside the self-service window of wave {wave}, at {since}",
    NOT_UPDATED: "VM {vm} was redeployed for maintenance onto {server}, a node that is not yet updated, in wave {wave} "
    "at {since}",
}
VM_WORDS = {
    SECOND_REDEPLOY: "Self-service is enabled once for each VM: the request should have been refused.",
    OWNER_OUTSIDE: "Outside the window the request should have been refused.",
    NOT_UPDATED: "The VM was restarted for nothing: its new node must be updated too, and will restart it again.",
}


@dataclass(slots=True)
class Breach:
    """What is open of one kind, of one wave or VM."""

    rule: str
    wave: str
    vms: dict[str, int] = field(default_factory=dict)
    """With the stamp of the first restart or redeploy that broke the rule."""
    servers: dict[str, None] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    evidence: list[Evidence] = field(default_factory=list)

    def add(self, vms: list[str], servers: list[str], at_ms: int, evidence: Evidence) -> None:
        """Add what one event broke."""
        for vm in vms if len(self.vms) < VMS_MOST else ():
            self.vms.setdefault(vm, at_ms)
        self.servers.update(dict.fromkeys(servers))
        self.last_ms = max(self.last_ms, at_ms)
        if len(self.evidence) < EVIDENCE_KEPT:
            self.evidence.append(evidence)


def said(breach: Breach, picture: Picture) -> dict[str, Any]:
    """Return title, explanation, evidence, numbers and facts of a breach."""
    rule, of_vm = breach.rule, breach.rule in VM_TITLES
    words = {
        "vms": counted(len(breach.vms), "VM"),
        "updates": counted(len(breach.servers), "update"),
        "vm": next(iter(breach.vms), ""),
        "server": next(reversed(breach.servers), ""),
        "wave": breach.wave,
        "cluster": picture.cluster,
        "since": utc(breach.first_ms),
    }
    title = (VM_TITLES if of_vm else WAVE_TITLES)[rule].format(**words)
    why = (VM_WORDS if of_vm else WAVE_WORDS)[rule]
    wave = picture.state.waves.get(breach.wave)
    facts = {"rule": rule, "wave": breach.wave, "vms": listed(breach.vms), "servers": listed(breach.servers)}
    if wave is not None:
        facts["self_service"] = _window(wave.self_service_start_ms, wave.self_service_end_ms)
        facts["scheduled"] = _window(wave.scheduled_start_ms, wave.scheduled_end_ms)
    return {
        "title": title,
        "explanation": f"{why} Look at the wave before it goes on, and tell the owners.",
        "evidence": tuple(breach.evidence),
        "numbers": {"vms": len(breach.vms), "servers": len(breach.servers), "last_ms": breach.last_ms},
        "facts": {name: value for name, value in facts.items() if value},
    }


def _window(start_ms: int, end_ms: int) -> str:
    return f"{utc(start_ms)} to {utc(end_ms)}" if start_ms and end_ms else ""
