"""`leapwatch replay` and `capture`: history again from a file or from Kafka, chosen by range, and refused when bad."""

import gc
import json
from pathlib import Path

import pytest

from schemas.history import LogRecord
from schemas.history_lines import source_to_line
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.plain import Outgoing
from streams.replay.capture import write_capture
from tests.streams.cli.log import put
from tests.streams.replay.histories import history, sources


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Give a capture of the leap day's first hour."""
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, history(), {})
    return path


def test_a_capture_and_the_plain_files_behind_it_say_the_same(
    night: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "night.jsonl"
    plain.write_bytes(b"\n".join(source_to_line(record) for record in sources()))

    assert Exit.OK == main(["replay", "--capture", str(night), "--json"])
    first = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert Exit.OK == main(["replay", "--source", str(plain), "--json"])
    second = [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    assert "start_failure" in {told.get("detector") for told in first}
    assert sorted({told["id"] for told in first}) == sorted({told["id"] for told in second})


def test_from_and_to_choose_what_is_told_and_not_what_is_read(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["replay", "--capture", str(night), "--json"])
    lines = capfd.readouterr().out.splitlines()
    stamps = [json.loads(line)["at_ms"] for line in lines]
    from_ms, to_ms = stamps[len(stamps) // 3], stamps[len(stamps) * 2 // 3]

    assert Exit.OK == main(["replay", "--capture", str(night), "--json", "--from", str(from_ms), "--to", str(to_ms)])
    chosen = [line for line, at_ms in zip(lines, stamps, strict=True) if from_ms <= at_ms < to_ms]
    assert chosen == capfd.readouterr().out.splitlines()
    assert 0 < len(chosen) < len(lines)


def test_a_what_if_obeys_the_file_and_says_so(night: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "what.toml").write_text("[detectors.start_failure]\nvms = 2\n", encoding="utf-8")

    assert Exit.OK == main(["replay", "--capture", str(night), "--config", "what.toml", "--json"])
    assert {True} == {json.loads(line)["what_if"] for line in capfd.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--capture", "gone.capture"], "gone.capture"),
        (["--capture", "junk"], "junk"),
        (["--source", "gone.jsonl"], "gone.jsonl"),
        (["--capture", "junk", "--source", "junk"], "not both"),
        (["--capture", "junk", "--from", "soon"], "--from: `soon`"),
        (["--capture", "junk", "--config", "junk"], "junk:1"),
        (["--capture", "junk", "--from", "2012-02-29", "--to", "2012-02-28"], "--to 2012-02-28 is not after --from"),
        (["--capture", "junk", "--from", "5", "--to", "5"], "--to 5 is not after --from 5"),
        (["--source", "night.capture"], "--capture"),
        (["--capture", "night.jsonl"], "--source"),
    ],
    ids=" ".join,
)
def test_bad_input_is_exit_two_and_one_line(
    arguments: list[str], told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "junk").write_text("no capture, no lines, no TOML", encoding="utf-8")
    (tmp_path / "night.jsonl").write_bytes(source_to_line(sources()[0]) + b"\n")
    (tmp_path / "night.capture").write_bytes(b"Obj\x01")

    assert Exit.USAGE == main(["replay", *arguments])
    said = capfd.readouterr()
    assert told in said.err
    assert 1 == len(said.err.splitlines())
    assert "" == said.out


def test_a_cluster_that_nothing_tells_of_is_named_with_those_there_are(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Exit.USAGE == main(["replay", "--capture", str(night), "--cluster", "nosuch"])
    said = capfd.readouterr()
    assert "" == said.out
    assert f"no cluster nosuch in the history that was read ({len(history())} records); there it has " in said.err


@pytest.mark.embedded
@pytest.mark.parametrize("command", [["replay"], ["capture", "x.capture"], ["rca", "v", "--at", "2012-02-29"]])
def test_a_log_that_is_not_there_is_told_at_once(
    command: list[str], bootstrap: str, embedded_broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap
    assert Exit.USAGE == main(command)
    assert "topic t.telemetry is not there; make it with `leapwatch topics apply`" in capfd.readouterr().err
    embedded_broker.create_topic("t.telemetry", 2)
    assert Exit.USAGE == main(command)
    assert "topic t.telemetry has 2 lanes, and [kafka] lanes is 64: set it to 2" in capfd.readouterr().err


@pytest.mark.parametrize("command", [["replay"], ["capture", "x.capture"]])
def test_no_broker_is_one_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_BOOTSTRAP", "127.0.0.1:1")

    assert Exit.AWAY == main(command)
    gc.collect()
    assert 1 == len(capfd.readouterr().err.splitlines())


@pytest.mark.embedded
def test_what_was_captured_from_kafka_replays_as_kafka_does(
    bootstrap: str, embedded_broker: EmbeddedBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The embedded broker knows no offsets by time: the whole log is captured."""
    for topic, lanes in (("t.telemetry", 2), ("t.progress", 2), ("t.snapshots", 2)):
        embedded_broker.create_topic(topic, lanes)
    (tmp_path / "leapwatch.toml").write_text("[kafka]\nlanes = 2\n", encoding="utf-8")
    put(bootstrap, [outgoing(record) for record in history()])

    assert Exit.OK == main(["capture", "kafka.capture", "--config", "leapwatch.toml"])
    assert f"kafka.capture: {len(history())} records\n" == capfd.readouterr().out
    assert Exit.OK == main(["replay", "--kafka", "leapwatch.toml", "--json"])
    live = capfd.readouterr().out
    assert Exit.OK == main(["replay", "--capture", "kafka.capture", "--json"])
    assert live == capfd.readouterr().out
    assert live


def outgoing(record: LogRecord) -> Outgoing:
    """Return the record as the intake would have written it."""
    return Outgoing("t.telemetry", record.partition, record.key, record.value, at_ms=record.at_ms)
