"""rollout_worlds: the same seed, the same world; what happens in it is what its plan says."""

from __future__ import annotations

import dataclasses

from schemas.source import GuestEvent
from streams.simulate.rollout_worlds import DAY_S, HOUR_S, Lost, Plan, Trial, Weather, World

CALM = Weather(4, 0, False, 0, 0, 0, 0.01)


def plan(**fields: object) -> Plan:
    known = Plan("a", "ga", 0.5 * DAY_S, 4 * HOUR_S, 4, False, 0.5, True)
    return dataclasses.replace(known, changed={}, **fields)  # type: ignore[arg-type]


def trial(weather: Weather = CALM, lost: Lost | None = None, **fields: object) -> Trial:
    return Trial(5, "guilty", 40, 4, 4, 1.5, [plan(**fields)], weather, lost or Lost())


def test_the_same_seed_gives_the_same_log() -> None:
    assert World(trial()).rows == World(trial()).rows


def test_a_guilty_change_fails_starts_at_its_rate_and_nowhere_else() -> None:
    world = World(trial(guilty=True, rate=0.5))
    (known,) = world.trial.plans
    failed = [attempt for attempt in world.attempts if attempt.failed]

    assert known.harmed == len(failed) > 20
    assert all(attempt.at_s >= known.changed[attempt.server] for attempt in failed)
    assert known.first_harm_s == min(attempt.at_s for attempt in failed)


def test_a_change_that_sleeps_harms_nobody_before() -> None:
    world = World(trial(guilty=True, rate=0.5, sleeps_s=6 * HOUR_S))
    (known,) = world.trial.plans

    assert all(a.at_s >= known.changed[a.server] + 6 * HOUR_S for a in world.attempts if a.failed)


def test_it_reaches_its_share_of_servers_in_its_time() -> None:
    (known,) = World(trial()).trial.plans

    assert 20 == len(known.changed)
    assert max(known.changed.values()) - min(known.changed.values()) <= 4 * HOUR_S + 120


def test_an_innocent_change_in_calm_weather_fails_nothing() -> None:
    assert [] == [attempt for attempt in World(trial()).attempts if attempt.failed]


def test_bursts_bad_servers_racks_and_leap_days_fail_starts() -> None:
    weather = Weather(8, 0.01, False, 30, 2, 30, 50, leap_s=1.2 * DAY_S)
    world = World(trial(weather))

    assert {"burst", "bad", "rack", "common", "leap"} >= {a.failed for a in world.attempts} - {""} >= {"burst", "leap"}
    assert all(attempt.failed for attempt in world.attempts if attempt.at_s >= 1.2 * DAY_S)
    assert world.faults


def test_what_is_lost_is_not_in_the_log() -> None:
    begins = plan().begins_s
    world = World(trial(lost=Lost(inventory=True, changed_s=begins)))
    (known,) = world.trial.plans
    names = {name for name, at in known.changed.items() if at < DAY_S}
    heard = {row.server for at, row in world.rows["guest-agent"] if isinstance(row, GuestEvent) and at > 1.1 * DAY_S}

    assert not names & heard
