"""Which servers of a cluster are out, from when and until when: in Human Investigate, or under repair.

Kept as intervals of source time, because an absence is judged late: what `server_hi` says now may have begun before a
server came back that is back already. Whether too many were out at once is asked of the intervals, so that the answer
does not hang on how lanes interleave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from detectors.frames import BatchFrame
from detectors.lanes import FAR_MS, Interval, merge_intervals
from detectors.picture import Picture
from schemas.inventory import InventoryState, Server
from schemas.outputs import Evidence, Finding, FindingState
from schemas.source import MaintenanceEvent, MaintenanceKind

ENDED_KEPT = 4_096
"""Ended intervals kept of one cluster, the oldest go first: four times what a cluster has of servers."""
ENDED_MEMORY_MS = 24 * 3_600_000
"""Ended intervals are kept for a day: the longest that the log is read anew for a detector (DESIGN, State)."""
OUT_FOR_REPAIR = "OUT_FOR_REPAIR"
"""What the FC calls a server that was taken away (SERVER_STATE)."""


@dataclass(slots=True)
class Outage:
    """One server out: from `from_ms` on, before `until_ms`."""

    server: str
    source: str
    """What says so, in its source's terms: the id of a `server_hi` finding, an event_id."""
    from_ms: int
    until_ms: int = FAR_MS
    repair: bool = False
    evidence: Evidence | None = None


