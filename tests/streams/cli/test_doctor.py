"""`leapwatch doctor`: each line a verdict and what to do, and the exit code of the worst."""

import json
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.embedded import EmbeddedBroker
from tests.streams.cli.log import LANES, Run

pytestmark = pytest.mark.embedded


def test_the_doctor_names_what_is_missing_and_ends_well(run: Run) -> None:
    code, lines = run("doctor", "--json")
    told = {line["what"]: line for line in map(json.loads, lines)}

    assert Exit.BAD == code
    assert "telemetry" in told["topics"]["found"]
    assert "`leapwatch topics apply` makes them" == told["topics"]["todo"]
    assert "ok" == told["connection"]["verdict"]


def test_where_all_topics_are_there_nothing_fails(run: Run, embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    for name in ("guest-agent", "maintenance", "requests", "telemetry", "progress", "snapshots"):
        embedded_broker.create_topic(f"t.{name}", LANES)
    (tmp_path / "leapwatch.toml").write_text(f"[kafka]\nlanes = {LANES}\n", encoding="utf-8")

    code, lines = run("doctor")
    assert (Exit.OK, []) == (code, [line for line in lines if line.startswith("fail")])
    assert f"ok    topics: all there, {LANES} lanes" in lines


def test_a_bad_configuration_fails_and_says_which_command_names_its_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leapwatch.toml").write_text("x = 1\n", encoding="utf-8")

    assert Exit.BAD == main(["doctor"])
    assert "      `leapwatch config check` names them all" in capsys.readouterr().out.splitlines()
