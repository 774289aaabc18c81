"""What is made of findings: a list of pure stages, and the decisions that they leave.

A stage takes a proposal (an action that a finding asks for) and returns it, changed, or None to drop it. What is
running is never touched; automatic actions only stop things; a person releases them, by name, with a reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.commands import Release
from schemas.outputs import Action, Decision, DecisionState, Finding, FindingState, Verdict
from streams.config.thresholds import PolicyConfig

BRAKES = ("hi_threshold",)
"""Detectors whose findings are brakes: what they advise is decided at once and outside every budget (law 9)."""
DECIDERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BRAKES, ()),
    "rollout_regression": (Verdict.GUILTY,),
    "version_mix": (),
    "domain_breach": (),
    "common_cause": (Verdict.SOFTWARE,),
    "simultaneous_change": (),
    "update_order": (),
    "paired_regions": (),
}
"""Detectors whose advice is decided, and the verdicts with which it is; none: whatever the verdict. What others advise
(a forecast, a cascade, what a person must look at first) stays advice."""
DECISIONS_KEPT = 1_000
"""Decisions remembered of one cluster; released ones go first."""
HOUR_MS = 3_600_000

_STATE_OF_MODE = {
    "shadow": DecisionState.HELD,
    "advise": DecisionState.PROPOSED,
    "enforce": DecisionState.ENFORCED,
}


@dataclass(slots=True)
class PolicyState:
    """What policy remembers of one cluster; saved and restored whole."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    enforced_ms: list[int] = field(default_factory=list)
    """When actions that count against the budget were enforced, the last day."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action on its way through the stages."""

    finding: Finding
    action: str
    state: str = DecisionState.PROPOSED
    mode: str = "advise"
    reason: str = ""


Stage = Callable[[Proposal, PolicyState, PolicyConfig], Proposal | None]


def decision_id(action: str, scope: str, finding_id: str) -> str:
    """Return the id: a hash of what is done, where, and the finding that asks for it."""
    return hashlib.sha256(f"{action}\x1f{scope}\x1f{finding_id}".encode()).hexdigest()[:32]


def scope_of(finding: Finding) -> str:
    """Return the scope of a decision: the finding's cluster, else its region, else everywhere (the fleet's)."""
    subject = finding.subject
    if subject.cluster:
        return f"cluster:{subject.cluster}"
    return f"region:{subject.region}" if subject.region else "everywhere"


def target_of(action: str, finding: Finding) -> str:
    """Return what of its scope an action stops: a rollout, a version; empty: all of it."""
    subject = finding.subject
    if action == Action.HALT_ROLLOUT and subject.rollout:
        return f"rollout:{subject.rollout}"
    if action in (Action.HALT_ROLLOUT, Action.QUARANTINE_VERSION) and subject.component and subject.version:
        return f"{subject.component}={subject.version}"
    return ""


def fold_duplicates(proposal: Proposal, state: PolicyState, config: PolicyConfig) -> Proposal | None:
    """Drop what was decided already for this finding, released or not."""
    known = decision_id(proposal.action, scope_of(proposal.finding), proposal.finding.id) in state.decisions
    return None if known else proposal


def hold_flapping(proposal: Proposal, state: PolicyState, config: PolicyConfig) -> Proposal | None:
    """Drop what stands already, of one scope and target, or was released a moment ago; brakes never wait.

    A second fault that asks for what is stopped stops nothing more; who has just released it need not do so again.
    """
    finding = proposal.finding
    if finding.detector in BRAKES:
        return proposal
    since_ms = finding.at_ms - int(config.hysteresis_s * 1000)
    what = (proposal.action, scope_of(finding), target_of(proposal.action, finding))
    recent = any(
        (decision.action, decision.scope, decision.target) == what
        and (decision.state != DecisionState.RELEASED or decision.at_ms > since_ms)
        for decision in state.decisions.values()
    )
    return None if recent else proposal


def set_mode(proposal: Proposal, state: PolicyState, config: PolicyConfig) -> Proposal:
    """Give it the state of the mode that the configuration sets for its action."""
    mode = config.mode(proposal.action)
    return dataclasses.replace(proposal, mode=mode, state=_STATE_OF_MODE[mode])


