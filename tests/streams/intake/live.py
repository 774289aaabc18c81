"""A live intake of the tests: topics, workers, what is sent to them and what came out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from schemas.codec import decode
from schemas.outputs import DeadLetter
from schemas.records import FEEDS
from schemas.telemetry import Batch, Clocks, Row
from tests.streams.intake.makers import T0

LIMIT_S = 90.0
OUTPUTS = ("telemetry", "dead-letters")
ROOT = Path(__file__).parents[3]


class Live:
    """One prefix on one broker; `config` is the text that a test adds to the worker's configuration."""

    def __init__(self, folder: Path, bootstrap: str, prefix: str, lanes: int, config: str = "") -> None:
        self.folder, self.bootstrap, self.prefix, self.lanes = folder, bootstrap, prefix, lanes
        self.path = folder / "leapwatch.toml"
        web = "[web]\nintake = 0\nengine = 0\nfleet = 0\n"
        kafka = f'[kafka]\nbootstrap = ["{bootstrap}"]\nprefix = "{prefix}"\nlanes = {lanes}\n'
        self.path.write_text(f"{kafka}{web}{config}")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})

    def topics(self) -> list[tuple[str, int]]:
        """Name every topic that an intake needs, with its partitions."""
        keyed = [(self.prefix + name, self.lanes) for name in (*FEEDS, "telemetry")]
        return [*keyed, (f"{self.prefix}fleet", 1), (f"{self.prefix}dead-letters", 1)]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        with (self.folder / f"worker-{len([*self.folder.glob('*.log')])}.log").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.intake.intake_worker", str(self.path), *arguments],
                cwd=ROOT,
                env=os.environ | environment,
                stdout=out,
                stderr=out,
            )
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """End a worker in good order; return its exit status."""
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
        self.processes.remove(process)
        return status

    def send(self, feed: str, value: bytes | None, lane: int = 0, key: bytes | None = None, at_ms: int = T0) -> None:
        """Write one record; it is surely there after `sent`."""
        self.producer.produce(self.prefix + feed, value, key, lane, timestamp=at_ms)
        self.producer.poll(0)

    def sent(self) -> None:
        """Wait until all is acknowledged."""
        assert 0 == self.producer.flush(30)

    def records(self, topic: str, partitions: int) -> list[tuple[int, int, int, Any]]:
        """Give (partition, offset, at_ms, record) of all that a topic of ours holds now, by partition."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "reader", "log_level": 0, "fetch.wait.max.ms": 10}
        )
        found: list[tuple[int, int, int, Any]] = []
        try:
            for partition in range(partitions):
                place = TopicPartition(self.prefix + topic, partition, OFFSET_BEGINNING)
                end = consumer.get_watermark_offsets(place, timeout=20)[1]
                if not end:
                    continue
                consumer.assign([place])
                while not found or found[-1][0] != partition or found[-1][1] < end - 1:
                    message = consumer.poll(10)
                    assert message is not None
                    value = message.value()
                    assert not message.error(), message.error()
                    assert value is not None
                    at = (partition, message.offset() or 0, message.timestamp()[1])
                    found.append((*at, decode(value)))
        finally:
            consumer.close()
        return found

    def telemetry(self) -> list[tuple[int, int, int, Any]]:
        """Give what stands in `telemetry`."""
        return self.records("telemetry", self.lanes)

    def letters(self) -> list[DeadLetter]:
        """Give what stands in `dead-letters`."""
        return [record for *_, record in self.records("dead-letters", 1)]

    def committed(self, feed: str) -> list[int]:
        """Give the intake's committed offset of each lane; 0 where there is none."""
        group = f"{self.prefix}leapwatch-intake"
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        try:
            places = [TopicPartition(self.prefix + feed, lane) for lane in range(self.lanes)]
            return [max(0, place.offset) for place in consumer.committed(places, timeout=20)]
        finally:
            consumer.close()

    def end(self, feed: str, lane: int) -> int:
        """Give where a lane ends now."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "ends", "log_level": 0})
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(self.prefix + feed, lane), timeout=20)[1])
        finally:
            consumer.close()

    def wait(self, what: str, holds: Callable[[], bool], *, alive: bool = True) -> None:
        """Return when `holds()`; with `alive` a worker that ended fails at once, with its log."""
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            ended = alive and any(process.poll() is not None for process in self.processes)
            if ended or time.monotonic() > deadline:
                message = (
                    f"{'a worker ended before' if ended else f'not within {LIMIT_S:.0f} s'}: {what}\n{self.logs()}"
                )
                raise AssertionError(message)
            time.sleep(0.05)

    def log_of_last(self) -> str:
        """Give the log of the worker that was started last."""
        return max(self.folder.glob("*.log"), key=lambda file: int(file.stem.removeprefix("worker-"))).read_text()

    def logs(self) -> str:
        """Give the end of each worker's log."""
        return "\n".join(f"{file.name}:\n{file.read_text()[-3000:]}" for file in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def live(folder: Path, bootstrap: str, prefix: str, lanes: int, config: str = "") -> Iterator[Live]:
    """Give a prefix without workers, and end what was started in it."""
    made = Live(folder, bootstrap, prefix, lanes, config)
    try:
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)


def fresh_rows(telemetry: Iterable[tuple[int, int, int, Any]]) -> dict[tuple[str, int], list[tuple[int, int, Row]]]:
    """Give each source lane's (offset, at_ms, row) as the engine takes them: what is not above the highest falls."""
    highest: dict[tuple[str, str, str, int], int] = {}
    rows: dict[tuple[str, int], list[tuple[int, int, Row]]] = {}
    for _, _, _, batch in telemetry:
        if not isinstance(batch, Batch):
            continue
        key = (batch.cluster, batch.feed, batch.topic_id, batch.lane)
        known = highest.get(key, -1)
        for entry in zip(batch.offsets, batch.at_ms, batch.rows, strict=True):
            if entry[0] > known:
                rows.setdefault((batch.feed, batch.lane), []).append(entry)
        highest[key] = max(known, *batch.offsets)
    return rows


def covered(telemetry: Iterable[tuple[int, int, int, Any]]) -> dict[tuple[str, int], int]:
    """Give how far the Clocks of each lane go, which must leave no hole."""
    ends: dict[tuple[str, int], int] = {}
    for _, _, _, clocks in telemetry:
        if isinstance(clocks, Clocks):
            for stretch in clocks.stretches:
                key = (stretch.feed, stretch.lane)
                assert stretch.from_offset <= ends.get(key, -1) + 1, f"a hole before {stretch}"
                ends[key] = max(ends.get(key, -1), stretch.to_offset)
    return ends
