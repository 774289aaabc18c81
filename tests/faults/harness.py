"""Starts and ends engine workers on a real broker, and judges what they left: each event once, equal to a replay.

A test writes telemetry (`Run.write`), starts workers (`Run.start`), does them harm at a chosen share of the work
(`Run.wait`, `Run.share`), lets them come to the end (`Run.finish`), and judges (`Run.judge`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from schemas.codec import decode, encode
from schemas.history import LogRecord
from schemas.outputs import Decision, Finding, Progress
from schemas.source import TELEMETRY_FEEDS
from streams.engine.cluster import Output
from streams.intake.offline import telemetry
from streams.kafka.real import RealBroker
from streams.replay.run import replay
from streams.simulate.generator import records
from streams.simulate.load import load

ROOT = Path(__file__).resolve().parents[2]
LANES = 2
CLOCKS_MS = 10_000
"""As an intake writes them while it catches up, which these runs do all the time."""
BRAKE_PASSED_MS = 110 * 60_000
"""From the start of the leap day's scenario to 01:20, five minutes behind the brake: the short form ends here."""
LIMIT_S = 90.0
POLL_S = 0.02
AHEAD = 250
"""Records of a partition: two dozen flushes on the way through the short form."""
SESSION_S = 3.0
RESTARTS_MOST = 20
BROKER_PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}


@cache
def leap_day(*, whole: bool = False) -> tuple[LogRecord, ...]:
    """Return the telemetry of the leap day of two small clusters, in two partitions."""
    scenario = load("leap-day-dawn").with_size(clusters=2, servers=50, vms=5)
    sources = [record for record in records(scenario) if whole or record.at_ms < scenario.start_ms + BRAKE_PASSED_MS]
    return tuple(telemetry(sources, lanes=LANES, clocks_every_ms=CLOCKS_MS))


_replays: dict[bytes, list[Output]] = {}


def replayed(log: Sequence[LogRecord]) -> list[Output]:
    """Return what a replay of this telemetry says; the same telemetry is replayed once."""
    digest = hashlib.sha256()
    for record in log:
        digest.update(b"%d %d %d " % (record.partition, record.offset, record.at_ms))
        digest.update(record.value)
    key = digest.digest()
    if key not in _replays:
        _replays[key] = list(replay(log))
    return _replays[key]