def keep_budget(proposal: Proposal, state: PolicyState, config: PolicyConfig) -> Proposal:
    """Count what is enforced against the cluster's budget; beyond it an action is only proposed."""
    if proposal.state != DecisionState.ENFORCED or proposal.finding.detector in BRAKES:
        return proposal
    at_ms = proposal.finding.at_ms
    state.enforced_ms = [then for then in state.enforced_ms if then > at_ms - 24 * HOUR_MS]
    in_hour = sum(1 for then in state.enforced_ms if then > at_ms - HOUR_MS)
    if in_hour >= config.budget_per_hour or len(state.enforced_ms) >= config.budget_per_day:
        spent = f"budget spent: {in_hour} in the last hour, {len(state.enforced_ms)} in the last day"
        return dataclasses.replace(proposal, state=DecisionState.PROPOSED, reason=spent)
    state.enforced_ms.append(at_ms)
    return proposal


STAGES: tuple[Stage, ...] = (fold_duplicates, hold_flapping, set_mode, keep_budget)


def decide(finding: Finding, state: PolicyState, config: PolicyConfig) -> list[Decision]:
    """Return the decisions that a finding leads to when it opens, or comes to a verdict; other advice stays advice."""
    verdicts = DECIDERS.get(finding.detector)
    if verdicts is None or finding.state not in (FindingState.OPEN, FindingState.UPDATED):
        return []
    if verdicts and finding.verdict not in verdicts:
        return []
    decisions = []
    for action in finding.advised:
        proposal: Proposal | None = Proposal(finding, action)
        for stage in STAGES:
            proposal = stage(proposal, state, config) if proposal is not None else None
        if proposal is None:
            continue
        decision = Decision(
            id=decision_id(action, scope_of(finding), finding.id),
            action=action,
            scope=scope_of(finding),
            state=proposal.state,
            mode=proposal.mode,
            reason=f"{finding.title}; {proposal.reason}" if proposal.reason else finding.title,
            finding_ids=(finding.id,),
            at_ms=finding.at_ms,
            config_digest=finding.config_digest,
            target=target_of(action, finding),
        )
        _remember(state, decision)
        decisions.append(decision)
    return decisions


def release(command: Release, at_ms: int, state: PolicyState) -> tuple[list[Decision], list[str]]:
    """Return the decisions that a person's Release lifts, and the findings whose latch it lifts with them.

    The target is a decision, or a latched finding with all that was decided for it. Of two commands the first in the
    log wins: what is released stays as it is. A finding's latch goes with the last decision made for it.
    """
    lifted: list[Decision] = []
    latches: list[str] = []
    for decision in list(state.decisions.values()):
        if command.target_id not in (decision.id, *decision.finding_ids):
            continue
        if decision.state == DecisionState.RELEASED:
            continue
        released = dataclasses.replace(
            decision,
            state=DecisionState.RELEASED,
            by=command.by,
            reason=command.reason,
            request_id=command.command_id,
            at_ms=at_ms,
        )
        state.decisions[decision.id] = released
        lifted.append(released)
        latches.extend(
            finding_id
            for finding_id in decision.finding_ids
            if not standing_for(finding_id, state) or finding_id in latches
        )
    if not lifted:
        latches = [command.target_id]
    return lifted, list(dict.fromkeys(latches))


def standing_for(finding_id: str, state: PolicyState) -> list[str]:
    """Return the actions that were decided for a finding and still stand, in the order of the decisions."""
    return [
        decision.action
        for decision in state.decisions.values()
        if finding_id in decision.finding_ids and decision.state != DecisionState.RELEASED
    ]


def _remember(state: PolicyState, decision: Decision) -> None:
    state.decisions[decision.id] = decision
    if len(state.decisions) > DECISIONS_KEPT:
        gone = next((d.id for d in state.decisions.values() if d.state == DecisionState.RELEASED), decision.id)
        del state.decisions[gone]
