"""Records of `telemetry` and `fleet` as frames."""

import pytest

from detectors.frames import BatchFrame, ClocksFrame, FindingFrame
from schemas.codec import encode
from schemas.commands import Release
from schemas.history import LogRecord
from schemas.outputs import Finding, FindingState, Severity, Subject
from schemas.source import Pulse
from schemas.telemetry import Clocks
from streams.engine.frames import TelemetryError, frame_of
from tests.streams.engine.made import batch

BATCH = batch({5: Release("r", "c1", "x", "alice", "why")})
FINDING = Finding("f", "blind", Subject(cluster="c1"), FindingState.OPEN, Severity.INFO, 1, 2, "title")


def record(value: bytes) -> LogRecord:
    """Return a record of the log with this value."""
    return LogRecord(3, 42, 1_000, b"c1", value)


def test_a_batch_and_clocks_are_frames_at_their_place_with_their_records_stamp() -> None:
    assert BatchFrame(3, 42, 1_000, BATCH) == frame_of(record(encode(BATCH)))
    assert ClocksFrame(3, 42, 1_000, Clocks(3, ())) == frame_of(record(encode(Clocks(3, ()))))


def test_a_finding_is_a_frame_of_fleet_alone() -> None:
    assert FindingFrame(3, 42, 1_000, FINDING) == frame_of(record(encode(FINDING)), "fleet")
    with pytest.raises(TelemetryError, match=r"^telemetry partition 3 offset 42: holds a Finding, which is no frame"):
        frame_of(record(encode(FINDING)))


@pytest.mark.parametrize("topic", ["telemetry", "fleet"])
@pytest.mark.parametrize("value", [b"", b"junk", b"\xc3\x01", encode(BATCH)[:-3]])
def test_what_is_no_record_of_ours_is_named_with_its_place(value: bytes, topic: str) -> None:
    with pytest.raises(TelemetryError, match=f"^{topic} partition 3 offset 42: .*check the topic's ACL"):
        frame_of(record(value), topic)


@pytest.mark.parametrize(
    ("topic", "writers"), [("telemetry", "the intake may"), ("fleet", "the intake and engines may")]
)
def test_a_record_of_another_kind_is_named(topic: str, writers: str) -> None:
    with pytest.raises(TelemetryError, match=f"holds a Pulse, which is no frame; only {writers} write there"):
        frame_of(record(encode(Pulse("i", 1))), topic)
