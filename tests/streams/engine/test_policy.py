"""Policy: stages over proposals, decisions, releases."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import Release
from schemas.outputs import Action, Decision, DecisionState, Finding, FindingState, Severity, Subject, Verdict
from streams.config.thresholds import PolicyConfig
from streams.engine.policy import (
    DECISIONS_KEPT,
    HOUR_MS,
    STAGES,
    PolicyState,
    Proposal,
    decide,
    decision_id,
    fold_duplicates,
    hold_flapping,
    keep_budget,
    release,
    set_mode,
)

NOON_MS = 1_330_516_800_000
BOTH = (Action.STOP_UPDATES, Action.DISABLE_HEALING)


def finding(name: str = "f", detector: str = "hi_threshold", at_ms: int = NOON_MS, **changes: object) -> Finding:
    """Return an opening that advises both actions."""
    made = Finding(
        name, detector, Subject(cluster="c1"), FindingState.OPEN, Severity.CRITICAL, at_ms, at_ms, f"title of {name}"
    )
    return dataclasses.replace(made, **({"advised": BOTH, "config_digest": "d"} | changes))  # type: ignore[arg-type]


def lift(target: str, name: str = "k", by: str = "alice") -> Release:
    """Return a person's Release."""
    return Release(name, "c1", target, by, f"{by} says so")


def through(proposal: Proposal, state: PolicyState, config: PolicyConfig) -> Proposal | None:
    """Pass a proposal through all stages."""
    kept: Proposal | None = proposal
    for stage in STAGES:
        kept = stage(kept, state, config) if kept is not None else None
    return kept


# -- what is decided ---------------------------------------------------------------------------------------------


def test_a_brake_decides_each_action_that_it_advises() -> None:
    state = PolicyState()
    made = decide(finding(), state, PolicyConfig())

    assert list(BOTH) == [decision.action for decision in made]
    assert {"cluster:c1"} == {decision.scope for decision in made}
    assert {("f",)} == {decision.finding_ids for decision in made}
    assert {("title of f", NOON_MS, "d")} == {(each.reason, each.at_ms, each.config_digest) for each in made}
    assert {decision.id for decision in made} == set(state.decisions)


def test_what_closes_decides_nothing() -> None:
    assert [] == decide(finding(state=FindingState.CLOSED), PolicyState(), PolicyConfig())


def test_a_rollout_is_halted_when_its_verdict_turns_to_guilty_and_once() -> None:
    subject = Subject(cluster="c1", rollout="r7", component="ga", version="1.7")
    advised = (Action.HALT_ROLLOUT, Action.QUARANTINE_VERSION)
    asked: dict[str, Any] = {"detector": "rollout_regression", "subject": subject, "advised": advised}
    state = PolicyState()
    assert [] == decide(finding(verdict=Verdict.INCONCLUSIVE, **asked), state, PolicyConfig())

    guilty = finding(verdict=Verdict.GUILTY, state=FindingState.UPDATED, **asked)
    assert ["rollout:r7", "ga=1.7"] == [decision.target for decision in decide(guilty, state, PolicyConfig())]
    assert [] == decide(guilty, state, PolicyConfig())


@pytest.mark.parametrize(
    ("subject", "scope"),
    [
        (Subject(cluster="c1"), "cluster:c1"),
        (Subject(region="north"), "region:north"),
        (Subject(signature="s"), "everywhere"),
    ],
)
def test_a_decision_is_as_wide_as_what_its_finding_is_about(subject: Subject, scope: str) -> None:
    assert {scope} == {decision.scope for decision in decide(finding(subject=subject), PolicyState(), PolicyConfig())}


def test_two_rollouts_asked_to_halt_at_once_are_both_halted() -> None:
    state = PolicyState()
    for name in ("r1", "r2", "r2"):
        subject = Subject(cluster="c1", rollout=name)
        asked = finding(f"of {name} {len(state.decisions)}", "domain_breach", subject=subject)
        decide(dataclasses.replace(asked, advised=(Action.HALT_ROLLOUT,)), state, PolicyConfig())

    assert ["rollout:r1", "rollout:r2"] == [decision.target for decision in state.decisions.values()]


