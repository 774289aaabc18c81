"""The combinations of component versions that a cluster runs, and how the VMs of each fare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from detectors.picture import CONTACT_GA, Picture, ServerView, VmView
from detectors.rollouts.difference import text_of
from detectors.rollouts.expected import expecting, overdue
from schemas.source import Network

COMBINATIONS_MOST = 256
"""Combinations remembered of one cluster; of those that nothing runs, the one seen longest ago goes first."""
TIMED_OUT_MS = 300_000
"""A start that is replaced without contact so long after it began was given up: nineteen of twenty have made contact
by then (CATALOGUE, start_stall: prior 5 min)."""


@dataclass(slots=True)
class Fares:
    """How VMs fare, in numbers."""

    vms: int = 0
    down: int = 0
    """Healthy and without network, where that was not announced."""
    starts: int = 0
    """VMs that were started under the combination, of which it is known how that ended."""
    failed: int = 0
    """Of these, those that failed: START_FAILED, or given up without contact."""

    def add(self, other: Fares, sign: int = 1) -> None:
        """Add another's numbers, or take them away."""
        self.vms += sign * other.vms
        self.down += sign * other.down
        self.starts += sign * other.starts
        self.failed += sign * other.failed

    def of(self, what: str) -> tuple[int, int]:
        """Return (failing, all) VMs of `network` or `start`.

        Running VMs that were not restarted are among them: a few starts that fail of a combination that most VMs run
        well tell of these servers (of the leap day's that were left in corrupted states), not of the combination.
        """
        return (self.down if what == "network" else self.failed), self.vms


@dataclass(slots=True)
class Combination:
    """One combination of versions in a cluster."""

    versions: dict[str, str]
    first_ms: int
    new: bool
    """It came while we watched: it is none of those that the cluster ran when we came."""
    now: Fares = field(default_factory=Fares)
    before: Fares = field(default_factory=Fares)
    """How the same servers' VMs fared before they came to it."""
    servers: int = 0
    last_ms: int = 0
    """When a server was last seen to run it."""
    most_vms: int = 0
    well_ms: dict[str, int] = field(default_factory=dict)
    """Since when fewer fail than `well_share`, by `network` and `start`; none: more do."""
    proven: dict[str, int] = field(default_factory=dict)
    """By what it was well for so long that it is known to be (`network`, `start`): the stamp."""


