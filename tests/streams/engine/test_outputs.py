"""Which record goes where, and the engine's own clocks: no hole between two turns, and no step back."""

from hypothesis import given
from hypothesis import strategies as st

from detectors.lanes import Lanes
from schemas.outputs import Decision, Finding, FindingState, Progress, Severity, Subject
from schemas.rca import RcaArticle
from streams.engine.outputs import FLEET_CLOCKS_MS, FleetClocks, of_outputs, of_progress


def _finding(**subject: str) -> Finding:
    return Finding("f1", "x", Subject(**subject), FindingState.OPEN, Severity.INFO, 1, 2, "title")  # type: ignore[arg-type]


def test_a_finding_of_one_vm_stays_out_of_the_fleet() -> None:
    assert ["findings"] == [o.topic for o in of_outputs(3, [_finding(cluster="c1", vm="v1")])]
    assert ["findings", "fleet"] == [o.topic for o in of_outputs(3, [_finding(cluster="c1")])]


def test_each_output_has_its_partition_key_and_stamp() -> None:
    decision = Decision("d1", "stop-updates", "cluster:c1", "PROPOSED", "advise", "why", ("f1",), 7)
    records = of_outputs(3, [_finding(cluster="c1"), decision])

    assert [
        ("findings", 3, b"f1", 2),
        ("fleet", 0, b"f1", 2),
        ("decisions", 3, b"d1", 7),
        ("fleet", 0, b"d1", 7),
    ] == [(o.topic, o.partition, o.key, o.timestamp_ms) for o in records]
    own = [o.topic for o in of_outputs(0, [_finding(region="north"), decision], fleet=True)]
    assert ["findings", "decisions"] == own
    assert (b"5", 5) == (of_progress(Progress(5, 1, 1, {})).key, of_progress(Progress(5, 1, 1, {})).partition)


def test_an_article_goes_under_the_id_of_its_interval() -> None:
    article = RcaArticle("i1", "v1", "c1", "s1", 1, 2, "HOST_REBOOT", False, "FINAL", 1, 9)

    assert [("rca", 3, b"i1", 9)] == [(o.topic, o.partition, o.key, o.timestamp_ms) for o in of_outputs(3, [article])]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3_000), st.booleans()), max_size=60))
def test_the_fleet_sees_no_hole_and_no_step_back_across_flushes_and_restarts(
    steps: list[tuple[int, int, bool]],
) -> None:
    """Offsets and watermarks grow by any steps; some flushes write no Clocks, and some come after a restart."""
    clocks, lanes = FleetClocks(), Lanes()
    next_offset, least_ms, told_ms = 0, 1_000_000, -1
    for records, passed_ms, restarted in steps:
        clocks = FleetClocks() if restarted else clocks
        next_offset += records
        least_ms += passed_ms
        if not clocks.due(least_ms):
            continue
        (stretch,) = clocks.turn(2, next_offset, least_ms).stretches
        lane = lanes.turn(stretch, least_ms)

        assert lane.hole is None
        assert stretch.from_ms <= stretch.to_ms
        assert told_ms <= lane.watermark_ms
        told_ms = lane.watermark_ms


def test_clocks_are_due_once_a_second_of_source_time() -> None:
    clocks = FleetClocks()
    clocks.turn(0, 10, 5_000)

    assert [False, True] == [clocks.due(5_000 + FLEET_CLOCKS_MS - 1), clocks.due(5_000 + FLEET_CLOCKS_MS)]
    assert not FleetClocks().due(-1)