@dataclass(slots=True)
class Outages:
    """The servers of one cluster that are out, and those that were."""

    current: dict[str, Outage] = field(default_factory=dict)
    """By the id of the `server_hi` finding; a repair by `fc/SERVER` or `inventory/SERVER`."""
    ended: list[Outage] = field(default_factory=list)
    """In the order in which their end became known."""
    released: dict[str, str] = field(default_factory=dict)
    """What a person took out of the count, while it lasts: its key, and the server."""

    def take_finding(self, finding: Finding) -> Interval | None:
        """Take a finding of `server_hi`; return the interval that it added or made longer, None where it did not."""
        key, server = finding.id, finding.subject.server or ""
        if finding.state == FindingState.CLOSED:
            ended_ms = finding.numbers.get("ended_ms")
            if ended_ms is None:
                # Released, or the server is gone: it counts no longer, not even for the past.
                self.current.pop(key, None)
                self.released.pop(key, None)
            else:
                self._end(key, int(ended_ms))
            return None
        evidence = finding.evidence[0] if finding.evidence else None
        return self._begin(key, Outage(server, key, finding.opened_ms, evidence=evidence))

    def take_batch(self, frame: BatchFrame, picture: Picture) -> list[Interval]:
        """Take repairs that a batch tells, by the FC or the inventory; return the intervals that they added."""
        added: list[Interval] = []
        for index, event in picture.news.maintenance:
            if event.kind == MaintenanceKind.SERVER_STATE and event.server is not None:
                added += self._fc_said(frame, index, event, event.server, picture)
        if picture.news.inventory:
            for index, row in enumerate(frame.batch.rows):
                if isinstance(row, Server):
                    added += self._inventory_said(frame, index, row)
        for server in picture.news.removed_servers:
            for key in [key for key, outage in self.current.items() if outage.server == server]:
                del self.current[key]
            for key in (f"fc/{server}", f"inventory/{server}"):
                self.released.pop(key, None)
            self.ended = [outage for outage in self.ended if outage.server != server]
        return added

    def release(self) -> None:
        """Take all that is out, or was, out of the count: only what is new counts from here on."""
        self.released.update({key: outage.server for key, outage in self.current.items()})
        self.current = {}
        self.ended = []

    def servers(self, picture: Picture) -> dict[str, Outage]:
        """Return the servers that are out now and in the inventory, earliest first, each with its longest outage."""
        found: dict[str, Outage] = {}
        for outage in sorted(self.current.values(), key=lambda known: (known.from_ms, known.server)):
            if _counts(picture, outage.server):
                found.setdefault(outage.server, outage)
        return found

    def begun_last(self, picture: Picture, at_ms: int) -> Outage:
        """Return what began last of all that was out at `at_ms`: that by which a count was reached."""
        out = [
            outage
            for outage in (*self.ended, *self.current.values())
            if outage.from_ms <= at_ms < outage.until_ms and _counts(picture, outage.server)
        ]
        return max(out, key=lambda outage: (outage.from_ms, outage.server, outage.source))

    def crossing_ms(self, picture: Picture, least: int, window: Interval | None) -> int | None:
        """Return the first moment in `window` at which at least so many servers were out at once, None where never.

        Without a window only those that are out now are asked: what is over was judged by the numbers of its time.
        """
        outages: Iterable[Outage] = self.current.values()
        if window is not None:
            outages = [*self.ended, *outages]
        by_server: dict[str, list[Interval]] = {}
        for outage in outages:
            by_server.setdefault(outage.server, []).append((outage.from_ms, outage.until_ms))
        if len(by_server) < least:
            return None
        turns: list[tuple[int, int]] = []
        for server, intervals in by_server.items():
            if not _counts(picture, server):
                continue
            for start, end in merge_intervals(intervals):
                turns += [(start, 1), (end, -1)]
        return _first_at(sorted(turns), least, window or (0, FAR_MS))

    def _begin(self, key: str, outage: Outage) -> Interval | None:
        if key in self.released:
            return None
        known = self.current.get(key)
        if known is None:
            self.current[key] = outage
        elif outage.from_ms < known.from_ms:
            known.from_ms = outage.from_ms
        else:
            return None
        return (outage.from_ms, FAR_MS)

    def _end(self, key: str, at_ms: int) -> None:
        self.released.pop(key, None)
        outage = self.current.pop(key, None)
        if outage is None:
            return
        outage.until_ms = max(at_ms, outage.from_ms)
        self._remember(outage)

    def _remember(self, outage: Outage) -> None:
        self.ended.append(outage)
        while len(self.ended) > ENDED_KEPT or self.ended[0].until_ms < outage.until_ms - ENDED_MEMORY_MS:
            del self.ended[0]

    def _fc_said(
        self, frame: BatchFrame, index: int, event: MaintenanceEvent, server: str, picture: Picture
    ) -> list[Interval]:
        key, at_ms = f"fc/{server}", frame.batch.at_ms[index]
        if event.state != OUT_FOR_REPAIR:
            known = self.current.get(key)
            if known is None:
                self.released.pop(key, None)
            elif at_ms >= known.from_ms:
                self._end(key, at_ms)
            return []
        view = picture.servers.get(server)
        outage = Outage(server, event.event_id, at_ms, repair=True, evidence=frame.evidence(index))
        if view is not None and view.fc_state_ms > at_ms and view.fc_state != OUT_FOR_REPAIR:
            # A later word of the FC is known already.
            outage.until_ms = view.fc_state_ms
            self._remember(outage)
            return [(at_ms, view.fc_state_ms)]
        added = self._begin(key, outage)
        return [] if added is None else [added]

    def _inventory_said(self, frame: BatchFrame, index: int, row: Server) -> list[Interval]:
        key, at_ms = f"inventory/{row.server}", frame.batch.at_ms[index]
        if row.state == InventoryState.OUT_FOR_REPAIR:
            source = f"{key}/{at_ms}"
            outage = Outage(row.server, source, at_ms, repair=True, evidence=frame.evidence(index))
            added = self._begin(key, outage)
            return [] if added is None else [added]
        self._end(key, at_ms)
        return []


def _counts(picture: Picture, server: str) -> bool:
    view = picture.servers.get(server)
    return view is not None and view.counted


def _first_at(turns: list[tuple[int, int]], least: int, window: Interval) -> int | None:
    """Return the first moment in `window` at which the sum of the turns is at least `least`."""
    count = 0
    reached_ms: int | None = None
    for at_ms, change in turns:
        if reached_ms is not None and at_ms > window[0]:
            return max(reached_ms, window[0])
        if at_ms >= window[1]:
            return None
        count += change
        # Ends sort before beginnings of the same moment, so that one that takes over from another is no second one.
        if count < least:
            reached_ms = None
        elif reached_ms is None:
            reached_ms = at_ms
    return None
