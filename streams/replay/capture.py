"""Capture files: records of `telemetry` in an Avro object container, which any Avro tool reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import fastavro

from schemas.history import LogRecord

FORMAT = "leapwatch-capture-1"
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "LogRecord",
        "namespace": "leapwatch",
        "doc": "One record of `telemetry`.",
        "fields": [
            {"name": "partition", "type": "int"},
            {"name": "offset", "type": "long"},
            {"name": "at_ms", "type": "long"},
            {"name": "key", "type": ["null", "bytes"], "default": None},
            {"name": "value", "type": "bytes"},
        ],
    }
)


class CaptureError(Exception):
    """A file that is no capture, or a capture that is damaged."""


def write_capture(file: IO[bytes], records: Iterable[LogRecord], about: dict[str, Any] | None = None) -> int:
    """Write records to a capture, or append them to what `file` holds already; return how many.

    The file is open for reading and writing. `about` (prefix, range) is kept in the header of a new one.
    """
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for record in records:
            count += 1
            yield {
                "partition": record.partition,
                "offset": record.offset,
                "at_ms": record.at_ms,
                "key": record.key,
                "value": record.value,
            }

    metadata = {"leapwatch": FORMAT, "about": json.dumps(about or {}, sort_keys=True)}
    fastavro.writer(file, SCHEMA if file.tell() == 0 else None, rows(), codec="deflate", metadata=metadata)
    return count


def read_capture(path: Path) -> Iterator[LogRecord]:
    """Yield the records of a capture in their order; CaptureError names the file and what is wrong."""
    try:
        with path.open("rb") as file:
            if file.read(1) in {b"{", b"["}:
                raise CaptureError(f"{path}: JSON, and no capture; files of source records are read as --source")
            file.seek(0)
            reader = fastavro.reader(file)
            if reader.metadata.get("leapwatch") != FORMAT:
                msg = f"{path}: an Avro file, but no capture of Leapwatch (made by `leapwatch capture`)"
                raise CaptureError(msg)
            for row in reader:
                yield LogRecord(**row)  # type: ignore[arg-type, unused-ignore]
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise CaptureError(msg) from error
    except (ValueError, EOFError, KeyError, TypeError) as error:
        msg = f"{path}: no capture, or a damaged one: {error}"
        raise CaptureError(msg) from error
