"""Bounds the harm of a change: the most of what is exposed to it that can be failing for it, valid at every look.

A change that makes a share h of its starts fail does so in every hour and beside every other change. So h is no more
than the share that fails with it *in whatever hours one likes*, as long as they are chosen by something else than its
failures: here by what is beside it. Hours in which those without it fail too are left out, and where another change in
force was found guilty. What is left needs no control: against "a share of `excess` or more" speaks

    M = sum over q < excess of weight(q) * likelihood(q) / likelihood(excess),

in the mean at most 1 for every share of `excess` or more, so that it ever reaches 1/alpha with a probability of at most
alpha (Ville's inequality, as in `sequential`). A failure counts whole, whoever it hits: that is the timid side.

One or two servers that fail far more often than any other, and one rack among four or more, are broken themselves: they
are left out with all that was exposed on as many. So is one stretch of six hours, if it is over, and nothing was
changed in it or just before: what a change does it does in others too, and those bound it. Failures of a signature that
is as frequent beside the change are left out by `alike`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from detectors.rollouts.changes import Change, Onset
from detectors.rollouts.ledger import AGES_H, ANY, BESIDE, BLOCK_MS, STRETCH_BLOCKS, Ledger, Tally
from detectors.rollouts.onsets import key_of
from detectors.rollouts.sequential import log_mean

CLEAR_BETS = ((0.5, 0.0), (0.15, 1 / 8), (0.15, 1 / 4), (0.2, 1 / 2))
"""(Weight, share of `excess`) of the rates that are bet on against harm: none at all, or much less."""
HARM_BETS = ((0.25, 2.0), (0.25, 5.0), (0.25, 15.0), (0.25, 50.0))
"""The same against "no more than `excess`"."""
MOST = 0.9
DISTURBED_UNITS = 2
"""So many servers without the change that fail in one block make it an hour of its own; one may be a broken server."""
BROKEN_SERVERS = 2
"""Servers left out, at most: CATALOGUE, start_failure: one or two may be broken."""
BROKEN_LEAST = 3
BROKEN_TIMES = 2
"""A server or rack is broken that failed so often at least, and more than twice as often as the next one and two."""
RACKS_LEAST = 4
OVER_STRETCHES = 2
"""A stretch that stands out is over when so many came after it, twelve hours."""

Named = TypeVar("Named", str, int)
Row = tuple[int, int, int]
"""The age of the change, what was exposed, and what failed of it."""
LEAST = 1e-6
NEAR = 1.01
"""A limit is found between LEAST and 1, as near as this."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much harm the calm hours of a change leave room for."""

    excess: float
    """The share that would be harm."""
    exposed: float
    """What could fail with it, in hours that count."""
    failed: int
    clear_log: float
    """Log evidence against harm of `excess` or more."""
    high: float
    """The upper confidence limit of the share that fails for it."""
    harm_log: float
    """Log evidence against less harm than `excess`, at the age at which it is greatest."""


@dataclass(slots=True)
class Calm:
    """What was exposed in hours that count, and what failed of it, by the least age."""

    exposed: list[int] = field(default_factory=lambda: [0] * len(AGES_H))
    failed: list[int] = field(default_factory=lambda: [0] * len(AGES_H))
    blocks: dict[int, None] = field(default_factory=dict)


def bound(
    change: Change,
    sphere: str,
    ledger: Ledger,
    excess: float,
    alpha: float,
    *,
    alike: Collection[str] = (),
    guilty: Collection[int] = (),
    waiting: int = 0,
) -> Bound:
    """Return the bound on what a change makes fail.

    `alike`: signatures that are as frequent beside it. `guilty`: numbers of other changes that were found so.
    `waiting`: what is exposed and has no outcome yet: it may all have failed.
    """
    calm = _calm(_rows(change, sphere, ledger, alike, guilty), _changing(change))
    broken, share = _broken(change, [known for _, known in _onsets(change, sphere, alike)], calm)
    failed = max(0, calm.failed[0] - broken) + waiting
    exposed = calm.exposed[0] * share + waiting
    return Bound(
        excess=excess,
        exposed=exposed,
        failed=failed,
        clear_log=against_more(failed, exposed, excess),
        high=upper_limit(failed, exposed, alpha),
        harm_log=max(
            against_less(max(0, later - broken), total, excess)
            for later, total in zip(calm.failed, calm.exposed, strict=True)
        ),
    )


def against_more(failed: float, exposed: float, excess: float) -> float:
    """Return the log of the evidence against a share of `excess` or more."""
    return log_mean([(weight, _log_ratio(failed, exposed, part * excess, excess)) for weight, part in CLEAR_BETS])


def against_less(failed: float, exposed: float, excess: float) -> float:
    """Return the log of the evidence against a share of `excess` or less."""
    bets = ((weight, min(MOST, times * excess)) for weight, times in HARM_BETS)
    return log_mean([(weight, _log_ratio(failed, exposed, rate, excess)) for weight, rate in bets])


