"""`leapwatch broker`: a developer's Kafka is started, looked for and stopped by its folder."""

import json
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.real import RealBroker


def test_where_nothing_runs_status_is_away_and_says_how_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Exit.AWAY == main(["broker", "status", "--directory", str(tmp_path)])
    assert f"not running ({tmp_path}); `leapwatch broker start` starts it\n" == capsys.readouterr().out


def test_stopping_what_does_not_run_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.OK == main(["broker", "stop", "--directory", str(tmp_path), "--json"])
    assert {"ran": False} == json.loads(capsys.readouterr().out)


def test_without_java_a_start_says_which_package_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Exit.USAGE == main(["broker", "start", "--directory", str(tmp_path)])
    assert "openjdk-17" in capsys.readouterr().err


@pytest.mark.kafka
def test_a_broker_that_runs_is_told_and_is_not_started_twice(
    real_broker: RealBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(real_broker.directory)

    assert Exit.OK == main(["broker", "status", "--directory", folder, "--json"])
    assert Exit.OK == main(["broker", "start", "--directory", folder, "--json"])
    status, start = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"running": True, "bootstrap": real_broker.bootstrap, "directory": folder} == status
    assert {"bootstrap": real_broker.bootstrap} == start
