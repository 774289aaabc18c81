"""How many servers of a cluster may be out before its updates and its healing must stop: the brake."""

from __future__ import annotations

import math
from fractions import Fraction

LEAST_SERVERS = 3
"""Fewer can always be out: two broken servers are no sign of a common fault (CATALOGUE, hi_threshold)."""
SERVERS_SHARE = 0.05
"""No system of 128 nodes or more in the public record of node failures was ever above 7.8 %, none of 1,024 above 1.3 %
(CATALOGUE, hi_threshold)."""
ROOT_FACTOR = 1.5
"""Small clusters scatter more: a system of 49 nodes had up to 20 down in ordinary service (CATALOGUE, hi_threshold)."""
FEWEST_SERVERS = 3
"""A cluster of fewer servers has no brake (CATALOGUE, hi_threshold)."""


def brake(
    servers: int, least: int = LEAST_SERVERS, share: float = SERVERS_SHARE, root_factor: float = ROOT_FACTOR
) -> int:
    """Return at how many servers out a cluster of so many stops: max(least, ceil(share n), ceil(root_factor sqrt(n))).

    Exact, by whole numbers: 0.05 x 140 is 7, and not the 7.000000000000001 of binary fractions, whose ceiling is 8.
    """
    by_share = math.ceil(Fraction(str(share)) * servers)
    squared = math.ceil(Fraction(str(root_factor)) ** 2 * servers)
    by_root = math.isqrt(squared - 1) + 1 if squared > 0 else 0
    return max(least, by_share, by_root)
