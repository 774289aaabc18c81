"""A release with newer detectors takes over in mid-stream: what it sees otherwise goes out, what was open goes on."""

import pytest

from schemas.outputs import Decision, Finding
from tests.faults.harness import Run, ended, leap_day, replayed

pytestmark = pytest.mark.kafka

BRAKE = ("server_hi", "hi_threshold")


def test_detectors_of_a_newer_state_version_go_on_where_the_older_stood(run: Run) -> None:
    """The same rules under another version: fed anew, they find the same, under the same ids."""
    run.play(leap_day())
    old = run.start()
    run.wait("three quarters", lambda: run.share() > 0.75)
    old.terminate()
    newer = run.start(LEAPWATCH_TEST_NEWER="server_hi,hi_threshold,start_failure,guest_timeout")
    run.finish(restart=False)

    assert "detectors start anew" in newer.text(), newer.tail()
    expected = replayed(run.read("telemetry"))
    assert ended(expected) == ended(run.outputs())
    _hold_no_repeats(run)


def test_a_detector_that_an_older_release_did_not_have_catches_up(run: Run) -> None:
    """The brake is reached while nobody looks for it; the release that does finds it from the log, and decides."""
    run.play(leap_day())
    old = run.start(LEAPWATCH_TEST_WITHOUT=",".join(BRAKE))
    run.wait("all but the end", lambda: run.share() > 0.97)
    old.terminate()
    without = run.outputs()
    run.start()
    run.finish(restart=False)

    expected = replayed(run.read("telemetry"))
    assert not any(isinstance(output, Decision) or output.detector in BRAKE for output in without)
    assert any(isinstance(output, Decision) for output in expected)
    assert ended(expected) == ended(run.outputs())
    _hold_no_repeats(run)


def _hold_no_repeats(run: Run) -> None:
    """Hold that each finding opened once, and closed at most once."""
    for state in ("OPEN", "CLOSED"):
        ids = [output.id for output in run.outputs() if isinstance(output, Finding) and output.state == state]
        assert len(set(ids)) == len(ids), state
