"""How a change's failures began: soon after it or long, on servers changed early or on any."""

from __future__ import annotations

import math

from detectors.rollouts.changes import FIRST_HITS_MOST, Change, Onset
from detectors.rollouts.ledger import Ledger
from detectors.rollouts.sequential import log_mean, of_coincidence
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
LEAST_MS = 10_000
"""Moments are known no better than this: the time between two beats of the quickest agents."""


def key_of(sphere: str, signature: str) -> str:
    """Return the key of an onset."""
    return f"{sphere}|{signature}"


def exposed(change: Change, sphere: str, at_ms: int, ledger: Ledger) -> None:
    """Note that something that could fail happened with this change, before it is told to the ledger."""
    if sphere not in change.exposed_ms:
        change.exposed_ms[sphere] = at_ms
        change.good_before_ms[sphere] = min(ledger.good_ms.get(sphere, 0), at_ms)


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
    evidence: Evidence | None,
) -> None:
    """Note a failure with this change; `last_seen_ms`: when the signature was seen before, or watching began."""
    key = key_of(sphere, signature)
    onset = change.onsets.get(key)
    if onset is None:
        onset = change.onsets[key] = Onset(at_ms, min(last_seen_ms, at_ms))
    onset.units[unit] = onset.units.get(unit, 0.0) + float(fresh)
    if evidence is not None and len(onset.evidence) < EVIDENCE_MOST:
        onset.evidence.append(evidence)
    if server in onset.servers or len(onset.servers) >= FIRST_HITS_MOST:
        return
    onset.servers[server] = at_ms
    span = change.servers.get(server)
    if fresh and span is not None and at_ms - span[0] >= RANK_AGE_MS and len(change.servers) > 1:
        old = [begun for begun, _ in change.servers.values() if at_ms - begun >= RANK_AGE_MS]
        _bet(onset, sum(1 for begun in old if begun <= span[0]) / len(old))


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


def onset_evidence(change: Change, sphere: str, onset: Onset) -> float:
    """Return the log of the evidence that lies in the failures' beginning just when the change did.

    They began between the last that went well before the change and the first failure with it; of all the time in
    which such a failure was not seen, how much is that?
    """
    begun_ms = change.good_before_ms.get(sphere, 0)
    if not begun_ms:
        return of_coincidence(1.0)
    quiet_ms = max(LEAST_MS, onset.first_ms - onset.quiet_from_ms)
    return of_coincidence(max(LEAST_MS, onset.first_ms - begun_ms) / quiet_ms)
