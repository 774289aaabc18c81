"""Live run, replay from Kafka and replay from a capture of the telemetry that the run read: the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.codec import encode
from streams.engine.place import Place
from streams.kafka.real import RealBroker
from streams.replay.command import capture, from_capture, from_kafka
from streams.replay.history import reader_of, start_of
from streams.replay.run import Range
from tests.streams.replay.histories import history
from tests.streams.replay.lived import LANES, live, work, written

pytestmark = pytest.mark.kafka


async def test_live_run_replay_and_capture_give_the_same_bytes(
    real_broker: RealBroker, topic_prefix: str, tmp_path: Path
) -> None:
    config, run = await live(real_broker, topic_prefix)
    path = tmp_path / "night.capture"

    assert run
    assert run == sorted(encode(output) for output in (await from_kafka(config, Range())).outputs)
    assert len(history(LANES)) == await capture(config, path, Range())
    assert run == sorted(encode(output) for output in from_capture(path, Range()).outputs)


async def test_a_range_begins_at_the_last_snapshots_before_it_and_tells_the_same(
    real_broker: RealBroker, topic_prefix: str
) -> None:
    config, _ = await live(real_broker, topic_prefix)
    stamps = [record.at_ms for record in history(LANES)]
    from_ms = min(stamps) + (max(stamps) - min(stamps)) * 2 // 3
    async with reader_of(config) as reader:
        starts = [await start_of(config, reader, lane, from_ms) for lane in range(LANES)]

    assert any(start.runner is not None and start.from_offset > 0 for start in starts)
    whole = (await from_kafka(config, Range())).outputs
    part = (await from_kafka(config, Range(from_ms=from_ms))).outputs
    assert [encode(output) for output in whole if output.at_ms >= from_ms] == [encode(output) for output in part]


async def test_the_fleet_engine_tells_the_same_live_and_in_a_replay_of_fleet(
    real_broker: RealBroker, topic_prefix: str
) -> None:
    config, before = await live(real_broker, topic_prefix)
    await work(Place(real_broker.bootstrap, topic_prefix, 0, snapshot_every_s=600, source_topic="fleet"))
    answers = [value for value in await written(real_broker, topic_prefix) if value not in before] + await written(
        real_broker, topic_prefix, ("incidents",)
    )
    again = (await from_kafka(config, Range(), fleet=True)).outputs

    assert {"Finding", "Incident"} <= {type(answer).__name__ for answer in again}
    assert sorted(answers) == sorted(encode(answer) for answer in again)


async def test_the_fleet_engine_is_restored_over_its_own_log(real_broker: RealBroker, topic_prefix: str) -> None:
    """What stands in `fleet` behind its last snapshot, findings among it, is fed silently: nothing is said twice."""
    await live(real_broker, topic_prefix)
    place = Place(real_broker.bootstrap, topic_prefix, 0, snapshot_every_s=600, source_topic="fleet")
    await work(place)
    before = await written(real_broker, topic_prefix, ("findings", "incidents"))
    await work(place)

    assert before == await written(real_broker, topic_prefix, ("findings", "incidents"))
