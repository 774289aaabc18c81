"""`leapwatch demo`, whole: what it shows, and that it leaves nothing behind however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.simulate.demo import INVENTORY_BYTES, DemoError, bounded
from streams.simulate.feed import Sent

pytestmark = pytest.mark.embedded

LIMIT_S = 120.0
SCENARIO = """
name = "small-leap"
title = "A small leap"
start = 2012-02-28T23:55:00Z
duration = "15m"
seed = 1

[fleet]
servers = 6
vms = 3
create_every_s = 10

[[cluster]]
name = "north"
count = 2

[[fault]]
name = "bug"
kind = "bug"
dates = ["2012-02-29"]
effect = "error"
step = "transfer-certificate"
error_code = "CERT_E_VALIDITY"
message = "no such date"
"""


class Demo:
    """One demo as a process of its own, whose temporary folder lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "small.toml").write_text(SCENARIO)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it, in a working directory of its own; away from whatever broker the environment names."""
        work = self.folder / "work"
        work.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", "--scenario", str(self.folder / "small.toml"), *arguments],
            cwd=work,
            env=os.environ
            | {
                "TMPDIR": str(self.temporary),
                "PYTHONPATH": str(Path.cwd()),
                "LEAPWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def workers(self) -> list[int]:
        """Give the processes whose command line names its temporary folder."""
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.temporary).encode() in place.read_bytes():
                    found.append(int(place.parent.name))
            except OSError:
                continue
        return found

    def left(self) -> list[object]:
        """Give all that is left of it: processes and files."""
        return [*self.workers(), *self.temporary.iterdir(), *(self.folder / "work").iterdir()]

    def wait_for_workers(self, count: int) -> None:
        """Return when so many workers are there."""
        until_s = time.monotonic() + LIMIT_S
        while len(self.workers()) < count:
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < until_s
            time.sleep(0.02)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Give a demo that is not started; end by its own pid what a failed test left."""
    made = Demo(tmp_path)
    yield made
    for pid in made.workers():
        os.kill(pid, signal.SIGKILL)
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_a_demo_finds_the_fault_invents_no_silence_and_leaves_nothing(demo: Demo) -> None:
    process = demo.start("--speed", "2000", "--clusters", "2", "--servers", "6", "--vms", "3", "--seed", "7")
    said, _ = process.communicate(timeout=LIMIT_S)

    assert Exit.OK == process.returncode, said
    assert "A small leap" in said
    assert "start_failure: 3 VMs on" in said
    assert "What was found, when" in said
    assert "2 h 38 min" in said
    assert "common_cause: " in said
    assert "leapwatch incidents list" in said
    assert "the first warning stood on the screen" in said
    assert not {"blind", "host_silence", "cluster_dark"} & set(said.replace(":", " ").split())
    assert [] == demo.left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_stopped_leaves_nothing(demo: Demo, number: signal.Signals) -> None:
    process = demo.start("--speed", "1")
    demo.wait_for_workers(2)
    process.send_signal(number)
    said, _ = process.communicate(timeout=LIMIT_S)

    assert Exit.INTERRUPTED == process.returncode, said
    assert "stopped; nothing is left running" in said
    assert [] == demo.left()


def test_a_worker_that_ends_ends_the_demo_with_the_end_of_its_log(demo: Demo) -> None:
    process = demo.start("--speed", "1")
    demo.wait_for_workers(2)
    os.kill(demo.workers()[0], signal.SIGKILL)
    said, _ = process.communicate(timeout=LIMIT_S)

    assert Exit.BROKEN == process.returncode, said
    assert "worker ended with code -9; its log ends:" in said
    assert [] == demo.left()


def test_a_scenario_that_is_not_there_starts_nothing(demo: Demo) -> None:
    process = demo.start("--scenario", "no-such-day")
    said, _ = process.communicate(timeout=LIMIT_S)

    assert Exit.USAGE == process.returncode
    assert "no-such-day" in said
    assert [] == demo.left()


def test_an_inventory_that_the_broker_would_not_keep_is_refused() -> None:
    """What is at the limit goes; the next byte of the same lane does not, and pulses do not count."""
    whole = Sent("inventory", 0, 1, b"k", b"x" * INVENTORY_BYTES)
    pulse = Sent("host-agent", 0, 1, b"k", b"x")

    assert [whole, pulse] == list(bounded([whole, pulse]))
    with pytest.raises(DemoError, match="take fewer --servers or --vms"):
        list(bounded([whole, Sent("inventory", 0, 1, b"k", b"x")]))
