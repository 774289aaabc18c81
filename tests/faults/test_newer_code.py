"""A release with newer detectors takes over in mid-stream: what it sees otherwise goes out, what was open goes on."""

import pytest

from schemas.outputs import Decision, Finding
from tests.faults.harness import Run, leap_day, replayed

pytestmark = pytest.mark.kafka

BRAKE = ("server_hi", "hi_threshold")
BRAKE_MS = 1_330_478_310_000
"""2012-02-29T01:18:30Z: servers went out at 01:15, the telemetry ends at 01:20."""


def test_detectors_of_a_newer_state_version_go_on_where_the_older_stood(run: Run) -> None:
    """The same rules under another version: fed anew, they find the same, under the same ids."""
    run.play(leap_day())
    old = run.start()
    run.wait("three quarters", lambda: run.share() > 0.75)
    old.terminate()
    older = {progress.code_digest for progress in run.newest.values()}
    newer = run.start(LEAPWATCH_TEST_NEWER="server_hi,hi_threshold,start_failure,guest_timeout")
    run.finish(restart=False)
    run.wait("newer code has looked", lambda: _settled(run, older))

    assert "detectors start anew" in newer.text(), newer.tail()
    expected = replayed(run.read("telemetry"))
    run.judge_ends(expected)
    _hold_no_repeats(run)


def test_a_detector_that_an_older_release_did_not_have_catches_up(run: Run) -> None:
    """The brake is reached while nobody looks for it; the release that does finds it from the log, and decides."""
    run.play(leap_day(), ahead=60)
    old = run.start(LEAPWATCH_TEST_WITHOUT=",".join(BRAKE))
    run.wait("the brake is passed", lambda: run.at_ms() > BRAKE_MS)
    old.terminate()
    older = {progress.code_digest for progress in run.newest.values()}
    without = run.outputs()
    run.start()
    run.finish(restart=False)
    run.wait("newer code has looked", lambda: _settled(run, older))

    expected = replayed(run.read("telemetry"))
    assert not any(isinstance(output, Decision) for output in without)
    assert not any(isinstance(output, Finding) and output.detector in BRAKE for output in without)
    assert any(isinstance(output, Decision) for output in expected)
    run.judge_ends(expected)
    _hold_no_repeats(run)


def _settled(run: Run, older: set[str]) -> bool:
    """Tell whether newer code has written progress of every partition: what it sees otherwise went out with it."""
    return all(run.newest[lane].code_digest not in older for lane in run.ends)


def _hold_no_repeats(run: Run) -> None:
    """Hold that each finding opened once, and closed at most once."""
    for state in ("OPEN", "CLOSED"):
        ids = [output.id for output in run.outputs() if isinstance(output, Finding) and output.state == state]
        assert len(set(ids)) == len(ids), state
