"""What could fail, and what did: starts and server-hours, by the changes that were in force where they happened.

A *unit* is the starts of one server in two hours: servers are counted, not VMs, since what runs on a broken one fails
together. That racks fail together as well is seen to where a signature is weighed (`weighing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from detectors.rollouts.sequential import Arm

START = "start"
SERVER = "server"
ANY = "*"
"""The signature that stands for all failures of a sphere."""
BLOCK_MS = 2 * 3_600_000
"""Failures of one unit within a block are one event. Source: our judgement; a disturbance of a rack or of a service
below takes an hour or two."""
STRETCH_BLOCKS = 3
"""Blocks in a stretch, six hours: a disturbance that strikes all for an hour or two falls into one, seldom two."""
BLOCKS_KEPT = 12 * 45
"""Blocks kept: 45 days, so that a change that is remembered for 30 has a past to be compared with."""
PATTERNS_MOST = 512
SIGNATURES_MOST = 64
"""Signatures told apart; those that come later are counted together with none of their own, in `ANY`."""
OPEN_BLOCKS = 13
"""Blocks of which single units are known; what comes later than a day is counted as a unit of its own."""
GOOD_KEPT = 256
"""Of what went well, the stamps of so many are kept; a fault of one in a hundred is not missed by so many in a row."""
BESIDE = -1
"""The age of a change that had begun elsewhere in the cluster, and not here."""
AGES_H = (0, 1, 6, 24, 168, 288)
"""Hours since the change at which its age is told apart: a fault may sleep, for about two weeks (catalogue)."""


@dataclass(slots=True)
class Tally:
    """The failures of one signature in a cell."""

    hits: int = 0
    """Units with any."""
    events: int = 0
    """Failures."""
    share: float = 0.0
    """The sum over units of their share of failures."""


@dataclass(slots=True)
class Cell:
    """What happened in one block under one pattern of changes."""

    events: int = 0
    """Starts, or servers heard."""
    units: int = 0
    failed: dict[str, Tally] = field(default_factory=dict)

    def take_out(self, other: Cell) -> None:
        """Subtract a cell that was added before."""
        self.events -= other.events
        self.units -= other.units
        for name, tally in other.failed.items():
            mine = self.failed[name]
            mine.hits -= tally.hits
            mine.events -= tally.events
            mine.share -= tally.share


@dataclass(slots=True)
class Unit:
    """One unit of an open block."""

    events: int = 0
    failed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """The cells of a cluster."""

    cells: dict[str, dict[int, Cell]] = field(default_factory=dict)
    """By sphere and pattern, then by block."""
    totals: dict[str, Cell] = field(default_factory=dict)
    """The sums of those cells over their blocks."""
    units: dict[int, dict[str, Unit]] = field(default_factory=dict)
    """By block, then sphere, pattern and unit."""
    signatures: dict[str, int] = field(default_factory=dict)
    """Signatures told apart, with the stamp of the last."""
    since_ms: dict[str, int] = field(default_factory=dict)
    """Sphere to the first stamp of what could have failed."""
    good_ms: dict[str, list[int]] = field(default_factory=dict)
    """Sphere to the stamps of what last could have failed, and did not, as it was taken; at most GOOD_KEPT."""

    def add(self, sphere: str, pattern: str, at_ms: int, unit: str, signature: str) -> int:
        """Take one start, or one server heard in a block; `signature` is empty where it did not fail.

        Returns 1 if that made a unit a hit one of this signature, else 0.
        """
        block, name = at_ms // BLOCK_MS, f"{sphere}|{pattern}"
        cell = self._cell(name, block)
        self.since_ms[sphere] = min(self.since_ms.get(sphere, at_ms), at_ms)
        known = self._unit(block, f"{name}|{unit}")
        before = known.events
        known.events += 1
        for one in (cell, self.totals[name]):
            one.events += 1
            one.units += 0 if before else 1
            for failed, count in known.failed.items():
                one.failed[failed].share += count / (before + 1) - count / before
        if not signature:
            good = self.good_ms.setdefault(sphere, [])
            good.append(at_ms)
            del good[:-GOOD_KEPT]
            return 0
        return self._failed(name, cell, known, signature, at_ms)

    def fail(self, sphere: str, pattern: str, at_ms: int, unit: str, signature: str) -> int:
        """Let what was counted already (a server that was heard) have failed; returns as `add`."""
        block, name = at_ms // BLOCK_MS, f"{sphere}|{pattern}"
        cell = self._cell(name, block)
        known = self._unit(block, f"{name}|{unit}")
        if not known.events:
            known.events = 1
            for one in (cell, self.totals[name]):
                one.events += 1
                one.units += 1
        return self._failed(name, cell, known, signature, at_ms)

    def _failed(self, name: str, cell: Cell, known: Unit, signature: str, at_ms: int) -> int:
        fresh = 0
        for failed in [signature, ANY] if self._told_apart(signature, at_ms) else [ANY]:
            count = known.failed.get(failed, 0)
            if count >= known.events:
                continue
            known.failed[failed] = count + 1
            for one in (cell, self.totals[name]):
                tally = one.failed.setdefault(failed, Tally())
                tally.hits += 0 if count else 1
                tally.events += 1
                tally.share += 1 / known.events
            fresh = 1 if failed == signature and not count else fresh
        return fresh

    def _told_apart(self, signature: str, at_ms: int) -> bool:
        if signature not in self.signatures and len(self.signatures) >= SIGNATURES_MOST:
            return False
        self.signatures[signature] = max(self.signatures.get(signature, 0), at_ms)
        return True

    def _cell(self, name: str, block: int) -> Cell:
        if name not in self.cells and len(self.cells) >= PATTERNS_MOST:
            oldest = min(self.cells, key=lambda known: max(self.cells[known], default=0))
            del self.cells[oldest], self.totals[oldest]
        blocks = self.cells.setdefault(name, {})
        self.totals.setdefault(name, Cell())
        if block not in blocks:
            blocks[block] = Cell()
            for old in [known for known in blocks if known < block - BLOCKS_KEPT]:
                self.totals[name].take_out(blocks.pop(old))
        return blocks[block]

    def _unit(self, block: int, name: str) -> Unit:
        if block not in self.units:
            newest = max(self.units, default=block)
            if block < newest - OPEN_BLOCKS:
                return Unit()
            self.units[block] = {}
            for old in [known for known in self.units if known < max(block, newest) - OPEN_BLOCKS]:
                del self.units[old]
        return self.units[block].setdefault(name, Unit())

    def counts(self, sphere: str, signature: str) -> list[Counts]:
        """Return what came of a signature under each pattern, over all blocks."""
        return [
            Counts.of(parsed(pattern), [cell], signature)
            for name, cell in self.totals.items()
            for kind, _, pattern in [name.partition("|")]
            if kind == sphere
        ]

    def seen_before(self, sphere: str, signature: str, number: int) -> int:
        """Return in how many blocks a signature was seen before a change had begun."""
        return len(
            {
                block
                for ages, block, cell in self.blocks(sphere)
                if number not in ages and signature in cell.failed and cell.failed[signature].events
            }
        )

    def blocks(self, sphere: str, number: int | None = None) -> Iterator[tuple[dict[int, int], int, Cell]]:
        """Yield (changes with their ages, block, cell) of a sphere; with `number`, since that change had begun."""
        for name, blocks in self.cells.items():
            kind, _, pattern = name.partition("|")
            ages = parsed(pattern)
            if kind == sphere and (number is None or number in ages):
                for block, cell in blocks.items():
                    yield ages, block, cell

    def counts_where(self, sphere: str, signature: str, number: int, age: int | None = None) -> list[Counts]:
        """Return the same over the blocks in which the signature was seen since a change began, if it was.

        With `age`: only blocks in which something could fail at that age of the change or more, and something at less.
        """
        cells = [
            (parsed(pattern), blocks)
            for name, blocks in self.cells.items()
            for kind, _, pattern in [name.partition("|")]
            if kind == sphere and number in parsed(pattern)
        ]
        seen = {block for _, blocks in cells for block, cell in blocks.items() if signature in cell.failed}
        if age is not None:
            for older in (True, False):
                seen &= {block for ages, blocks in cells if (ages[number] >= age) is older for block in blocks}
        return [
            Counts.of(ages, [cell for block, cell in blocks.items() if block in seen], signature)
            for ages, blocks in cells
        ]


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of a signature under one pattern of changes."""

    ages: dict[int, int]
    """The changes in force, or BESIDE, each with its age."""
    events: int
    failures: int
    per_event: Arm
    per_unit: Arm

    @classmethod
    def of(cls, ages: dict[int, int], cells: list[Cell], signature: str) -> Counts:
        """Return the counts of some cells."""
        events = units = failures = hits = 0
        share = 0.0
        for cell in cells:
            events += cell.events
            units += cell.units
            tally = cell.failed.get(signature)
            if tally is not None:
                failures += tally.events
                hits += tally.hits
                share += tally.share
        # Failures of one unit are one: starts weigh less by as many as failed in a unit that was hit, in the mean.
        # The rate stays what it is, so an update that starts many at once compares with starts one by one.
        weight = hits / failures if failures else 1.0
        return cls(ages, events, failures, Arm(hits, events * weight), Arm(min(share, units), units))


def age_of(passed_ms: int) -> int:
    """Return the class of an age: the place in AGES_H of the last limit that it has reached."""
    return max(place for place, hours in enumerate(AGES_H) if passed_ms >= hours * 3_600_000 or not place)


def pattern_of(ages: dict[int, int]) -> str:
    """Return changes in force, with the class of their age each, as text."""
    return ";".join(f"{number}@{age}" for number, age in sorted(ages.items()))


@lru_cache(maxsize=4096)
def parsed(pattern: str) -> dict[int, int]:
    """Return what `pattern_of` was given."""
    pairs = (part.split("@") for part in pattern.split(";") if part)
    return {int(number): int(age) for number, age in pairs}
