"""Turns records of `telemetry`, and of `fleet`, into frames."""

from __future__ import annotations

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame, OtherFrame
from schemas.codec import decode
from schemas.errors import CodecError
from schemas.history import LogRecord
from schemas.outputs import Decision, Finding
from schemas.telemetry import Batch, Clocks
from streams.engine.runner import LogFrame


class TelemetryError(Exception):
    """A record that neither intake nor engine can have written: the log is damaged, or newer than this code."""


def frame_of(record: LogRecord, topic: str = "telemetry") -> LogFrame:
    """Return the frame that a record of `telemetry` or `fleet` is; TelemetryError names the record that is none.

    In `fleet` a record that can be read and is of a kind not known there is an OtherFrame: engines are upgraded one by
    one, and one of a later version may tell more. One that cannot be read might be a finding: that stops the reader.
    """
    place = f"{topic} partition {record.partition} offset {record.offset}"
    writers = "the intake" if topic == "telemetry" else "the intake and engines"
    try:
        decoded = decode(record.value)
    except CodecError as error:
        msg = f"{place}: {error.detail}; only {writers} may write there: check the topic's ACL and this code's version"
        raise TelemetryError(msg) from error
    if isinstance(decoded, Batch):
        return BatchFrame(record.partition, record.offset, record.at_ms, decoded)
    if isinstance(decoded, Clocks):
        return ClocksFrame(record.partition, record.offset, record.at_ms, decoded)
    if isinstance(decoded, Finding) and topic != "telemetry":
        return FindingFrame(record.partition, record.offset, record.at_ms, decoded)
    if isinstance(decoded, Decision) and topic != "telemetry":
        return DecisionFrame(record.partition, record.offset, record.at_ms, decoded)
    if topic != "telemetry":
        return OtherFrame(record.partition, record.offset, record.at_ms, type(decoded).__name__)
    msg = f"{place}: holds a {type(decoded).__name__}, which is no frame; only {writers} may write there"
    raise TelemetryError(msg)
