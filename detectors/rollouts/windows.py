"""The windows of planned maintenance, VM by VM, and what became of them (seed 003, "VM restarting maintenance").

A wave is one iteration of planned maintenance: announced, then a self-service window in which owners may redeploy their
VMs themselves, then the scheduled window. All is asked of what the picture has kept of the events, for any time `at_ms`
that it still remembers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detectors.upkeep import Redeploy, Upkeep, VmUpdate, WaveView
from detectors.views import ClusterState, VmView
from schemas.source import MaintenanceEvent


class Outcome(StrEnum):
    """What became of a VM's last self-service redeploy: the four words of the maintenance query (seed 003)."""

    NONE = "None"
    RETRY_LATER = "RetryLater"
    ABORTED = "MaintenanceAborted"
    COMPLETED = "MaintenanceCompleted"


@dataclass(frozen=True, slots=True)
class MaintenanceStatus:
    """What a VM's owner may know of its planned maintenance at one time; times in ms, None: no such window."""

    vm: str
    at_ms: int
    wave: str = ""
    """Empty: no maintenance is planned for it, or it is done."""
    customer_initiated_allowed: bool = False
    """isCustomerInitiatedMaintenanceAllowed."""
    self_service_start_ms: int | None = None
    """preMaintenanceWindowStartTime."""
    self_service_end_ms: int | None = None
    """preMaintenanceWindowEndTime."""
    scheduled_start_ms: int | None = None
    """maintenanceWindowStartTime."""
    scheduled_end_ms: int | None = None
    """maintenanceWindowEndTime."""
    last_result_code: Outcome = Outcome.NONE
    """lastOperationResultCode."""
    last_message: str = ""
    """lastOperationMessage."""


def status_of(state: ClusterState, vm: str, at_ms: int) -> MaintenanceStatus:
    """Return what is true of a VM's maintenance at `at_ms`; a VM that is not known has none.

    Of several waves that name it the one whose scheduled window ends first counts. A wave is no longer shown once it
    has completed or was aborted, once the VM was maintained in it, by its owner or by schedule, and once a self-service
    redeploy failed: that takes the VM out of the wave (seed 003, "excluded from the planned maintenance iteration").
    """
    view = state.vms.get(vm)
    done = [] if view is None else [redeploy for redeploy in view.redeploys if redeploy.at_ms <= at_ms]
    code = result_of(done[-1]) if done else Outcome.NONE
    message = done[-1].message if done else ""
    waves = [wave for wave in state.waves.values() if vm in wave.vms and _shown(state, wave, vm, view, at_ms)]
    if not waves:
        return MaintenanceStatus(vm, at_ms, last_result_code=code, last_message=message)
    wave = min(waves, key=lambda known: (known.scheduled_end_ms, known.announced_ms, known.wave))
    return MaintenanceStatus(
        vm,
        at_ms,
        wave.wave,
        in_self_service(wave, at_ms),
        wave.self_service_start_ms or None,
        wave.self_service_end_ms or None,
        wave.scheduled_start_ms or None,
        wave.scheduled_end_ms or None,
        code,
        message,
    )


def _shown(state: ClusterState, wave: WaveView, vm: str, view: VmView | None, at_ms: int) -> bool:
    """Tell whether a wave that names a VM still lies before it, or goes on, at `at_ms`."""
    told_ms = wave.announced_ms or wave.started_ms or wave.state_ms
    if told_ms > at_ms or ended(wave, at_ms):
        return False
    if view is None:
        return True
    used = (outcome_of(redeploy) for redeploy in redeploys_in(state, view, wave.wave, at_ms))
    return not any(used) and not _maintained(state, wave, view, at_ms)


def _maintained(state: ClusterState, wave: WaveView, view: VmView, at_ms: int) -> bool:
    """Tell whether the wave had updated the VM, or the server that it was on, by `at_ms`."""
    works: list[Upkeep | VmUpdate] = list(view.updates)
    lived = [start.server for start in view.starts] + [moved[1] for moved in view.healed] + [view.server]
    for name in dict.fromkeys(lived):
        server = state.servers.get(name)
        if server is not None:
            works += [work for work in server.upkeep if place_of(view, work.from_ms) == name]
    return any(
        work.until_ms is not None
        and work.until_ms <= at_ms
        and not work.failed
        and wave.wave in (work.wave, work.rollout, getattr(work, "workflow", ""))
        for work in works
    )


