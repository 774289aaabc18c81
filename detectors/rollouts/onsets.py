"""How a change's failures began: soon after it or long, on servers changed early or on any."""

from __future__ import annotations

import math

from detectors.failfast.calendar_edges import WITHIN_MS, edge_before
from detectors.rollouts.changes import FAILED_BLOCKS, FIRST_HITS_MOST, Change, Onset
from detectors.rollouts.ledger import BLOCK_MS, Ledger
from detectors.rollouts.sequential import log_mean
from schemas.outputs import Evidence

RANK_AGE_MS = 3_600_000
"""Failures in the first hour are not ranked: the change itself starts VMs where it is, so they come where it comes."""
CUTS = (0.1, 0.25, 0.5)
WIN = 0.9
"""Bets that a rank u (uniform under the null, or more) is at most a cut: they pay WIN / cut if it is, else
(1 - WIN) / (1 - cut), which is at most 1 in the mean; a third of the stake on each cut."""
FREEZE = (4, 8, 16, 32)
"""The wealth after so many bets is kept beside that of today: ranks tell something only while some servers are old
enough to fail and others are not."""
EVIDENCE_MOST = 8
GOOD_IN_A_ROW = (8, 16, 32, 64, 128, 256)
MISSED = 3
"""A disturbance that fails a share p of starts leaves 3 / p in a row well with a probability of e^-3, 5 %: it was not
there before so many."""
LEAST_MS = 10_000
"""Moments are known no better than this: the time between two beats of the quickest agents."""


def key_of(sphere: str, signature: str) -> str:
    """Return the key of an onset."""
    return f"{sphere}|{signature}"


def exposed(change: Change, sphere: str, at_ms: int, ledger: Ledger) -> None:
    """Note that something that could fail happened with this change, before it is told to the ledger."""
    if sphere not in change.exposed_ms:
        change.exposed_ms[sphere] = at_ms
        good = sorted(known for known in ledger.good_ms.get(sphere, ()) if known <= at_ms)
        change.good_before_ms[sphere] = [good[-count] for count in GOOD_IN_A_ROW if count <= len(good)]


def hit(
    change: Change,
    sphere: str,
    signature: str,
    at_ms: int,
    server: str,
    unit: str,
    *,
    fresh: float,
    last_seen_ms: int,
    good_ms: int = 0,
    evidence: Evidence | None,
) -> None:
    """Note a failure with this change.

    `last_seen_ms`: when the signature was seen before, or watching began; `good_ms`: when something went well last.
    """
    key = key_of(sphere, signature)
    onset = change.onsets.get(key)
    if onset is None:
        onset = change.onsets[key] = Onset(at_ms, min(last_seen_ms, at_ms), good_ms)
    onset.units[unit] = onset.units.get(unit, 0.0) + float(fresh)
    if evidence is not None and len(onset.evidence) < EVIDENCE_MOST:
        onset.evidence.append(evidence)
    _failed(onset, server, at_ms // BLOCK_MS)
    if server in onset.servers or len(onset.servers) >= FIRST_HITS_MOST:
        return
    onset.servers[server] = at_ms
    span = change.servers.get(server)
    if fresh and span is not None and at_ms - span[0] >= RANK_AGE_MS and len(change.servers) > 1:
        old = [begun for begun, _ in change.servers.values() if at_ms - begun >= RANK_AGE_MS]
        _bet(onset, sum(1 for begun in old if begun <= span[0]) / len(old))


def _failed(onset: Onset, server: str, block: int) -> None:
    if server not in onset.failed and len(onset.failed) >= FIRST_HITS_MOST:
        return
    blocks = onset.failed.setdefault(server, {})
    blocks[block] = blocks.get(block, 0) + 1
    if len(blocks) > FAILED_BLOCKS:
        del blocks[min(blocks)]


def hit_beside(change: Change, sphere: str, signature: str) -> None:
    """Note a failure in the same hours where the change was not: a bet on early servers loses."""
    onset = change.onsets.get(key_of(sphere, signature))
    if onset is not None and onset.ranked:
        _bet(onset, 1.0)


def _bet(onset: Onset, rank: float) -> None:
    if not onset.wealth_logs:
        onset.wealth_logs = [0.0] * len(CUTS)
    for place, cut in enumerate(CUTS):
        onset.wealth_logs[place] += math.log(WIN / cut if rank <= cut else (1 - WIN) / (1 - cut))
    onset.ranked += 1
    if onset.ranked in FREEZE:
        onset.frozen.append(_wealth(onset))


def _wealth(onset: Onset) -> float:
    return log_mean([(1 / len(CUTS), log) for log in onset.wealth_logs or [0.0] * len(CUTS)])


def rank_evidence(onset: Onset) -> float:
    """Return the log of the evidence that servers changed earlier fail earlier."""
    wealth = [*onset.frozen, *([_wealth(onset)] * (len(FREEZE) + 1 - len(onset.frozen)))]
    return log_mean([(1 / len(wealth), known) for known in wealth])


def edge_at(onset: Onset) -> str:
    """Return the calendar edge at which the failures may have begun: since the last that went well; empty: none."""
    passed_ms = onset.first_ms - onset.good_ms if onset.good_ms else 0
    edge = edge_before(onset.first_ms, max(WITHIN_MS, passed_ms))
    return edge[1] if edge is not None else ""


def onset_share(
    change: Change, sphere: str, onset: Onset, rate: float, seen: int, since_ms: int, prior_ms: int
) -> float:
    """Return how likely it is that the failures began just with the change by chance: a p-value.

    They began between the time when enough had gone well in a row before the change (a fault of this `rate` would have
    been seen among them) and the first failure with it. A disturbance begins as often as this signature was `seen` (in
    so many blocks) in the time watched since `since_ms`; where it never was, once more in `prior_ms` besides.
    """
    needed = MISSED / rate if rate > 0 else math.inf
    rows = zip(GOOD_IN_A_ROW, change.good_before_ms.get(sphere, []), strict=False)
    begun_ms = next((good_ms for count, good_ms in rows if count >= needed), None)
    if begun_ms is None:
        return 1.0
    passed_ms = max(LEAST_MS, onset.first_ms - begun_ms)
    watched_ms = max(LEAST_MS, onset.first_ms - since_ms)
    if not seen:
        return min(1.0, passed_ms / (watched_ms + prior_ms))
    quiet_ms = max(LEAST_MS, onset.first_ms - onset.quiet_from_ms)
    return min(1.0, max(passed_ms / quiet_ms, (seen + 1) * passed_ms / watched_ms))
