"""The share of time in which instances, and what is made of them, were up: the arithmetic. Pure.

An instance is, at any moment of its life, up, out (for planned maintenance, by its owner, or unplanned), or not seen:
nobody knows. What is made of several is up while one of them is, out while all are out, and unsure while none is known
to be up and one was not seen. What is not seen is never counted as up: it makes an answer a range, and a verdict
INCONCLUSIVE where the two ends of the range disagree.

Intervals are pairs (from_ms, until_ms); the end is not in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from detectors.lanes import Interval, merge_intervals

PROMISE = Fraction(9995, 10_000)
"""The share of time for which what has two instances or more is promised to be up. Source: seed 002."""
LEAST_INSTANCES = 2
"""How many instances a promise wants, and in how many update domains they must stand: what keeps one of them up while
the others are updated. Source: seed 002. Racks are for those who place VMs to see to: they void no promise."""


class Sight(StrEnum):
    """What is known of an instance at a moment; where several are told of one moment, the first of these stands."""

    UNPLANNED = "UNPLANNED"
    OWN = "OWN"
    """Its owner did it: shut it down, or redeployed it himself."""
    PLANNED = "PLANNED"
    UNSEEN = "UNSEEN"
    UP = "UP"


OUT = (Sight.UNPLANNED, Sight.OWN, Sight.PLANNED)
_BY_RANK = tuple(Sight)
_RANK = {sight: place for place, sight in enumerate(_BY_RANK)}


class Kept(StrEnum):
    """Whether a promise was kept."""

    KEPT = "KEPT"
    BREACHED = "BREACHED"
    INCONCLUSIVE = "INCONCLUSIVE"
    """It depends on what was not seen."""
    NO_PROMISE = "NO_PROMISE"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which an instance was out, or was not seen."""

    from_ms: int
    until_ms: int
    sight: Sight
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One VM: when there was one, where it stood, and when it was not known to be up."""

    vm: str
    lives: tuple[Interval, ...]
    stretches: tuple[Stretch, ...] = ()
    update_domain: int = 0


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which no instance was up."""

    from_ms: int
    until_ms: int
    sight: Sight
    """UNPLANNED, OWN or PLANNED: all were out; UNSEEN: it may have been out."""
    promised: bool
    """Whether the promise held then."""
    causes: tuple[str, ...] = ()


@dataclass(slots=True)
class Figures:
    """What a period comes to, in milliseconds; those of instances are summed over all of them."""

    instances: int = 0
    """The most that there were at once."""
    instance_ms: dict[Sight, int] = field(default_factory=lambda: dict.fromkeys(Sight, 0))
    whole_ms: dict[Sight, int] = field(default_factory=lambda: dict.fromkeys(Sight, 0))
    """Of the whole: UP while one instance was, an outage by what it was, UNSEEN while it may have been out."""
    promised_ms: int = 0
    against_ms: int = 0
    """Time of the promise in which it was out, and not by its owner."""
    unsure_ms: int = 0
    """Time of the promise in which it may have been."""
    unpromised: Counter[str] = field(default_factory=Counter)
    """Why there was no promise, to how long."""
    outages: list[Outage] = field(default_factory=list)

    @property
    def lived_ms(self) -> int:
        """Return how long there was an instance."""
        return sum(self.whole_ms.values())

    def instances_up(self) -> Fraction | None:
        """Return the share of the instances' time that was seen in which they were up; None: nothing was seen."""
        seen = sum(self.instance_ms.values()) - self.instance_ms[Sight.UNSEEN]
        return Fraction(self.instance_ms[Sight.UP], seen) if seen else None

    def whole_up(self) -> tuple[Fraction, Fraction] | None:
        """Return the least and the greatest share of its life in which it was up; None: there was no instance."""
        lived = self.lived_ms
        if not lived:
            return None
        up = self.whole_ms[Sight.UP]
        return Fraction(up, lived), Fraction(up + self.whole_ms[Sight.UNSEEN], lived)

    def kept(self, promise: Fraction = PROMISE) -> Kept:
        """Return whether a promise was kept, in the time in which it held."""
        if not self.promised_ms:
            return Kept.NO_PROMISE
        allowed = self.promised_ms * (1 - promise)
        if self.against_ms > allowed:
            return Kept.BREACHED
        return Kept.KEPT if self.against_ms + self.unsure_ms <= allowed else Kept.INCONCLUSIVE


