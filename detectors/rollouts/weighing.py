"""Weighs one change by what the ledger holds: against whom it is compared, and what that says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from detectors.rollouts.changes import Change, Onset
from detectors.rollouts.ledger import BESIDE, STRETCH_BLOCKS, Counts, Ledger
from detectors.rollouts.onsets import edge_at, key_of, onset_share, rank_evidence
from detectors.rollouts.sequential import (
    Arm,
    Pair,
    evidence_of_more,
    evidence_of_no_harm,
    log_mean,
)

AGE_WEIGHTS = (0.5, 0.12, 0.1, 0.1, 0.08, 0.1)
"""Weights of the least ages (AGES_H) from which a change is said to harm: the sooner after it, the likelier."""
APART_WEIGHTS = (0.15, 0.25, 0.15, 0.1, 0.35)
"""Weights of what tells a change from the hour in which it came: rates beside it, the side on which failures fall,
ranks, the stretches, and the second and fourth together: on which side failures fall says nothing of when they come."""
ONSET_SHARE = 0.25
"""Of the error that is allowed there, this share is left to the onset: its p-value is one number, and no sequence."""
RACK_OVER_THIRD = 2
"""No rack counts for more than one and so many times the third: two racks in trouble are no rollout."""
RACKS_DECIDE = 3
ALIKE_BETS = ((0.5, 1.0), (0.25, 0.75), (0.25, 1.3))
"""What is bet on against harm: that failures are as frequent as without the change, or nearly."""
ALIKE_WEIGHT = 0.9
"""Weight of these bets where a signature is compared; the rest is left to how rare it is."""
GUILTY_BETS = ((0.25, 2.0), (0.25, 4.0), (0.25, 10.0), (0.25, 50.0))
"""What is bet on against innocence."""
_NOTHING = Pair(Arm(), Arm())

Strata = dict[tuple[int, ...], tuple[Pair, Pair]]
"""By which other changes were in force: the arms by events, and by units."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What is to be said of one change and one signature."""

    sphere: str
    signature: str
    guilt_log: float
    """Log evidence that it fails more often with the change than without, here, now and in the past."""
    apart_log: float
    """Log evidence that it is the change and not the hour: by those beside it, by ranks, by the onset."""
    innocence_log: float
    """Log evidence against harm, by those beside it; of all failures together: against `alike_excess` more."""
    pair: Pair
    """The arms by units, of the same hours where there are both, else with the past."""
    exposed: tuple[int, int]
    """What could fail with the change, and what did."""
    control: tuple[int, int]
    """Without it: of the same hours if there was any, else of the past."""
    beside: bool
    """Whether the control is of the same hours."""
    hourly_ratio: float = math.inf
    """How many times as often it fails with the change as beside it, block by block (Mantel and Haenszel): a
    disturbance that comes when most servers have been changed makes the sums differ, and this not. Infinite: it never
    failed beside."""
    servers: int = 0
    """Changed servers that failed."""
    units: int = 0
    edge: str = ""
    """The calendar edge just before the first failure, if any."""
    tied: tuple[int, ...] = field(default=())
    """Changes that were in force wherever this one was when it failed, and never without it."""


def strata(counts: Iterable[Counts], number: int, *, age: int = 0, beside: bool = False) -> Strata:
    """Return the arms for one change, apart by which others were in force.

    `age`: the least class of age that is exposed; younger is control. `beside`: only what came after the change had
    begun somewhere in the cluster.
    """
    found: dict[tuple[int, ...], list[Arm]] = {}
    for known in counts:
        if beside and number not in known.ages:
            continue
        others = tuple(sorted(one for one, its in known.ages.items() if one != number and its > BESIDE))
        arms = found.setdefault(others, [Arm(), Arm(), Arm(), Arm()])
        place = 0 if known.ages.get(number, BESIDE) >= age else 1
        arms[place] += known.per_event
        arms[place + 2] += known.per_unit
    return {others: (Pair(arms[0], arms[1]), Pair(arms[2], arms[3])) for others, arms in sorted(found.items())}


