"""Where an engine works: its topics, and a log that is shorter than it should be."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.engine.place import LogTooShort, Place, begins, history, reaches
from tests.streams.engine.places import frames, log_records, write


def test_the_fleet_engine_has_progress_and_snapshots_of_its_own() -> None:
    assert ("p.fleet-progress", "p.fleet") == (
        Place("b:1", "p.", 0, source_topic="fleet").own("progress"),
        Place("b:1", "p.", 0, source_topic="fleet").source,
    )
    assert ("p.progress", "p.telemetry") == (Place("b:1", "p.", 0).own("progress"), Place("b:1", "p.", 0).source)


@pytest.mark.kafka
async def test_a_log_that_ends_before_progress_is_an_error_that_says_what_to_do(place: Place) -> None:
    await write(place, log_records(frames())[:3])
    async with place.reader() as reader:
        await reaches(reader, place, 3)
        with pytest.raises(LogTooShort, match=r"before progress at 1000: .* take a new prefix"):
            await reaches(reader, place, 1_000, limit_s=0.1)


@pytest.mark.kafka
async def test_a_log_whose_beginning_is_gone_is_read_from_where_it_begins(place: Place) -> None:
    await write(place, log_records(frames())[:6])
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    for done in admin.delete_records([TopicPartition(place.source, 0, 4)]).values():
        done.result(20)
    async with place.reader() as reader:
        first = await begins(reader, place, 1)

        assert 4 == first
        assert 5 == await begins(reader, place, 5)
        assert [4, 5] == [record.offset async for record in history(reader, place, first, 6)]
