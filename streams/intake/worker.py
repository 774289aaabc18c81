"""The intake as a Faust worker: one agent a source topic, pulses, Clocks, and the thresholds of its file.

`faust -A streams.intake.worker worker` and `leapwatch worker --role intake` run the same app. Nothing may escape from
the agents: an error ends the process (`guards.die`), and the next owner goes on at the last commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from detectors.contract import registry
from schemas.commands import OPERATOR
from schemas.records import FEEDS
from schemas.source import TELEMETRY_FEEDS
from streams.config.load import load
from streams.config.model import Config, Foreign
from streams.config.problems import ConfigError
from streams.intake.fields import EARLIEST_MS
from streams.intake.forward import Forwarder
from streams.intake.host import IntakeHost, TopicPlan
from streams.intake.mapping import Mapper
from streams.intake.mapping_file import mapping_of
from streams.intake.pulses import Pulses
from streams.intake.source_topics import SourceTopic, describe
from streams.intake.writers_asked import writers_of
from streams.kafka.client import faust_credentials
from streams.kafka.faust_host import BundleApp, make_app
from streams.kafka.guards import Watchdog, die
from streams.operate import metrics, thresholds_log
from streams.operate.health import Health
from streams.operate.web import WebServer
from streams.operate.web import make_app as make_pages

ROLE = "intake"
PULSED_GAP_MS = 10_000
OUTPUTS = ("telemetry", "fleet", "dead-letters")

log = structlog.get_logger(__name__)


class IntakeWorker:
    """One intake process: its parts, in the order in which they start and stop."""

    def __init__(self, app: BundleApp, config: Config, *, pulse: bool | None = None) -> None:
        """`pulse`: write pulses or do not; None: where the brokers stamp the topics themselves."""
        self.app = app
        self.config = config
        self.pulse = pulse
        self.health = Health(ROLE)
        self.forwarder: Forwarder | None = None
        self.host: IntakeHost | None = None
        self.pulses: Pulses | None = None
        self.pages = WebServer(
            make_pages(self.health, reload=self.reload), bind=config.web.bind, port=config.web.port(ROLE)
        )
        self.watchdog = Watchdog(
            app.standing, lambda: self.host is None or self.host.busy or bool(app.rebalancing) or app.away()
        )
        self._stamped = True
        """Whether brokers stamp what we write to `operator`."""
        self._ready = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def started(self) -> None:
        """Serve the pages and watch the loop, before anything else can go wrong; then all the rest."""
        await self.pages.start()
        self.watchdog.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
        await self.prepared()
        # Not Faust's timers: those end at the first word of a shutdown, and Faust then waits for acks that only come
        # with the next Clocks.
        self._keep(self._every(self.config.intake.flush_ms / 1000, self.tick))
        self._keep(self._every(self.config.intake.clocks_s, self.beat))
        log.info("worker started", role=ROLE, port=self.pages.port)
        await thresholds_log.write(
            self.config, by="start", reason="the log was empty", only_if_empty=True, at_ms=self._stamp_ms()
        )

    async def prepared(self) -> IntakeHost:
        """Return the host, made when first asked for: it needs to know the topics."""
        async with self._ready:
            if self.host is None:
                prefix = self.config.kafka.prefix
                names = [prefix + name for name in (*FEEDS, *OUTPUTS)]
                known = await describe(
                    self.config, [*names, *[foreign.topic for foreign in self.config.intake.foreign]]
                )
                self._check_lanes(known)
                self._stamped = known[f"{prefix}{OPERATOR}"].broker_stamps
                self.forwarder = Forwarder(self.config)
                await self.forwarder.start()
                self.pulses = Pulses(self.config, _name(), self._pulsed(known))
                await self.pulses.start()
                self.host = IntakeHost(
                    self.config,
                    plans(self.config, known),
                    self.forwarder,
                    self.health,
                    writers=writers_of(self.config),
                    standing=self.app.standing,
                    rebalancing=lambda: bool(self.app.rebalancing or self.app.should_stop),
                    release=self._release,
                )
        return self.host

    async def stopping(self) -> None:
        """Forward what is packed, wait for it, and let go."""
        self.watchdog.stop()
        for task in list(self._tasks):
            task.cancel()
        if self.host is not None:
            await self.host.finish()
        if self.pulses is not None:
            await self.pulses.stop()
        if self.forwarder is not None:
            await self.forwarder.stop()
        await self.pages.stop()

    async def assigned(self) -> None:
        """Begin with the lanes that are ours now."""
        host = await self.prepared()
        host.assigned((tp.topic, tp.partition) for tp in self.app.consumer.assignment())

    async def bundle(self, event: Any) -> None:
        """Take a bundle of a source topic."""
        await (await self.prepared()).bundle(event)

    async def tick(self) -> None:
        """Forward what is due."""
        if self.host is not None:
            await self.host.tick(time.time_ns() // 1_000_000)

    async def beat(self) -> None:
        """Write the pulses of this second."""
        if self.pulses is not None:
            await self.pulses.beat()

    async def reload(self) -> tuple[bool, str]:
        """Read the file again and write its thresholds into the log; a bad file is refused and the old stay."""
        path = Path(self.config.source) if self.config.source else None
        try:
            config = load(path, os.environ, {name: kind.Config for name, kind in registry().items()})
            outcome = await thresholds_log.write(
                config, by="SIGHUP", reason="the file was read again", at_ms=self._stamp_ms()
            )
        except ConfigError as error:
            metrics.RELOADS.labels("refused").inc()
            metrics.RELOAD_OK.labels(ROLE).set(0)
            log.error("configuration refused; what was in force stays", error=str(error))
            return False, str(error)
        metrics.RELOADS.labels(outcome).inc()
        metrics.RELOAD_OK.labels(ROLE).set(1)
        return True, outcome

    def _stamp_ms(self) -> int | None:
        """Return the stamp of what is written now; None: the wall's time, which the broker overwrites.

        In a log of another time (a simulation) it is how far the pulsed lanes have come: of today, it would lie years
        ahead of them.
        """
        if self.pulse or self._stamped:
            return None
        groups = self.host.groups.values() if self.host is not None else ()
        lanes = [lane for group in groups for lane in group.reader.lanes.values()]
        newest = [lane.clock.newest_ms for lane in lanes if lane.checks.place.feed in TELEMETRY_FEEDS]
        return max([EARLIEST_MS, *newest])

    def _hang_up(self) -> None:
        self._keep(self._reload_quietly())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _every(self, interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` at each multiple of the interval; times that went by while it was under way are left out."""
        next_s = time.monotonic()
        while True:
            await fatal(work())
            next_s = max(next_s + interval_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except Exception as error:  # noqa: BLE001 - a broker that is away at this moment must not end the intake
            metrics.RELOAD_OK.labels(ROLE).set(0)
            log.warning("thresholds not written; send SIGHUP again", error=repr(error))

    def _release(self, event: Any) -> None:
        # Faust waits at a rebalance until all events are acked. To ack this one would commit past records that nobody
        # has forwarded; so it is only taken off the list that Faust waits for.
        self.app.consumer._unacked_messages.discard(event.message)

    def _check_lanes(self, known: dict[str, SourceTopic]) -> None:
        lanes = self.config.kafka.lanes
        for name in (*FEEDS, "telemetry"):
            found = known[self.config.kafka.prefix + name]
            if found.lanes != lanes:
                message = (
                    f"topic {found.name} has {found.lanes} lanes and the configuration says {lanes}; set [kafka] lanes "
                    "to what the topics have: another number would put clusters into other lanes"
                )
                raise ValueError(message)

    def _pulsed(self, known: dict[str, SourceTopic]) -> dict[str, tuple[int, str]]:
        prefix = self.config.kafka.prefix
        pulsed = {}
        for feed in TELEMETRY_FEEDS:
            topic = known[prefix + feed]
            if self.pulse is None and not topic.broker_stamps:
                # Its stamps are of a time of its own (a simulation, a back-fill); who fills it pulses it too.
                log.info("no pulses: the topic is stamped by its producers", topic=topic.name)
                continue
            if self.pulse is not False:
                pulsed[topic.name] = topic.lanes, feed
        for foreign in self.config.intake.foreign:
            if foreign.pulsed:
                pulsed[foreign.topic] = known[foreign.topic].lanes, foreign.topic
        return pulsed


def plans(config: Config, known: dict[str, SourceTopic]) -> list[TopicPlan]:
    """Return how each source topic is read; ConfigError where a mapping cannot be used."""
    prefix = config.kafka.prefix
    ours = [TopicPlan(prefix + feed, feed, known[prefix + feed].topic_id, PULSED_GAP_MS) for feed in FEEDS]
    return [*ours, *[foreign_plan(config, foreign, known[foreign.topic]) for foreign in config.intake.foreign]]


def foreign_plan(config: Config, foreign: Foreign, topic: SourceTopic) -> TopicPlan:
    """Return how a foreign topic is read: its mapping, and how far apart its records may be."""
    mapping = mapping_of(config, foreign)
    return TopicPlan(
        foreign.topic,
        f"{mapping.feeds[0]}@{foreign.topic}",
        topic.topic_id,
        PULSED_GAP_MS if foreign.pulsed else int(foreign.gap_s * 1000),
        lambda lane: Mapper(mapping, foreign.topic, lane),
    )


def make(config: Config, *, pulse: bool | None = None) -> BundleApp:
    """Return the Faust app of the intake, not yet started; `pulse` as for IntakeWorker."""
    kafka = config.kafka
    app = make_app(f"{kafka.prefix}leapwatch-{ROLE}", ",".join(kafka.bootstrap), credentials=faust_credentials(config))
    worker = IntakeWorker(app, config, pulse=pulse)

    async def started() -> None:
        await fatal(worker.started())

    async def assigned(app: Any, **_: Any) -> None:
        await fatal(worker.assigned())

    async def revoked(app: Any, revoked: Any, **_: Any) -> None:
        worker.health.rebalancing()

    async def work(stream: Any) -> None:
        async for event in stream.noack().events():
            await fatal(worker.bundle(event))

    async def stopping(app: Any, **_: Any) -> None:
        await fatal(worker.stopping())

    app.task(started)
    app.on_rebalance_complete.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    for topic in source_topics(config):
        app.agent(app.bundles(topic), concurrency=1, name=f"{ROLE}-{topic}")(work)
    app.on_before_shutdown.connect(stopping)
    app.intake = worker
    return app


def source_topics(config: Config) -> list[str]:
    """Return every topic that the intake reads, with its prefix; foreign ones as they are."""
    ours = [config.kafka.prefix + feed for feed in FEEDS]
    return [*ours, *[foreign.topic for foreign in config.intake.foreign]]


async def fatal(work: Any) -> None:
    """Await work that must not fail: an error ends the process, and the next owner goes on at the last commit."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("intake failed")
        die(f"{type(error).__name__}: {error}")


def _name() -> str:
    """Return a name for this intake, to tell pulses apart."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def __getattr__(name: str) -> Any:
    """Give Faust's own command line its `app`, made from the configuration that the environment names."""
    if name == "app":
        path = os.environ.get("LEAPWATCH_CONFIG")
        return make(load(Path(path) if path else None, os.environ))
    raise AttributeError(name)
