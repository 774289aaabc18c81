"""What the fleet engine makes of a history."""

from __future__ import annotations

from pathlib import Path

from detectors.frames import BatchFrame
from schemas.codec import encode
from schemas.commands import Release
from schemas.fleet import Incident
from schemas.history import LogRecord
from schemas.outputs import Finding
from streams.engine.policy import decision_id
from streams.replay.capture import write_capture
from streams.replay.command import from_capture, lines
from streams.replay.fleet import FleetReplay
from streams.replay.run import Range
from tests.kit import Log, run


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


def braked() -> list[LogRecord]:
    """Return the telemetry of a cluster that reaches its brake, of which one decision is released."""
    log = Log().inventory(4)
    for n in range(3):
        log.maintenance(60 + n, "SERVER_STATE", server=f"s{n + 1}", state="HI")
    log.clocks(70)
    finding = next(found for found in run(log.frames) if found.detector == "hi_threshold")
    target = decision_id("stop-updates", "cluster:c1", finding.id)
    log.batch("operator", [(80, Release("r1", "c1", target, "ann", "mended"))]).clocks(90)
    return of_frames(log)


def of_frames(log: Log) -> list[LogRecord]:
    """Return the records of a log's frames."""
    return [
        LogRecord(0, at.offset, at.at_ms, b"c1", encode(at.batch if isinstance(at, BatchFrame) else at.clocks))
        for at in log.frames
    ]


def test_an_incident_tells_what_its_clusters_decided_and_who_released_it() -> None:
    replayed = FleetReplay()
    for record in braked():
        replayed.feed(record)
    told = [answer.actions for answer in replayed.answers() if isinstance(answer, Incident)]

    assert "stop-updates cluster:c1: PROPOSED (advise)" in {line for actions in told for line in actions}
    assert "stop-updates cluster:c1: RELEASED by ann" in told[-1]
    assert "disable-healing cluster:c1: PROPOSED (advise)" in told[-1]


def test_a_fault_of_two_clusters_is_one_whatever_partitions_they_stand_in() -> None:
    replayed = FleetReplay()
    for record in night():
        assert [] == replayed.feed(record)
    answers = replayed.answers()

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
