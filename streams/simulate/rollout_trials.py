"""Draws the trials of `score --rollouts` by a seed, and says of each change what a classical test could have told.

Whether the data can tell at all is judged here by Fisher's exact test at the end of the trial, on servers that failed,
with the truth's own knowledge of when harm could begin: no sequence, no mixture, none of the detector's code.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from streams.simulate.rollout_worlds import DAY_S, HOUR_S, Attempt, Lost, Plan, Trial, Weather, World

KINDS: dict[str, int] = {
    "guilty": 26,
    "guilty-servers": 10,
    "innocent": 22,
    "two-at-once": 12,
    "latent-hours": 8,
    "latent-weeks": 4,
    "small": 8,
    "blast": 6,
    "missing": 6,
    "leap": 4,
}
"""Kinds of trials, and how many of a hundred or so are of each."""
TOLD_P = 1e-5
"""Fisher's test must be as clear as this, at the end of all, for the data to be said to tell; a test that looks all the
time needs about two decades more than one that looks once at one per mille."""
TOLD_P_SAME_HOURS = 0.01
"""And it must not be the hour: so clearly must the servers without the change in the same hours contradict that, or the
hours themselves, of which so many more must be struck with the change than before it."""
STRETCH_S = 6 * HOUR_S
"""Of so many hours each: a burst of failures lasts three at most, and so strikes one, seldom two."""


def draw(seed: int, number: int) -> Trial:
    """Return a trial; the same seed and number give the same trial."""
    rng = random.Random(f"rollout trial {seed} {number}")
    kind = rng.choices(tuple(KINDS), weights=tuple(KINDS.values()))[0]
    servers = rng.randint(8, 30) if kind == "small" else round(math.exp(rng.uniform(math.log(50), math.log(260))))
    weather = Weather(
        starts_a_day=math.exp(rng.uniform(math.log(0.4), math.log(6))),
        failing=rng.choice((0.0, math.exp(rng.uniform(math.log(5e-4), math.log(0.03))))),
        alike=rng.random() < 0.3,
        bursts_a_week=rng.choice((0.0, 0.5, 2.0)),
        bad_servers=rng.choice((0, 0, 1, 2)),
        rack_troubles_a_week=rng.choice((0.0, 0.5, 1.5)),
        server_faults_a_year=rng.uniform(0.2, 3),
    )
    before = rng.uniform(1.5, 4)
    plans = [_plan(rng, "a", before * DAY_S, kind)]
    days = before + plans[0].spread_s / DAY_S + rng.uniform(0.7, 2.5) + plans[0].sleeps_s / DAY_S
    if kind == "two-at-once":
        other = _plan(rng, "b", before * DAY_S + rng.uniform(-6, 6) * HOUR_S, "innocent")
        other.component = "netplugin" if plans[0].component == "ga" else "ga"
        other.share = rng.uniform(0.3, 1)
        plans.append(other)
        days += 0.5
    lost = Lost()
    if kind == "missing":
        begins = plans[0].begins_s
        lost = rng.choice(
            (
                Lost(inventory=True),
                Lost(changed_s=begins + rng.uniform(-1, 3) * HOUR_S),
                Lost(guests=rng.uniform(0.3, 1)),
            )
        )
    if kind == "leap":
        at = plans[0].begins_s + rng.uniform(0.1, 1) * max(HOUR_S, plans[0].spread_s)
        weather = replace(weather, leap_s=math.ceil(at / DAY_S) * DAY_S)
        days = max(days, weather.leap_s / DAY_S + 0.7)
    return Trial(
        seed=rng.getrandbits(48),
        kind=kind,
        servers=servers,
        vms=rng.randint(4, 16),
        racks=max(1, math.ceil(servers / rng.randint(10, 25))),
        days=days,
        plans=plans,
        weather=weather,
        lost=lost,
    )


def _plan(rng: random.Random, name: str, begins_s: float, kind: str) -> Plan:
    guilty = kind in {"guilty", "guilty-servers", "two-at-once", "latent-hours", "latent-weeks"}
    if kind in {"small", "blast", "missing"}:
        guilty = rng.random() < 0.6
    on_servers = kind == "guilty-servers" or (kind in {"small", "blast", "two-at-once"} and rng.random() < 0.25)
    plan = Plan(
        name=name,
        component="ha" if on_servers else rng.choice(("ga", "ga", "host_os")),
        begins_s=begins_s,
        spread_s=rng.uniform(3, 30) * HOUR_S,
        domains=rng.randint(3, 12),
        by_rack=rng.random() < 0.25,
        share=1.0 if rng.random() < 0.5 else rng.uniform(0.3, 0.95),
        restarts=not on_servers,
        announced=rng.random() < 0.8,
        guilty=guilty,
        rate=math.exp(rng.uniform(math.log(0.002), math.log(0.5))),
        patchy=rng.uniform(0.4, 1),
        what="error" if rng.random() < 0.75 else "silent",
    )
    if on_servers:
        plan.rate = math.exp(rng.uniform(math.log(0.05), math.log(2.0)))
        plan.what = rng.choice(("reboot", "hi", "network"))
    if kind == "blast":
        plan.spread_s, plan.domains, plan.share = 0.0, 1, 1.0
    if kind == "latent-hours":
        plan.sleeps_s = rng.uniform(2, 14) * HOUR_S
        plan.rate = math.exp(rng.uniform(math.log(0.02), math.log(0.5)))
    if kind == "latent-weeks":
        plan.sleeps_s = rng.uniform(13, 15) * DAY_S
        plan.rate = math.exp(rng.uniform(math.log(0.05), math.log(0.5)))
        plan.spread_s = rng.uniform(12, 60) * HOUR_S
    return plan


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one change of a trial."""

    plan: Plan
    told: bool
    """Whether the data can tell its guilt from innocence."""
    harmed: int
    first_harm_s: float