@dataclass(slots=True)
class Worker:
    """One worker's process, and its log."""

    process: subprocess.Popen[bytes]
    log: Path
    role: str = "engine"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(20)

    def terminate(self) -> float:
        """Ask it to end; return how many seconds it took. It must exit 0."""
        begun_s = time.monotonic()
        self.process.terminate()
        status = self.process.wait(60)
        assert status == 0, f"exit {status} after SIGTERM\n{self.tail()}"
        return time.monotonic() - begun_s

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    @property
    def status(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self.process.poll()

    def text(self) -> str:
        """Return its whole log."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 25) -> str:
        """Return the end of its log."""
        return f"-- {self.log.name}, exit {self.status}\n" + "\n".join(self.text().splitlines()[-lines:])

    def restores(self) -> list[dict[str, Any]]:
        """Return the numbers of each restore that its log tells: partition, next_offset, snapshots, frames."""
        lines = [line for line in self.text().splitlines() if line.endswith("}") and "partition restored" in line]
        return [json.loads(line) for line in lines]


@dataclass(slots=True)
class Run:
    """One prefix on the broker: its telemetry, its workers, its outputs."""

    folder: Path
    bootstrap: str
    prefix: str
    flush_ms: int = 50
    snapshot_every_s: float = 120.0
    """Of source time: a set of snapshots is under way most of the time."""
    simulated: bool = True
    """Whether producers stamp the source topics; else the broker does."""
    may_crash: bool = False
    """Whether a worker may exit 1: Faust does where there is no broker."""
    workers: list[Worker] = field(default_factory=list)
    ends: Counter[int] = field(default_factory=Counter)
    """Records of telemetry by partition, as they will be when all is written."""
    reached: Counter[int] = field(default_factory=Counter)
    """The next offset of each partition, as the newest committed progress says."""
    newest: dict[int, Progress] = field(default_factory=dict)
    stepped_back: list[str] = field(default_factory=list)
    _watcher: threading.Thread | None = None
    _player: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        # Imported here: kafka-python warns when it is, and pytest's own filters are not yet in force in a conftest.
        from streams.kafka.topics import TopicAdmin, wanted  # noqa: PLC0415

        # Decisions and progress as they were told, one after another: a test wants to see each.
        topics = [
            replace(topic, configs={**topic.configs, "cleanup.policy": "delete"})
            for topic in wanted(partitions=LANES, prefix=self.prefix, simulated=self.simulated)
        ]
        with TopicAdmin(self.bootstrap) as admin:
            admin.apply(admin.plan(topics))
        self.config.write_text(
            f'[kafka]\nprefix = "{self.prefix}"\nlanes = {LANES}\nsession_timeout_s = {SESSION_S}\n'
            f'bootstrap = ["{self.bootstrap}"]\n'
            f"[engine]\nflush_ms = {self.flush_ms}\nsnapshot_every_s = {self.snapshot_every_s}\n"
            "[web]\nintake = 0\nengine = 0\nfleet = 0\n"
        )

        self._watcher = threading.Thread(target=self._watch, name="watcher")
        self._watcher.start()

    @property
    def config(self) -> Path:
        """Return the workers' configuration file."""
        return self.folder / "leapwatch.toml"

    def topic(self, name: str) -> str:
        """Return a topic's name with this run's prefix."""
        return f"{self.prefix}{name}"

    # -- workers -------------------------------------------------------------------------------------------------

    def start(self, fail_at: str = "", *, role: str = "engine", **environment: str) -> Worker:
        """Start one more worker; `fail_at`: the step of a flush at which it kills itself."""
        path = self.folder / f"worker-{len(self.workers)}.log"
        extra = {"LEAPWATCH_CONFIG": str(self.config), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **environment}
        if fail_at:
            extra["LEAPWATCH_FAIL_AT"] = fail_at
        with path.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.worker", role],
                cwd=ROOT,
                env=os.environ | extra,
                stdout=out,
                stderr=out,
            )
        worker = Worker(process, path, role)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End every worker that still runs, and writing."""
        self._stop.set()
        for thread in (self._player, self._watcher):
            if thread is not None:
                thread.join()
        for worker in self.workers:
            if worker.status is None:
                worker.kill()

    def tails(self) -> str:
        """Return the ends of the logs of the last workers."""
        return "\n".join(worker.tail() for worker in self.workers[-4:])

    # -- progress ------------------------------------------------------------------------------------------------

    def wait(self, what: str, holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Return when `holds()`; after too long a wait, fail with the workers' logs."""
        deadline_s = time.monotonic() + limit_s
        while not holds():
            refused = [worker.tail() for worker in self.workers if worker.status == 1 and not self.may_crash]
            assert not refused, f"a worker did not even start: {what}\n{refused[-1]}"
            if time.monotonic() > deadline_s:
                stands = f"progress {dict(self.reached)} of {dict(self.ends)}"
                raise AssertionError(f"not within {limit_s:.0f} s: {what}; {stands}\n{self.tails()}")
            time.sleep(POLL_S)

    def finish(self, *, restart: bool = True, limit_s: float = LIMIT_S, **environment: str) -> None:
        """Return when progress has reached the end of telemetry; workers that crash meanwhile are started again."""
        started = len(self.workers)

        def reached() -> bool:
            if not any(worker.status is None for worker in self.workers if worker.role == "engine"):
                assert restart or self.share() >= 1, f"no worker is left\n{self.tails()}"
                assert len(self.workers) < started + RESTARTS_MOST, f"workers end again and again\n{self.tails()}"
                self.start(**environment)
            return self.share() >= 1

        self.wait("progress at the end of telemetry", reached, limit_s)

    def _watch(self) -> None:
        """Follow the committed progress of each partition; it never steps back."""
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(self.topic("progress"), lane, 0) for lane in range(LANES)])
            while not self._stop.is_set():
                message = consumer.poll(0.2)
                if message is None or message.error() is not None:
                    continue
                lane, progress = message.partition(), decode(message.value() or b"")
                if progress.next_offset < self.reached[lane]:
                    self.stepped_back.append(f"{lane}: {progress.next_offset} after {self.reached[lane]}")
                self.reached[lane] = progress.next_offset
                self.newest[lane] = progress

    def share(self) -> float:
        """Return how much of all telemetry committed progress covers, from 0 to 1."""
        return self.reached.total() / max(1, self.ends.total())

    def settle(self) -> None:
        """Take what telemetry holds now for all that it will hold; whoever writes it has ended."""
        self.ends = Counter(record.partition for record in self.read("telemetry"))

    def watermark_ms(self) -> int:
        """Return up to when every lane of the telemetry feeds was read, as progress says."""
        found = [
            moment
            for lane in range(LANES)
            for name, moment in (self.newest[lane].watermarks.items() if lane in self.newest else [("", 0)])
            if name.partition("/")[0] in ("", *TELEMETRY_FEEDS)
        ]
        return min(found, default=0)

    def at_ms(self) -> int:
        """Return up to when every partition was worked on, in source time."""
        return min((self.newest[lane].at_ms for lane in self.ends if lane in self.newest), default=0)

    def committed(self) -> dict[int, int]:
        """Return what the workers' group has committed of each partition; 0 for nothing."""
        with self._consumer(f"{self.prefix}leapwatch-engine") as consumer:
            asked = [TopicPartition(self.topic("telemetry"), lane) for lane in range(LANES)]
            return {place.partition: max(0, place.offset) for place in consumer.committed(asked, timeout=20)}

    # -- records -------------------------------------------------------------------------------------------------

    def play(self, log: Sequence[LogRecord], ahead: int = AHEAD) -> None:
        """Write telemetry, stamps and all, never more than `ahead` records of a partition before progress.

        Returns at once. So a worker flushes many times on the way, however long it was dead in between.
        """
        self.ends.update(record.partition for record in log)
        self._player = threading.Thread(target=self._write, args=(log, ahead), name="player")
        self._player.start()

    def write(self, log: Sequence[LogRecord]) -> None:
        """Write telemetry as fast as it goes; it is there when this returns."""
        self.ends.update(record.partition for record in log)
        self._write(log, len(log) + 1)

    def _write(self, log: Sequence[LogRecord], ahead: int) -> None:
        settings = {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "log_level": 0, "linger.ms": 2}
        producer = Producer(settings)
        for record in log:
            while record.offset > self.reached[record.partition] + ahead:
                producer.poll(0)
                if self._stop.wait(0.01):
                    return
            place = {"key": record.key, "partition": record.partition, "timestamp": record.at_ms}
            producer.produce(self.topic("telemetry"), record.value, **place)
        assert producer.flush(120) == 0

    def read(self, name: str) -> list[LogRecord]:
        """Return the committed records of a topic, each partition in its order."""
        with self._consumer() as consumer:
            topic = self.topic(name)
            lanes = list(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, lane, 0) for lane in lanes])
            found: list[LogRecord] = []
            ended: set[int] = set()
            deadline_s = time.monotonic() + 60
            while len(ended) < len(lanes):
                assert time.monotonic() < deadline_s, f"{topic} cannot be read to its end"
                for message in consumer.consume(2_000, timeout=1.0):
                    error = message.error()
                    if error is not None:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        ended.add(message.partition())
                        continue
                    stamp = message.timestamp()[1]
                    value = message.value() or b""
                    found.append(LogRecord(message.partition(), message.offset(), stamp, message.key(), value))
        return sorted(found, key=lambda record: (record.partition, record.offset))

    @contextlib.contextmanager
    def _consumer(self, group: str = "judge") -> Iterator[Consumer]:
        settings: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
        consumer = Consumer(settings)
        try:
            yield consumer
        finally:
            consumer.close()

    # -- judging -------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """Return the committed findings and decisions, partition by partition, in the order of each topic."""
        return [decode(record.value) for name in OUTPUTS for record in self.read(name)]

    def judge(self) -> None:
        """Hold that each event was published exactly once, and that all of it equals a replay of the telemetry."""
        published = self.outputs()
        expected = replayed(self.read("telemetry"))

        assert self.stepped_back == []
        twice = [key for key, count in Counter(map(_event, published)).items() if count > 1]
        assert twice == [], f"published twice: {twice[:5]}\n{self.tails()}"
        assert _bytes(expected) == _bytes(published), f"{_first_difference(expected, published)}\n{self.tails()}"

    def judge_ends(
        self, expected: Sequence[Output], *, apart: Sequence[str] = (), ids_of: Sequence[str] | None = None
    ) -> None:
        """Hold that every subject ended as in `expected`, under the same ids.

        `apart`: detectors that are left out. `ids_of`: the detectors whose findings one source record opens; the ids of
        others, absences and counts among them, may hang on how the intake packed. None: all.
        """
        told, found = ended(expected, apart, ids_of), ended(self.outputs(), apart, ids_of)

        assert [] == sorted(told - found), f"missing; invented: {sorted(found - told)}\n{self.tails()}"
        assert [] == sorted(found - told), f"invented\n{self.tails()}"


