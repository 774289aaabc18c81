"""The broker goes away in the middle of it: workers wait for it, or end and start again; nothing is lost."""

import time

import pytest

from streams.kafka.real import RealBroker
from tests.faults.harness import Run, leap_day

pytestmark = pytest.mark.kafka


def test_a_broker_that_is_away_for_ten_seconds_costs_nothing(broker: RealBroker, run: Run) -> None:
    _broker_away(broker, run, 10)


@pytest.mark.slow
def test_a_broker_that_is_away_for_a_minute_costs_nothing(broker: RealBroker, run: Run) -> None:
    _broker_away(broker, run, 60)


@pytest.mark.slow
def test_a_broker_that_loses_power_costs_nothing(broker: RealBroker, run: Run) -> None:
    _broker_away(broker, run, 5, power=True)


def _broker_away(broker: RealBroker, run: Run, away_s: float, *, power: bool = False) -> None:
    run.may_crash = True
    run.play(leap_day())
    run.start()
    run.wait("a third", lambda: run.share() > 0.3)
    if power:
        broker.kill()
    else:
        broker.stop()
    time.sleep(away_s)
    broker.start()
    run.finish()

    assert {worker.status for worker in run.workers} <= {None, 0, 1, 70}, run.tails()
    run.judge()