def ended(wave: WaveView, at_ms: int) -> bool:
    """Tell whether a wave had completed or was aborted by `at_ms`."""
    return 0 < wave.ended_ms <= at_ms


def in_self_service(wave: WaveView, at_ms: int) -> bool:
    """Tell whether `at_ms` lies in the wave's self-service window, both ends included."""
    return 0 < wave.self_service_start_ms <= at_ms <= wave.self_service_end_ms


def in_schedule(wave: WaveView, at_ms: int) -> bool:
    """Tell whether `at_ms` lies in the wave's scheduled window, both ends included."""
    return 0 < wave.scheduled_start_ms <= at_ms <= wave.scheduled_end_ms


def outcome_of(redeploy: Redeploy) -> Outcome | None:
    """Return what a self-service redeploy came to; None: nothing happened, and the VM's one chance is not used up.

    RetryLater and None use up nothing. A code that is not among the four is a failure; none at all, with a server that
    the VM came to, is a success.
    """
    code = redeploy.result_code.lower()
    if code == Outcome.COMPLETED.lower() or (not code and redeploy.to_server):
        return Outcome.COMPLETED
    if code in ("", Outcome.NONE.lower(), Outcome.RETRY_LATER.lower()):
        return None
    return Outcome.ABORTED


def result_of(redeploy: Redeploy) -> Outcome:
    """Return the word for it that the maintenance query shows."""
    if redeploy.result_code.lower() == Outcome.RETRY_LATER.lower():
        return Outcome.RETRY_LATER
    return outcome_of(redeploy) or Outcome.NONE


def wave_of_redeploy(state: ClusterState, vm: str, redeploy: Redeploy) -> WaveView | None:
    """Return the wave in which an owner redeployed a VM, None where it was no planned maintenance.

    The one that the event names; where it names none, the one that names the VM and in whose self-service window it
    lies: an owner may redeploy a VM at any time for reasons of his own.
    """
    if redeploy.wave:
        return state.waves.get(redeploy.wave)
    at_ms = redeploy.at_ms
    waves = [w for w in state.waves.values() if vm in w.vms and in_self_service(w, at_ms) and not ended(w, at_ms)]
    return min(waves, key=lambda wave: (wave.scheduled_end_ms, wave.wave), default=None)


def redeploys_in(state: ClusterState, view: VmView, wave: str, at_ms: int) -> list[Redeploy]:
    """Return a VM's redeploys by its owner in one wave, up to and with `at_ms`, those that used up its chance."""
    found = []
    for redeploy in view.redeploys:
        if redeploy.at_ms <= at_ms and outcome_of(redeploy) is not None:
            known = wave_of_redeploy(state, view.vm, redeploy)
            if known is not None and known.wave == wave:
                found.append(redeploy)
    return found


def wave_named(state: ClusterState, event: MaintenanceEvent) -> WaveView | None:
    """Return the wave that an event says it belongs to: by `wave`, else as its rollout or workflow; None: no wave."""
    for name in (event.wave, event.rollout, event.workflow):
        if name and name in state.waves:
            return state.waves[name]
    return None


def place_of(view: VmView, at_ms: int) -> str:
    """Return the server that a VM was on at `at_ms`: of its starts, healings and redeploys the last before it."""
    known = [(start.at_ms, start.server) for start in view.starts if start.at_ms <= at_ms]
    known += [(moved_ms, to_server) for moved_ms, _, to_server, _ in view.healed if moved_ms <= at_ms]
    known += [
        (redeploy.at_ms, redeploy.to_server)
        for redeploy in view.redeploys
        if redeploy.at_ms <= at_ms and redeploy.to_server and outcome_of(redeploy) == Outcome.COMPLETED
    ]
    return max(known, key=lambda one: one[0])[1] if known else view.server