def guilt(found: Strata, share: float = 1.0, ratio: float = 1.0) -> float:
    """Return the log evidence of more failures with the change than without, over strata that have both.

    `share`: of its failures only so much is counted (without those of the unit that was hit most).
    """
    kinds: tuple[list[Pair], list[Pair]] = ([], [])
    for pairs in found.values():
        if pairs[0].exposed.units and pairs[0].control.units:
            for kind, pair in zip(kinds, pairs, strict=True):
                kind.append(_less(pair, share))
    return log_mean([(1 / len(kinds), _over_strata(kind, ratio)) for kind in kinds])


def _over_strata(pairs: list[Pair], ratio: float) -> float:
    """Return the log evidence of all strata together: each for itself, and with one pair of rates for all of them.

    Against the truth of each stratum the likelihood of any rates is evidence, whether they are the same in all or not.
    """
    logs = [evidence_of_more(pair, ratio) for pair in pairs]
    if len(logs) < 2:
        return sum(logs)
    exposed, control = Arm(), Arm()
    for pair in pairs:
        exposed, control = exposed + pair.exposed, control + pair.control
    against = sum(pair.log_mixture - log for pair, log in zip(pairs, logs, strict=True))
    same = Pair(exposed, control).log_mixture - against
    return log_mean([(0.35, sum(logs)), (0.35, same), *((0.3 / len(logs), log) for log in logs)])


def _less(pair: Pair, share: float) -> Pair:
    lost = pair.exposed.hits * (1 - share)
    return Pair(Arm(pair.exposed.hits - lost, pair.exposed.units - lost), pair.control) if lost else pair


def innocence(found: Strata, ratio: float, excess: float) -> float:
    """Return the log evidence against harm, over strata in which something was exposed.

    By events: shares of failures of units with few starts and with many vary too differently to be compared so.
    """
    logs = [evidence_of_no_harm(by_event, ratio, excess) for by_event, _ in found.values() if by_event.exposed.units]
    return log_mean([(1 / len(logs), log) for log in logs]) if logs else 0.0


def weigh(
    change: Change,
    sphere: str,
    signature: str,
    ledger: Ledger,
    *,
    harm_ratio: float,
    harm_excess: float,
    alike_excess: float,
    prior_ms: int,
) -> Weight:
    """Return what the ledger says of a change and a signature."""
    number, onset = change.number, change.onsets.get(key_of(sphere, signature))
    counts = ledger.counts(sphere, signature)
    hours = counts if onset is None else ledger.counts_where(sphere, signature, number)
    beside = strata(hours, number, beside=True)
    guilt_log = apart_log = 0.0
    hourly, edge = math.inf, ""
    if onset is not None:
        share = _share(change, onset)
        guilt_log = _over_ages([guilt(strata(counts, number, age=age), share) for age in _ages(counts, number)])
        edge = edge_at(onset)
        # What does not fail more often needs no second proof.
        if guilt_log >= 0 or onset.convicted:
            apart_log = apart(change, sphere, signature, onset, ledger, share, prior_ms)
            hourly = hourly_ratio(number, sphere, signature, ledger)
    alike = among_failures(number, sphere, signature, ledger, harm_ratio, ALIKE_BETS)
    rare = innocence(beside, harm_ratio, alike_excess if onset is None else harm_excess)
    compared = any(pairs[0].control.units for pairs in beside.values())
    shown = [known for known in hours if number in known.ages] if compared else counts
    return Weight(
        sphere=sphere,
        signature=signature,
        guilt_log=guilt_log,
        apart_log=apart_log,
        innocence_log=log_mean([(1 - ALIKE_WEIGHT, rare), (ALIKE_WEIGHT, alike)]),
        pair=_summed(beside if compared else strata(counts, number)),
        exposed=_sums(known for known in shown if known.ages.get(number, BESIDE) > BESIDE),
        control=_sums(known for known in shown if known.ages.get(number, BESIDE) == BESIDE),
        beside=compared,
        hourly_ratio=hourly,
        servers=len(onset.servers) if onset is not None else 0,
        units=sum(1 for count in onset.units.values() if count) if onset is not None else 0,
        edge=edge,
        tied=_tied(counts, number),
    )


