"""The engine over history: what is told of a range, and what is not."""

from schemas.codec import encode
from schemas.history import LogRecord
from schemas.outputs import Finding
from schemas.source import HOST_AGENT
from schemas.telemetry import Clocks, Stretch
from streams.replay.run import LAG_MS, Range, Replay, replay
from tests.streams.replay.histories import history


def test_two_replays_give_the_same_bytes() -> None:
    once, again = list(replay(history())), list(replay(history()))

    assert once
    assert [encode(output) for output in once] == [encode(output) for output in again]


def test_a_range_tells_what_the_whole_tells_within_it() -> None:
    whole = list(replay(history()))
    stamps = sorted(output.at_ms for output in whole)
    from_ms, to_ms = stamps[len(stamps) // 3], stamps[2 * len(stamps) // 3]

    part = list(replay(history(), Range(from_ms, to_ms)))

    assert [output for output in whole if from_ms <= output.at_ms < to_ms] == part


def test_two_ranges_that_meet_tell_everything_once() -> None:
    whole = list(replay(history()))
    middle_ms = sorted(output.at_ms for output in whole)[len(whole) // 2]

    assert whole == [*replay(history(), Range(to_ms=middle_ms)), *replay(history(), Range(from_ms=middle_ms))]


def test_one_cluster_alone_is_told_where_it_is_asked_for() -> None:
    whole = list(replay(history()))
    cluster = next(output.subject.cluster for output in whole if isinstance(output, Finding) and output.subject.cluster)

    part = list(replay(history(), Range(cluster=cluster)))

    assert part
    assert {cluster} == {output.subject.cluster for output in part if isinstance(output, Finding)}


def clocks_of(feed: str, at_ms: int) -> LogRecord:
    stretch = Stretch(feed, feed, "id", 0, 0, 9, at_ms - 1_000, at_ms)
    return LogRecord(0, 0, at_ms, b"*", encode(Clocks(0, (stretch,))))


def test_a_range_is_over_only_when_no_lane_can_lag_into_it() -> None:
    run = Replay(Range(to_ms=1_000))

    assert not run.over(clocks_of(HOST_AGENT, 999 + LAG_MS))
    assert run.over(clocks_of(HOST_AGENT, 1_000 + LAG_MS))


def test_a_command_of_today_does_not_end_a_range_of_a_simulated_log() -> None:
    assert not Replay(Range(to_ms=1_000)).over(clocks_of("operator", 1_000_000 + LAG_MS))


def test_a_finding_in_fleet_does_not_show_that_a_range_is_over() -> None:
    found = next(output for output in replay(history()) if isinstance(output, Finding))
    record = LogRecord(0, 0, 2 * LAG_MS, b"", encode(found))

    assert not Replay(Range(to_ms=1_000), fleet=True).over(record)


def test_what_was_read_is_told() -> None:
    run = Replay()
    for record in history():
        run.feed(record)

    assert len(history()) == run.told.records
    assert {0: 0, 1: 0} == run.told.began
    assert run.told.findings > 0
