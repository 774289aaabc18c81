"""The inputs of a detector."""

from detectors.frames import BatchFrame, ClocksFrame, source_name
from schemas.commands import Release
from schemas.inventory import InventoryComplete
from schemas.outputs import Evidence
from tests.kit import START_MS, Log


def test_evidence_of_a_row_is_its_place_in_telemetry_and_in_its_source() -> None:
    """Both, with the stamp of its broker."""
    frame = Log().host(0, "s1").guest(3, "v1", "READY").guest(4, "v2", "READY").frames[2]
    assert isinstance(frame, BatchFrame)
    evidence = frame.evidence(0, "why")

    assert (0, 2) == (evidence.partition, evidence.offset)
    assert ("guest-agent", "id-of-guest-agent", 0, 1) == (
        evidence.topic,
        evidence.topic_id,
        evidence.lane,
        evidence.source_offset,
    )
    assert (START_MS + 4000, "why") == (evidence.at_ms, evidence.note)


def test_evidence_of_a_turn_of_the_clocks_has_no_source() -> None:
    """It stands in telemetry alone."""
    frame = Log().clocks(5).frames[0]
    assert isinstance(frame, ClocksFrame)

    assert Evidence(0, 0, at_ms=START_MS + 5000) == frame.evidence()


def test_a_row_is_named_in_its_sources_own_terms() -> None:
    """By event_id, command_id, or server, boot, run and seq: never by an offset or a stamp."""
    log = Log().host(0, "s1").guest(3, "v1", "READY", event_id="e1")
    rows = [frame.batch.rows[0] for frame in log.frames if isinstance(frame, BatchFrame)]

    assert ["s1/b1/r1/0", "e1"] == [source_name(row, "c1") for row in rows]
    assert "k1" == source_name(Release("k1", "c1", "t", "ada", "why"), "c1")
    assert "c1/InventoryComplete" == source_name(InventoryComplete("c1"), "c1")
