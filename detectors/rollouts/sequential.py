"""The sequential test behind `rollout_regression`: how strongly two arms' failures speak, valid at every look.

Each arm is a number of units, each with a value from 0 to 1 (its share of failures), whose mean, given all before it,
is the arm's rate: `p1` of what was changed, `p0` of what was not. For any pair of rates

    M(p1, p0) = mixture(changed) * mixture(unchanged) / (likelihood at p1 * likelihood at p0)

is at most a martingale of mean 1 when these are the true ones: a weighted mean of likelihoods over that of the truth,
and for values between 0 and 1 by the inequality of weighted means, a^v b^(1-v) <= v a + (1-v) b. By Ville's inequality
it *ever* reaches 1/alpha with a probability of at most alpha, however often, and whenever, one looks, and in whatever
order the arms fill. So {(p1, p0): M < 1/alpha} is a confidence sequence, and to reject a statement is to find no pair
in it of which that is true: `evidence` is the least log M over such pairs. See ADR 020; Ville 1939; Howard, Ramdas,
McAuliffe and Sekhon 2021; Wasserman, Ramdas and Balakrishnan 2020 (universal inference).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

GRID = tuple(10 ** (step / 5) for step in range(-25, 0))
"""Rates that the mixture weighs alike, five a decade from 1e-5 to 0.63; a coarser grid costs less and sees less."""
AT_ZERO = 0.35
"""Weight of a rate of 0: of most signatures an arm has none."""
AT_ONE = 0.15
"""Weight of a rate of 1 (less a thousandth): the leap day's starts failed all."""
_NEARLY_ONE = 0.999
_WEIGHT = (1 - AT_ZERO - AT_ONE) / len(GRID)
_POINTS = tuple(
    (math.log(weight), math.log(rate), math.log1p(-rate))
    for rate, weight in (*((rate, _WEIGHT) for rate in GRID), (_NEARLY_ONE, AT_ONE))
)
RATIO_MOST = 1e4
"""Beyond this a ratio is said to have no upper end."""
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Arm:
    """What came of the units of one arm."""

    hits: float = 0.0
    """The sum of their values."""
    units: float = 0.0

    def __add__(self, other: Arm) -> Arm:
        return Arm(self.hits + other.hits, self.units + other.units)

    @property
    def rate(self) -> float:
        """Return the mean value; 0 of no units."""
        return self.hits / self.units if self.units else 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """What was changed, and what was not."""

    exposed: Arm
    control: Arm

    @property
    def log_mixture(self) -> float:
        """Return the logarithm of the mixtures' product: how well rates not known beforehand tell the data."""
        return _log_mixture(self.exposed.hits, self.exposed.units) + _log_mixture(self.control.hits, self.control.units)


def evidence_of_more(pair: Pair, ratio: float = 1.0) -> float:
    """Return the log of the evidence against "the changed fail at most `ratio` times as often as the others"."""
    exposed, control = pair.exposed, pair.control
    if exposed.rate <= ratio * control.rate:
        best = _likelihood(exposed, exposed.rate) + _likelihood(control, control.rate)
    else:
        best = _best_at_ratio(pair, ratio)
    return pair.log_mixture - best


def evidence_of_no_harm(pair: Pair, ratio: float, excess: float) -> float:
    """Return the log of the evidence against harm: `ratio` times the others' rate *and* `excess` more, or worse.

    Where nothing is known of the others their rate may be 0: then it is evidence against a rate of `excess` or more.
    """
    exposed, control = pair.exposed, pair.control
    if exposed.rate >= ratio * control.rate and exposed.rate >= control.rate + excess:
        best = _likelihood(exposed, exposed.rate) + _likelihood(control, control.rate)
    else:
        best = max(_best_at_ratio(pair, ratio, excess / (ratio - 1)), _best_at_excess(pair, ratio, excess))
    return pair.log_mixture - best