def test_advice_of_others_stays_advice() -> None:
    assert [] == decide(finding(detector="hi_forecast"), PolicyState(), PolicyConfig())


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        ("shadow", DecisionState.HELD),
        ("advise", DecisionState.PROPOSED),
        ("enforce", DecisionState.ENFORCED),
    ],
)
def test_the_mode_of_an_action_is_its_state(mode: str, state: str) -> None:
    config = PolicyConfig(modes={"stop-updates": mode})  # type: ignore[dict-item]
    made = decide(finding(), PolicyState(), config)

    assert [(mode, state), ("advise", DecisionState.PROPOSED)] == [(each.mode, each.state) for each in made]


def test_the_same_finding_decides_once_even_when_it_was_released() -> None:
    state = PolicyState()
    made = decide(finding(), state, PolicyConfig())
    assert [] == decide(finding(), state, PolicyConfig())

    release(lift(made[0].id), NOON_MS, state)
    assert [] == decide(finding(), state, PolicyConfig())


def test_a_decision_is_known_by_what_is_done_where_and_for_which_finding() -> None:
    ids = {decision_id(*parts) for parts in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x")]}

    assert 4 == len(ids)
    assert decision_id("a", "b", "c") in ids


# -- stages ------------------------------------------------------------------------------------------------------


def standing(at_ms: int, state: str = DecisionState.PROPOSED, action: str = Action.STOP_UPDATES) -> PolicyState:
    """Return the memory of one decision."""
    known = Decision("old", action, "cluster:c1", state, "advise", "r", ("old-finding",), at_ms)
    return PolicyState({"old": known})


def other(at_ms: int = NOON_MS) -> Proposal:
    """Return what a detector that is no brake asks for."""
    return Proposal(finding(detector="rollout_regression", at_ms=at_ms), Action.STOP_UPDATES)


def test_what_stands_is_not_decided_again_however_long_ago_it_was() -> None:
    for ago_ms in (1, 7 * 86_400_000):
        assert hold_flapping(other(), standing(NOON_MS - ago_ms), PolicyConfig()) is None


def test_what_was_released_is_not_decided_again_until_the_hysteresis_is_over() -> None:
    """Exactly at its end it is over."""
    config = PolicyConfig(hysteresis_s=300)

    assert hold_flapping(other(), standing(NOON_MS - 299_999, DecisionState.RELEASED), config) is None
    assert other() == hold_flapping(other(), standing(NOON_MS - 300_000, DecisionState.RELEASED), config)


def test_another_action_does_not_hold() -> None:
    assert other() == hold_flapping(other(), standing(NOON_MS - 1, action=Action.PAUSE_CREATE), PolicyConfig())


def test_a_brake_never_waits() -> None:
    proposal = Proposal(finding(), Action.STOP_UPDATES)

    assert proposal == hold_flapping(proposal, standing(NOON_MS - 1), PolicyConfig())


def enforced(at_ms: int) -> Proposal:
    """Return an enforced action that counts."""
    return dataclasses.replace(other(at_ms), state=DecisionState.ENFORCED, mode="enforce")


def test_beyond_the_hours_budget_it_is_only_proposed_and_says_why() -> None:
    state, config = PolicyState(), PolicyConfig(budget_per_hour=2, budget_per_day=10)
    kept = [keep_budget(enforced(NOON_MS + n), state, config) for n in range(3)]

    assert ["ENFORCED", "ENFORCED", "PROPOSED"] == [each.state for each in kept]
    assert "budget spent: 2 in the last hour, 2 in the last day" == kept[2].reason
    assert [NOON_MS, NOON_MS + 1] == state.enforced_ms


def test_an_hour_later_there_is_a_new_hours_budget_and_a_day_later_a_new_days() -> None:
    """What was enforced exactly an hour, or a day, ago counts no more."""
    config = PolicyConfig(budget_per_hour=1, budget_per_day=2)
    state = PolicyState()
    states = [
        keep_budget(enforced(at_ms), state, config).state
        for at_ms in (NOON_MS, NOON_MS + HOUR_MS - 1, NOON_MS + HOUR_MS, NOON_MS + 3 * HOUR_MS, NOON_MS + 24 * HOUR_MS)
    ]

    assert ["ENFORCED", "PROPOSED", "ENFORCED", "PROPOSED", "ENFORCED"] == states


def test_brakes_are_outside_the_budget() -> None:
    config = PolicyConfig(modes={action.value: "enforce" for action in BOTH}, budget_per_hour=0, budget_per_day=0)
    state = PolicyState()
    made = decide(finding(), state, config)

    assert {DecisionState.ENFORCED} == {decision.state for decision in made}
    assert [] == state.enforced_ms


def test_what_is_not_enforced_costs_no_budget() -> None:
    state = PolicyState()
    config = PolicyConfig(modes={"stop-updates": "shadow"})

    assert through(other(), state, config) == dataclasses.replace(other(), state=DecisionState.HELD, mode="shadow")
    assert [] == state.enforced_ms


@given(st.lists(st.integers(0, 3 * 24 * HOUR_MS), max_size=40).map(sorted), st.integers(0, 5), st.integers(0, 8))
def test_no_hour_and_no_day_ever_sees_more_than_its_budget(times: list[int], in_hour: int, in_day: int) -> None:
    state, config = PolicyState(), PolicyConfig(budget_per_hour=in_hour, budget_per_day=in_day)
    done = [at for at in times if keep_budget(enforced(NOON_MS + at), state, config).state == DecisionState.ENFORCED]

    for at in done:
        assert in_hour >= sum(at - HOUR_MS < then <= at for then in done)
        assert in_day >= sum(at - 24 * HOUR_MS < then <= at for then in done)


def test_stages_change_nothing_that_they_are_given() -> None:
    proposal = other()
    set_mode(proposal, PolicyState(), PolicyConfig())
    fold_duplicates(proposal, PolicyState(), PolicyConfig())

    assert other() == proposal


# -- releases ----------------------------------------------------------------------------------------------------


def test_a_release_names_who_why_and_by_which_command() -> None:
    state = PolicyState()
    made = decide(finding(), state, PolicyConfig())
    (lifted,), latches = release(lift(made[0].id), NOON_MS + 5, state)

    assert (DecisionState.RELEASED, "alice", "alice says so", "k", NOON_MS + 5) == (
        lifted.state, lifted.by, lifted.reason, lifted.request_id, lifted.at_ms,
    )  # fmt: skip
    assert [] == latches


def test_the_latch_goes_with_the_last_decision_made_for_its_finding() -> None:
    state = PolicyState()
    made = decide(finding(), state, PolicyConfig())

    assert [] == release(lift(made[0].id), NOON_MS, state)[1]
    assert ["f"] == release(lift(made[1].id), NOON_MS, state)[1]


def test_a_finding_is_released_with_all_that_was_decided_for_it() -> None:
    state = PolicyState()
    decide(finding(), state, PolicyConfig())
    lifted, latches = release(lift("f"), NOON_MS, state)

    assert set(BOTH) == {decision.action for decision in lifted}
    assert ["f"] == latches


def test_of_two_commands_the_first_wins() -> None:
    state = PolicyState()
    made = decide(finding(), state, PolicyConfig())
    release(lift(made[0].id, "1", "alice"), NOON_MS, state)
    lifted, _ = release(lift(made[0].id, "2", "bob"), NOON_MS + 1, state)

    assert [] == lifted
    assert ("alice", "1") == (state.decisions[made[0].id].by, state.decisions[made[0].id].request_id)


def test_a_latched_finding_for_which_nothing_was_decided_is_released_by_its_id() -> None:
    assert ([], ["some-finding"]) == release(lift("some-finding"), NOON_MS, PolicyState())


def test_another_findings_decisions_stay() -> None:
    state = PolicyState()
    decide(finding("f"), state, PolicyConfig())
    decide(finding("g"), state, PolicyConfig())
    release(lift("f"), NOON_MS, state)

    assert {"g": 2} == {
        name: sum(
            name in each.finding_ids and each.state != DecisionState.RELEASED for each in state.decisions.values()
        )
        for name in ("g",)
    }


# -- memory ------------------------------------------------------------------------------------------------------


def test_released_decisions_are_forgotten_first() -> None:
    state, config = PolicyState(), PolicyConfig()
    decide(finding("first"), state, config)
    decide(finding("second"), state, config)
    release(lift("second"), NOON_MS, state)
    for number in range((DECISIONS_KEPT - 2) // 2):
        decide(finding(f"f{number}"), state, config)

    assert DECISIONS_KEPT == len(state.decisions)
    kept = {name for each in state.decisions.values() for name in each.finding_ids}
    assert "first" in kept
    assert "second" not in kept