def upper_limit(failed: float, exposed: float, alpha: float) -> float:
    """Return the least share of which all more are contradicted, to 1 %; 1 where nothing is."""
    low, high = max(LEAST, failed / exposed if exposed else 1.0), 1.0
    if low >= MOST or against_more(failed, exposed, MOST) < -math.log(alpha):
        return 1.0
    while high > low * NEAR:
        middle = math.sqrt(low * high)
        if against_more(failed, exposed, min(middle, MOST)) >= -math.log(alpha):
            high = middle
        else:
            low = middle
    return high


def _log_ratio(failed: float, exposed: float, rate: float, null: float) -> float:
    if failed > 0 and rate <= 0:
        return -math.inf
    log = failed * math.log(rate / null) if failed > 0 else 0.0
    return log + (exposed - failed) * (math.log1p(-rate) - math.log1p(-null))


def _rows(
    change: Change, sphere: str, ledger: Ledger, alike: Collection[str], guilty: Collection[int]
) -> dict[int, list[Row]]:
    """Return by block what counts: not the hours in which servers without it fail, nor where the guilty are."""
    rows: dict[int, list[Row]] = {}
    disturbed: dict[int, int] = {}
    for ages, block, cell in ledger.blocks(sphere, change.number):
        age = ages[change.number]
        if any(ages.get(other, BESIDE) > BESIDE for other in guilty):
            continue
        tally = cell.failed.get(ANY) or Tally()
        excused = [cell.failed[name] for name in alike if name in cell.failed]
        if age == BESIDE:
            disturbed[block] = disturbed.get(block, 0) + tally.hits - sum(known.hits for known in excused)
            continue
        less = sum(known.events for known in excused)
        rows.setdefault(block, []).append((age, cell.events - less, max(0, tally.events - less)))
    return {block: row for block, row in rows.items() if disturbed.get(block, 0) < DISTURBED_UNITS}


def _changing(change: Change) -> set[int]:
    """Return the stretches in which the change reached anything, and those just after: it may fail at once."""
    stamps = [*(span[0] for span in change.servers.values()), *change.vms.values()]
    stretches = {at_ms // BLOCK_MS // STRETCH_BLOCKS for at_ms in stamps}
    return stretches | {stretch + 1 for stretch in stretches}


def _calm(rows: dict[int, list[Row]], changing: Collection[int]) -> Calm:
    """Add up what counts, without one stretch that stands out, is over, and in which nothing was changed."""
    stretches: dict[int, int] = {}
    for block, known in rows.items():
        stretch = block // STRETCH_BLOCKS
        stretches[stretch] = stretches.get(stretch, 0) + sum(failed for _, _, failed in known)
    struck = next(iter(_outliers(stretches, 1)), None)
    if struck is not None and (struck in changing or max(stretches) - struck < OVER_STRETCHES):
        struck = None
    calm = Calm()
    for block, known in rows.items():
        if block // STRETCH_BLOCKS == struck:
            continue
        calm.blocks[block] = None
        for age, events, failed in known:
            for least in range(age + 1):
                calm.exposed[least] += events
                calm.failed[least] += failed
    return calm


def _onsets(change: Change, sphere: str, alike: Collection[str]) -> Iterable[tuple[str, Onset]]:
    excused = {key_of(sphere, name) for name in alike}
    return ((key, onset) for key, onset in change.onsets.items() if key.startswith(f"{sphere}|") and key not in excused)


def _broken(change: Change, onsets: list[Onset], calm: Calm) -> tuple[int, float]:
    """Return how many failures are of broken servers and racks, and what share of what is exposed is left."""
    servers: dict[str, int] = {}
    for onset in onsets:
        for server, blocks in onset.failed.items():
            count = sum(failed for block, failed in blocks.items() if block in calm.blocks)
            servers[server] = servers.get(server, 0) + count
    racks: dict[str, int] = {}
    for server, count in servers.items():
        rack = change.racks.get(server, "")
        racks[rack] = racks.get(rack, 0) + count
    broken, share = 0, 1.0
    all_racks = {rack for rack in change.racks.values() if rack}
    rack = next(iter(_outliers(racks, 1)), "")
    if rack and len(all_racks) >= RACKS_LEAST:
        broken, share = racks[rack], 1 - 1 / len(all_racks)
        servers = {server: count for server, count in servers.items() if change.racks.get(server) != rack}
    # A pass over guests reaches VMs and no server: none can be told to be broken.
    for server in _outliers(servers, max(0, min(BROKEN_SERVERS, len(change.servers) - 1))):
        broken += servers[server]
        share -= 1 / len(change.servers)
    return broken, max(0.0, share)


def _outliers(counts: dict[Named, int], most: int) -> list[Named]:
    """Return those that stand out by their failures, at most so many."""
    ranked = sorted(counts, key=lambda name: (-counts[name], str(name)))
    usual = counts[ranked[most]] if len(ranked) > most else 0
    return [name for name in ranked[:most] if counts[name] >= max(BROKEN_LEAST, BROKEN_TIMES * usual + 1)]
