"""Choosing: which clusters, servers and VMs a scope means, drawn from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from random import Random
from typing import Protocol, TypeVar

from streams.simulate.quantity import whole
from streams.simulate.scenario import Pick


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """Return it."""


N = TypeVar("N", bound=Named)


def clusters_named(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names that any pattern matches, in their order."""
    wanted = tuple(patterns)
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in wanted)]


def pick(things: Sequence[N], what: Pick, names: Mapping[str, float], rng: Random) -> list[N]:
    """Return the things that a pick means, in their own order; a number larger than there are means all of them."""
    if what is None:
        return list(things)
    if isinstance(what, tuple):
        return [thing for thing in things if any(fnmatchcase(thing.name, pattern) for pattern in what)]
    if isinstance(what, str) and what.endswith("%"):
        amount = math.ceil(len(things) * float(what[:-1]) / 100)
    else:
        amount = whole(what, names)
    chosen = set(rng.sample(range(len(things)), min(amount, len(things))))
    return [thing for place, thing in enumerate(things) if place in chosen]
