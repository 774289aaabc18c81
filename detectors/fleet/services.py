"""In which order services should come back: what others need, first."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.inventory import Service


@dataclass(frozen=True, slots=True)
class Standing:
    """A service in an incident."""

    service: str
    instances: int
    ready: int
    priority: int
    needed_by: int
    """How many services need it, through others too."""
    needs_lost: str = ""
    """The service it needs that has instances out; empty where it is hit itself, or needs none."""

    @property
    def out(self) -> int:
        """Return how many of its instances are not ready."""
        return self.instances - self.ready

    def words(self) -> str:
        """Return it in words: how much of it is up, or what it needs."""
        if self.needs_lost and not self.out:
            return f"{self.service} (needs {self.needs_lost})"
        return f"{self.service} ({self.ready} of {self.instances} up)"


def recovery_order(services: dict[str, Service], counted: dict[str, tuple[int, int]]) -> list[Standing]:
    """Return the services that are hit, and those that need them, in the order in which they should come back.

    `counted`: service to (ready, instances). Those that others need come first (the more of them, the earlier), then by
    priority (1 before 2; 0, not set, last), then those with most instances out, then by name.
    """
    needed_by = {name: sorted(_needing(name, services)) for name in {*services, *counted}}
    hit = {name for name, (ready, instances) in counted.items() if ready < instances}
    affected = sorted(hit.union(*(needed_by[name] for name in hit)) if hit else hit)
    found = []
    for name in affected:
        ready, instances = counted.get(name, (0, 0))
        known = services.get(name)
        lost = next((lost for lost in sorted(hit) if name in needed_by[lost]), "")
        priority = known.priority if known is not None else 0
        found.append(Standing(name, instances, ready, priority, len(needed_by[name]), "" if name in hit else lost))
    return sorted(
        found, key=lambda one: (-one.needed_by, one.priority or float("inf"), one.ready - one.instances, one.service)
    )


def _needing(name: str, services: dict[str, Service]) -> set[str]:
    """Return the services that need one, through others too; a circle of needs ends where it began."""
    found: set[str] = set()
    asked = [name]
    while asked:
        wanted = asked.pop()
        for known in services.values():
            if wanted in known.depends_on and known.service not in found and known.service != name:
                found.add(known.service)
                asked.append(known.service)
    return found
