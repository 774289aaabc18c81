"""Which VMs a maintenance event restarts, for which wave, and what that breaks of what seed 003 promises.

Told apart: a restart belongs to a wave if its event names the wave (`wave`, or as its rollout or workflow), or if it is
a planned reboot that names no rollout, no cause and no other regime, of a VM whose wave is under way (WAVE_STARTED was
said, or its self-service window has begun, and it has not ended). An unplanned reboot is none, and the monthly host OS
rollout (seed 002) is a regime of its own, known by its rollout or its system.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detectors.picture import Picture
from detectors.rollouts.windows import (
    Outcome,
    ended,
    in_schedule,
    outcome_of,
    place_of,
    redeploys_in,
    wave_named,
    wave_of_redeploy,
)
from detectors.upkeep import WaveView
from detectors.views import ClusterState, ServerView, VmView
from schemas.outputs import Evidence
from schemas.source import MaintenanceEvent, MaintenanceKind

FRESH_MS = 600_000
"""A server's last full report names its VMs as they are, if it was heard in the ten minutes before (a full report comes
on change and every 5 min); else all VMs of the cluster are looked through."""
UPDATED_COMPONENT = "host_os"
"""What planned maintenance of a server changes (seed 003, "updated node")."""

_SERVER_KINDS = (
    MaintenanceKind.NODE_REBOOT_STARTED,
    MaintenanceKind.SERVER_UPDATE_STARTED,
    MaintenanceKind.COMPONENT_UPDATE_STARTED,
)


ENDS: dict[str, tuple[str, ...]] = {
    MaintenanceKind.NODE_REBOOT_COMPLETED: (MaintenanceKind.NODE_REBOOT_STARTED,),
    MaintenanceKind.SERVER_UPDATE_COMPLETED: (MaintenanceKind.SERVER_UPDATE_STARTED,),
    MaintenanceKind.SERVER_UPDATE_FAILED: (MaintenanceKind.SERVER_UPDATE_STARTED,),
    MaintenanceKind.COMPONENT_UPDATE_COMPLETED: (MaintenanceKind.COMPONENT_UPDATE_STARTED,),
    MaintenanceKind.VM_UPDATE_COMPLETED: (MaintenanceKind.VM_UPDATE_STARTED,),
    MaintenanceKind.VM_UPDATE_FAILED: (MaintenanceKind.VM_UPDATE_STARTED,),
}
"""Kinds of events that end what others began."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One VM restarted for maintenance."""

    vm: str
    server: str
    wave: WaveView


@dataclass(slots=True)
class Running:
    """An update of a wave that has begun."""

    wave: str
    kind: str
    """Of the event that began it."""
    what: str
    """Its server or VM."""
    from_ms: int
    evidence: Evidence
    until_ms: int | None = None


def restarts(event: MaintenanceEvent, at_ms: int, picture: Picture, arrived: Iterable[str] = ()) -> list[Restart]:
    """Return the VMs that an event restarts for the maintenance of a wave, in order of name; none where it does not.

    `arrived`: VMs that maintenance events moved to its server, which its last report may not name yet.
    """
    state = picture.state
    if event.kind == MaintenanceKind.VM_UPDATE_STARTED and event.vm is not None:
        wave = wave_named(state, event)
        view = picture.vms.get(event.vm)
        return [] if wave is None or view is None else [Restart(event.vm, place_of(view, at_ms), wave)]
    if event.server is None or not _restarts_server(event):
        return []
    wave = wave_named(state, event)
    if wave is None and not _nameless(event):
        return []
    found = []
    for name in _vms_on(event.server, at_ms, picture, arrived):
        known = wave or _under_way(state, name, at_ms)
        if known is not None:
            found.append(Restart(name, event.server, known))
    return found


def _restarts_server(event: MaintenanceEvent) -> bool:
    if event.kind == MaintenanceKind.COMPONENT_UPDATE_STARTED:
        return event.impact == "reboot"
    return event.kind in _SERVER_KINDS and event.planned is not False


def _nameless(event: MaintenanceEvent) -> bool:
    """Tell whether a reboot may be a wave's although it names none: planned, and of no other regime."""
    return (
        event.kind == MaintenanceKind.NODE_REBOOT_STARTED
        and event.planned is True
        and not event.rollout
        and not event.cause
        and event.system != "host-os"
        and "host-os" not in (event.reason or "").lower()
    )