@dataclass(slots=True)
class Book:
    """All combinations of a cluster, counted server by server as these change."""

    known: dict[str, Combination] = field(default_factory=dict)
    parts: dict[str, dict[str, Fares]] = field(default_factory=dict)
    """Server to its share in each combination."""
    since_ms: int = 0
    """Stamp of the first report of any."""
    expected: dict[str, None] = field(default_factory=dict)
    """Servers with announced losses of network, to be looked at when they report again."""

    def count(
        self, picture: Picture, name: str, components: tuple[str, ...], longest_ms: int, *, learn_ms: int, changed: bool
    ) -> dict[str, None]:
        """Count a server anew; return the combinations that it is, or was, part of.

        `changed`: its versions changed in this frame: what it runs now is new, if nobody ran it before. Else a
        combination is new when it is first seen later than `learn_ms` after the first of all.
        """
        server = picture.servers.get(name)
        before = self.parts.get(name, {})
        part = {} if server is None else self._part(picture, server, components, longest_ms)
        touched = dict.fromkeys((*before, *part))
        if {key: fares for key, (_, fares) in part.items()} == before:
            return {}
        at_ms = 0 if server is None else server.heard_ms
        self.since_ms = self.since_ms or at_ms
        for key, fares in before.items():
            combination = self.known[key]
            combination.now.add(fares, -1)
            combination.servers -= 1
            combination.last_ms = max(combination.last_ms, at_ms)
        for key, (versions, fares) in part.items():
            combination = self._combination(key, versions, at_ms, changed or at_ms - self.since_ms > learn_ms)
            combination.now.add(fares)
            combination.servers += 1
            combination.last_ms = max(combination.last_ms, at_ms)
            combination.most_vms = max(combination.most_vms, combination.now.vms)
            if before and key not in before:
                for earlier in before.values():
                    combination.before.add(earlier)
        self.parts[name] = {key: fares for key, (_, fares) in part.items()}
        if not part:
            self.parts.pop(name)
            self.expected.pop(name, None)
        return touched

    def judge(self, keys: Iterable[str], at_ms: int, well_share: float, proven_ms: int) -> None:
        """Note of these combinations whether they are well, and for how long they have been."""
        for key in keys:
            combination = self.known.get(key)
            if combination is None:
                continue
            for what in ("network", "start"):
                failing, total = combination.now.of(what)
                if what == "start" and combination.new and not combination.now.starts:
                    total = 0  # nothing was started under it: its VMs prove nothing
                well_ms = combination.well_ms.get(what)
                if well_ms is not None and at_ms - well_ms >= proven_ms:
                    combination.proven[what] = at_ms
                if total and failing < well_share * total:
                    combination.well_ms.setdefault(what, at_ms)
                    if not combination.new:
                        combination.proven[what] = at_ms
                else:
                    combination.well_ms.pop(what, None)

    def healthy(self, what: str, but: Iterable[str], at_ms: int, proven_ms: int) -> list[str]:
        """Return the combinations known to be well, those among `but` apart: proven, and not failing now."""
        found = []
        for key, combination in self.known.items():
            well_ms = combination.well_ms.get(what)
            proven = what in combination.proven or (well_ms is not None and at_ms - well_ms >= proven_ms)
            if proven and key not in but and (well_ms is not None or not combination.now.vms):
                found.append(key)
        return found

    def _combination(self, key: str, versions: dict[str, str], at_ms: int, new: bool) -> Combination:
        known = self.known.get(key)
        if known is None:
            if len(self.known) >= COMBINATIONS_MOST:
                unused = [old for old, combination in self.known.items() if not combination.servers]
                # All in use: one server each of 256 kinds; the one seen longest ago is forgotten with its counts kept.
                if unused:
                    del self.known[min(unused, key=lambda old: (self.known[old].last_ms, old))]
            known = self.known[key] = Combination(versions, at_ms, new)
        return known

    def _part(
        self, picture: Picture, server: ServerView, components: tuple[str, ...], longest_ms: int
    ) -> dict[str, tuple[dict[str, str], Fares]]:
        """Return what a server runs, with how its VMs fare, by combination."""
        host = {name: server.versions[name] for name in components if name in server.versions and name != "ga"}
        changed_ms = max((change.at_ms for change in server.changes if change.component in host), default=0)
        found: dict[str, tuple[dict[str, str], Fares]] = {}
        if not host:
            return found
        self.expected.pop(server.server, None)
        for name, incarnation in server.vms.items():
            view = picture.vms.get(name)
            if view is None or view.start is None or view.start.incarnation != incarnation:
                continue
            versions = {**host, "ga": view.ga_version} if view.ga_version and "ga" in components else host
            key = text_of(versions)
            fares = found.setdefault(key, (versions, Fares()))[1]
            fares.vms += 1
            if view.network == Network.DOWN and view.ga in CONTACT_GA:
                upkeep = expecting(server, view.network_from_ms, longest_ms)
                if upkeep is None or overdue(server, upkeep, longest_ms):
                    fares.down += 1
                else:
                    self.expected[server.server] = None
            outcome = outcome_of(view, changed_ms)
            if outcome is not None:
                fares.starts += 1
                fares.failed += outcome
        if not found:
            found[text_of(host)] = (host, Fares())
        return found


def outcome_of(view: VmView, since_ms: int) -> bool | None:
    """Return whether a VM's newest start since `since_ms` has failed; None: not known, or nobody saw it start.

    It has if its guest agent said so, or if it goes on without contact where the one before was given up without.
    """
    start = view.start
    if start is None or start.at_ms < since_ms:
        return None
    if start.contact_ms is not None:
        return None if start.contact_ms == start.at_ms and len(view.starts) == 1 else False
    if start.failed_ms is not None:
        return True
    if len(view.starts) > 1:
        last = view.starts[-2]
        given_up = last.replaced and last.contact_ms is None and last.server == start.server
        if given_up and start.at_ms - last.at_ms >= TIMED_OUT_MS and last.at_ms >= since_ms:
            return True
    return None
