"""Gathers from the picture what may explain an interval: what was done to its server and to its VM around its start."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.causes.candidates import LATE_MS, Clue
from detectors.causes.intervals import ENDING_WORDS, MOVED, RESTARTED, TIMED_OUT
from detectors.picture import Picture, ServerView, VmView
from detectors.upkeep import Upkeep
from schemas.source import GuestKind

BEFORE_MS = 2 * 3_600_000
"""What lies longer before an interval explains nothing: twice the longest lead in `candidates`."""
TIMEOUT_MS = 1_495_000
"""A start without contact has timed out after 25 min, less 5 s by which a host agent may be early (guest_timeout)."""
COMPONENTS = {"host-os": "host_os", "guest-os": "guest_os", "guest-agent": "ga", "nmagent": "nmagent"}
"""What a maintenance system updates; what another one updates, its rollout says."""


def clues_of(picture: Picture, vm: str, server: str, start_ms: int, known_ms: int) -> list[Clue]:
    """Return what is known, up to `known_ms`, that may explain an interval of a VM on this server."""
    found: list[Clue] = []
    view, host = picture.vms.get(vm), picture.servers.get(server)
    if host is not None:
        found += _of_server(picture, host, view, start_ms)
    if view is not None:
        found += _of_vm(view)
    return [clue for clue in found if start_ms - BEFORE_MS <= _last_ms(clue) and clue.from_ms <= known_ms]


def _last_ms(clue: Clue) -> int:
    return clue.from_ms if clue.until_ms is None else clue.until_ms


def _of_server(picture: Picture, host: ServerView, view: VmView | None, start_ms: int) -> Iterator[Clue]:
    for upkeep in host.upkeep:
        yield _upkeep(picture, upkeep, view, start_ms)
    for change in host.changes:
        if change.evidence is not None:
            facts = {"from": change.from_version, "to": change.to_version}
            yield Clue("change", change.at_ms, None, change.evidence, change.component, facts=facts)
    for gone in host.deallocations:
        yield Clue("deallocated", gone.at_ms, None, gone.evidence, gone.vm)
    if host.fc_state == "OUT_FOR_REPAIR" and host.fc_evidence is not None:
        yield Clue("repair", host.fc_state_ms, None, host.fc_evidence, host.server)


def _upkeep(picture: Picture, upkeep: Upkeep, view: VmView | None, start_ms: int) -> Clue:
    rollout = picture.state.rollouts.get(upkeep.rollout)
    component = COMPONENTS.get(upkeep.system) or (rollout.component if rollout is not None else "")
    if upkeep.what == "update" and component in ("", "fc", "ha") and view is not None and _new_agent(view, start_ms):
        # One rollout may bring several components (seed 004: FC, HA, GA); what its VMs start anew for is their agent.
        component = "ga"
    named = {
        "system": upkeep.system,
        "rollout": upkeep.rollout,
        "workflow": upkeep.workflow,
        "cause": upkeep.cause,
        "reason": upkeep.reason,
        "impact": upkeep.impact,
        "to_version": "" if rollout is None else rollout.to_version,
    }
    facts = {name: value for name, value in named.items() if value}
    planned = upkeep.planned or upkeep.what != "reboot"
    return Clue(upkeep.what, upkeep.from_ms, upkeep.until_ms, upkeep.evidence, component, planned, facts)


def _new_agent(view: VmView, start_ms: int) -> bool:
    """Tell whether a VM's guest agent has another version in an incarnation that began around this time or after."""
    versions = [start.ga_version for start in view.starts if start.ga_version]
    later = [start.ga_version for start in view.starts if start.at_ms >= start_ms - LATE_MS and start.ga_version]
    return bool(later) and versions[0] != later[0]


def _of_vm(view: VmView) -> Iterator[Clue]:
    for update in view.updates:
        facts = {name: value for name, value in (("system", update.system), ("rollout", update.rollout)) if value}
        component = COMPONENTS.get(update.system, "")
        yield Clue("vm-update", update.from_ms, update.until_ms, update.evidence, component, planned=True, facts=facts)
    for redeploy in view.redeploys:
        facts = {"result_code": redeploy.result_code, "to_server": redeploy.to_server}
        yield Clue("redeploy", redeploy.at_ms, None, redeploy.evidence, view.vm, planned=True, facts=facts)
    for at_ms, from_server, to_server, evidence in view.healed:
        facts = {"from_server": from_server, "to_server": to_server}
        yield Clue("healed", at_ms, None, evidence, view.vm, facts=facts)
    for word in view.words:
        if word.kind == GuestKind.START_FAILED:
            yield Clue("failed", word.at_ms, None, word.evidence, word.signature)
        elif word.kind in ENDING_WORDS and word.initiator:
            yield Clue("word", word.at_ms, None, word.evidence, word.initiator, facts={"reason": word.reason})


def failing_since(picture: Picture, vm: str, start_ms: int, until_ms: int, signs: tuple[str, ...]) -> int | None:
    """Return since when the starts of a VM failed within an interval; None where none did."""
    view = picture.vms.get(vm)
    for start in view.starts if view is not None else ():
        if not start_ms - LATE_MS <= start.at_ms <= until_ms:
            continue
        host = picture.servers.get(start.server)
        lasted_ms = (until_ms if start.ended_ms is None else min(start.ended_ms, until_ms)) - start.at_ms
        contact = start.contact_ms is not None and start.contact_ms <= start.at_ms + lasted_ms
        told = host is not None and host.heard_ms >= start.at_ms + TIMEOUT_MS
        timed_out = not contact and lasted_ms >= TIMEOUT_MS and (TIMED_OUT in signs or told)
        if timed_out or (start.failed_ms is not None and start.failed_ms <= until_ms):
            return max(start.at_ms, start_ms)
    return None


def signs_seen(picture: Picture, vm: str, server: str, start_ms: int, until_ms: int) -> tuple[str, ...]:
    """Return what the starts of a VM show of an interval that goes on."""
    view = picture.vms.get(vm)
    starts = [start for start in view.starts if start_ms < start.at_ms <= until_ms] if view is not None else []
    return tuple(dict.fromkeys(MOVED if start.server != server else RESTARTED for start in starts))
