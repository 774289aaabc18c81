"""Folds events of rollouts and waves into what is known of each: for one cluster's picture, and for the fleet's."""

from __future__ import annotations

from detectors.upkeep import CHANGES_KEPT, WAVES_KEPT, WAVES_MEMORY_MS, RolloutView, WaveView
from schemas.outputs import Evidence
from schemas.source import MaintenanceEvent, MaintenanceKind

VM_UPDATE_KINDS = (
    MaintenanceKind.VM_UPDATE_STARTED,
    MaintenanceKind.VM_UPDATE_COMPLETED,
    MaintenanceKind.VM_UPDATE_FAILED,
)
WAVE_KINDS = (
    MaintenanceKind.WAVE_ANNOUNCED,
    MaintenanceKind.WAVE_STARTED,
    MaintenanceKind.WAVE_ABORTED,
    MaintenanceKind.WAVE_COMPLETED,
)
_WINDOW_FIELDS = ("self_service_start_ms", "self_service_end_ms", "scheduled_start_ms", "scheduled_end_ms")


def fold_rollout(
    rollouts: dict[str, RolloutView], event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence
) -> None:
    """Take an event that names a rollout into what is known of it; the oldest rollout makes room for a new one."""
    rollout = rollouts.get(name)
    if rollout is None:
        if len(rollouts) >= CHANGES_KEPT:
            oldest = min(rollouts.values(), key=lambda known: known.started_ms)
            del rollouts[oldest.rollout]
        rollout = rollouts[name] = RolloutView(
            name,
            event.component or "",
            event.from_version or "",
            event.to_version or "",
            event.mode or "",
            at_ms,
            system=event.system,
            event_id=event.event_id,
            evidence=evidence,
        )
    kind = event.kind
    if kind.startswith("ROLLOUT_") and at_ms >= rollout.state_ms:
        rollout.state, rollout.state_ms = kind.removeprefix("ROLLOUT_"), at_ms
    if kind == MaintenanceKind.ROLLOUT_STARTED:
        # Its images may have been copied days before.
        rollout.started_ms = at_ms
        rollout.component = rollout.component or event.component or ""
        rollout.from_version = rollout.from_version or event.from_version or ""
        rollout.to_version = rollout.to_version or event.to_version or ""
        rollout.mode = rollout.mode or event.mode or ""
    if kind == MaintenanceKind.SERVER_UPDATE_STARTED and event.server is not None:
        rollout.servers.setdefault(event.server, at_ms)
    elif kind == MaintenanceKind.VM_UPDATE_STARTED and event.vm is not None:
        rollout.vms[event.vm] = at_ms
    elif kind in VM_UPDATE_KINDS and event.vm is not None:
        rollout.vms.pop(event.vm, None)
    elif kind in (MaintenanceKind.UD_STARTED, MaintenanceKind.UD_COMPLETED) and event.update_domain is not None:
        domain = f"{event.group or ''}/{event.update_domain}"
        if kind == MaintenanceKind.UD_STARTED:
            rollout.domains[domain] = at_ms
        else:
            rollout.domains.pop(domain, None)


def fold_wave(waves: dict[str, WaveView], event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence) -> None:
    """Take an event of a wave into what is known of it; waves long silent make room for new ones."""
    wave = waves.get(name)
    if wave is None:
        for old in [known for known in waves.values() if known.state_ms < at_ms - WAVES_MEMORY_MS]:
            del waves[old.wave]
        if len(waves) >= WAVES_KEPT:
            del waves[min(waves.values(), key=lambda known: known.state_ms).wave]
        wave = waves[name] = WaveView(name, event.region or "", (), 0, event.event_id, evidence)
    kind = event.kind.removeprefix("WAVE_")
    wave.region = event.region or wave.region
    wave.vms = tuple(dict.fromkeys((*wave.vms, *(event.vms or ()))))
    for field in _WINDOW_FIELDS:
        setattr(wave, field, getattr(event, field) or getattr(wave, field))
    if kind == "ANNOUNCED":
        wave.announced_ms = min(wave.announced_ms or at_ms, at_ms)
    elif kind == "STARTED":
        wave.started_ms = min(wave.started_ms or at_ms, at_ms)
    else:
        wave.ended_ms = min(wave.ended_ms or at_ms, at_ms)
    if at_ms >= wave.state_ms:
        wave.state, wave.state_ms = kind, at_ms