def apart(
    change: Change, sphere: str, signature: str, onset: Onset, ledger: Ledger, share: float, prior_ms: int
) -> float:
    """Return the log evidence that it is the change and not the hour; `share` of its failures count."""
    number, edge = change.number, edge_at(onset)
    counts = ledger.counts(sphere, signature)
    overlaps = [(age, ledger.counts_where(sphere, signature, number, age)) for age in _ages(counts, number)]
    same_hours = _over_ages([guilt(strata(known, number, age=age, beside=True), share) for age, known in overlaps])
    lasting = math.log(0.5)
    if not edge:
        lasting = _over_ages([evidence_of_more(pair) for pair in stretches(change, sphere, signature, ledger)])
    by_failures = among_failures(number, sphere, signature, ledger, 1.0, GUILTY_BETS)
    by_failures *= share if by_failures > 0 else 1.0
    told = [same_hours, by_failures, rank_evidence(onset), lasting, by_failures + lasting]
    found = log_mean(list(zip(APART_WEIGHTS, told, strict=True))) + math.log(1 - ONSET_SHARE)
    if edge:
        return found
    exposed, failed = _sums(known for known in counts if known.ages.get(number, BESIDE) > BESIDE)
    seen, since_ms = ledger.seen_before(sphere, signature, number), ledger.since_ms.get(sphere, 0)
    p_value = onset_share(change, sphere, onset, failed / max(1, exposed), seen, since_ms, prior_ms)
    return max(found, math.log(ONSET_SHARE / p_value))


def _ages(counts: Iterable[Counts], number: int) -> range:
    """Return the classes of age that a change has reached."""
    return range(max((known.ages.get(number, BESIDE) for known in counts), default=BESIDE) + 1)


def _share(change: Change, onset: Onset) -> float:
    """Return the share of the failures that counts."""
    hits = sum(onset.units.values())
    return (hits - _beyond(onset, _reached(change))) / hits if hits else 0.0


def _reached(change: Change) -> int:
    """Return how many racks the change has reached with more than one server."""
    servers: dict[str, int] = {}
    for rack in change.racks.values():
        servers[rack] = servers.get(rack, 0) + 1
    return sum(1 for rack, count in servers.items() if rack and count > 1)


def _beyond(onset: Onset, reached: int) -> float:
    """Return how many hits racks (or servers, where there is one rack) have beyond what a few of them may count for.

    No more than one and twice the third, and for nothing where a third was reached and none hit; where none was
    reached, no more than the second.
    """
    hits = sorted(onset.units.values(), reverse=True)
    third = hits[RACKS_DECIDE - 1] if len(hits) >= RACKS_DECIDE else 0.0
    most = RACK_OVER_THIRD * third + 1 if third else 0.0
    if not third and reached < RACKS_DECIDE and len(hits) > 1:
        most = hits[1]
    return sum(max(0.0, known - most) for known in hits)


