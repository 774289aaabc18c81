"""A cluster with a wave of planned maintenance, its windows in seconds of the log: 1,000 to 2,000 and 3,000 to 5,000.

s1 holds v1 and v2, s2 v3 and v4; s3 and s4 are empty and run the new host OS, s5 is empty and runs the old one.
"""

from __future__ import annotations

from typing import Any

from schemas.inventory import Vm
from schemas.outputs import Finding
from tests.kit import Log, run, vm

SELF_S = (1000, 2000)
PLAN_S = (3000, 5000)
HOMES = {"v1": "s1", "v2": "s1", "v3": "s2", "v4": "s2"}


def cluster() -> Log:
    """Return four servers and four VMs, heard once."""
    log = Log().inventory(5, vms=[Vm(name, "c1", server) for name, server in HOMES.items()])
    for n in range(1, 6):
        names = [vm(name) for name, server in HOMES.items() if server == f"s{n}"]
        log.host(-0.5, f"s{n}", vms=names, versions={"host_os": "os-1" if n in (1, 2, 5) else "os-2"})
    return log


def announce(log: Log, wave: str = "w1", at_s: float = 0, shift_s: float = 0, **fields: Any) -> Log:
    """Announce a wave with both windows, so many seconds later than those above."""
    windows = {
        "self_service_start_ms": log.ms(SELF_S[0] + shift_s),
        "self_service_end_ms": log.ms(SELF_S[1] + shift_s),
        "scheduled_start_ms": log.ms(PLAN_S[0] + shift_s),
        "scheduled_end_ms": log.ms(PLAN_S[1] + shift_s),
    }
    known = {"region": "region1", "vms": tuple(HOMES), **windows, **fields}
    return log.maintenance(at_s, "WAVE_ANNOUNCED", wave=wave, **known)


def waved() -> Log:
    """Return the cluster with wave w1 announced."""
    return announce(cluster())


def update(log: Log, at_s: float, server: str = "s1", wave: str = "w1", for_s: float | None = 900) -> Log:
    """Update a server in a wave; None: it does not end."""
    log.maintenance(at_s, "SERVER_UPDATE_STARTED", server=server, wave=wave, system="host-os")
    if for_s is not None:
        log.maintenance(at_s + for_s, "SERVER_UPDATE_COMPLETED", server=server, wave=wave, system="host-os")
    return log


def redeploy(log: Log, at_s: float, name: str = "v1", to: str = "s3", code: str = "Completed", **fields: Any) -> Log:
    """Let an owner redeploy a VM."""
    code = code if code in ("None", "RetryLater") else f"Maintenance{code}"
    return log.maintenance(
        at_s, "VM_REDEPLOYED", system="customer", vm=name, to_server=to, result_code=code, message="m", **fields
    )


def breaches(log: Log) -> list[Finding]:
    """Return what window_breach finds."""
    return run(log.frames, only=["window_breach"])


def rules(log: Log) -> list[str]:
    """Return the rules broken, each with its VM or the number of VMs."""
    return [
        f"{finding.subject.signature} {finding.subject.vm or int(finding.numbers['vms'])}"
        for finding in breaches(log)
        if finding.state == "OPEN"
    ]
