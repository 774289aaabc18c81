"""How many servers one change reaches within a window."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import EVIDENCE_KEPT
from detectors.picture import Picture
from schemas.outputs import Evidence


@dataclass(slots=True)
class Reached:
    """One server that a change has reached."""

    at_ms: int
    source: str
    """The record that told of it, in its source's own terms."""
    evidence: Evidence


@dataclass(slots=True)
class Spread:
    """The servers that one change has reached of late; at most those of the cluster."""

    servers: dict[str, Reached] = field(default_factory=dict)

    def take(self, server: str, reached: Reached) -> None:
        """Take a server; of two stamps the greater counts."""
        known = self.servers.get(server)
        if known is None or known.at_ms < reached.at_ms:
            self.servers[server] = reached

    def forget(self, before_ms: int) -> None:
        """Forget the servers reached before a time."""
        if any(reached.at_ms < before_ms for reached in self.servers.values()):
            self.servers = {name: reached for name, reached in self.servers.items() if reached.at_ms >= before_ms}

    def ordered(self, until_ms: int | None = None) -> list[Reached]:
        """Return what was reached (up to a time), the first reached first."""
        known = [(r.at_ms, name, r) for name, r in self.servers.items() if until_ms is None or r.at_ms <= until_ms]
        return [reached for _, _, reached in sorted(known, key=lambda one: one[:2])]

    def newest_ms(self) -> int:
        """Return the greatest stamp; 0 where nothing was reached."""
        return max((reached.at_ms for reached in self.servers.values()), default=0)


def exceeding(ordered: list[Reached], most: int, window_ms: int) -> Reached | None:
    """Return the first server that makes them more than `most` within `window_ms`, both ends included; None: none."""
    for place in range(most, len(ordered)):
        if ordered[place].at_ms - ordered[place - most].at_ms <= window_ms:
            return ordered[place]
    return None


def per_minute(ordered: list[Reached], servers: int, window_ms: int) -> float:
    """Return the share of a cluster's `servers` reached per minute in the newest window, over at least one minute."""
    if not ordered or not servers:
        return 0.0
    recent = [reached for reached in ordered if reached.at_ms >= ordered[-1].at_ms - window_ms]
    minutes = max(1.0, (recent[-1].at_ms - recent[0].at_ms) / 60_000)
    return round(len(recent) / servers / minutes, 4)


def sample(ordered: list[Reached]) -> tuple[Evidence, ...]:
    """Return the records to cite: the first and the newest."""
    half = EVIDENCE_KEPT // 2
    shown = ordered if len(ordered) <= EVIDENCE_KEPT else [*ordered[:half], *ordered[-half:]]
    return tuple({(one.offset, one.source_offset): one for one in (x.evidence for x in shown)}.values())


def largest_domain(picture: Picture) -> int:
    """Return how many servers the cluster's largest update domain has by the inventory."""
    sizes: dict[int, int] = {}
    for server in picture.servers.values():
        if server.counted and server.inventory is not None:
            domain = server.inventory.update_domain
            sizes[domain] = sizes.get(domain, 0) + 1
    return max(sizes.values(), default=0)
