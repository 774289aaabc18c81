"""The engine as a Faust worker: Faust gives partitions and bundles, the log decides everything else.

`faust -A streams.engine.worker worker` and `leapwatch worker --role engine` run the same app. Nothing may escape from
the agent: an error in feeding or flushing ends the process (`guards.die`), and the next owner goes on at progress.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import structlog

from schemas.history import LogRecord
from streams.config.load import load
from streams.config.model import Config
from streams.engine.digest import code_digest
from streams.engine.fail_points import VARIABLE, FailPoints
from streams.engine.partition import PartitionEngine
from streams.engine.place import Place
from streams.engine.runner import Runner
from streams.engine.told import Told, gauge
from streams.kafka.bundle import Bundle, last_heard_s
from streams.kafka.client import aiokafka_settings, faust_credentials
from streams.kafka.faust_host import BundleApp, make_app
from streams.kafka.guards import Watchdog, die, partitions_added
from streams.operate import metrics
from streams.operate.health import Health
from streams.operate.web import WebServer
from streams.operate.web import make_app as make_pages

SLICE_FRAMES = 200
"""Frames fed before the event loop is let go: other partitions, timers and heartbeats wait no longer than this."""

GAUGED_EVERY_S = 2.0
"""What is open and how far things stand is counted anew so often, for whoever scrapes it."""

log = structlog.get_logger(__name__)


class EngineHost:
    """What stands between Faust and the partition engines of one worker."""

    def __init__(self, app: BundleApp, config: Config, *, role: str = "engine", source: str = "telemetry") -> None:
        self.app = app
        self.config = config
        self.role = role
        self.source = source
        self.topic = f"{config.kafka.prefix}{source}"
        self.owned: dict[int, PartitionEngine] = {}
        self.events: dict[int, list[Any]] = {}
        self.locks: dict[int, asyncio.Lock] = {}
        self.flushed_s: dict[int, float] = {}
        self.flusher: asyncio.Task[None] | None = None
        self.busy = True
        """A rebalance is under way or state is being restored: no progress is expected."""
        self.health = Health(role)
        self.told: dict[int, Told] = {}
        self.gauged_s = 0.0
        self.fail_points = FailPoints(os.environ.get(VARIABLE, ""))
        self.watchdog = Watchdog(app.standing, lambda: self.busy or app.away())
        self.pages = WebServer(make_pages(self.health), bind=config.web.bind, port=config.web.port(role))

    def engine_of(self, partition: int) -> PartitionEngine:
        """Return a partition's engine, not yet open."""
        kafka = self.config.kafka
        place = Place(
            ",".join(kafka.bootstrap),
            kafka.prefix,
            partition,
            self.config.engine.snapshot_every_s,
            self.source,
            aiokafka_settings(self.config),
            kafka.check_crcs,
            self.config.engine.memory_s,
        )
        return PartitionEngine(
            place,
            fail_points=self.fail_points,
            new_runner=lambda: Runner(partition, code_digest=code_digest(), fleet=place.fleet),
        )

    async def started(self) -> None:
        """Serve the pages and watch the loop, before anything else can go wrong."""
        await self.pages.start()
        self.watchdog.start()
        self.flusher = asyncio.create_task(fatal(self.flush_always()), name="flusher")
        log.info("worker started", role=self.role, port=self.pages.port)

    async def stopping(self) -> None:
        """Let go of everything: Faust has waited for the events under way, and committed what they were."""
        self.watchdog.stop()
        for partition in list(self.owned):
            await self.flush(partition)
            await self.let_go(partition)
        if self.flusher is not None:
            self.flusher.cancel()
        await self.pages.stop()

    def revoked(self) -> None:
        """Say that partitions move; Faust waits for the events under way, which the timer goes on flushing."""
        self.busy = True
        self.health.rebalancing()

    async def assigned(self) -> None:
        """Take over what was assigned and is not yet ours, let go of the rest; what stayed goes on where it stands."""
        self.health.restoring()
        mine = {tp.partition for tp in self.app.consumer.assignment() if tp.topic == self.topic}
        if self.source != "fleet" and max(mine, default=0) >= self.config.kafka.lanes:
            die(partitions_added(self.topic, max(mine), self.config.kafka.lanes))
        for partition in sorted(set(self.owned) - mine):
            await self.let_go(partition)
        for partition in sorted(mine - set(self.owned)):
            engine = self.engine_of(partition)
            await engine.open()
            self.owned[partition] = engine
            self.events[partition] = []
            self.locks[partition] = asyncio.Lock()
            self.flushed_s[partition] = 0.0
            self.told[partition] = Told(self.role, engine.runner.counts)
        metrics.PARTITIONS.labels(self.role).set(len(self.owned))
        self.busy = False
        self.health.progress(behind_s=0.0, work=False)

    async def let_go(self, partition: int) -> None:
        """Forget a partition: its next owner makes again what was not flushed."""
        async with self.locks[partition]:
            engine = self.owned.pop(partition)
            self.told.pop(partition)
            self.events.pop(partition)
            await engine.close()

    async def bundle(self, event: Any) -> None:
        """Feed a bundle and remember its event until the frames in it are flushed."""
        bundle: Bundle = event.value
        engine = self.owned.get(bundle.partition)
        if engine is None:
            # It came from the assignment before this one: whoever owns the partition now gets it again.
            event.ack()
            return
        async with self.locks[bundle.partition]:
            if self.owned.get(bundle.partition) is not engine:
                event.ack()
                return
            await engine.reach(bundle.from_offset)
            for index, record in enumerate(bundle.records):
                if record.value is not None:
                    engine.take(log_record(record))
                if index % SLICE_FRAMES == SLICE_FRAMES - 1:
                    await asyncio.sleep(0)
            engine.passed(bundle.to_offset)
            self.events[bundle.partition].append(event)
        standing = self.app.standing()
        unread = sum(max(0, each.end_offset - each.next_offset) for each in standing.values())
        self.health.progress(behind_s=0.0 if unread < 1_000 else unread / 100, work=unread > 0)
        await self.flush(bundle.partition, late_only=True)

    async def flush(self, partition: int, *, late_only: bool = False) -> None:
        """Write what is pending and acknowledge what it covers; `late_only`: only if the last flush is long ago."""
        now_s = time.monotonic()
        engine = self.owned.get(partition)
        if engine is None:
            return
        if late_only and now_s - self.flushed_s[partition] < self.config.engine.flush_ms / 1000:
            return
        async with self.locks[partition]:
            if self.owned.get(partition) is not engine:
                return
            self.flushed_s[partition] = now_s
            with metrics.FLUSH.labels(self.role).time():
                written = await engine.flush()
            self.told[partition].outputs(written)
            self.told[partition].counts(engine.runner.counts)
            events, self.events[partition] = self.events[partition], []
            if events:
                engine.acking()
                for event in events:
                    event.ack()
                engine.acked()

    async def flush_always(self) -> None:
        """Flush every partition that has something to write, again and again.

        Not a timer of Faust's: those end when shutdown begins, which then waits for events that nobody would flush.
        """
        while True:
            await asyncio.sleep(self.config.engine.flush_ms / 1000)
            for partition in list(self.owned):
                await self.flush(partition, late_only=True)
            if time.monotonic() - self.gauged_s > GAUGED_EVERY_S:
                self.gauged_s = time.monotonic()
                self.health.heard(last_heard_s(self.app.standing().values()))
                gauge(self.role, [engine.runner for engine in self.owned.values()])


