"""The ledger of a simulation: every fact that truth may refer to, as it was injected."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

FACTS = {
    "start": "a VM starts (every incarnation)",
    "affected_start": "a VM starts and a fault keeps its guest agent from making contact",
    "start_failed": "a START_FAILED reaches its broker",
    "timeout": "a host agent gives up on a start after 25 minutes",
    "hi": "the fabric controller moves a server to HI",
    "brake": "the fabric controller stops updates and healing of the cluster",
    "healed": "a VM is healed to another server",
    "healed_failed": "a healed VM fails on its new server: its first START_FAILED or time-out there",
    "reboot_planned": "a planned reboot starts",
    "reboot_unplanned": "an unplanned reboot starts",
    "rollout_started": "a rollout begins in a cluster, announced or not",
    "changed": "a server gets the new versions of a rollout",
    "blasted": "a running VM loses its network because versions on its server change",
    "restored": "such a VM has its network again",
    "repaired": "a server that was given up is put right",
    "stopping": "OnStop of a VM begins, at STOPPING",
    "startup": "the start-up tasks of a VM begin, at first contact",
    "recycled": "a role instance is recycled because its start-up failed",
    "waiting": "a VM begins to wait for its host, and a fault keeps it so",
    "down": "a VM is no longer available (once for each time in which it is not)",
    "up": "a VM is available again",
    "fault": "a fault begins (once for each server, VM or cluster that it hits)",
}
"""Kinds of fact, which are also the moments and the counts of a truth."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened in the simulation, and when (for what is sent: when its broker stamped it)."""

    kind: str
    at_ms: int
    cluster: str
    server: str = ""
    vm: str = ""
    detail: str = ""
    """A signature, or the name of a fault, rollout or repair."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in which a VM was not available, as it was injected."""

    server: str
    """Where it ran when it began."""
    vm: str
    cause: str
    from_ms: int
    until_ms: int | None
    """None: to the end of the scenario."""


class Ledger:
    """Facts by cluster and kind."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], list[Fact]] = defaultdict(list)

    def add(self, fact: Fact) -> None:
        """Note a fact."""
        self._facts[fact.cluster, fact.kind].append(fact)

    def merge(self, other: Ledger) -> None:
        """Take over the facts of clusters that another process simulated."""
        for key, facts in other._facts.items():
            self._facts[key].extend(facts)

    def facts(self, cluster: str, kind: str) -> list[Fact]:
        """Return the facts of one kind in a cluster, in order of their time."""
        return sorted(self._facts.get((cluster, kind), []), key=lambda fact: fact.at_ms)

    def count(self, kind: str) -> int:
        """Return how many facts of a kind there are in all clusters."""
        return sum(len(facts) for (_, name), facts in self._facts.items() if name == kind)

    def intervals(self, cluster: str) -> list[Interval]:
        """Return the times in which VMs of a cluster were not available, in the order in which they began."""
        ends: dict[str, list[int]] = defaultdict(list)
        for fact in self.facts(cluster, "up"):
            ends[fact.vm].append(fact.at_ms)
        return [
            Interval(fact.server, fact.vm, fact.detail, fact.at_ms, _first_from(ends[fact.vm], fact.at_ms))
            for fact in self.facts(cluster, "down")
        ]

    def hit(self, fault: str, field: str, cluster: str | None = None) -> set[str]:
        """Return the servers, VMs or clusters (`field`) that a fault hit."""
        return {
            name
            for (where, kind), facts in self._facts.items()
            if kind == "fault" and cluster in {None, where}
            for fact in facts
            if fact.detail == fault and (name := str(getattr(fact, field, "")))
        }

    def completed_ms(
        self,
        cluster: str,
        kind: str,
        vms: int,
        servers: int,
        window_ms: int,
        from_ms: int | None = None,
        of: str = "*",
    ) -> int | None:
        """Return when `vms` VMs on `servers` servers had it with one signature within a window; None: never.

        Facts before `from_ms` do not count, nor those whose signature, fault or rollout is not `of` (a pattern).
        """
        recent: dict[str, deque[Fact]] = defaultdict(deque)
        for fact in self.facts(cluster, kind):
            if (from_ms is not None and fact.at_ms < from_ms) or not fnmatchcase(fact.detail, of):
                continue
            window = recent[fact.detail]
            window.append(fact)
            while window[0].at_ms < fact.at_ms - window_ms:
                window.popleft()
            if (
                len({each.vm or each.server for each in window}) >= vms
                and len({each.server for each in window}) >= servers
            ):
                return fact.at_ms
        return None


def _first_from(times: list[int], from_ms: int) -> int | None:
    """Return the first of some times, in order, that is not before another."""
    return next((at_ms for at_ms in times if at_ms >= from_ms), None)
