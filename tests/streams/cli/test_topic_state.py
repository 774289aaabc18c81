"""What stands on a topic by id, and where a person's command is written."""

import asyncio
import dataclasses

import pytest

from schemas import codec
from schemas.commands import Acknowledge
from schemas.outputs import Subject
from streams.cli.exits import Failure
from streams.cli.topic_state import cluster_of_decision, cluster_of_finding, command, histories, newest, signed
from streams.kafka.partition import lane_of
from tests.streams.cli.log import DECISION, FINDING, LANES, config_of, held, place


@pytest.mark.embedded
def test_the_newest_record_of_an_id_stands_and_its_history_can_be_had(bootstrap: str) -> None:
    later = dataclasses.replace(FINDING, at_ms=FINDING.at_ms + 1, title="60 of 1000 servers in HI")
    for finding in (FINDING, later):
        place(bootstrap, "findings", finding)

    assert {FINDING.id: later} == asyncio.run(newest(config_of(bootstrap), "findings"))
    assert {FINDING.id: [FINDING, later]} == asyncio.run(histories(config_of(bootstrap), "findings"))


@pytest.mark.embedded
def test_a_command_goes_into_its_clusters_lane_and_everyones_into_every_lane(bootstrap: str) -> None:
    for cluster in ("c1", "*"):
        asyncio.run(command(config_of(bootstrap), Acknowledge("1", cluster, FINDING.id, "ann", "", 1_000)))

    records = held(bootstrap, "t.operator")
    assert [lane_of("c1", LANES)] == [record.partition for record in records if record.key == b"c1"]
    assert [0, 1, 2, 3] == sorted(record.partition for record in records if record.key == b"*")
    assert {1_000} == {record.timestamp for record in records}
    assert {"c1", "*"} == {codec.decode(record.value).cluster for record in records}


def test_what_is_wider_than_a_cluster_is_everyones() -> None:
    assert ["c1", "*"] == [
        cluster_of_decision(dataclasses.replace(DECISION, scope=scope)) for scope in ("cluster:c1", "region:north")
    ]
    assert ["c1", "*"] == [
        cluster_of_finding(dataclasses.replace(FINDING, subject=subject))
        for subject in (Subject(cluster="c1"), Subject(region="north"))
    ]


def test_a_name_and_a_reason_must_say_something() -> None:
    assert ("ann", "mended") == signed(" ann ", "mended\n")
    assert ("ann", "") == signed("ann", "", need_reason=False)
    with pytest.raises(Failure, match="--by"):
        signed(" ", "mended")
    with pytest.raises(Failure, match="--reason"):
        signed("ann", " ")
    with pytest.raises(Failure, match="--reason"):
        signed("ann", "x" * 2_001, need_reason=False)
