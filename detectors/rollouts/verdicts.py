"""The verdict on a change, and how it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.contract import EVIDENCE_KEPT
from detectors.failfast.words import counted, listed, utc
from detectors.picture import Picture
from detectors.rollouts.bounds import Bound
from detectors.rollouts.changes import Change
from detectors.rollouts.ledger import ANY, SERVER, START
from detectors.rollouts.onsets import key_of
from detectors.rollouts.sequential import ratio_interval
from detectors.rollouts.weighing import Weight
from schemas.outputs import Action, Evidence, Verdict

SUSPECT_LOG = math.log(5)
"""A signature with so much evidence of guilt keeps a change from being cleared. Source: our judgement."""
HELD = 0.5
"""Share of the evidence of innocence with which it still holds once it was reached: enough once is enough (Ville), and
a verdict that turns at each start is of no use."""
RATIO_TOLD = 1e6
"""What is told where a ratio has no upper end: JSON knows no infinity."""
METHOD = "mixture likelihood-ratio confidence sequence (anytime-valid, ADR 020)"


@dataclass(frozen=True, slots=True)
class Case:
    """A change as judged."""

    verdict: str
    weight: Weight | None
    """Of the signature that it stands on: the guilty one, else the one with most evidence of guilt."""
    why: str
    doubts: tuple[str, ...] = field(default=())
    weights: tuple[Weight, ...] = field(default=())
    bounds: Mapping[str, tuple[Bound, Bound]] = field(default_factory=dict)

    def evidence(self, change: Change) -> tuple[Evidence, ...]:
        """Return the records it stands on: of the change, and of the first failures."""
        onset = None
        if self.weight is not None:
            onset = change.onsets.get(key_of(self.weight.sphere, self.weight.signature))
        failures = onset.evidence if onset is not None else []
        return (*change.evidence[: EVIDENCE_KEPT - len(failures)], *failures)


def judge(
    change: Change,
    weights: list[Weight],
    doubts: list[str],
    levels: tuple[float, float, float, float, int],
    bounds: Mapping[str, tuple[Bound, Bound]],
) -> Case:
    """Return the verdict on a change.

    `levels`: the log evidence that guilt, guilt apart from the hour, and innocence need; the least ratio; the servers
    that must have failed. `bounds`: by sphere, on the harm there may be, and on that beside failures that are alike.
    """
    guilt, apart, innocence, ratio, servers = levels
    named = [known for known in weights if known.signature != ANY]
    named.sort(key=lambda known: (-min(known.guilt_log - guilt, known.apart_log - apart), known.signature))
    told = tuple(doubts), tuple(weights), bounds
    for known in named:
        onset = change.onsets[key_of(known.sphere, known.signature)]
        strong = known.guilt_log >= guilt and known.apart_log >= apart and known.servers >= servers
        alike = min(known.hourly_ratio, known.pair.exposed.rate / (known.pair.control.rate or 1e-12)) < ratio
        contrary = known.innocence_log >= innocence or alike
        onset.convicted = (onset.convicted or strong) and not contrary
        if onset.convicted:
            return Case(Verdict.GUILTY, known, "", *told)
    first = named[0] if named else next((known for known in weights if known.sphere == START), None)
    if first is None:
        first = weights[0] if weights else None
    if doubts:
        return Case(Verdict.INCONCLUSIVE, first, "; ".join(doubts), *told)
    suspects = [known for known in named if known.guilt_log >= SUSPECT_LOG and known.innocence_log < innocence]
    if suspects:
        why = "its failures may be its doing, and the evidence is not enough"
        return Case(Verdict.INCONCLUSIVE, first, why, *told)
    # What befell fewer servers may be those servers: it is no reason to clear, and none not to.
    wide = [known for known in named if known.servers >= servers]
    equal: list[Weight] = []
    for known in wide:
        onset = change.onsets[key_of(known.sphere, known.signature)]
        needed = innocence * (HELD if onset.alike else 1)
        onset.alike = bool(known.innocence_log >= needed and known.control[1])
        equal += [known] if onset.alike else []
    bounded = [
        known.innocence_log >= innocence * HELD for known in weights if known.signature == ANY and known.sphere == START
    ]
    harmful = any(rest.harm_log >= SUSPECT_LOG for _, rest in bounds.values())
    if wide and len(equal) == len(wide) and all(bounded) and not harmful:
        return Case(Verdict.CLEARED, equal[0], "its failures are as frequent without it, in the same hours", *told)
    needed = innocence * (HELD if change.bounded else 1)
    short = [sphere for sphere in (START, SERVER) if sphere not in bounds or bounds[sphere][0].clear_log < needed]
    change.bounded = not short and not harmful
    if change.bounded:
        most = {sphere: f"{100 * whole.excess:g} %" for sphere, (whole, _) in bounds.items()}
        why = f"no more than {most[START]} of its starts and {most[SERVER]} of its server-hours can be failing for it"
        return Case(Verdict.CLEARED, first, why, *told)
    if not short:
        return Case(Verdict.INCONCLUSIVE, first, "starts with it that failed of late may be its doing", *told)
    missing = " and ".join("starts" if sphere == START else "server-hours" for sphere in short)
    return Case(Verdict.INCONCLUSIVE, first, f"too few {missing} with it to tell", *told)


def named(change: Change) -> str:
    """Return the change as a person calls it."""
    what = f"{change.component} {change.version}".strip()
    if change.rollout:
        return f"rollout {change.rollout}" + (f" ({what})" if what else "")
    return f"the unannounced change to {what}"


def title(change: Change, case: Case, picture: Picture) -> str:
    """Return the verdict in one line."""
    where, weight = f"{named(change)} in {picture.cluster}", case.weight
    if case.verdict == Verdict.GUILTY and weight is not None:
        noun = "starts" if weight.sphere == START else "servers"
        return (
            f"{where} is guilty: {weight.exposed[1]} of {weight.exposed[0]} {noun} with it failed with "
            f"{weight.signature} on {counted(weight.servers, 'server')}, without it {weight.control[1]} of "
            f"{weight.control[0]}"
        )
    if case.verdict == Verdict.CLEARED:
        return f"{where} is cleared: {case.why}"
    return f"{where}: not known yet whether it does harm: {case.why}"


def explanation(change: Change, case: Case, others: Mapping[int, Change]) -> str:
    """Return what a stranger should know of the verdict."""
    text = f"It reached its first server at {utc(change.began_ms)} and {counted(len(change.servers), 'server')} since. "
    weight = case.weight
    if weight is None:
        return text + "Nothing that could fail has happened with it yet."
    noun = "starts of VMs" if weight.sphere == START else "servers heard in blocks of two hours"
    against = "in the same hours" if weight.beside else "in the past"
    text += (
        f"With it {weight.exposed[1]} of {weight.exposed[0]} {noun} failed"
        f"{_by(weight.signature)}; without it, {against}, {weight.control[1]} of {weight.control[0]}. "
    )
    if case.verdict == Verdict.GUILTY:
        text += "Stop it, and keep its version from other servers; what runs already is not touched by either. "
    if weight.edge:
        text += f"The first such failure came just after {weight.edge}: its moment is not held against the change. "
    tied = [others[number] for number in weight.tied if number in others]
    if tied:
        text += (
            f"{' and '.join(sorted(named(other) for other in tied))} came with it on every server that failed: which "
            "of them it is cannot be told here. "
        )
    return text + "A verdict may turn as more is known."


def _by(signature: str) -> str:
    return "" if signature == ANY else f" with {signature}"


def numbers(change: Change, case: Case, picture: Picture, at_ms: int, alpha: float) -> dict[str, float]:
    """Return the numbers behind a verdict; ratios in units (racks or servers in two hours), counts as they came."""
    found: dict[str, float] = {
        "servers": len(change.servers),
        "servers_of_cluster": picture.counted_servers(),
        "vms_updated": len(change.vms),
        "age_s": round((at_ms - change.began_ms) / 1000),
        "starts": sum(k.exposed[0] for k in case.weights if k.sphere == START and k.signature == ANY),
        "server_blocks": sum(k.exposed[0] for k in case.weights if k.sphere == SERVER and k.signature == ANY),
        "starts_unknown": change.unknown,
    }
    if found["servers_of_cluster"]:
        found["share_of_cluster"] = round(len(change.servers) / found["servers_of_cluster"], 4)
    for sphere, name in ((START, "excess_most"), (SERVER, "excess_most_servers")):
        if sphere in case.bounds:
            found[name] = round(case.bounds[sphere][0].high, 5)
    weight = case.weight
    if weight is None:
        return found
    low, high = ratio_interval(weight.pair, alpha)
    control = weight.pair.control.rate
    found |= {
        "exposed": weight.exposed[0],
        "exposed_failed": weight.exposed[1],
        "control": weight.control[0],
        "control_failed": weight.control[1],
        "ratio": round(min(RATIO_TOLD, weight.pair.exposed.rate / control), 3) if control else RATIO_TOLD,
        "ratio_low": round(low, 3),
        "ratio_high": round(min(high, RATIO_TOLD), 3),
        "interval_level": 1 - alpha,
        "log10_e_guilty": round(weight.guilt_log / math.log(10), 3),
        "log10_e_apart": round(weight.apart_log / math.log(10), 3),
        "log10_e_cleared": round(weight.innocence_log / math.log(10), 3),
        "servers_failed": weight.servers,
        "units_failed": weight.units,
    }
    return found


def facts(change: Change, case: Case, others: Mapping[int, Change]) -> dict[str, str]:
    """Return the facts of a verdict, as the fleet engine reads them."""
    found = {"method": METHOD, "why": case.why or "its failures are its own", "began_ms": str(change.began_ms)}
    if change.from_version:
        found["from_version"] = change.from_version
    if change.components:
        found["versions"] = ", ".join(f"{name} {to}" for name, to in sorted(change.components.items()) if to)
    found["announced"] = "yes" if change.rollout else "no"
    weight = case.weight
    if weight is None:
        return found
    found["signature"] = weight.signature
    found["sphere"] = weight.sphere
    found["control"] = "the same hours" if weight.beside else "the past"
    signatures = [known.signature for known in case.weights if known.signature != ANY]
    if signatures:
        found["signatures"] = listed(signatures)
    tied = [named(others[number]) for number in weight.tied if number in others]
    if tied:
        found["confounders"] = "; ".join(sorted(tied))
    if weight.edge:
        found["edge"] = weight.edge
    if case.doubts:
        found["missing"] = "; ".join(case.doubts)
    return found


def advice(case: Case) -> tuple[str, ...]:
    """Return what should be stopped."""
    return (Action.HALT_ROLLOUT, Action.QUARANTINE_VERSION) if case.verdict == Verdict.GUILTY else ()
