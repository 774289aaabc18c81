"""The engine's Faust app: what it reads, under which group, and what it tells; the rest is told by tests/faults."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.config.model import Config, Kafka
from streams.engine import worker
from streams.kafka.real import RealBroker
from streams.kafka.topics import TopicAdmin, wanted

ROOT = Path(__file__).parents[3]
LIMIT_S = 60.0


def test_faust_finds_the_app_by_the_configuration_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "leapwatch.toml"
    file.write_text('[kafka]\nprefix = "sim."\n')
    monkeypatch.setenv("LEAPWATCH_CONFIG", str(file))

    assert "sim.leapwatch-engine" == worker.app.conf.id


@pytest.mark.kafka
def test_fausts_own_command_runs_twice_on_a_machine(real_broker: RealBroker, topic_prefix: str, tmp_path: Path) -> None:
    """No web server of Faust's, which would have 6066 twice; and pages of ours on ports of their own."""
    with TopicAdmin(real_broker.bootstrap) as admin:
        admin.apply(admin.plan(wanted(partitions=2, prefix=topic_prefix)))
    file = tmp_path / "leapwatch.toml"
    file.write_text(f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = 2\n')
    with ExitStack() as running:
        logs = [running.enter_context(faust_worker(file, tmp_path / name)) for name in ("first.log", "second.log")]
        ports = [re.findall(r"worker started\s+port=(\d+)", log.read_text()) for log in logs]

    assert [1, 1] == [len(found) for found in ports]
    assert ports[0] != ports[1]


@contextmanager
def faust_worker(config: Path, log: Path) -> Iterator[Path]:
    """Run `faust -A streams.engine.worker worker`, from when it has started until it has ended well; give its log."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "streams.engine.worker", "worker"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "LEAPWATCH_CONFIG": str(config)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until_s = time.monotonic() + LIMIT_S
        while "worker started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until_s, log.read_text()
            time.sleep(0.1)
        yield log
    finally:
        process.terminate()
        code = process.wait(LIMIT_S)

    assert 0 == code, log.read_text()


def test_a_name_that_is_not_the_app_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = worker.nothing


@pytest.mark.parametrize(("role", "source"), [("engine", "telemetry"), ("fleet", "fleet")])
def test_each_role_has_a_group_of_its_own(role: str, source: str) -> None:
    app = worker.make(Config(kafka=Kafka(prefix="p.", session_timeout_s=7.0)), role=role, source=source)

    assert (f"p.leapwatch-{role}", 7.0) == (app.conf.id, app.conf.broker_session_timeout)


def test_a_fetched_record_keeps_its_place_and_stamp() -> None:
    fetched = SimpleNamespace(partition=3, offset=9, timestamp=1_000, key=b"k", value=b"v")

    assert (3, 9, 1_000, b"k", b"v") == tuple(
        getattr(worker.log_record(fetched), name) for name in ("partition", "offset", "at_ms", "key", "value")
    )
