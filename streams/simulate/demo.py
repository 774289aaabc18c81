"""The demo: a scenario at high speed through the whole path, on a broker of its own, with a board that shows findings.

Source topics, intake worker, `telemetry`, engine worker, findings; `fleet`, fleet worker, incidents: the same processes
that a fleet would run. All that
it makes lies in one temporary folder and in child processes, and goes with it, on Ctrl-C too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.live import Live

from schemas.codec import decode
from schemas.outputs import Progress
from schemas.source import TELEMETRY_FEEDS
from streams.config.catalogue import config_types
from streams.config.load import load
from streams.config.model import Config
from streams.operate import thresholds_log
from streams.operate.logs import configure
from streams.simulate.board import Board, Lines
from streams.simulate.feed import Feeder, Sent, scenario_messages
from streams.simulate.pace import Pace, begin_ms, lanes_of, quiet_until_ms
from streams.simulate.scenario import Scenario
from streams.simulate.stage import LANES, Stage

OUTPUTS = ("findings", "decisions", "incidents", "progress")
FLEET_PROGRESS = "fleet-progress"
FLEET = "fleet"
BEGIN_LIMIT_S = 60.0
"""How long the workers may take until they judge."""
END_LIMIT_S = 60.0
"""How long the end of the scenario may stay unjudged after it was sent."""
FLEET_LIMIT_S = 20.0
"""How long the fleet engine may lag behind at the end; it begins when the first finding is there, to delay none."""
REFRESH_S = 0.1
BREATH = 200
"""Messages made between two looks at the loop."""
INVENTORY_BYTES = 4_000_000
"""Of one lane at most: the embedded broker keeps 5 MiB of a partition, and an inventory comes all at once."""


class DemoError(Exception):
    """The demo cannot go on; the text tells why and what to do."""


def play(scenario: Scenario, stage: Stage, *, speed: float, started_s: float, console: Console | None = None) -> None:
    """Play a scenario on a stage to its end, `speed` seconds of its time a second from the first fault on.

    `started_s`: when the command began, by the monotonic clock.
    """
    configure("warning", "auto", role="demo")
    shown = console or Console()
    playing = _Play.of(scenario, stage, speed, started_s)
    asyncio.run(_show(playing, shown))
    shown.print(playing.board.summary())
    if playing.board.incidents:
        shown.print(playing.board.incidents_table())
    shown.print(playing.board.last_words(), highlight=False)


@dataclass(slots=True)
class _Play:
    """One play: what is shown, and how far it has come."""

    scenario: Scenario
    stage: Stage
    config: Config
    board: Board
    pace: Pace
    started_s: float
    obeying: set[int] = field(default_factory=set)
    """Lanes whose engine has the demo's configuration."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all have; before that nothing is sent."""
    watermarks: dict[tuple[str, int], int] = field(default_factory=dict)
    fleet_watermarks: dict[tuple[str, int], int] = field(default_factory=dict)
    """How far the engines have told the fleet engine, and it has judged."""

    @classmethod
    def of(cls, scenario: Scenario, stage: Stage, speed: float, started_s: float) -> _Play:
        """Return a play that has not begun."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAPWATCH_")}
        config = load(stage.config, environment, config_types())
        quiet_ms = quiet_until_ms(scenario)
        board = Board.of(scenario.title, {name: (plan.servers, plan.brake_at) for name, plan in scenario.instances()})
        board.trigger_ms = quiet_ms
        return cls(scenario, stage, config, board, Pace(speed, quiet_ms), started_s)

    def take(self, topic: str, output: Any) -> None:
        """Note what the engines wrote."""
        if topic == FLEET_PROGRESS:
            self.fleet_watermarks = lanes_of(output.watermarks)
            return
        if not isinstance(output, Progress):
            self.board.take(output, time.monotonic() - self.started_s)
            return
        if output.config_digest == self.config.thresholds_digest:
            self.obeying.add(output.partition)
            if len(self.obeying) == LANES:
                self.begun.set()
        told = lanes_of(output.watermarks)
        self.watermarks |= told
        self.pace.judged(told)
        self.board.judged_ms = max([self.board.judged_ms, *told.values()])

    @property
    def judged(self) -> bool:
        """Tell whether everything has been judged to the scenario's end."""
        places = [(feed, lane) for feed in TELEMETRY_FEEDS for lane in range(LANES)]
        return all(self.watermarks.get(place, -1) >= self.scenario.end_ms for place in places)

    @property
    def fleet_judged(self) -> bool:
        """Tell whether the fleet engine, where it runs, has judged to the scenario's end too."""
        told = self.fleet_watermarks.values()
        return not self.stage.runs(FLEET) or (len(told) >= LANES and min(told) >= self.scenario.end_ms)


