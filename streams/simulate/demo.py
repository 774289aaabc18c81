"""The demo: a scenario at high speed through the whole path, on a broker of its own, with a board that shows findings.

Source topics, intake worker, `telemetry`, engine worker, findings: the same processes that a fleet would run. All that
it makes lies in one temporary folder and in child processes, and goes with it, on Ctrl-C too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.live import Live

from schemas.codec import decode
from schemas.outputs import Decision, Finding, Progress
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import apply_embedded, wanted
from streams.simulate.board import Board
from streams.simulate.feed import Feeder, scenario_messages
from streams.simulate.load import load
from streams.simulate.scenario import Scenario

LANES = 4
OUTPUTS = ("findings", "decisions", "progress")
END_WAIT_S = 60.0
REFRESH_S = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    """How to play."""

    scenario: str = "leap-day"
    seed: int | None = None
    speed: float = 300.0
    """Seconds of the source's time a second."""
    clusters: int | None = 4
    servers: int | None = 50
    vms: int | None = 5


class DemoError(Exception):
    """The demo cannot go on; the text tells why and where to look."""


def run(options: Options, console: Console | None = None) -> int:
    """Play the demo to its end; return the exit code."""
    started_s = time.monotonic()
    scenario = load(options.scenario).with_size(
        clusters=options.clusters, servers=options.servers, vms=options.vms, seed=options.seed
    )
    return asyncio.run(_play(options, scenario, console or Console(), started_s))


async def _play(options: Options, scenario: Scenario, console: Console, started_s: float) -> int:
    board = Board.of(scenario.title, {name: (plan.servers, plan.brake_at) for name, plan in scenario.instances()})
    with tempfile.TemporaryDirectory(prefix="leapwatch-demo-") as folder, EmbeddedBroker() as broker:
        apply_embedded(broker, wanted(partitions=LANES, simulated=True))
        with _workers(Path(folder), broker.bootstrap) as workers:
            async with _outputs(broker.bootstrap) as consumer:
                await _show(options, scenario, console, board, _Stage(broker.bootstrap, consumer, workers, started_s))
    console.print(board.summary())
    first = f"{board.first_finding_s:.1f} s after the command" if board.first_finding_s is not None else "none"
    console.print(f"{board.findings} records of findings, first on the screen {first}; nothing is left running.")
    return 0


@dataclass(slots=True)
class _Stage:
    """What plays behind the board."""

    bootstrap: str
    consumer: Any
    workers: list[tuple[str, subprocess.Popen[bytes], Path]]
    started_s: float
    judged_ms: int = 0

    def alive(self) -> None:
        """Raise DemoError, with the end of its log, where a worker has ended."""
        for role, process, log in self.workers:
            if (code := process.poll()) is not None:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                msg = f"the {role} worker ended with code {code}; its log ends:\n{tail}"
                raise DemoError(msg)


async def _show(options: Options, scenario: Scenario, console: Console, board: Board, stage: _Stage) -> None:
    feeding = asyncio.create_task(_feed(options, scenario, board, stage))
    ended_s = None
    # On something that is no terminal the board would be a wall of text: there the newest findings are lines.
    with (
        Live(board.render(), console=console, auto_refresh=False, transient=False)
        if console.is_terminal
        else _Lines(console, board) as live
    ):
        try:
            while True:
                await _take(board, stage)
                live.update(board.render(), refresh=True)
                stage.alive()
                if feeding.done():
                    feeding.result()
                    ended_s = ended_s or time.monotonic()
                    if stage.judged_ms >= scenario.end_ms or time.monotonic() - ended_s > END_WAIT_S:
                        return
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding


async def _feed(options: Options, scenario: Scenario, board: Board, stage: _Stage) -> None:
    feeder = Feeder(stage.bootstrap)

    def held() -> Iterator[Any]:
        for message in scenario_messages(scenario, LANES):
            board.at_ms = max(board.at_ms, message.at_ms)
            yield message

    await feeder.play(held(), speed=options.speed)


async def _take(board: Board, stage: _Stage) -> None:
    fetched = await stage.consumer.getmany(timeout_ms=int(REFRESH_S * 1000), max_records=5_000)
    for records in fetched.values():
        for record in records:
            output = decode(record.value)
            if isinstance(output, Progress):
                stage.judged_ms = max(stage.judged_ms, output.at_ms)
            elif isinstance(output, Finding | Decision):
                if isinstance(output, Finding) and board.first_finding_s is None:
                    board.first_finding_s = time.monotonic() - stage.started_s
                board.take(output)


class _Lines:
    """Prints each new finding or decision of the board once."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console = console
        self.board = board
        self.told: set[tuple[str, str]] = set()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self, renderable: object, *, refresh: bool = False) -> None:
        """Print what is new."""
        for output in self.board.newest:
            if (output.id, output.state) not in self.told:
                self.told.add((output.id, output.state))
                what = output.title if isinstance(output, Finding) else f"{output.action} {output.scope}"
                name = output.detector if isinstance(output, Finding) else "DECISION"
                self.console.print(f"{output.state:9} {name}: {what}", highlight=False, markup=False)


@contextlib.contextmanager
def _workers(folder: Path, bootstrap: str) -> Iterator[list[tuple[str, subprocess.Popen[bytes], Path]]]:
    """Run intake and engine as processes of their own; end them by their pids, gently and then not."""
    config = folder / "leapwatch.toml"
    config.write_text(
        f'[kafka]\nbootstrap = ["{bootstrap}"]\nlanes = {LANES}\ncheck_crcs = false\n'
        "[web]\nintake = 0\nengine = 0\nfleet = 0\n"
        '[log]\nlevel = "warning"\n'
    )
    # What leads other commands to a broker (LEAPWATCH_KAFKA_BOOTSTRAP) must not lead these away from this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAPWATCH_")}
    running = []
    try:
        for role in ("intake", "engine"):
            log = folder / f"{role}.log"
            with log.open("wb") as out:
                command = [sys.executable, "-m", "streams.cli", "worker", "--role", role, "--config", str(config)]
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=environment,
                )
            running.append((role, process, log))
        yield running
    finally:
        for _, process, _ in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        for _, process, _ in running:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.asynccontextmanager
async def _outputs(bootstrap: str) -> AsyncIterator[Any]:
    """Give a reader of findings, decisions and progress from their beginning."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, check_crcs=False, isolation_level="read_committed"
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, lane) for topic in OUTPUTS for lane in range(LANES)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        yield consumer
    finally:
        await consumer.stop()
