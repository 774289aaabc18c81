"""Starts and ends workers of the tests, and reads what they were handed and what was committed."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

LIMIT_S = 90.0
POLL_S = 0.05


class Workers:
    """Workers of one group on one topic, each with its file of lines."""

    def __init__(self, folder: Path, bootstrap: str, topic: str, group: str) -> None:
        self.folder = folder
        self.bootstrap, self.topic, self.group = bootstrap, topic, group
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, work_s: float = 0.0) -> subprocess.Popen[bytes]:
        """Start one more worker, which takes `work_s` for each bundle."""
        out = self.folder / f"worker-{len(self.processes)}.jsonl"
        out.touch()
        arguments = [self.bootstrap, self.topic, self.group, str(out), str(work_s)]
        with out.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.kafka.bundle_worker", *arguments],
                cwd=Path(__file__).parents[3],
                env=os.environ | {"PYTHONWARNINGS": "default"},
                stdout=err,
                stderr=err,
            )
        self.processes.append(process)
        return process

    def lines(self) -> list[dict[str, Any]]:
        """Return the bundles handed out so far, worker by worker."""
        return [
            json.loads(line)
            for file in sorted(self.folder.glob("worker-*.jsonl"))
            for line in file.read_text().splitlines(keepends=True)
            # The last line of one that was killed may be cut.
            if line.endswith("}\n")
        ]

    def worked(self, worker: int) -> bool:
        """Return whether a worker was handed anything."""
        return (self.folder / f"worker-{worker}.jsonl").stat().st_size > 0

    def values(self) -> list[int]:
        """Return the values of all records handed out so far; repeats too."""
        return [int(value) for line in self.lines() for _, _, value in line["records"]]

    def committed(self, partitions: int) -> list[int]:
        """Return the group's committed offset of each partition; 0 where there is none."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group, "log_level": 0})
        try:
            wanted = [TopicPartition(self.topic, p) for p in range(partitions)]
            return [max(0, tp.offset) for tp in consumer.committed(wanted, timeout=20)]
        finally:
            consumer.close()

    def ends(self, partitions: int) -> list[int]:
        """Return each partition's high watermark."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "ends", "log_level": 0})
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=20)[1] for p in range(partitions)
            ]
        finally:
            consumer.close()

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        """Return when `holds()`; a worker that ended by itself, or too long a wait, fails with its log."""
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            if time.monotonic() > deadline:
                msg = f"not within {LIMIT_S:.0f} s: {what}\n{self._logs()}"
                raise AssertionError(msg)
            time.sleep(POLL_S)

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Return a worker's exit status after SIGTERM."""
        process.terminate()
        return process.wait(30)

    def _logs(self) -> str:
        return "\n".join(file.read_text()[-2000:] for file in sorted(self.folder.glob("*.err")))


@contextlib.contextmanager
def workers(folder: Path, bootstrap: str, topic: str, group: str) -> Iterator[Workers]:
    """Give a group without workers, and end what was started in it."""
    group_of = Workers(folder, bootstrap, topic, group)
    try:
        yield group_of
    finally:
        for process in group_of.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)