def _under_way(state: ClusterState, vm: str, at_ms: int) -> WaveView | None:
    waves = [
        wave
        for wave in state.waves.values()
        if vm in wave.vms
        and (0 < wave.started_ms <= at_ms or 0 < wave.self_service_start_ms <= at_ms)
        and not ended(wave, at_ms)
    ]
    return min(waves, key=lambda wave: (wave.scheduled_end_ms, wave.wave), default=None)


def _vms_on(server: str, at_ms: int, picture: Picture, arrived: Iterable[str]) -> list[str]:
    """Return the VMs that were on a server at `at_ms`, in order of name."""
    known = picture.servers.get(server)
    names: Iterable[str] = picture.vms
    if known is not None and known.vms and at_ms - FRESH_MS < known.heard_ms <= at_ms:
        names = {*known.vms, *arrived}
    return sorted(name for name in names if name in picture.vms and place_of(picture.vms[name], at_ms) == server)


def unannounced(restart: Restart) -> bool:
    """Tell whether a wave that says which VMs it is for did not name this one."""
    return bool(restart.wave.vms) and restart.vm not in restart.wave.vms


def outside(wave: WaveView, at_ms: int, grace_ms: int) -> bool:
    """Tell whether `at_ms` lies outside a wave's scheduled window, or `grace_ms` after its end or abort.

    False where the wave never named its window: what is not known is not judged.
    """
    if 0 < wave.ended_ms < at_ms - grace_ms:
        return True
    return wave.scheduled_start_ms > 0 and not in_schedule(wave, at_ms)


def used_before(state: ClusterState, view: VmView, wave: str, at_ms: int) -> Outcome | None:
    """Return what the VM's last self-service in this wave had come to before `at_ms`; None: it had none."""
    used = redeploys_in(state, view, wave, at_ms - 1)
    return outcome_of(used[-1]) if used else None


def right_again(state: ClusterState, view: VmView, wave: str, at_ms: int) -> bool:
    """Tell whether a VM of an earlier wave may be in another: that was aborted, or its self-service in it failed."""
    known = state.waves.get(wave)
    if known is None or (known.state == "ABORTED" and ended(known, at_ms)):
        return True
    return used_before(state, view, wave, at_ms) == Outcome.ABORTED


def redeployed_in_other(state: ClusterState, view: VmView, wave: str, at_ms: int) -> str:
    """Return an earlier wave in which the owner had redeployed the VM, for which another wave is wrong; else ''."""
    for redeploy in view.redeploys:
        if redeploy.at_ms < at_ms and outcome_of(redeploy) == Outcome.COMPLETED:
            known = wave_of_redeploy(state, view.vm, redeploy)
            if known is not None and known.wave != wave and not right_again(state, view, known.wave, at_ms):
                return known.wave
    return ""


def node_updated(wave: WaveView, source: ServerView, target: ServerView, at_ms: int) -> bool | None:
    """Tell whether a redeploy went to a node already updated; None: what is known does not say.

    Updated: an update of the node ended since the wave was announced, or its host OS is another than that of the server
    which the VM left. Not updated: it runs the version of a server that the wave has not touched yet.
    """
    since_ms = wave.announced_ms
    for work in target.upkeep:
        named = wave.wave in (work.wave, work.rollout, work.workflow)
        done = work.until_ms is not None and work.until_ms <= at_ms and not work.failed
        if done and work.from_ms >= since_ms and (named or work.what == "update"):
            return True
    touched = any(
        wave.wave in (work.wave, work.rollout, work.workflow) and work.from_ms <= at_ms for work in source.upkeep
    )
    before = version_at(source, UPDATED_COMPONENT, since_ms if touched else at_ms)
    now = version_at(target, UPDATED_COMPONENT, at_ms)
    return None if not before or not now else before != now


def version_at(server: ServerView, component: str, at_ms: int) -> str:
    """Return the version of a component at `at_ms`, or the oldest that is remembered; empty: its server never said."""
    version = server.versions.get(component, "")
    for change in reversed(server.changes):
        if change.component == component and change.at_ms > at_ms:
            version = change.from_version
    return version
