"""The first hour of the leap day as engines have worked on it on a real broker, and what they wrote there."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from schemas.history import LogRecord
from streams.config.model import Config, Kafka
from streams.engine.digest import code_digest
from streams.engine.partition import PartitionEngine
from streams.engine.place import Place
from streams.engine.runner import Runner
from streams.engine.worker import log_record
from streams.kafka.real import RealBroker
from streams.kafka.topics import TopicAdmin, wanted
from streams.kafka.transactions import LogReader
from tests.streams.replay.histories import history

LANES = 2


async def live(
    broker: RealBroker, prefix: str, records: Sequence[LogRecord] | None = None
) -> tuple[Config, list[bytes]]:
    """Write the history (or these records) to `telemetry`, let engines work on it, return what they wrote."""
    config = Config(kafka=dataclasses.replace(Kafka(), bootstrap=(broker.bootstrap,), prefix=prefix, lanes=LANES))
    with TopicAdmin(broker.bootstrap) as admin:
        admin.apply(admin.plan(wanted(partitions=LANES, prefix=prefix, simulated=True)))
    # As the intake writes it: without transactions, whose markers would bear today's stamps.
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    await producer.start()
    for written_once in history(LANES) if records is None else records:
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
