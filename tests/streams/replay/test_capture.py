"""Capture files: what is written is read, and what is no capture is told."""

from pathlib import Path

import fastavro
import pytest

from streams.replay.capture import CaptureError, read_capture, write_capture
from tests.streams.replay.histories import history


def test_a_capture_written_in_blocks_gives_back_every_record(tmp_path: Path) -> None:
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, [], {"prefix": "p."})
        count = write_capture(file, history()[:100]) + write_capture(file, history()[100:])

    assert len(history()) == count
    assert list(history()) == list(read_capture(path))


@pytest.mark.parametrize("content", [b"", b"no avro", b"Obj\x01"])
def test_what_is_no_capture_is_told_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.file"
    path.write_bytes(content)

    with pytest.raises(CaptureError, match=r"other\.file"):
        list(read_capture(path))


def test_an_avro_file_of_somebody_else_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "other.avro"
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "X", "fields": []}), [{}])

    with pytest.raises(CaptureError, match="no capture of Leapwatch"):
        list(read_capture(path))


def test_a_torn_capture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "torn.capture"
    with path.open("w+b") as file:
        write_capture(file, history(), {})
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(CaptureError, match="damaged"):
        list(read_capture(path))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        list(read_capture(tmp_path / "nowhere"))
