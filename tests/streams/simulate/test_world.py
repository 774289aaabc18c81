"""The timeline of one cluster."""

from dataclasses import replace

import pytest

from schemas.history import SourceRecord
from streams.simulate.courier import Courier
from tests.streams.simulate.worlds import START_MS, at, reports, scenario, world


def test_acts_happen_in_the_order_of_their_time_and_of_one_moment_in_that_of_their_planning() -> None:
    simulated = world()
    done: list[str] = []
    for name, second in (("c", 20), ("a", 10), ("d", 20), ("b", 10)):
        simulated.at(at(second), done.append, name)
    list(simulated.run())

    assert ["a", "b", "c", "d"] == done


@pytest.mark.parametrize(("second", "happens"), [(3599.999, True), (3600.0, False), (3600.001, False)])
def test_what_is_planned_for_the_end_or_later_does_not_happen(second: float, happens: bool) -> None:
    simulated = world()
    done: list[int] = []
    simulated.at(at(second), done.append, 1)
    list(simulated.run())

    assert happens == bool(done)


def test_what_was_planned_for_before_the_start_happens_at_the_start() -> None:
    simulated = world()
    simulated.at(at(-500), simulated.note, "hi")
    list(simulated.run())

    assert [START_MS] == [fact.at_ms for fact in simulated.ledger.facts("north-1", "hi")]


def test_records_come_in_the_order_of_their_stamps_within_the_scenario() -> None:
    simulated = world()
    stamps = [one.at_ms for one in simulated.run()]

    assert stamps == sorted(stamps)
    assert all(START_MS <= stamp < simulated.scenario.end_ms for stamp in stamps)


class Counting(Courier):
    """A courier that counts how often it is asked."""

    asked = 0

    def take(self, before_ms: int) -> list[SourceRecord]:
        self.asked += 1
        return super().take(before_ms)


def test_seconds_in_which_nothing_happens_cost_nothing_and_change_nothing() -> None:
    """A day of one server's beats each hour, and acts in the first and the last millisecond of a second between."""
    simulated = world(replace(scenario(servers=1, duration="1d"), interval_s=3600))
    counting = Counting(simulated.scenario.latency_ms, 0, simulated.rng("courier"))
    simulated.courier = counting
    done: list[int] = []
    for second in (5000, 5000.999, 5001):
        simulated.at(at(second), lambda: done.append(simulated.now))
    found = reports(list(simulated.run()))

    assert [at(5000), at(5000.999), at(5001)] == done
    assert 24 <= len(found) <= 48
    assert counting.asked < 200


def test_a_server_that_is_down_or_kept_from_speaking_sends_no_beat() -> None:
    simulated = world(scenario(servers=3))
    down, muted, well = simulated.hosts
    down.up, muted.muted = False, 1
    found = list(simulated.run())

    assert [0, 0, 60] == [len(reports(found, host.name)) for host in (down, muted, well)]


def test_each_purpose_has_dice_of_its_own_that_fall_the_same_in_every_run() -> None:
    one, other = world(), world()

    assert one.rng("a").random() == other.rng("a").random()
    assert one.rng("a").random() != one.rng("b").random()
