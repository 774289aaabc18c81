"""Records of `telemetry` and `fleet` as frames."""

import pytest

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame, OtherFrame
from schemas.codec import encode
from schemas.commands import Release
from schemas.history import LogRecord
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
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


def test_a_decision_is_a_frame_of_fleet_alone() -> None:
    decision = Decision("d", "stop-updates", "cluster:c1", "PROPOSED", "advise", "why", ("f",), 7)

    assert DecisionFrame(3, 42, 1_000, decision) == frame_of(record(encode(decision)), "fleet")
    with pytest.raises(TelemetryError, match="holds a Decision, which is no frame; only the intake may write there"):
        frame_of(record(encode(decision)))


def test_a_record_of_another_kind_stops_the_reader_of_telemetry_and_is_passed_over_in_fleet() -> None:
    """In `fleet` an engine of a later version may tell more; `telemetry` is the whole story, and nothing else."""
    pulse = record(encode(Pulse("i", 1)))

    assert OtherFrame(3, 42, 1_000, "Pulse") == frame_of(pulse, "fleet")
    with pytest.raises(TelemetryError, match="holds a Pulse, which is no frame; only the intake may write there"):
        frame_of(pulse)
