"""Newer code over an older log: what goes on, what goes out, and what nobody but a person closes."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import pytest

from schemas.commands import Release
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from streams.engine.anew import (
    Published,
    beside,
    difference,
    old_openings,
    started_anew,
    transplant,
    with_followers,
)
from streams.engine.cluster import Output, SavedCluster, decode_saved, encode_saved
from streams.engine.runner import Runner
from tests.detectors.investigate.failing import CHAIN, Failing, cluster, names, of

SERVERS = 20
OUT = names(10)
"""Enough servers out at once for the brake of so small a cluster."""


def _log() -> Failing:
    log = cluster(SERVERS)
    log.fail(OUT, 3)
    return log.tick((log.frames[-1].at_ms - log.start_ms) / 1000 + 120, OUT)


def _runner(only: Iterable[str] = CHAIN) -> Runner:
    return Runner(0, only=only)


def _published(outputs: Iterable[Output]) -> Published:
    published = Published()
    for output in outputs:
        published.take(output)
    return published


def _as_old(saved: SavedCluster, *detectors: str) -> SavedCluster:
    """Return what a release wrote whose states of these detectors were of another version."""
    older = {name: (0, saved.detectors[name][1]) for name in detectors}
    return replace(saved, detectors=saved.detectors | older)


def _restored(runner: Runner, *newer: str) -> Runner:
    """Return an engine restored from this one's state by a release in which some detectors are newer."""
    made = _runner()
    for name in runner.clusters:
        saved = decode_saved(encode_saved(_as_old(runner.save(name), *(newer if name == "c1" else ()))))
        made.restore(name, saved, 0)
    return made


def test_a_detector_of_another_version_and_one_never_saved_start_anew() -> None:
    runner = _runner()
    runner.feed(_log().frames)
    saved = _as_old(runner.save("c1"), "server_hi")
    del saved.detectors["hi_threshold"]

    assert {"server_hi", "hi_threshold"} <= set(started_anew(saved, "c1"))
    assert "guest_timeout" not in started_anew(saved, "c1")


def test_who_follows_a_newer_detector_is_fed_with_it() -> None:
    found = with_followers(["server_hi"])

    assert {"server_hi", "hi_threshold"} <= set(found)
    assert "guest_timeout" not in found


def test_what_was_open_is_read_from_a_state_of_any_version() -> None:
    runner = _runner()
    runner.feed(_log().frames)
    saved = runner.save("c1")
    version, data = saved.detectors["server_hi"]
    foreign = msgspec.msgpack.encode({**msgspec.msgpack.decode(data), "of_another_version": {"x": [1]}})
    saved.detectors["server_hi"] = (version + 1, foreign)
    saved.detectors["hi_threshold"] = (version + 1, b"\xc1")

    assert set(runner.clusters["c1"].detectors["server_hi"].state.openings.open) == set(
        old_openings(saved)["server_hi"].open
    )
    assert {} == old_openings(saved)["hi_threshold"].open


def test_fed_anew_from_the_whole_log_nothing_differs() -> None:
    log, running = _log(), _runner()
    outputs = running.feed(log.frames)
    newer = ("guest_timeout", "server_hi", "hi_threshold", "hi_forecast")
    restored = _restored(running, *newer)
    feeding = beside(restored, newer, 0)
    feeding.feed(log.frames)
    transplant(feeding, restored.clusters["c1"], newer, old_openings(running.save("c1")), 0)

    assert of([o for o in outputs if isinstance(o, Finding)], "hi_threshold")
    assert [] == difference(restored, _published(outputs), [], from_ms=0, at_ms=running.at_ms)
    assert running.save("c1").detectors["hi_threshold"] == restored.save("c1").detectors["hi_threshold"]


def test_a_detector_that_was_not_there_opens_and_decides_what_it_missed() -> None:
    log = _log()
    everything = _runner().feed(log.frames)
    before = _runner([name for name in CHAIN if name != "hi_threshold"])
    published = _published(before.feed(log.frames))
    restored = _restored(before)
    feeding = beside(restored, ["hi_threshold"], 0)
    feeding.feed(log.frames)
    transplant(feeding, restored.clusters["c1"], ["hi_threshold"], {}, 0)
    told = difference(restored, published, [], from_ms=0, at_ms=before.at_ms)

    brake = {o.id for o in everything if isinstance(o, Finding) and o.detector == "hi_threshold"}
    decided = {o.id for o in everything if isinstance(o, Decision)}
    assert decided
    assert brake == {o.id for o in told if isinstance(o, Finding)}
    assert decided == {o.id for o in told if isinstance(o, Decision)}
    assert [] == difference(restored, _published([*published.findings.values(), *told]), [], from_ms=0, at_ms=0)


