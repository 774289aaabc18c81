"""`leapwatch rca`: the article of a moment from a capture or plain files, and a clear word where there is none."""

import json
from pathlib import Path

import pytest

from schemas.history_lines import source_to_line
from schemas.outputs import Finding
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.replay.capture import write_capture
from streams.replay.command import from_records
from streams.replay.run import Range
from tests.streams.replay.histories import history, sources


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a capture of the leap day's first hour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, history(), {})
    return path


@pytest.fixture
def interval() -> Finding:
    """Give the first interval of that hour."""
    report = from_records(iter(history()), Range())
    return next(f for f in report.outputs if isinstance(f, Finding) and f.detector == "unavailability")


def test_it_prints_the_article_the_page_and_the_record(
    night: Path, interval: Finding, capfd: pytest.CaptureFixture[str]
) -> None:
    vm, at = interval.subject.vm or "", str(int(interval.numbers["start_ms"]) + 600_000)
    command = ["rca", vm, "--at", at, "--capture", str(night)]

    assert Exit.OK == main(command)
    assert "## Root cause" in capfd.readouterr().out
    assert Exit.OK == main([*command, "--html"])
    assert capfd.readouterr().out.startswith("<!doctype html>")
    assert Exit.OK == main([*command, "--json"])
    assert interval.id == json.loads(capfd.readouterr().out)["article"]["id"]


def test_plain_files_say_the_same(
    night: Path, tmp_path: Path, interval: Finding, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "night.jsonl"
    plain.write_bytes(b"\n".join(source_to_line(record) for record in sources()))
    vm, at = interval.subject.vm or "", str(int(interval.numbers["start_ms"]) + 600_000)

    assert Exit.OK == main(["rca", vm, "--at", at, "--source", str(plain)])
    assert "## Root cause" in capfd.readouterr().out


def test_what_is_not_there_is_told_and_ends_with_2(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    at = ["--at", "2012-02-29T00:10:00Z"]

    assert Exit.USAGE == main(["rca", "nobody", *at, "--capture", str(night)])
    assert "no VM nobody" in capfd.readouterr().err
    assert Exit.USAGE == main(["rca", "v", *at, "--capture", str(night), "--source", str(night)])