def figures(instances: Iterable[Instance], period: Interval) -> Figures:
    """Return the figures of what is made of these instances, over a period."""
    edges: dict[int, list[tuple[int, Instance, Sight, str]]] = {}
    for instance in instances:
        for from_ms, until_ms, sight, cause in _states(instance, period):
            edges.setdefault(from_ms, []).append((1, instance, sight, cause))
            edges.setdefault(until_ms, []).append((-1, instance, sight, cause))
    found, now = Figures(), _Moment()
    moments = sorted(edges)
    for at_ms, next_ms in pairwise(moments):
        for change, instance, sight, cause in edges[at_ms]:
            now.change(change, instance, sight, cause)
        if now.count:
            _add(found, now, at_ms, next_ms)
    return found


def _states(instance: Instance, period: Interval) -> list[tuple[int, int, Sight, str]]:
    """Return an instance's life within a period, cut where what is known of it changes."""
    lives = merge_intervals((max(start, period[0]), min(end, period[1])) for start, end in instance.lives)
    changes: dict[int, list[tuple[int, Stretch | None]]] = {}
    for start, end in lives:
        changes.setdefault(start, []).append((1, None))
        changes.setdefault(end, []).append((-1, None))
    for each in instance.stretches:
        if each.from_ms < each.until_ms:
            changes.setdefault(each.from_ms, []).append((1, each))
            changes.setdefault(each.until_ms, []).append((-1, each))
    living, told = 0, Counter[tuple[int, str]]()
    found: list[tuple[int, int, Sight, str]] = []
    moments = sorted(changes)
    for at_ms, next_ms in pairwise(moments):
        for by, stretch in changes[at_ms]:
            if stretch is None:
                living += by
            else:
                told[_RANK[stretch.sight], stretch.cause] += by
        if living:
            rank, cause = min((key for key, count in told.items() if count), default=(_RANK[Sight.UP], ""))
            found.append((at_ms, next_ms, _BY_RANK[rank], cause))
    return found


@dataclass(slots=True)
class _Moment:
    """What is known between two edges."""

    count: int = 0
    sights: Counter[Sight] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    domains: Counter[int] = field(default_factory=Counter)

    def change(self, by: int, instance: Instance, sight: Sight, cause: str) -> None:
        """Take one more instance in a state, or one less."""
        self.count += by
        self.sights[sight] += by
        self.causes[cause] += by
        self.domains[instance.update_domain] += by

    def sight(self) -> Sight:
        """Return what the whole is: the planned loss of all is planned, one by the owner makes it his."""
        if self.sights[Sight.UP]:
            return Sight.UP
        if self.sights[Sight.UNSEEN]:
            return Sight.UNSEEN
        if self.sights[Sight.OWN]:
            return Sight.OWN
        return Sight.UNPLANNED if self.sights[Sight.UNPLANNED] else Sight.PLANNED

    def unpromised(self) -> str:
        """Return why nothing is promised for such an arrangement; empty: something is."""
        if self.count < LEAST_INSTANCES:
            return "one instance"
        if sum(1 for count in self.domains.values() if count) < LEAST_INSTANCES:
            return "one update domain"
        return ""

    def named(self) -> tuple[str, ...]:
        """Return the causes of what is out."""
        return tuple(sorted(cause for cause, count in self.causes.items() if cause and count))


def _add(found: Figures, now: _Moment, at_ms: int, next_ms: int) -> None:
    lasted = next_ms - at_ms
    found.instances = max(found.instances, now.count)
    for each in Sight:
        found.instance_ms[each] += now.sights[each] * lasted
    sight, why_not = now.sight(), now.unpromised()
    found.whole_ms[sight] += lasted
    if why_not:
        found.unpromised[why_not] += lasted
    else:
        found.promised_ms += lasted
        found.against_ms += lasted if sight in (Sight.UNPLANNED, Sight.PLANNED) else 0
        found.unsure_ms += lasted if sight is Sight.UNSEEN else 0
    if sight is Sight.UP:
        return
    causes = now.named()
    last = found.outages[-1] if found.outages else None
    if last is not None and (last.until_ms, last.sight, last.promised) == (at_ms, sight, not why_not):
        causes = tuple(sorted({*last.causes, *causes}))
        found.outages[-1] = Outage(last.from_ms, next_ms, sight, not why_not, causes)
    else:
        found.outages.append(Outage(at_ms, next_ms, sight, not why_not, causes))
