"""What the fleet engine makes of a history."""

from __future__ import annotations

from pathlib import Path

from detectors.frames import BatchFrame
from schemas.codec import encode
from schemas.fleet import Incident
from schemas.history import LogRecord
from schemas.outputs import Finding
from streams.replay.capture import write_capture
from streams.replay.command import from_capture, lines
from streams.replay.fleet import FleetReplay
from streams.replay.run import Range
from tests.kit import Log


def night() -> list[LogRecord]:
    """Return the telemetry of two clusters in two partitions, in which starts fail alike."""
    records = []
    for partition, cluster in enumerate(("a", "b")):
        log = Log(cluster, partition=partition).inventory(3)
        for n in range(3):
            name = f"{cluster}{n}"
            log.guest(60 + n, name, "START_FAILED", server=f"s{n + 1}", step="cert", error_code="E", event_id=name)
        for frame in log.clocks(70).frames:
            body = frame.batch if isinstance(frame, BatchFrame) else frame.clocks
            records.append(LogRecord(partition, frame.offset, frame.at_ms, cluster.encode(), encode(body)))
    return records


def test_a_fault_of_two_clusters_is_one_whatever_partitions_they_stand_in() -> None:
    run = FleetReplay()
    for record in night():
        assert [] == run.feed(record)
    answers = run.answers()

    assert ["cert:E"] == [
        answer.subject.signature
        for answer in answers
        if isinstance(answer, Finding) and answer.detector == "common_cause"
    ]
    assert ("a", "b") == [answer.clusters for answer in answers if isinstance(answer, Incident)][-1]


def test_a_capture_tells_the_fleets_incidents_and_the_same_twice(tmp_path: Path) -> None:
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, night(), {})
    report = from_capture(path, Range(), fleet=True)

    assert any("INCIDENT OPEN" in line and "(2 clusters)" in line for line in lines(report))
    assert report.outputs == from_capture(path, Range(), fleet=True).outputs
    assert report.outputs
    assert all(isinstance(each, Incident) for each in from_capture(path, Range(cluster="a"), fleet=True).outputs)
