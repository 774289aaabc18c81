"""Restoring on the real broker: from snapshots, without them, without the log's beginning, and by newer code."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from detectors.contract import registry
from schemas.codec import decode
from schemas.outputs import Progress
from streams.engine.digest import code_digest
from streams.engine.partition import PartitionEngine
from streams.engine.place import Place
from streams.engine.restore import Restore, Restored
from streams.engine.runner import Runner
from tests.streams.engine.places import frames, log_records, write

pytestmark = pytest.mark.kafka


def _runner() -> Runner:
    return Runner(0, code_digest=code_digest())


async def _worked(place: Place) -> PartitionEngine:
    """Return an engine that has worked on the whole log, flushed and let go."""
    records = log_records(frames())
    await write(place, records)
    engine = PartitionEngine(place, new_runner=_runner)
    await engine.open()
    for index, record in enumerate(records):
        engine.take(record)
        if index % 3 == 0:
            await engine.flush()
    await engine.flush()
    await engine.close()
    return engine


async def _restored(place: Place) -> Restored:
    async with place.reader() as reader:
        newest = await reader.newest(place.own("progress"), 0)
        assert newest is not None
        progress = decode(newest.value or b"")
        assert isinstance(progress, Progress)
        return await Restore(place, reader, _runner).run(progress)


def _delete(place: Place, topic: str, below: int) -> None:
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    for done in admin.delete_records([TopicPartition(topic, 0, below)]).values():
        done.result(20)


async def test_snapshots_and_the_rest_of_the_log_give_the_same_state(place: Place) -> None:
    engine = await _worked(place)
    restored = await _restored(place)

    assert ["*", "c1"] == [mark.cluster for mark in restored.marks]
    assert 0 < restored.frames < len(frames()) / 2
    assert [] == restored.difference
    assert engine.runner.save("c1") == restored.runner.save("c1")


async def test_without_snapshots_the_whole_log_gives_the_same_state(place: Place) -> None:
    engine = await _worked(place)
    _delete(place, place.own("snapshots"), -1)
    restored = await _restored(place)

    assert ((), len(frames())) == (restored.marks, restored.frames)
    assert engine.runner.save("c1") == restored.runner.save("c1")


async def test_what_was_open_stays_open_where_its_history_is_gone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither snapshots nor the beginning of the log, and newer code: missing data closes nothing."""
    engine = await _worked(place)
    _delete(place, place.own("snapshots"), -1)
    _delete(place, place.source, len(frames()) - 2)
    monkeypatch.setattr("streams.engine.restore.code_digest", lambda: "newer")
    restored = await _restored(place)

    opened = [f for d in engine.runner.clusters["c1"].detectors.values() for f in d.state.openings]
    kept = [f for c in restored.runner.clusters.values() for d in c.detectors.values() for f in d.state.openings]
    assert opened
    assert "CLOSED" not in {output.state for output in restored.difference}
    assert {finding.id for finding in opened} & {finding.id for finding in kept}


async def test_newer_detectors_are_fed_from_the_log_and_their_followers_with_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await _worked(place)
    monkeypatch.setattr(registry()["server_hi"], "state_version", 99)
    restored = await _restored(place)

    assert {"server_hi", "hi_threshold"} <= set(restored.anew)
    assert "guest_timeout" not in restored.anew
    assert [] == restored.difference
    assert {f.id for f in engine.runner.clusters["c1"].detectors["server_hi"].state.openings} == {
        f.id for f in restored.runner.clusters["c1"].detectors["server_hi"].state.openings
    }
