"""Health: alive is not ready, and work under way is not sickness."""

import pytest

from streams.operate.health import Health, State


class Clock:
    """A clock that goes only where it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health("engine", stuck_after_s=60, catch_up_s=10, clock=clock)


def verdict(health: Health) -> tuple[bool, bool, str]:
    return health.healthy()[0], health.ready()[0], str(health.state)


def test_a_worker_that_starts_is_alive_and_not_ready(health: Health) -> None:
    assert (True, False, "starting") == verdict(health)


def test_rebalancing_and_catching_up_are_not_unhealthy(health: Health, clock: Clock) -> None:
    health.rebalancing()
    clock.now_s += 3600

    assert (True, False, "rebalancing") == verdict(health)

    health.progress(behind_s=500, work=True)
    clock.now_s += 60

    assert (True, False, "catching_up") == verdict(health)
    assert ["500 s behind"] == health.ready()[1]["reasons"]


@pytest.mark.parametrize(("quiet_s", "ready"), [(10, True), (10.1, False)])
def test_a_worker_whom_no_broker_answers_is_alive_and_not_ready(
    health: Health, clock: Clock, quiet_s: float, ready: bool
) -> None:
    health.progress(behind_s=0, work=False)
    health.heard(clock.now_s)
    clock.now_s += quiet_s

    assert (True, ready, "running") == verdict(health)
    assert ready or ["no answer of a broker for 10 s"] == health.ready()[1]["reasons"]


def test_a_worker_exactly_at_the_catch_up_limit_is_ready(health: Health) -> None:
    health.progress(behind_s=10, work=False)

    assert (True, True, "running") == verdict(health)


@pytest.mark.parametrize(("waited_s", "alive"), [(59, True), (60, True), (60.1, False)])
def test_a_worker_with_work_and_no_progress_is_stuck_past_the_limit(
    health: Health, clock: Clock, waited_s: float, alive: bool
) -> None:
    health.progress(behind_s=0, work=True)
    clock.now_s += waited_s

    assert (alive, alive) == verdict(health)[:2]


def test_a_worker_without_work_is_never_stuck(health: Health, clock: Clock) -> None:
    health.progress(behind_s=0, work=False)
    clock.now_s += 86_400

    assert (True, True, "running") == verdict(health)


def test_the_wait_begins_where_the_work_does(health: Health, clock: Clock) -> None:
    health.progress(behind_s=0, work=False)
    clock.now_s += 86_400
    health.waiting(work=True)
    clock.now_s += 60

    assert health.healthy()[0]

    clock.now_s += 1

    assert not health.healthy()[0]


def test_time_spent_rebalancing_does_not_count_against_progress(health: Health, clock: Clock) -> None:
    health.progress(behind_s=0, work=True)
    health.rebalancing()
    clock.now_s += 600
    health.restoring()

    assert health.healthy()[0]


def test_a_failed_worker_stays_failed_and_says_why(health: Health) -> None:
    health.failed("the producer was fenced")
    health.progress(behind_s=0, work=False)

    assert (False, False, "failed") == verdict(health)
    assert ["the producer was fenced"] == health.healthy()[1]["reasons"]
    assert State.FAILED is health.state