async def _show(play: _Play, console: Console) -> None:

    live: Any = Lines(console, play.board)
    if console.is_terminal:
        live = Live(play.board.render(), console=console, auto_refresh=False)
    feeding = asyncio.create_task(_feed(play))
    try:
        with live:
            # Before the intake asks: then a start of it finds the log as it wants it.
            await thresholds_log.write(play.config, by="demo", reason="the demo begins", at_ms=play.scenario.start_ms)
            async with _outputs(play.stage.bootstrap) as consumer:
                await _watch(play, consumer, live, feeding)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await feeding


async def _watch(play: _Play, consumer: Any, live: Any, feeding: asyncio.Task[None]) -> None:
    """Show what comes, until all is judged."""
    sent_s = None
    while True:
        fetched = await consumer.getmany(timeout_ms=int(REFRESH_S * 1000), max_records=5_000)
        for records in fetched.values():
            for record in records:
                play.take(record.topic, decode(record.value))
        live.update(play.board.render(), refresh=True)
        play.stage.alive()
        if play.board.first_finding_s is not None and not play.stage.runs(FLEET):
            play.stage.start(FLEET)
        now_s = time.monotonic()
        if not play.board.at_ms and now_s - play.started_s > BEGIN_LIMIT_S:
            logs = "\n".join(f"{role}:\n{play.stage.tail(role)}" for role, _, _ in play.stage.workers)
            msg = f"the workers did not begin within {BEGIN_LIMIT_S:.0f} s; their logs end:\n{logs}"
            raise DemoError(msg)
        if feeding.done():
            feeding.result()
            sent_s = sent_s or now_s
            if play.judged and (play.fleet_judged or now_s - sent_s > FLEET_LIMIT_S):
                return
            if now_s - sent_s > END_LIMIT_S:
                msg = f"the engine did not judge to the scenario's end within {END_LIMIT_S:.0f} s"
                raise DemoError(msg)


async def _feed(play: _Play) -> None:
    """Send what the scenario holds, from where it is worth watching, when the engine is there."""
    feeder = Feeder(play.stage.bootstrap)
    from_ms = begin_ms(play.scenario)
    messages = (
        message
        for message in bounded(scenario_messages(play.scenario, LANES))
        if message.at_ms >= from_ms or message.feed not in TELEMETRY_FEEDS
    )
    # What is left out is simulated while the workers start.
    early = []
    for message in messages:
        early.append(message)
        if len(early) % BREATH == 0:
            await asyncio.sleep(0)
        if message.at_ms >= from_ms:
            break
    await play.begun.wait()

    def sending() -> Iterator[Sent]:
        for message in chain(early, messages):
            yield message
            play.pace.sent(message)
            play.board.at_ms = max(play.board.at_ms, message.at_ms)

    await feeder.play(sending(), pace=play.pace.wait_s)


def bounded(messages: Iterable[Sent]) -> Iterator[Sent]:
    """Yield messages; DemoError where an inventory is larger than what the embedded broker keeps."""
    sizes: dict[int, int] = {}
    for message in messages:
        if message.feed == "inventory":
            sizes[message.lane] = sizes.get(message.lane, 0) + len(message.value or b"")
            if sizes[message.lane] > INVENTORY_BYTES:
                msg = (
                    "the inventory is larger than the embedded broker keeps; take fewer --servers or --vms, or "
                    "`leapwatch broker start` and `leapwatch simulate` for a fleet of any size"
                )
                raise DemoError(msg)
        yield message


@contextlib.asynccontextmanager
async def _outputs(bootstrap: str) -> AsyncIterator[Any]:
    """Give a reader of all that is shown, and of progress, from their beginning."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        check_crcs=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, lane) for topic in OUTPUTS for lane in range(LANES)]
        places.append(TopicPartition(FLEET_PROGRESS, 0))
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        yield consumer
    finally:
        await consumer.stop()
