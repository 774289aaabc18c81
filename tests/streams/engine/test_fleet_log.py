"""The topic `fleet` without a broker."""

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from schemas.telemetry import Batch
from streams.engine.fleet_log import FleetLog, merged
from streams.engine.runner import LogFrame, Runner
from tests.kit import START_MS, Log


def finding(name: str, at_ms: int, vm: str | None = None) -> Finding:
    return Finding(name, "d", Subject(cluster="c", vm=vm), FindingState.OPEN, Severity.INFO, at_ms, at_ms, "t")


def decision(at_ms: int) -> Decision:
    return Decision("d", "stop-updates", "cluster:c", "PROPOSED", "advise", "why", ("a",), at_ms)


def named(frame: LogFrame) -> str:
    """Return what a frame is of."""
    if isinstance(frame, DecisionFrame):
        return frame.decision.action
    return frame.finding.id if isinstance(frame, FindingFrame) else "batch"


def batch(at_ms: int) -> Batch:
    return Batch("c", "maintenance", "maintenance", "t", 0, (1,), (at_ms,), ())


def test_records_of_several_engines_stand_in_order_of_time_and_each_keeps_its_own() -> None:
    first, second = FleetLog(0), FleetLog(1)
    first.take([finding("a", 10), decision(10), batch(40), finding("b", 30)])
    second.take([finding("c", 20), finding("d", 40)])
    frames = list(merged([second, first]))

    assert ["a", "stop-updates", "c", "batch", "b", "d"] == [named(frame) for frame in frames]
    assert [0, 1, 2, 3, 4, 5] == [frame.offset for frame in frames]
    assert 40 == next(frame.at_ms for frame in frames if isinstance(frame, BatchFrame))


def test_findings_of_one_vm_stay_with_their_cluster() -> None:
    log = FleetLog(0)
    log.take([finding("a", 10, vm="v1")])

    assert [] == log.written


def test_clocks_are_told_each_ten_seconds_of_the_slowest_lane() -> None:
    source, runner, log = Log(), Runner(0, only=()), FleetLog(3)
    for second in range(25):
        source.clocks(second)
    for frame in source.frames:
        runner.tell([frame])
        log.turn(runner, frame.offset + 1)
    clocks = [frame for frame in merged([log]) if isinstance(frame, ClocksFrame)]

    assert [START_MS, START_MS + 10_000, START_MS + 20_000] == [frame.at_ms for frame in clocks]
    assert {3} == {stretch.lane for frame in clocks for stretch in frame.clocks.stretches}
