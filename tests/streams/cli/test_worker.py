"""`leapwatch worker`: the roles run side by side and end in order; what cannot run says so and ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import codec
from schemas.commands import ConfigChanged
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import apply_embedded, wanted
from tests.streams.cli.log import held

ROOT = Path(__file__).parents[3]
LIMIT_S = 60.0
WEB = "[web]\nintake = 0\nengine = 0\nfleet = 0\n"


def worker(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "worker", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )


def children(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Give the pids of what a process has started, by role or not."""
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def test_an_unknown_role_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.USAGE == main(["worker", "--role", "intaek"])
    assert "--role: `intaek` is none of intake, engine, fleet, all" in capsys.readouterr().err


def test_a_bad_configuration_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "leapwatch.toml"
    path.write_text("[engine]\nflush_ms = 0\n[detectors.host_silenc]\n", encoding="utf-8")

    assert Exit.USAGE == main(["worker", "--config", str(path)])
    said = capsys.readouterr().err
    assert "flush_ms" in said
    assert "host_silenc" in said


@pytest.mark.parametrize("role", ["intake", "engine", "fleet", "all"])
def test_without_a_broker_it_ends_with_one_line_that_names_it_and_says_what_to_do(role: str, tmp_path: Path) -> None:
    path = tmp_path / "leapwatch.toml"
    path.write_text(f'[kafka]\nbootstrap = ["127.0.0.1:1"]\nrequest_timeout_s = 1\n{WEB}', encoding="utf-8")
    process = worker("--role", role, "--config", str(path))
    _, said = process.communicate(timeout=LIMIT_S)

    assert Exit.AWAY == process.returncode, said.decode()
    (line,) = said.decode().splitlines()
    assert "no broker answers at 127.0.0.1:1: start it" in line


@pytest.mark.embedded
def test_all_roles_run_side_by_side_and_one_signal_ends_them(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    apply_embedded(embedded_broker, wanted(partitions=2, prefix="t."))
    path = tmp_path / "leapwatch.toml"
    kafka = f'[kafka]\nbootstrap = ["{embedded_broker.bootstrap}"]\nprefix = "t."\nlanes = 2\ncheck_crcs = false\n'
    path.write_text(kafka + WEB, encoding="utf-8")
    process = worker("--config", str(path))
    until_s = time.monotonic() + LIMIT_S
    try:
        # The intake pulses and writes the first configuration, the engine its progress, and the fleet engine its own.
        for topic in ("operator", "telemetry", "progress", "fleet-progress"):
            while not held(embedded_broker.bootstrap, f"t.{topic}"):
                assert process.poll() is None, process.communicate()[1].decode()
                assert time.monotonic() < until_s, topic
        started = list(children(process))
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=LIMIT_S)

    assert (0, 3) == (process.returncode, len(started)), said.decode()
    assert [] == [pid for pid in started if Path(f"/proc/{pid}").exists()]
    first = codec.decode(held(embedded_broker.bootstrap, "t.operator")[0].value)
    assert isinstance(first, ConfigChanged)
    assert "start" == first.by