def ratio_interval(pair: Pair, alpha: float) -> tuple[float, float]:
    """Return the ends of the confidence sequence of p1 / p0: 0 and infinity where the data sets none."""
    limit = pair.log_mixture + math.log(alpha)
    control = pair.control.rate
    middle = pair.exposed.rate / control if control else RATIO_MOST
    middle = min(max(middle, 1 / RATIO_MOST), RATIO_MOST)
    if _best_at_ratio(pair, middle) < limit:
        # The likeliest ratio lies beyond what is looked at: nothing is known but that.
        return (middle, math.inf) if middle == RATIO_MOST else (0.0, middle)
    low = _end(pair, limit, middle, 1 / RATIO_MOST)
    high = _end(pair, limit, middle, RATIO_MOST)
    return (0.0 if low <= 1 / RATIO_MOST else low, math.inf if high >= RATIO_MOST else high)


def log_mean(terms: list[tuple[float, float]]) -> float:
    """Return the logarithm of a weighted mean of evidence, given (weight, log evidence): itself evidence."""
    largest = max(value for _, value in terms)
    return largest + math.log(sum(weight * math.exp(value - largest) for weight, value in terms))


@lru_cache(maxsize=65_536)
def _log_mixture(hits: float, units: float) -> float:
    misses = units - hits
    terms = [weight + hits * log_rate + misses * log_rest for weight, log_rate, log_rest in _POINTS]
    if hits <= 0:
        terms.append(math.log(AT_ZERO))
    largest = max(terms)
    return largest + math.log(sum(math.exp(term - largest) for term in terms))


def _likelihood(arm: Arm, rate: float) -> float:
    """Return the log likelihood of an arm at a rate."""
    misses = arm.units - arm.hits
    found = 0.0
    if arm.hits > 0:
        if rate <= 0:
            return -math.inf
        found += arm.hits * math.log(rate)
    if misses > 1e-12:
        if rate >= 1:
            return -math.inf
        found += misses * math.log1p(-rate)
    return found


def _best_at_ratio(pair: Pair, ratio: float, least: float = 0.0) -> float:
    """Return the greatest log likelihood of both arms where p1 = ratio * p0, and p0 is at least `least`."""
    exposed, control = pair.exposed, pair.control
    hits = exposed.hits + control.hits
    exposed_misses, control_misses = exposed.units - exposed.hits, control.units - control.hits
    # Its derivative is 0 at a root of a p^2 - b p + hits, the smaller one.
    a = ratio * (hits + exposed_misses + control_misses)
    b = hits * (1 + ratio) + ratio * exposed_misses + control_misses
    root = 2 * hits / (b + math.sqrt(max(0.0, b * b - 4 * a * hits))) if b > 0 else 0.0
    p0 = min(max(root, least), 1.0, 1 / ratio)
    return _likelihood(exposed, min(1.0, ratio * p0)) + _likelihood(control, p0)


def _best_at_excess(pair: Pair, ratio: float, excess: float) -> float:
    """Return the greatest log likelihood where p1 = p0 + excess, below where `ratio` times p0 is more."""
    low, high = 0.0, min(excess / (ratio - 1), 1 - excess)

    def likelihood(p0: float) -> float:
        return _likelihood(pair.exposed, p0 + excess) + _likelihood(pair.control, p0)

    for _ in range(_STEPS // 2):
        third = (high - low) / 3
        if likelihood(low + third) < likelihood(high - third):
            low += third
        else:
            high -= third
    # Its ends too: a likelihood of -inf at 0 hides nothing between.
    return max(likelihood(low), likelihood((low + high) / 2), likelihood(high))


def _end(pair: Pair, limit: float, inside: float, outside: float) -> float:
    """Return the ratio between two at which the likelihood falls below the limit; `outside` if it never does."""
    if _best_at_ratio(pair, outside) >= limit:
        return outside
    low, high = math.log(inside), math.log(outside)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _best_at_ratio(pair, math.exp(middle)) >= limit:
            low = middle
        else:
            high = middle
    return math.exp(low)
