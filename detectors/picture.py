"""The picture of one cluster: who is where, which version, last heard, which incarnation, what maintenance goes on.

Folded from frames once (`detectors.folding`), for all detectors; what is remembered stands in `detectors.views`. What a
detector needs of the present frame stands in `news`, made anew by each fold.
"""

from __future__ import annotations

from dataclasses import replace

from detectors.fleet_view import FleetState
from detectors.folding import Folding
from detectors.frames import BatchFrame
from detectors.lanes import FAR_MS, Interval, Lanes
from detectors.views import (
    CONTACT_GA,
    LATE_INTERVALS,
    SERVERS_MOST,
    SPOKEN_BUCKET_MS,
    SPOKEN_KEPT_MS,
    VMS_MOST,
    ClusterState,
    News,
    Quiet,
    ServerView,
    Start,
    VmView,
    signature_of,
)
from schemas.inventory import Region, Removed, Service
from schemas.source import HOST_AGENT


class Picture(Folding):
    """The picture of one cluster, and the partition's lanes beside it: what detectors ask."""

    def __init__(self, cluster: str, lanes: Lanes, state: ClusterState | None = None) -> None:
        super().__init__(state or ClusterState(cluster))
        self.cluster = cluster
        self.lanes = lanes

    @property
    def fleet(self) -> FleetState:
        """Return what is known of all clusters; only the fleet engine knows anything there."""
        return self.state.fleet

    @property
    def servers(self) -> dict[str, ServerView]:
        """Return the servers by name, those unknown to the inventory among them."""
        return self.state.servers

    @property
    def vms(self) -> dict[str, VmView]:
        """Return the VMs by name."""
        return self.state.vms

    def counted_servers(self) -> int:
        """Return how many servers fractions are of; 0 before the first complete import."""
        if not self.state.inventory_complete:
            return 0
        return sum(1 for server in self.state.servers.values() if server.counted)

    def guest_agents(self) -> bool:
        """Tell whether VMs of this cluster run guest agents (storage clusters run none)."""
        return all(server.guest_agents for server in self.state.servers.values())

    def waited_ms(
        self, feeds: tuple[str, ...], since_ms: int, until_ms: int, excluded: tuple[Interval, ...] = ()
    ) -> int:
        """Return how much of an absence in this cluster was observed (see `Lanes.waited_ms`)."""
        blind = self.blind_at(until_ms)
        return self.lanes.waited_ms(feeds, blind, since_ms, until_ms, excluded, self.state.sources)

    def limit_passed_ms(
        self,
        feeds: tuple[str, ...],
        since_ms: int,
        limit_ms: int,
        excluded: tuple[Interval, ...] = (),
        *,
        known_ms: int | None = None,
    ) -> int:
        """Return when an absence in this cluster reached its limit (see `Lanes.limit_passed_ms`).

        `known_ms`: by the blind stretches that had been told by then, whatever a lane ahead of others told since; as a
        rule the due time at which it is asked. None: up to where the host lanes have been read.
        """
        blind = self.blind_at(self.passed_ms((HOST_AGENT,)) if known_ms is None else known_ms)
        return self.lanes.limit_passed_ms(feeds, blind, since_ms, limit_ms, excluded, self.state.sources)

    def blind_at(self, at_ms: int) -> dict[str, list[Interval]]:
        """Return the blind stretches of the cluster's feeds that had been told by `at_ms`."""
        told = [(quiet.from_ms, quiet.until_ms) for quiet in self.quiets(at_ms) if quiet.told_ms is not None]
        return {HOST_AGENT: told} if told else {}

    def passed_ms(self, feeds: tuple[str, ...]) -> int:
        """Return up to when all lanes of these feeds have been read for this cluster."""
        return self.lanes.passed_ms(feeds, self.state.sources)

    def guests_spoke(self, after_ms: int, until_ms: int) -> bool:
        """Tell whether a guest event of the cluster lies between two times, to ten seconds (see `guests_told_ms`)."""
        return self.guests_told_ms(after_ms, until_ms) is not None

    def guests_told_ms(self, after_ms: int, until_ms: int) -> int | None:
        """Return by when a guest event stamped after `after_ms` had come, None if none had by `until_ms`.

        Only ten seconds that lie between the two with both their ends count, and the answer is such an end: all that
        is stamped within is known once the lane has passed it, however lanes interleave. Two hours are remembered.
        """
        first = after_ms // SPOKEN_BUCKET_MS + 1
        end = min(until_ms // SPOKEN_BUCKET_MS, self.state.guest_ms // SPOKEN_BUCKET_MS + 1)
        spoke = self.state.guest_spoke
        # The shorter way: the seconds in question, or all that are remembered.
        asked = range(first, end) if end - first < len(spoke) else sorted(spoke)
        bucket = next((known for known in asked if first <= known < end and known in spoke), None)
        return None if bucket is None else (bucket + 1) * SPOKEN_BUCKET_MS

    def quiets(self, at_ms: int) -> list[Quiet]:
        """Return the stretches without any host report as they stood at `at_ms`, in order; told: by then. Of 2 h.

        To be asked when the host lanes have passed `at_ms`; what guests told is whole when theirs has too.
        """
        state = self.state
        stretches = list(state.quiets)
        if state.host_report_ms:
            longest_s, source = state.longest_interval_s, self._last_report_source()
            stretches.append(Quiet(state.host_report_ms, FAR_MS, longest_s, source=source))
        return [
            replace(quiet, told_ms=self._told_ms(quiet, at_ms))
            for quiet in stretches
            if min(quiet.until_ms, at_ms) - quiet.from_ms > quiet.least_ms and quiet.until_ms > at_ms - SPOKEN_KEPT_MS
        ]

    def _told_ms(self, quiet: Quiet, at_ms: int) -> int | None:
        """Return by when guests had told that a stretch is blind, if by `at_ms` and by its end.

        They must have spoken, and it must have lasted, in time that was observed in the host lanes: in a gap of these
        no host could write, and words of guests say nothing.
        """
        if self.state.guest_ms <= quiet.from_ms:
            return None
        late_ms = round(LATE_INTERVALS * quiet.longest_s * 1000)
        sources = self.state.sources
        after_ms = self.lanes.limit_passed_ms((HOST_AGENT,), {}, quiet.from_ms, late_ms, sources=sources)
        told_ms = self.guests_told_ms(after_ms, min(at_ms, quiet.until_ms))
        if told_ms is None:
            return None
        least_ms = self.lanes.limit_passed_ms((HOST_AGENT,), {}, quiet.from_ms, quiet.least_ms, sources=sources)
        told_ms = max(told_ms, least_ms + 1)
        return told_ms if told_ms <= min(at_ms, quiet.until_ms) else None


class FleetPicture(Picture):
    """The picture of the fleet engine: events concern the cluster that they name, not this one."""

    def fold(self, frame: BatchFrame) -> News:
        """Take a batch of `fleet` into the picture; return what is new in it."""
        self.news = News(maintenance=self.fleet.fold(frame))
        for row in frame.batch.rows:
            if isinstance(row, (Service, Region, Removed)):
                self._inventory(row)
        return self.news


__all__ = [
    "CONTACT_GA",
    "SERVERS_MOST",
    "SPOKEN_BUCKET_MS",
    "VMS_MOST",
    "ClusterState",
    "FleetPicture",
    "News",
    "Picture",
    "Quiet",
    "ServerView",
    "Start",
    "VmView",
    "signature_of",
]
