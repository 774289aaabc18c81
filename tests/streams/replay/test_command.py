"""What `leapwatch replay` prints, from captures and plain files."""

import json
from pathlib import Path

import pytest

from schemas.codec import encode
from schemas.history_lines import source_to_line
from streams.config.catalogue import config_types
from streams.config.thresholds import parse
from streams.replay.capture import write_capture
from streams.replay.command import from_capture, from_sources, json_lines, lines, utc, write_report
from streams.replay.run import Range, replay
from tests.streams.replay.histories import history, sources


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Give a capture of the night."""
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, history(), {})
    return path


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    """Give the same night as plain source records, and one bad line."""
    path = tmp_path / "night.jsonl"
    path.write_bytes(b"\n".join([*(source_to_line(record) for record in sources()), b"{bad"]))
    return path


def test_a_capture_and_plain_files_give_the_bytes_of_the_run_itself(capture: Path, source_file: Path) -> None:
    run = sorted(replay(history()), key=lambda output: output.at_ms)

    assert [encode(output) for output in run] == [encode(output) for output in from_capture(capture, Range()).outputs]
    assert [encode(output) for output in run] == [
        encode(output) for output in from_sources([source_file], Range(), lanes=2).outputs
    ]


def test_a_line_that_was_not_taken_is_a_note(source_file: Path) -> None:
    report = from_sources([source_file], Range())

    assert 1 == len(report.notes)
    assert report.notes[0].startswith(f"{source_file}:{len(sources()) + 1}: not taken: ")


def test_a_capture_that_begins_in_mid_history_says_so(tmp_path: Path) -> None:
    path = tmp_path / "late.capture"
    with path.open("w+b") as file:
        write_capture(file, [record for record in history() if record.offset >= 500], {})

    assert any("begin at offset 500" in note for note in from_capture(path, Range()).notes)


def test_every_line_of_a_what_if_is_labelled(capture: Path) -> None:
    thresholds = parse("[detectors.start_failure]\nvms = 2\n", config_types())
    report = from_capture(capture, Range(), thresholds=thresholds)

    assert all(line.startswith("what-if ") for line in lines(report) if not line.startswith("note:"))
    assert all(json.loads(line)["what_if"] for line in json_lines(report))


def test_json_lines_are_the_records_fields(capture: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    report = from_capture(capture, Range())
    write_report(report, as_json=True)
    out = capfdbinary.readouterr().out.splitlines()

    assert [output.id for output in report.outputs] == [json.loads(line)["id"] for line in out]


def test_a_moment_is_written_in_utc() -> None:
    assert "2012-02-29 00:00:00.250Z" == utc(1_330_473_600_250)
