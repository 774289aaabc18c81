"""availability: the figures of a history, the same from records and from what engines wrote into Kafka."""

from __future__ import annotations

import pytest

from schemas.inventory import Vm
from schemas.outputs import Finding
from streams.kafka.real import RealBroker
from streams.replay.availability import MONTH_MS, Question, answer, from_kafka, from_records, period_of, ranked
from streams.replay.command import from_records as replay_of
from streams.replay.figures import Kept, Sight
from streams.replay.members import Members
from streams.replay.run import Range
from tests.streams.replay.histories import history
from tests.streams.replay.lived import LANES, live
from tests.streams.replay.test_members import interval, known


def test_a_history_is_read_as_a_replay_tells_it() -> None:
    found = answer(from_records(history()), Question())
    told = [one for one in replay_of(iter(history()), Range()).outputs if isinstance(one, Finding)]
    out = {one.subject.vm for one in told if one.detector == "unavailability"}

    stamps = [record.at_ms for record in history()]
    assert min(stamps) - 1_000 <= found.period[0] < found.period[1] <= max(stamps)
    assert {"complete-1", "started-1"} == {cluster for row in found.rows for cluster in row.clusters}
    assert out
    assert len(out) <= sum(row.figures.instances for row in found.rows)
    assert 0 < sum(row.figures.instance_ms[Sight.UNPLANNED] for row in found.rows)
    assert {Kept.KEPT} == {row.figures.kept() for row in found.rows}


@pytest.mark.kafka
async def test_kafka_tells_the_same_figures(real_broker: RealBroker, topic_prefix: str) -> None:
    """The inventory stands in `telemetry` alone here: it is taken from the records."""
    config, _ = await live(real_broker, topic_prefix)
    read, replayed = await from_kafka(config), from_records(history(LANES))
    read.members = from_records(history(LANES)).members

    assert replayed.lanes == read.lanes
    assert read.intervals
    assert replayed.intervals.keys() == read.intervals.keys()
    assert answer(replayed, Question()) == answer(read, Question())


def two() -> Members:
    """Return two VMs in two domains: one out for a second of a thousand, the other at the same time."""
    members = known(interval(100, 200), interval(150, 300, vm="v2"))
    members.take_row(0, 0, Vm("v2", "c1", "s2", subscription="u2", group="g2", update_domain=0, service="web"))
    return members


@pytest.mark.parametrize(
    ("by", "names"),
    [("service", ["web"]), ("group", ["g1", "g2"]), ("subscription", ["u1", "u2"]), ("cluster", ["c1"])],
)
def test_a_line_for_each_of_what_is_asked(by: str, names: list[str]) -> None:
    assert names == [row.name for row in answer(two(), Question(by)).rows]


def test_a_service_is_out_while_all_of_it_is() -> None:
    (row,) = answer(two(), Question()).rows

    assert (("c1",), ("u1", "u2"), 2) == (row.clusters, row.subscriptions, row.figures.instances)
    assert [(150, 200)] == [(outage.from_ms, outage.until_ms) for outage in row.figures.outages]
    assert Kept.BREACHED == row.figures.kept()


def test_only_those_asked_for_are_counted() -> None:
    (row,) = answer(two(), Question(only={"subscription": "u2"})).rows

    assert (1, Kept.NO_PROMISE) == (row.figures.instances, row.figures.kept())
    assert () == answer(two(), Question(only={"service": "mail"})).rows


def test_the_period_is_what_was_watched_the_last_month_or_what_is_asked() -> None:
    members = known()
    members.watched(1, 300, 2 * MONTH_MS)

    assert (0, 1000) == period_of(members, Question())
    assert (MONTH_MS, 2 * MONTH_MS) == period_of(members, Question(to_ms=2 * MONTH_MS))
    assert (700, 900) == period_of(members, Question(from_ms=700, to_ms=900))
    assert (700, 700) == period_of(members, Question(from_ms=700, to_ms=600))
    assert (0, 0) == period_of(Members(), Question())


def test_what_was_broken_stands_first() -> None:
    members = two()
    rows = answer(members, Question("group")).rows + answer(members, Question()).rows

    assert ["web", "g1", "g2"] == [row.name for row in ranked(rows)]
    assert {"g1", "g2", "web"} == {row.name for row in ranked(rows)}