def truth(world: World, plan: Plan) -> Truth:
    """Return what is true of a change, and whether the data can tell."""
    trial = world.trial
    told = plan.guilty and plan.harmed > 0 and trial.lost == Lost() and _tells(world, plan)
    return Truth(plan, told, plan.harmed, plan.first_harm_s)


def _tells(world: World, plan: Plan) -> bool:
    """Tell whether servers with the change failed more than those without, all in all and in the same hours."""
    if plan.what in {"error", "silent"}:
        attempts = world.attempts
    else:
        # A server without a fault is one attempt a day.
        quiet = [Attempt(day * DAY_S + 1, name, "") for day in range(int(world.end_s // DAY_S)) for name in world.names]
        attempts = sorted([*world.faults, *quiet], key=lambda known: known.at_s)
    alike = world.trial.weather.alike
    reasons = {plan.name, *(("common", "burst") if alike else ())}
    if plan.what == "silent":
        reasons = {plan.name, "rack", "bad"}
    if plan.what in {"reboot", "hi", "network"}:
        reasons = {plan.name, *(("common", "rack") if plan.what != "network" else ())}
    first_s = min((at + plan.sleeps_s for at in plan.changed.values()), default=math.inf)
    others = [other for other in world.trial.plans if other is not plan]
    cells: dict[str, list[int]] = {"with": [0, 0], "beside": [0, 0], "before": [0, 0]}
    stretches: dict[tuple[bool, int], bool] = {}
    hit: set[tuple[str, str]] = set()
    for attempt in attempts:
        exposed = attempt.at_s >= plan.changed.get(attempt.server, math.inf) + plan.sleeps_s
        if exposed and any(_always_together(plan, other) for other in others):
            return False
        where = "with" if exposed else "beside" if attempt.at_s >= first_s else "before"
        failed = attempt.failed in reasons
        if where != "beside":
            stretch = (exposed, int(attempt.at_s // STRETCH_S))
            stretches[stretch] = stretches.get(stretch, False) or failed
        if failed and (where, attempt.server) in hit:
            continue
        hit |= {(where, attempt.server)} if failed else set()
        cells[where][0 if failed else 1] += 1
    past = [cells["beside"][0] + cells["before"][0], cells["beside"][1] + cells["before"][1]]
    if fisher(cells["with"], past) > TOLD_P:
        return False
    hours = [[sum(struck is known for (its, _), struck in stretches.items() if its is side) for known in (True, False)]
             for side in (True, False)]  # fmt: skip
    return min(fisher(cells["with"], cells["beside"]), fisher(hours[0], hours[1])) <= TOLD_P_SAME_HOURS


def _always_together(plan: Plan, other: Plan) -> bool:
    return set(plan.changed) == set(other.changed) and all(
        abs(plan.changed[name] - other.changed[name]) < HOUR_S for name in plan.changed
    )


def fisher(one: list[int], other: list[int]) -> float:
    """Return the probability of at least so many failures in the first of two (failed, well), given all four sums."""
    failed, well = one[0] + other[0], one[1] + other[1]
    size = sum(one)
    most = min(failed, size)
    total = _log_choose(failed + well, size)
    logs = [
        _log_choose(failed, k) + _log_choose(well, size - k) - total
        for k in range(one[0], most + 1)
        if size - k <= well
    ]
    return min(1.0, sum(math.exp(log) for log in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