OUTPUTS = ("findings", "decisions", "rca")


def ended(
    outputs: Sequence[Output], apart: Sequence[str] = (), ids_of: Sequence[str] | None = None
) -> set[tuple[str, ...]]:
    """Return how every subject ended: id (or nothing), detector or action, subject or scope, state."""
    last: dict[tuple[str, ...], str] = {}
    for output in outputs:
        if isinstance(output, Decision):
            last[output.id if ids_of is None else "", output.action, output.scope] = str(output.state)
        elif isinstance(output, Finding) and output.detector not in apart:
            key = (output.id if ids_of is None or output.detector in ids_of else "", output.detector)
            last[(*key, str(output.subject))] = "CLOSED" if output.state == "CLOSED" else "OPEN"
    return {(*key, state) for key, state in last.items()}


def _event(output: Output) -> tuple[object, ...]:
    """Return what makes an event one: a decision changes its state, a finding is told again as time goes on."""
    if isinstance(output, Decision):
        return (output.id, output.state, output.at_ms)
    return (output.id, output.state, output.at_ms, encode(output))


def _bytes(outputs: Sequence[Output]) -> list[bytes]:
    return sorted(encode(output) for output in outputs)


def _first_difference(expected: Sequence[Output], published: Sequence[Output]) -> str:
    missing = Counter(map(encode, expected)) - Counter(map(encode, published))
    invented = Counter(map(encode, published)) - Counter(map(encode, expected))
    lines = [f"{missing.total()} events of the replay are missing, {invented.total()} are not in it"]
    lines += [f"missing {decode(value)}" for value in list(missing)[:2]]
    lines += [f"invented {decode(value)}" for value in list(invented)[:2]]
    return "\n".join(lines)


def moments(seed: int, count: int) -> list[float]:
    """Return shares of the telemetry, in order, at which something happens."""
    chosen = random.Random(seed)
    return sorted(chosen.uniform(0.02, 0.95) for _ in range(count))


__all__ = ["BROKER_PROPERTIES", "RealBroker", "Run", "Worker", "ended", "leap_day", "moments", "replayed"]
