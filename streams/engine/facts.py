"""What a cluster's engine tells the fleet engine beside its findings: the cluster in numbers, and wider events.

Pure. Both travel as a Batch of the topic `fleet`, so that the fleet's picture folds them as any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from detectors.frames import BatchFrame, ClocksFrame
from detectors.picture import Picture
from detectors.views import News
from schemas.fleet import ClusterFacts, ServiceCount
from schemas.source import GaState, MaintenanceKind, Network
from schemas.telemetry import Batch, rows_of

FACTS = "facts"
"""The feed of ClusterFacts in `fleet`."""
FACTS_EVERY_MS = 30_000
"""Facts are told at most so often: counting a cluster of 20,000 VMs costs milliseconds, and no detector of the fleet
judges by anything finer than minutes."""
OUT_STATES = ("HI", "OUT_FOR_REPAIR")

PASSED_ON = frozenset(
    {
        MaintenanceKind.ROLLOUT_STARTED,
        MaintenanceKind.ROLLOUT_PAUSED,
        MaintenanceKind.ROLLOUT_RESUMED,
        MaintenanceKind.ROLLOUT_ABORTED,
        MaintenanceKind.ROLLOUT_COMPLETED,
        MaintenanceKind.UD_STARTED,
        MaintenanceKind.UD_COMPLETED,
        MaintenanceKind.IMAGE_COPY_COMPLETED,
        MaintenanceKind.WAVE_ANNOUNCED,
        MaintenanceKind.WAVE_STARTED,
        MaintenanceKind.WAVE_ABORTED,
        MaintenanceKind.WAVE_COMPLETED,
        MaintenanceKind.MANAGEMENT_DISABLED,
        MaintenanceKind.MANAGEMENT_RESTORED,
    }
)
"""Events of rollouts, passes and waves; those of single servers and VMs stay in their cluster, counted in its facts."""


@dataclass(slots=True)
class FactsState:
    """What was told last; saved and restored whole, so that a restart tells nothing twice."""

    told: ClusterFacts | None = None
    told_ms: int = 0
    changed: bool = False
    """Whether anything that is counted has changed since."""

    def note(self, news: News) -> None:
        """Note what a batch brought."""
        self.changed = self.changed or bool(
            news.starts
            or news.contacts
            or news.ended
            or news.ga_changes
            or news.network_changes
            or news.changes
            or news.maintenance
            or news.inventory
            or news.versions
        )

    def due(self, frame: ClocksFrame, picture: Picture) -> Batch | None:
        """Return the facts as a Batch of `fleet`, where they differ from what was told, at most every 30 s."""
        if not self.changed or frame.at_ms < self.told_ms + FACTS_EVERY_MS:
            return None
        self.changed, self.told_ms = False, frame.at_ms
        facts = facts_of(picture)
        if facts == self.told:
            return None
        self.told = facts
        place = (picture.cluster, FACTS, "telemetry", "telemetry", frame.partition, (frame.offset,), (frame.at_ms,))
        return Batch(*place, (facts,))


def passed_on(frame: BatchFrame, news: News) -> Batch | None:
    """Return the events of a batch that concern more than this cluster, as a Batch of `fleet`; doubles are gone."""
    kept = [index for index, event in news.maintenance if event.kind in PASSED_ON]
    return rows_of(frame.batch, kept) if kept else None


def facts_of(picture: Picture) -> ClusterFacts:
    """Return the cluster in numbers."""
    if not picture.state.inventory_complete:
        return ClusterFacts(picture.cluster)
    sets: Counter[tuple[tuple[str, str], ...]] = Counter()
    agents: Counter[str] = Counter()
    guests = set()
    servers = out = 0
    region = datacenter = ""
    for server in picture.servers.values():
        if not server.counted or server.inventory is None:
            continue
        servers += 1
        out += server.fc_state in OUT_STATES
        region, datacenter = server.inventory.region, server.inventory.datacenter
        sets[tuple(server.versions.items())] += 1
        if server.guest_agents:
            guests.add(server.server)
    vms = ready = unreachable = 0
    services: dict[str, list[int]] = {}
    for vm in picture.vms.values():
        if not vm.known or vm.server not in guests:
            continue
        vms += 1
        is_ready = vm.ga == GaState.READY and vm.network != Network.DOWN
        ready += is_ready
        unreachable += vm.network == Network.DOWN
        if vm.ga_version:
            agents[vm.ga_version] += 1
        if vm.service:
            counted = services.setdefault(vm.service, [0, 0])
            counted[0] += 1
            counted[1] += is_ready
    return ClusterFacts(
        picture.cluster,
        region,
        datacenter,
        servers,
        out,
        vms,
        ready,
        unreachable,
        picture.state.management_disabled_ms is not None,
        _versions(sets, agents),
        tuple(ServiceCount(name, all_of, up) for name, (all_of, up) in sorted(services.items())),
    )


def _versions(sets: Counter[tuple[tuple[str, str], ...]], agents: Counter[str]) -> dict[str, int]:
    """Return how many have each `component=version`; written out once for each set of them, not for each server."""
    versions = Counter({f"ga={version}": count for version, count in agents.items()})
    for versions_of_server, count in sets.items():
        for component, version in versions_of_server:
            versions[f"{component}={version}"] += count
    return dict(sorted(versions.items()))