def log_record(record: Any) -> LogRecord:
    """Return a fetched record as the engine takes it."""
    return LogRecord(record.partition, record.offset, record.timestamp, record.key, record.value)


def make(config: Config, *, role: str = "engine", source: str = "telemetry") -> BundleApp:
    """Return the Faust app of the engine (or, over `fleet`, of the fleet engine), not yet started."""
    kafka = config.kafka
    app = make_app(
        f"{kafka.prefix}leapwatch-{role}",
        ",".join(kafka.bootstrap),
        credentials=faust_credentials(config),
        session_timeout_s=kafka.session_timeout_s,
        broker_check_crcs=kafka.check_crcs,
    )
    host = EngineHost(app, config, role=role, source=source)

    async def revoked(app: Any, revoked: Any, **_: Any) -> None:
        host.revoked()

    async def assigned(app: Any, **_: Any) -> None:
        await fatal(host.assigned())

    async def work(stream: Any) -> None:
        async for event in stream.noack().events():
            await fatal(host.bundle(event))

    async def stopping(app: Any, **_: Any) -> None:
        await fatal(host.stopping())

    app.task(host.started)
    app.on_partitions_revoked.connect(revoked)
    app.on_rebalance_complete.connect(assigned)
    app.agent(app.bundles(host.topic), concurrency=1, name=role)(work)
    app.on_before_shutdown.connect(stopping)
    return app


async def fatal(work: Any) -> None:
    """Await work that must not fail: an error ends the process, and the next owner goes on at progress."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("engine failed")
        die(f"{type(error).__name__}: {error}")


def __getattr__(name: str) -> Any:
    """Give Faust's own command line its `app`, made from the configuration that the environment names."""
    if name == "app":
        path = os.environ.get("LEAPWATCH_CONFIG")
        return make(load(Path(path) if path else None, os.environ))
    raise AttributeError(name)
