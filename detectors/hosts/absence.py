"""What host_silence remembers: of each server its last report and its absences, and what cluster_dark said."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import State as BaseState
from detectors.lanes import overlap_ms
from detectors.picture import Picture, ServerView
from detectors.upkeep import Upkeep
from schemas.outputs import Evidence
from schemas.source import MAINTENANCE
from schemas.telemetry import HostRow

Place = tuple[int, int, str, str, int]
"""(partition, offset, topic, topic_id, lane) of a batch."""


@dataclass(slots=True)
class Absence:
    """A stretch in which a server was not heard."""

    since_ms: int
    """Stamp of its last report."""
    base_ms: int
    """Since when waiting counts: as `since_ms`, or later (entered into service then; its cluster came back then)."""
    limit_ms: int
    """How much observed time it may last."""
    interval_s: int
    source: str
    """The last report, in its source's own terms."""
    evidence: Evidence
    until_ms: int | None = None
    """Stamp of the next report; None while it goes on."""
    explained: str = ""
    """What explains it: a planned reboot, an update; empty: nothing."""
    overdue: bool = False
    """The limit has been passed, at `moment_ms`; judged from `judge_ms` on."""
    moment_ms: int = 0
    judge_ms: int = 0
    dark_ms: int = 0
    """Folded under cluster_dark: since when the cluster was quiet. 0: not."""
    told: bool = False
    """Its finding is out."""


@dataclass(slots=True)
class Watch:
    """A server's last report, and its absences."""

    at_ms: int
    interval_s: int
    limit_ms: int
    boot_id: str
    run: str
    seq: int
    place: Place
    source_offset: int
    from_ms: int = 0
    """Stamp of the inventory's record that put it into service, if it was silent then."""
    absences: list[Absence] = field(default_factory=list)
    """Those not judged yet, and the present one once it is overdue; in order."""

    def take(self, at_ms: int, row: HostRow, place: Place, source_offset: int) -> None:
        """Remember its newest report."""
        self.at_ms = at_ms
        self.boot_id, self.run, self.seq = row.boot_id, row.run, row.seq
        self.place, self.source_offset = place, source_offset

    @property
    def base_ms(self) -> int:
        """Return since when the present waiting counts."""
        return max(self.at_ms, self.from_ms)

    @property
    def present(self) -> Absence | None:
        """Return the absence that goes on, if it is known as one."""
        return self.absences[-1] if self.absences and self.absences[-1].until_ms is None else None

    def absence(self, server: str) -> Absence:
        """Return the absence that began with its last report."""
        partition, offset, topic, topic_id, lane = self.place
        return Absence(
            since_ms=self.at_ms,
            base_ms=self.base_ms,
            limit_ms=self.limit_ms,
            interval_s=self.interval_s,
            source=f"{server}/{self.boot_id}/{self.run}/{self.seq}",
            evidence=Evidence(
                partition, offset, topic, topic_id, lane, self.source_offset, self.at_ms, "its last report"
            ),
        )


@dataclass(slots=True)
class Dark:
    """What cluster_dark said: servers last heard from `from_ms` to `since_ms` went dark together."""

    id: str
    from_ms: int
    since_ms: int
    judged_ms: int


@dataclass(slots=True)
class State(BaseState):
    """Every server's watch; who is overdue; who was never heard."""

    watches: dict[str, Watch] = field(default_factory=dict)
    """By server, heard at least once; those of the picture, no more."""
    overdue: dict[str, tuple[int, int]] = field(default_factory=dict)
    """`server/since` to (limit passed, heard again or FAR_MS)."""
    expected: dict[str, int] = field(default_factory=dict)
    """Servers of the inventory never heard, with the stamp at which it named them first."""
    counted: int = 0
    gate_ms: int = -1
    """Nothing is asked before this: guests could still tell that the host feed is blind, and their lane lags."""
    darks: list[Dark] = field(default_factory=list)

    def overdue_at(self, at_ms: int) -> int:
        """Return how many servers were past their limit at this time, and not heard again."""
        return sum(1 for passed_ms, until_ms in self.overdue.values() if passed_ms <= at_ms < until_ms)

    def folded_under(self, absence: Absence) -> Dark | None:
        """Return the newest darkness of the cluster that an absence began in, None where there is none."""
        for dark in reversed(self.darks):
            if dark.from_ms <= absence.since_ms <= dark.since_ms:
                return dark
        return None


def explaining(server: ServerView, absence: Absence, by_ms: int, known_ms: int, lasts_ms: int) -> Upkeep | None:
    """Return the reboot or update that explains an absence: announced by `by_ms`, and not over when it began.

    Seen as of `known_ms`. One whose end was never told explains what begins within `lasts_ms` of its start, no more.
    """
    for upkeep in reversed(server.upkeep):
        ended = upkeep.until_ms is not None and upkeep.until_ms <= known_ms
        until_ms = upkeep.until_ms if ended and upkeep.until_ms is not None else upkeep.from_ms + lasts_ms
        # Where only the end was seen, nothing tells that it had begun: it explains nothing.
        explains = upkeep.impact != "none" and upkeep.until_ms != upkeep.from_ms
        if explains and upkeep.from_ms <= by_ms and absence.since_ms < until_ms:
            return upkeep
    return None


def maintenance_unseen(picture: Picture, since_ms: int, until_ms: int) -> bool:
    """Tell whether a part of this time was not watched in the maintenance feed."""
    lanes = picture.lanes.of((MAINTENANCE,), picture.state.sources)
    return any(lane is None or overlap_ms(lane.gaps, since_ms, until_ms) > 0 for lane in lanes)
