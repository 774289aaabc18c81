"""Writes what the intake makes: one idempotent producer, each partition in order, and an end at the first failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.outputs import DeadLetter
from schemas.telemetry import Batch
from streams.config.model import Config
from streams.intake.reader import Out, Output
from streams.intake.wider import for_fleet
from streams.kafka.client import aiokafka_settings
from streams.kafka.guards import die
from streams.operate import metrics

MAX_REQUEST_BYTES = 2_000_000
"""A batch has at most 512 KiB, a dead letter a megabyte and its detail."""
PRODUCER_BATCH_BYTES = 262_144
LINGER_MS = 5
STOP_S = 10.0

log = structlog.get_logger(__name__)

Written = asyncio.Future[Any]


class Forwarder:
    """The way out of an intake; `end` is called with the reason at the first record that is not taken."""

    def __init__(self, config: Config, *, end: Callable[[str], object] = die) -> None:
        prefix = self._prefix = config.kafka.prefix
        self.telemetry = f"{prefix}telemetry"
        self.fleet = f"{prefix}fleet"
        self.dead_letters = f"{prefix}dead-letters"
        self._end = end
        self._stopping = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(config.kafka.bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=LINGER_MS,
            max_batch_size=PRODUCER_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(config.kafka.request_timeout_s * 1000),
            **aiokafka_settings(config),
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Wait a while for what is under way, and close: an idempotent producer would wait for its broker for ever."""
        self._stopping = True
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_S)
        except TimeoutError:
            log.warning("stopped with records under way; they are not committed, and come again", waited_s=STOP_S)

    async def send(self, outputs: Iterable[Output]) -> list[Written]:
        """Hand outputs to the producer in their order; return what to wait for before their sources are committed."""
        written: list[Written] = []
        for output in outputs:
            if isinstance(output, DeadLetter):
                written.append(await self._dead_letter(output))
                continue
            written.append(await self._send(self.telemetry, output.value, output.key, output.partition, output.at_ms))
            if isinstance(output.record, Batch):
                _count(output.record, len(output.value))
                if (batch := for_fleet(output.record)) is not None:
                    written.append(await self._send(self.fleet, encode(batch), output.key, 0, output.at_ms))
        return written

    async def _dead_letter(self, letter: DeadLetter) -> Written:
        feed = letter.topic.removeprefix(self._prefix)
        metrics.SOURCE_RECORDS.labels(feed, "dead").inc()
        metrics.DEAD_LETTERS.labels(feed, str(letter.reason)).inc()
        key = f"{letter.topic}-{letter.lane}-{letter.offset}".encode()
        # Stamped by its own clock and not with `at_ms`, which may be the very thing that is wrong with it.
        return await self._send(self.dead_letters, encode(letter), key, None, None)

    async def _send(self, topic: str, value: bytes, key: bytes, partition: int | None, at_ms: int | None) -> Written:
        try:
            future: Written = await self._producer.send(topic, value, key, partition, at_ms)
        except Exception as error:
            self._failed(topic, partition, error)
            raise
        future.add_done_callback(lambda done: self._done(topic, partition, done))
        return future

    def _done(self, topic: str, partition: int | None, done: Written) -> None:
        if not done.cancelled() and (error := done.exception()) is not None and not self._stopping:
            self._failed(topic, partition, error)

    def _failed(self, topic: str, partition: int | None, error: BaseException) -> None:
        # What stands behind it must not be written: the engine would take the watermark for the truth.
        self._end(f"a record for {topic}, partition {partition}, was not taken: {type(error).__name__}: {error}")


def _count(batch: Batch, size_bytes: int) -> None:
    metrics.BATCHES.labels(batch.feed).inc()
    metrics.BATCH_BYTES.labels(batch.feed).inc(size_bytes)
    metrics.SOURCE_RECORDS.labels(batch.feed, "forwarded").inc(len(batch.rows))
    metrics.SOURCE_LAST.labels(batch.feed).set(batch.at_ms[-1] / 1000)


__all__ = ["Forwarder", "Out", "Written"]
