"""The numbers of blind, and what it remembers: where the lanes stood, and what the hosts lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import State as BaseState

PULSED_GAP_MS = 10_000


@dataclass(frozen=True, slots=True)
class Config:
    """The numbers of blind. A lane of a foreign topic may take its own longest gap more, above 10 s."""

    still_s: float = 30.0
    """Seconds that another lane of the partition goes on while this one stands. Source: CATALOGUE, blind."""
    behind_s: float = 60.0
    """Seconds behind the other lanes. Source: CATALOGUE, blind."""
    ahead_s: float = 60.0
    """Seconds ahead of all other lanes: explanations are accepted no later than that. Source: CATALOGUE, blind."""
    again_s: float = 30.0
    """Seconds behind at which a late lane has caught up: half of `behind_s`, so that it does not flap.
    Source: our judgement."""
    settle_s: float = 10.0
    """Seconds for which a lane must be far behind or ahead: the first lane read after an outage is so for a second.
    Source: our judgement; the gap that a lane may have (DESIGN)."""
    tell_again_s: float = 60.0
    """Seconds by which lateness must change to be told again. Source: our judgement."""
    critical_s: float = 300.0
    """Seconds behind from which a host-agent or guest-agent lane, which hides every reporter of its clusters, is
    critical: a restarted intake is back long before. Source: our judgement."""
    long_gap_s: float = 60.0
    """Seconds from which a gap is a warning: beyond the 60 s by which brokers' clocks may differ. Source: DESIGN."""
    lost_after_s: float = 60.0
    """Seconds in which a host may send a report again before it counts as lost. Source: DESIGN, Time."""
    lost_quiet_s: float = 600.0
    """Seconds without a further loss after which a host's finding closes. Source: our judgement."""
    mass_share: float = 0.2
    """Share of a cluster's hosts with lost reports from which they are one finding. Source: CATALOGUE, blind."""
    mass_servers: int = 3
    """And so many hosts at least: in a cluster of five, one is no mass. Source: cluster_dark's least number."""


@dataclass(slots=True)
class Seen:
    """What was seen of a lane: where it stood, and where the foremost was when it came there."""

    watermark_ms: int
    foremost_ms: int
    run_ms: int


@dataclass(slots=True)
class Loss:
    """Reports lost of one host, in one finding or several."""

    told: int
    """Of the losses that the picture counts in this run, how many belong to findings closed before."""
    at_ms: int
    """Stamp of the report that showed the newest loss."""


@dataclass(slots=True)
class State(BaseState):
    """The lanes as seen last (of the partition); the stretch told last and the hosts' losses (of a cluster)."""

    seen: dict[str, Seen] = field(default_factory=dict)
    foremost_ms: int = -1
    """The foremost watermark."""
    run_ms: int = 0
    """How far the foremost went since Clocks were seen first; a leap (an outage, a stepped clock) counts as 10 s."""
    since: dict[str, int] = field(default_factory=dict)
    """Since when (by `run_ms`) a lane is far behind or ahead."""
    told_ms: int = 0
    """Start of the newest blind stretch of the cluster's host feed that was told."""
    checked_ms: int = 0
    """Start of the newest stretch without host reports for which a due time was named."""
    losses: dict[str, Loss] = field(default_factory=dict)

    def see(self, marks: dict[str, int], foremost_ms: int) -> None:
        """Take where the lanes stand now, and how far the foremost of them has come."""
        self.run_ms += min(PULSED_GAP_MS, max(0, foremost_ms - self.foremost_ms)) if self.foremost_ms >= 0 else 0
        self.foremost_ms = max(foremost_ms, self.foremost_ms)
        for key, watermark_ms in marks.items():
            seen = self.seen.get(key)
            if seen is None or seen.watermark_ms != watermark_ms:
                self.seen[key] = Seen(watermark_ms, foremost_ms, self.run_ms)

    def holds(self, place: str, settle_ms: int, *, holds: bool) -> bool:
        """Tell whether something has held for long enough to be believed."""
        if not holds:
            self.since.pop(place, None)
            return False
        since_ms = self.since.setdefault(place, self.run_ms)
        return self.run_ms - since_ms >= settle_ms
