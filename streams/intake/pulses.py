"""Writes a pulse into every lane of the pulsed topics each second, so that the clock of a lane stands in the lane.

A pulse that a broker does not take is lost and counted: that nobody could write is just what its absence says. While
pulses of a lane are under way no more are made for it, lest a broker that comes back gets an hour of them.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.source import Pulse
from streams.config.model import Config
from streams.kafka.client import aiokafka_settings
from streams.operate import metrics

PULSE_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class Pulses:
    """The pulses of one intake; `topics` by name: how many lanes each has, and its feed."""

    def __init__(self, config: Config, intake: str, topics: dict[str, tuple[int, str]]) -> None:
        self.intake = intake
        self.topics = topics
        self.seq = 0
        self._under_way: set[tuple[str, int]] = set()
        self._failing = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(config.kafka.bootstrap),
            acks=1,
            request_timeout_ms=int(PULSE_TIMEOUT_S * 1000),
            **aiokafka_settings(config),
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Close; what is under way may be lost."""
        await self._producer.stop()

    async def beat(self) -> None:
        """Write one pulse into each lane whose last one is through."""
        value = encode(Pulse(self.intake, self.seq))
        self.seq += 1
        for topic, (lanes, feed) in self.topics.items():
            for lane in range(lanes):
                if (topic, lane) in self._under_way:
                    metrics.PULSES_FAILED.labels(feed).inc()
                    continue
                await self._write(topic, lane, feed, value)

    async def _write(self, topic: str, lane: int, feed: str, value: bytes) -> None:
        place = topic, lane
        self._under_way.add(place)
        try:
            # Only in a topic that its producers stamp does the time count; where the broker stamps it is overwritten.
            sent = self._producer.send(topic, value, partition=lane, timestamp_ms=time.time_ns() // 1_000_000)
            future = await asyncio.wait_for(sent, PULSE_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pulse is lost, and that is all
            self._done(place, feed, error)
            return
        future.add_done_callback(lambda done: self._done(place, feed, _error_of(done)))

    def _done(self, place: tuple[str, int], feed: str, error: BaseException | None) -> None:
        self._under_way.discard(place)
        if error is not None:
            metrics.PULSES_FAILED.labels(feed).inc()
            if not self._failing:
                log.warning("pulses are not taken", topic=place[0], lane=place[1], error=repr(error))
        elif self._failing:
            log.info("pulses are taken again", topic=place[0])
        self._failing = error is not None


def _error_of(done: asyncio.Future[Any]) -> BaseException | None:
    return asyncio.CancelledError() if done.cancelled() else done.exception()
