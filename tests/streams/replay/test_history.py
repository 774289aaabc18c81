"""Live run, replay from Kafka and replay from a capture of the telemetry that the run read: the same bytes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from streams.config.model import Config, Kafka
from streams.engine.digest import code_digest
from streams.engine.partition import PartitionEngine
from streams.engine.place import Place
from streams.engine.runner import Runner
from streams.engine.worker import log_record
from streams.kafka.real import RealBroker
from streams.kafka.topics import TopicAdmin, wanted
from streams.kafka.transactions import LogReader
from streams.replay.command import capture, from_capture, from_kafka
from streams.replay.history import reader_of, start_of
from streams.replay.run import Range
from tests.streams.replay.histories import history

pytestmark = pytest.mark.kafka
LANES = 2


async def live(broker: RealBroker, prefix: str) -> tuple[Config, list[bytes]]:
    """Write the history to `telemetry`, let engines work on it, return what they wrote."""
    config = Config(kafka=dataclasses.replace(Kafka(), bootstrap=(broker.bootstrap,), prefix=prefix, lanes=LANES))
    with TopicAdmin(broker.bootstrap) as admin:
        admin.apply(admin.plan(wanted(partitions=LANES, prefix=prefix, simulated=True)))
    # As the intake writes it: without transactions, whose markers would bear today's stamps.
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    await producer.start()
    for written_once in history(LANES):
        value, key, lane = written_once.value, written_once.key, written_once.partition
        await producer.send(f"{prefix}telemetry", value, key, lane, timestamp_ms=written_once.at_ms)
    await producer.stop()
    for lane in range(LANES):
        await work(Place(broker.bootstrap, prefix, lane, snapshot_every_s=600))
    return config, await written(broker, prefix)


async def work(place: Place) -> None:
    """Let an engine take its whole log, and flush now and then."""
    runner = functools.partial(Runner, place.partition, code_digest=code_digest(), fleet=place.fleet)
    engine = PartitionEngine(place, new_runner=runner)
    await engine.open()
    count = 0
    async with LogReader(place.bootstrap) as reader:
        async for record in reader.read(place.source, place.partition):
            engine.take(log_record(record))
            count += 1
            if count % 200 == 0:
                await engine.flush()
    await engine.flush()
    await engine.close()


async def written(
    broker: RealBroker, prefix: str, topics: Sequence[str] = ("findings", "decisions", "rca")
) -> list[bytes]:
    """Return the values of these topics, all that engines answer."""
    found = []
    async with LogReader(broker.bootstrap) as reader:
        for topic in topics:
            for lane in range(LANES):
                found += [record.value async for record in reader.read(f"{prefix}{topic}", lane)]
    return sorted(value for value in found if value is not None)


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
