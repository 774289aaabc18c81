"""`leapwatch score FILE`: a scenario of one's own is judged, and the exit code says how."""

import json
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main

SCENARIO = """
name = "one-dies"
start = 2012-03-12T08:00:00Z
duration = "20m"
seed = 3
[fleet]
servers = 3
vms = 1
[[cluster]]
name = "north"
[[fault]]
name = "dead"
kind = "agent_dies"
scope = { clusters = "north-1", servers = 1 }
at = "5m"
agent = "host"
"""
FOUND = """
[[truth.find]]
label = "its silence is seen"
detector = "host_silence"
server = "@dead"
seen_by = "15m"
"""
MISSED = """
[[truth.find]]
label = "a dark cluster that never was"
detector = "cluster_dark"
clusters = "north-1"
seen_by = "15m"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "one-dies.toml"


def rows(capfd: pytest.CaptureFixture[str]) -> dict[str, bool]:
    """Give the label of each line of the judgement, and whether it is well."""
    (told,) = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return {row["label"]: row["ok"] for row in told["rows"]}


def test_a_scenario_of_ones_own_whose_truth_is_found_is_well(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO + FOUND, encoding="utf-8")

    assert Exit.OK == main(["score", str(file), "--processes", "1", "--json"])
    assert rows(capfd)["its silence is seen"]


def test_a_missed_truth_is_exit_one_and_named(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO + FOUND + MISSED, encoding="utf-8")

    assert Exit.BAD == main(["score", str(file), "--processes", "1", "--json"])
    told = rows(capfd)
    assert (True, False) == (told["its silence is seen"], told["a dark cluster that never was"])


def test_only_failed_leaves_the_table_what_is_not_well(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO + FOUND + MISSED, encoding="utf-8")

    assert Exit.BAD == main(["score", str(file), "--processes", "1", "--only-failed"])
    told = capfd.readouterr().out
    assert "1 missed, 0 false" in told
    assert (True, False) == ("dark" in told, "silence" in told)


def test_only_failed_leaves_the_json_what_is_not_well(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO + FOUND + MISSED, encoding="utf-8")

    assert Exit.BAD == main(["score", str(file), "--processes", "1", "--only-failed", "--json"])
    assert {"a dark cluster that never was": False} == rows(capfd)


def test_thresholds_of_a_file_hold_in_place_of_the_defaults(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO + FOUND, encoding="utf-8")
    deaf = file.with_name("deaf.toml")
    deaf.write_text("[detectors.host_silence]\nat_least_s = 3600\n", encoding="utf-8")

    assert Exit.BAD == main(["score", str(file), "--processes", "1", "--thresholds", str(deaf), "--json"])
    assert not rows(capfd)["its silence is seen"]


def test_every_error_of_a_file_is_named(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO.replace('"agent_dies"', '"agent_dyes"') + "bogus = 1\n", encoding="utf-8")

    assert Exit.USAGE == main(["score", str(file)])
    told = capfd.readouterr()
    assert "agent_dyes" in told.out + told.err
    assert "bogus" in told.out + told.err


def test_rollouts_are_scored_instead_where_asked(capfd: pytest.CaptureFixture[str]) -> None:
    main(["score", "--rollouts", "--count", "1", "--seed", "7", "--processes", "1", "--json"])
    told = json.loads(capfd.readouterr().out)

    assert (7, 1) == (told["seed"], told["trials"])
