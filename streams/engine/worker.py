"""The engine as a Faust worker: Faust gives partitions and bundles, the log decides everything else.

`faust -A streams.engine.worker worker` and `leapwatch worker --role engine` run the same app. Nothing may escape from
the agent: an error in flushing or feeding ends the process (`guards.die`), and the next owner goes on at progress.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import structlog

from streams.config.model import Config
from streams.engine.digest import code_digest
from streams.engine.fail_points import VARIABLE, FailPoints
from streams.engine.partition import PartitionEngine, Place
from streams.engine.runner import Runner
from streams.kafka.bundle import Bundle
from streams.kafka.faust_host import BundleApp

SLICE_FRAMES = 200
"""Frames fed before the event loop is let go: other partitions, timers and heartbeats wait no longer than this."""

log = structlog.get_logger(__name__)


class EngineHost:
    """What stands between Faust and the partition engines of one worker."""

    def __init__(
        self, app: BundleApp, config: Config, *, role: str = "engine", source_topic: str = "telemetry"
    ) -> None:
        self.app = app
        self.config = config
        self.role = role
        self.source_topic = source_topic
        self.topic = f"{config.kafka.prefix}{source_topic}"
        self.owned: dict[int, PartitionEngine] = {}
        self.events: dict[int, list[Any]] = {}
        self.locks: dict[int, asyncio.Lock] = {}
        self.flushed_s: dict[int, float] = {}
        self.rebalancing = True
        self.fail_points = FailPoints(os.environ.get(VARIABLE, ""))

    def engine_of(self, partition: int) -> PartitionEngine:
        """Return a partition's engine, not yet open."""
        kafka = self.config.kafka
        place = Place(
            ",".join(kafka.bootstrap), kafka.prefix, partition, self.config.engine.snapshot_every_s, self.source_topic
        )
        return PartitionEngine(
            place, fail_points=self.fail_points, new_runner=lambda: Runner(partition, code_digest=code_digest())
        )

    async def assigned(self) -> None:
        """Take over what was assigned and is not yet ours; let go of the rest."""
        mine = {tp.partition for tp in self.app.consumer.assignment() if tp.topic == self.topic}
        for partition in sorted(set(self.owned) - mine):
            await self.let_go(partition)
        for partition in sorted(mine - set(self.owned)):
            engine = self.engine_of(partition)
            await engine.open()
            self.owned[partition] = engine
            self.events[partition] = []
            self.locks[partition] = asyncio.Lock()
            self.flushed_s[partition] = 0.0
        self.rebalancing = False

    async def let_go(self, partition: int) -> None:
        """Forget a partition: its next owner makes again what was not flushed."""
        engine = self.owned.pop(partition)
        self.events.pop(partition)
        await engine.close()

    async def bundle(self, event: Any) -> None:
        """Feed a bundle and remember its event until the frames in it are flushed."""
        bundle: Bundle = event.value
        partition = bundle.partition
        engine = self.owned[partition]
        async with self.locks[partition]:
            for index, record in enumerate(bundle.records):
                if record.value is not None:
                    await engine.take(_log_record(record))
                if index % SLICE_FRAMES == SLICE_FRAMES - 1:
                    await asyncio.sleep(0)
            engine.passed(bundle.to_offset)
            self.events[partition].append(event)
        await self.flush(partition, late_only=True)

    async def flush(self, partition: int, *, late_only: bool = False) -> None:
        """Write what is pending and acknowledge what it covers; `late_only`: only if the last flush is long ago."""
        now_s = time.monotonic()
        if late_only and now_s - self.flushed_s[partition] < self.config.engine.flush_ms / 1000:
            return
        async with self.locks[partition]:
            engine = self.owned.get(partition)
            if engine is None:
                return
            self.flushed_s[partition] = now_s
            await engine.flush()
            events, self.events[partition] = self.events[partition], []
            if events:
                engine.acking()
            for event in events:
                event.ack()
            if events:
                engine.acked()

    async def flush_all(self) -> None:
        """Flush every partition that has something to write."""
        for partition in list(self.owned):
            await self.flush(partition)
