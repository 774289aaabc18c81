"""`leapwatch simulate`: a scenario stands on the source topics, and never among real reports."""

import json
from pathlib import Path

import pytest

from schemas import codec
from schemas.history_lines import source_from_line
from schemas.inventory import Server
from schemas.records import FEEDS
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.partition import lane_of
from tests.streams.cli.log import LANES, Run, held

SCENARIO = """
name = "quiet"
start = 2012-03-12T08:00:00Z
duration = "10m"
seed = 1
[fleet]
servers = 2
vms = 1
[[cluster]]
name = "north"
"""


@pytest.mark.embedded
def test_a_scenario_is_played_keyed_into_its_lanes_with_the_stamps_it_had(
    bootstrap: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "leapwatch.toml").write_text(f"[kafka]\nlanes = {LANES}\n", encoding="utf-8")
    (tmp_path / "quiet.toml").write_text(SCENARIO, encoding="utf-8")

    code, lines = run("simulate", "quiet.toml", "--seed", "7", "--json")
    assert (Exit.OK, {"scenario": "quiet", "seed": 7, "prefix": "t."}) == (code, json.loads(lines[0]))
    reports = [record for record in held(bootstrap, "t.host-agent") if record.key is not None]
    cluster = reports[0].key.decode()
    assert {lane_of(cluster, LANES)} == {record.partition for record in reports}
    assert {cluster} == {codec.decode_source(record.value, FEEDS["host-agent"]).cluster for record in reports}
    assert 1_331_539_200_000 <= min(record.timestamp for record in reports)


def test_a_scenario_in_a_file_is_what_replay_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No broker, no prefix, no configuration; in another size than the scenario's own."""
    monkeypatch.chdir(tmp_path)
    size = ["--clusters", "1", "--servers", "6", "--vms", "2"]

    assert Exit.OK == main(["simulate", "bad-server", *size, "--to", "day.jsonl", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert len(Path("day.jsonl").read_bytes().splitlines()) == told["records"]
    assert Exit.OK == main(["replay", "--source", "day.jsonl"])
    lines = capsys.readouterr().out.splitlines()
    assert any("CRITICAL OPEN" in line or "WARNING  OPEN" in line for line in lines)
    assert [] == [line for line in lines if "not taken" in line]


def test_a_scenario_on_stdout_is_nothing_but_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quiet.toml").write_text(SCENARIO, encoding="utf-8")

    assert Exit.OK == main(["simulate", "quiet.toml", "--servers", "3", "--to", "-"])
    records = [source_from_line(line).record for line in capfdbinary.readouterr().out.splitlines()]
    assert 3 == sum(isinstance(record, Server) for record in records)


@pytest.mark.parametrize(
    ("environment", "arguments", "code", "told"),
    [
        ({}, ["leap-day"], Exit.REFUSED, "prefix"),
        ({"PREFIX": "t.", "SECURITY_PROTOCOL": "ssl"}, ["leap-day"], Exit.REFUSED, "plaintext"),
        ({"PREFIX": "t."}, ["leap-dya"], Exit.USAGE, "no such scenario"),
        ({"PREFIX": "t."}, ["leap-day", "--speed", "0"], Exit.USAGE, "--speed"),
        (
            {},
            ["leap-day", "--servers", "1000000"],
            Exit.USAGE,
            "servers: is 1000000; must be a whole number from 1 to 100000",
        ),
        ({}, ["leap-day", "--to", "no/such/folder", "--servers", "1"], Exit.USAGE, "no/such/folder"),
        ({}, ["leap-day", "--to", "-", "--speed", "2"], Exit.USAGE, "--speed"),
        ({"PREFIX": "t.", "BOOTSTRAP": "127.0.0.1:1"}, ["leap-day"], Exit.AWAY, "no broker answers at 127.0.0.1:1"),
    ],
    ids=[
        "no prefix",
        "not plaintext",
        "no such scenario",
        "no speed",
        "too large",
        "no folder",
        "a file has no speed",
        "no broker",
    ],
)
def test_what_would_do_harm_or_cannot_be_is_refused(
    environment: dict[str, str],
    arguments: list[str],
    code: Exit,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_KAFKA_PREFIX", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"LEAPWATCH_KAFKA_{name}", value)

    assert code == main(["simulate", *arguments])
    assert told in capsys.readouterr().err
