"""What was changed on some servers of late: versions, rollouts, updates of components."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from detectors.failfast.words import counted, minutes
from detectors.picture import Picture, ServerView
from detectors.upkeep import RolloutView

LINES_MOST = 6
"""What one sentence names of each kind before it counts the rest."""
ENDED = ("ABORTED", "COMPLETED")


@dataclass(frozen=True, slots=True)
class Recent:
    """What was changed, the most widespread first."""

    versions: tuple[str, ...]
    """`netplugin 1.6 -> 1.7 on 998`."""
    rollouts: tuple[str, ...]
    upkeep: tuple[str, ...]
    under_way: bool
    """A rollout among them has not ended."""

    def sentence(self, window_s: float) -> str:
        """Return it as a sentence; it says so where nothing is known."""
        told = [*self.versions, *self.rollouts, *self.upkeep]
        if not told:
            return f"Nothing is known to have been changed on them in the {minutes(window_s)} before."
        return f"Changed on them in the {minutes(window_s)} before, or since: {'; '.join(told)}."

    def facts(self) -> dict[str, str]:
        """Return it as facts of a finding, those that hold something."""
        told = {"changes": self.versions, "rollouts": self.rollouts, "updates": self.upkeep}
        return {name: "; ".join(lines) for name, lines in told.items() if lines}


def recent(picture: Picture, names: Collection[str], since_ms: int) -> Recent:
    """Return what was changed on these servers since `since_ms`, so far as reports and events have told."""
    versions: dict[str, int] = {}
    upkeep: dict[str, int] = {}
    for name in names:
        server = picture.servers.get(name)
        if server is None:
            continue
        for what in _changed(server, since_ms):
            versions[what] = versions.get(what, 0) + 1
        for what in _kept(server, since_ms):
            upkeep[what] = upkeep.get(what, 0) + 1
    rollouts: dict[str, int] = {}
    under_way = False
    for rollout in picture.state.rollouts.values():
        reached = sum(1 for name in names if rollout.servers.get(name, -1) >= since_ms)
        if reached:
            rollouts[_named(rollout)] = reached
            under_way = under_way or rollout.state not in ENDED
    return Recent(_lines(versions), _lines(rollouts), _lines(upkeep), under_way)


def _changed(server: ServerView, since_ms: int) -> list[str]:
    """Return what changed, each once; a change and its taking back are two."""
    told = (
        f"{change.component} {change.from_version} -> {change.to_version}"
        for change in server.changes
        if change.at_ms >= since_ms
    )
    return list(dict.fromkeys(told))


def _kept(server: ServerView, since_ms: int) -> list[str]:
    """Return the updates and reboots that were under way since then; those of rollouts stand with these."""
    told = []
    for upkeep in server.upkeep:
        if upkeep.rollout or (upkeep.until_ms is not None and upkeep.until_ms < since_ms):
            continue
        by = f" by {upkeep.system}" if upkeep.system else ""
        impact = f", announced impact {upkeep.impact}" if upkeep.impact else ""
        what = {"component": "update of a component", "update": "update of the server"}.get(upkeep.what, upkeep.what)
        told.append(f"{what}{by}{impact}{' under way' if upkeep.until_ms is None else ''}")
    return list(dict.fromkeys(told))


def _named(rollout: RolloutView) -> str:
    """Return a rollout as people call it."""
    what = f"{rollout.component} {rollout.from_version or '?'} -> {rollout.to_version or '?'}"
    about = ", ".join(part for part in (what if rollout.component else "", rollout.mode) if part)
    return f"rollout {rollout.rollout} ({about}, {rollout.state.lower()})" if about else f"rollout {rollout.rollout}"


def _lines(counts: dict[str, int]) -> tuple[str, ...]:
    """Return the most widespread first, with the number of servers of each."""
    ranked = sorted(counts.items(), key=lambda known: (-known[1], known[0]))
    lines = [f"{what} on {counted(number, 'server')}" for what, number in ranked[:LINES_MOST]]
    rest = len(ranked) - LINES_MOST
    return (*lines, f"{rest} more") if rest > 0 else tuple(lines)