def stretches(change: Change, sphere: str, signature: str, ledger: Ledger) -> list[Pair]:
    """Return the stretches of time struck with the change among all such, and the others, by least age.

    The others are those before it, and those of what was changed less long ago. Against a disturbance that comes and
    goes: it strikes few stretches, whenever it comes.
    """
    seen: dict[tuple[int, int], bool] = {}
    for ages, block, cell in ledger.blocks(sphere):
        age = ages.get(change.number)
        if age == BESIDE:
            continue
        key = (BESIDE if age is None else age, block // STRETCH_BLOCKS)
        seen[key] = seen.get(key, False) or signature in cell.failed
    pairs = []
    for least in range(max((age for age, _ in seen), default=BESIDE) + 1):
        struck: dict[tuple[bool, int], bool] = {}
        for (age, stretch), hit in seen.items():
            known = (age >= least, stretch)
            struck[known] = struck.get(known, False) or hit
        arms = [Arm(), Arm()]
        for (exposed, _), hit in struck.items():
            arms[0 if exposed else 1] += Arm(1.0 if hit else 0.0, 1.0)
        pairs.append(Pair(arms[0], arms[1]))
    return pairs


def among_failures(
    number: int, sphere: str, signature: str, ledger: Ledger, null: float, bets: Sequence[tuple[float, float]]
) -> float:
    """Return the log evidence against a ratio of `null`, by which side failures fall on, block by block.

    Of the failures of a block so large a share falls on what is changed as the ratio and the starts of both sides make
    of it, however many the hour brings: a disturbance of both weighs nothing. `bets`: (weight, ratio) of what may hold
    instead. Blocks are apart by which other changes were in force. Against innocence (`null` 1) failures of one unit
    are one, in the mean. Against harm they weigh less only as far as fewer units were hit than if starts failed one by
    one.
    """
    logs = [0.0] * len(bets)
    blocks: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    failures = hits = 0
    by_chance = 0.0
    for ages, block, cell in ledger.blocks(sphere, number):
        place = 2 if ages[number] == BESIDE else 0
        others = tuple(sorted(one for one, age in ages.items() if one != number and age > BESIDE))
        sums = blocks.setdefault((block, others), [0, 0, 0, 0])
        sums[place] += cell.events
        tally = cell.failed.get(signature)
        if tally is not None:
            sums[place + 1] += tally.events
            failures, hits = failures + tally.events, hits + tally.hits
            by_chance += cell.units * (1 - (1 - tally.events / cell.events) ** (cell.events / cell.units))
    for exposed, exposed_failed, control, control_failed in blocks.values():
        if exposed and control:
            usual = null * exposed / (null * exposed + control)
            for place, (_, ratio) in enumerate(bets):
                share = ratio * exposed / (ratio * exposed + control)
                logs[place] += exposed_failed * math.log(share / usual)
                logs[place] += control_failed * math.log((1 - share) / (1 - usual))
    least = by_chance if null > 1 else failures
    weight = min(1.0, hits / least) if failures else 1.0
    return log_mean([(part, weight * log) for (part, _), log in zip(bets, logs, strict=True)])


def hourly_ratio(number: int, sphere: str, signature: str, ledger: Ledger) -> float:
    """Return the ratio of shares with the change and beside it, block by block; infinite if it never failed beside."""
    blocks: dict[int, list[Arm]] = {}
    for ages, block, cell in ledger.blocks(sphere, number):
        tally = cell.failed.get(signature)
        arms = blocks.setdefault(block, [Arm(), Arm()])
        arms[ages[number] == BESIDE] += Arm(tally.share if tally is not None else 0.0, cell.units)
    above = below = 0.0
    for exposed, control in blocks.values():
        units = exposed.units + control.units
        if units:
            above += exposed.hits * control.units / units
            below += control.hits * exposed.units / units
    return above / below if below else math.inf


def _sums(counts: Iterable[Counts]) -> tuple[int, int]:
    events = failures = 0
    for known in counts:
        events += known.events
        failures += known.failures
    return events, failures


def _over_ages(logs: list[float]) -> float:
    """Return the mean over the least ages, given those reached; of the others nothing is known."""
    return log_mean([(weight, logs[age] if age < len(logs) else 0.0) for age, weight in enumerate(AGE_WEIGHTS)])


def _summed(found: Strata) -> Pair:
    total = _NOTHING
    for by_event, _ in found.values():
        if len(found) == 1 or (by_event.exposed.units and by_event.control.units):
            total = Pair(total.exposed + by_event.exposed, total.control + by_event.control)
    return total


def _tied(counts: Iterable[Counts], number: int) -> tuple[int, ...]:
    """Return the changes in force wherever this one failed, and nowhere without it."""
    together: set[int] | None = None
    apart: set[int] = set()
    for known in counts:
        others = {one for one, age in known.ages.items() if one != number and age > BESIDE}
        if known.ages.get(number, BESIDE) == BESIDE:
            apart |= others if known.events else set()
        elif known.failures:
            together = others if together is None else together & others
    return tuple(sorted((together or set()) - apart))