def _finding(detector: str, name: str, *, opened_ms: int, latched: bool = False) -> Finding:
    subject = Subject(cluster="c1", server=name)
    return Finding(
        name, detector, subject, FindingState.OPEN, Severity.WARNING, opened_ms, opened_ms, name, latched=latched
    )


@pytest.mark.parametrize(
    ("opened_ms", "latched", "state"), [(5_000, False, "CLOSED"), (4_999, False, "OPEN"), (5_000, True, "OPEN")]
)
def test_only_what_opened_in_the_part_that_was_fed_and_is_not_latched_closes(
    opened_ms: int, latched: bool, state: str
) -> None:
    """What newer code does not find stays open where it could not see its beginning, or where a person must say so."""
    runner = _runner()
    runner.feed(cluster(SERVERS).frames)
    known = _finding("server_hi", "x1", opened_ms=opened_ms, latched=latched)
    published = _published([known])
    told = difference(runner, published, [], from_ms=5_000, at_ms=9_000)

    assert ([] if state == "OPEN" else [("x1", "CLOSED")]) == [(o.id, o.state) for o in told]
    assert [] == difference(runner, _published([known, *told]), [], from_ms=5_000, at_ms=9_000)


def test_a_latch_that_newer_code_would_not_set_is_lifted_by_a_persons_release() -> None:
    log, runner = cluster(SERVERS), _runner()
    runner.feed(log.frames)
    published = _published([_finding("server_hi", "x1", opened_ms=0, latched=True)])
    difference(runner, published, [], from_ms=0, at_ms=runner.at_ms)
    log.batch(
        "operator",
        [
            (
                10,
                Release(
                    command_id="r1", cluster="c1", target_id="x1", by="anna", reason="repaired", sent_ms=log.ms(10)
                ),
            )
        ],
    )
    outputs = runner.feed(log.frames[-1:])

    assert [("x1", "CLOSED", "released by anna: repaired")] == [
        (o.id, o.state, o.close_reason) for o in outputs if isinstance(o, Finding)
    ]


def test_what_goes_on_keeps_the_id_that_it_had() -> None:
    log, running = _log(), _runner()
    running.feed(log.frames)
    old = old_openings(running.save("c1"))
    for known in old["server_hi"].open.values():
        known.finding = replace(known.finding, id=f"old-{known.finding.subject.server}")
    restored = _restored(running, "server_hi")
    feeding = beside(restored, ["server_hi"], 0)
    feeding.feed(log.frames)
    transplant(feeding, restored.clusters["c1"], ["server_hi"], old, 0)

    assert {f"old-{name}" for name in OUT} == {
        finding.id for finding in restored.clusters["c1"].detectors["server_hi"].state.openings
    }


def test_a_quarantined_detector_of_a_newer_version_runs_again_and_the_alarm_closes() -> None:
    log, running = _log(), _runner()
    running.feed(log.frames)
    running.clusters["c1"].broken["server_hi"] = "ValueError: boom"
    alarm = replace(
        _finding("engine", "q1", opened_ms=0), subject=Subject(cluster="c1"), facts={"detector": "server_hi"}
    )
    outputs = list(running.clusters["c1"].detectors["guest_timeout"].state.openings)
    restored = _restored(running, "server_hi", "hi_threshold", "hi_forecast")

    assert "CLOSED" not in {o.state for o in difference(restored, _published([alarm]), [], from_ms=0, at_ms=1)}

    feeding = beside(restored, ["server_hi"], 0)
    feeding.feed(log.frames)
    transplant(feeding, restored.clusters["c1"], ["server_hi"], {}, 0)
    told = difference(restored, _published([alarm, *outputs]), [], from_ms=0, at_ms=1)

    assert "server_hi" not in restored.clusters["c1"].broken
    assert ["q1"] == [o.id for o in told if o.state == "CLOSED"]


def test_a_snapshot_of_older_code_restores_with_the_defaults_of_newer_fields() -> None:
    """As a release wrote it that did not know some fields of the picture, the lanes, a state and the thresholds."""
    running = _runner()
    running.feed(_log().frames)
    raw = msgspec.msgpack.decode(encode_saved(running.save("c1")))
    for name in ("quiets", "dropped", "sources"):
        del raw["picture"][name]
    for server in raw["picture"]["servers"].values():
        del server["missing"], server["fc_source"]
    raw["thresholds_text"] = "[detectors.host_silence]\nno_longer_known_s = 5\n"
    state = msgspec.msgpack.decode(raw["detectors"]["server_hi"][1])
    raw["detectors"]["server_hi"] = (raw["detectors"]["server_hi"][0], msgspec.msgpack.encode({**state, "gone": 1}))
    raw["detectors"]["a_detector_that_is_gone"] = (3, b"\x80")
    restored = _runner()
    stale = restored.restore("c1", decode_saved(msgspec.msgpack.encode(raw)), 0)

    assert [] == stale
    assert set(OUT) <= set(restored.clusters["c1"].picture.servers)
