"""Update domains under way at once: of a group's VMs, or of the servers of one rollout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.outputs import Evidence

UNITS_MOST = 20_000
"""Units kept of one scope: a rollout's servers are at most those of a cluster (`SERVERS_MOST`)."""


@dataclass(slots=True)
class Unit:
    """One VM, server or whole update domain that is being updated."""

    name: str
    """`vm NAME`, `server NAME` or `domain NUMBER`."""
    domain: int
    rollout: str
    from_ms: int
    event_id: str
    evidence: Evidence
    until_ms: int | None = None


@dataclass(slots=True)
class Scope:
    """What must be updated one update domain after the other: a group, or the servers of a rollout."""

    units: dict[str, Unit] = field(default_factory=dict)
    """By name and rollout; those that ended are kept until all lanes have passed their end."""
    completed: dict[str, int] = field(default_factory=dict)
    """`rollout/update domain` to the stamp of its newest UD_COMPLETED: what began before has ended by then."""

    def begin(self, unit: Unit) -> None:
        """Take the start of an update; the least stamp of one under way counts."""
        key = f"{unit.rollout}/{unit.name}"
        known = self.units.get(key)
        if known is not None and known.until_ms is None:
            known.from_ms = min(known.from_ms, unit.from_ms)
            return
        done_ms = self.completed.get(f"{unit.rollout}/{unit.domain}", -1)
        if done_ms >= unit.from_ms and unit.name.startswith(("vm ", "server ")):
            unit.until_ms = done_ms
        if len(self.units) < UNITS_MOST:
            self.units[key] = unit

    def end(self, name: str, rollout: str, at_ms: int) -> None:
        """Take the end of an update."""
        unit = self.units.get(f"{rollout}/{name}")
        if unit is not None and unit.from_ms <= at_ms and (unit.until_ms is None or at_ms < unit.until_ms):
            unit.until_ms = at_ms

    def complete(self, domain: int, rollout: str, at_ms: int) -> None:
        """Take the end of an update domain: all in it that began before has ended."""
        name = f"{rollout}/{domain}"
        self.completed[name] = max(at_ms, self.completed.get(name, 0))
        for unit in self.units.values():
            if unit.domain == domain and unit.rollout == rollout:
                self._end(unit, at_ms)

    def stop(self, rollout: str, at_ms: int) -> bool:
        """Take the end of a rollout; tell whether anything of it was under way."""
        ended = [unit for unit in self.units.values() if unit.rollout == rollout and unit.until_ms is None]
        for unit in ended:
            self._end(unit, at_ms)
        return bool(ended)

    @staticmethod
    def _end(unit: Unit, at_ms: int) -> None:
        if unit.from_ms <= at_ms and (unit.until_ms is None or at_ms < unit.until_ms):
            unit.until_ms = at_ms

    def forget(self, passed_ms: int, longest_ms: int) -> None:
        """Forget what ended before all lanes had passed it, and what nobody ended for longer than an update lasts."""
        over = [
            key
            for key, unit in self.units.items()
            if (unit.from_ms + longest_ms if unit.until_ms is None else unit.until_ms) < passed_ms
        ]
        for key in over:
            del self.units[key]
        if not self.units:
            self.completed.clear()

    def several(self) -> bool:
        """Tell whether what is kept is of more than one update domain."""
        domains = (unit.domain for unit in self.units.values())
        first = next(domains, None)
        return any(domain != first for domain in domains)

    def active(self, at_ms: int, longest_ms: int) -> list[Unit]:
        """Return what is under way at a time, the first begun first; nothing is for longer than `longest_ms`."""
        known = [
            unit
            for unit in self.units.values()
            if unit.from_ms <= at_ms
            and (unit.until_ms is None or at_ms < unit.until_ms)
            and at_ms <= unit.from_ms + longest_ms
        ]
        return sorted(known, key=lambda unit: (unit.from_ms, unit.name, unit.rollout))

    def next_ms(self, after_ms: int, longest_ms: int) -> int | None:
        """Return the next time at which something begins, ends or has lasted too long; None: nothing will."""
        times = (
            moment_ms
            for unit in self.units.values()
            for moment_ms in (
                unit.from_ms,
                unit.from_ms + longest_ms + 1 if unit.until_ms is None else unit.until_ms,
            )
            if moment_ms > after_ms
        )
        return min(times, default=None)


def together(active: Iterable[Unit]) -> tuple[int, Unit] | None:
    """Return since when more than one update domain is under way, and the unit that made it so; None: one at most.

    `active` is in order of its starts.
    """
    first: int | None = None
    for unit in active:
        if first is None:
            first = unit.domain
        elif unit.domain != first:
            return unit.from_ms, unit
    return None
