"""Turns records of `telemetry` into frames."""

from __future__ import annotations

from detectors.frames import BatchFrame, ClocksFrame
from schemas.codec import decode
from schemas.errors import CodecError
from schemas.history import LogRecord
from schemas.telemetry import Batch, Clocks
from streams.engine.runner import TelemetryFrame


class TelemetryError(Exception):
    """A record of `telemetry` that the intake cannot have written: the log is damaged, or newer than this code."""


def frame_of(record: LogRecord) -> TelemetryFrame:
    """Return the frame that a record is; TelemetryError names the record that is none."""
    place = f"telemetry partition {record.partition} offset {record.offset}"
    try:
        decoded = decode(record.value)
    except CodecError as error:
        msg = f"{place}: {error.detail}; only the intake may write there: check the topic's ACL and this code's version"
        raise TelemetryError(msg) from error
    if isinstance(decoded, Batch):
        return BatchFrame(record.partition, record.offset, record.at_ms, decoded)
    if isinstance(decoded, Clocks):
        return ClocksFrame(record.partition, record.offset, record.at_ms, decoded)
    msg = f"{place}: holds a {type(decoded).__name__}, not a Batch or Clocks; only the intake may write there"
    raise TelemetryError(msg)
