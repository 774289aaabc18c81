"""The law of this folder: however the lanes interleave, each in its own order, the same subjects and end states."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.frames import BatchFrame, ClocksFrame
from schemas.outputs import Finding, FindingState, Subject
from streams.engine.runner import Runner
from tests.contract.story import Story
from tests.contract.streams import frames, interleaved

OURS = ("start_failure", "start_stall", "guest_timeout", "server_hi", "fault_class", "healing_cascade")


def ends(log: list[BatchFrame | ClocksFrame]) -> dict[tuple[str, Subject], bool]:
    """Return, for each detector and subject of which something was found, whether it is open at the end."""
    state: dict[str, Finding] = {}
    for output in Runner(0, only=OURS).feed(log):
        if isinstance(output, Finding):
            assert output.detector != "engine", output.explanation
            state[output.id] = output
    found: dict[tuple[str, Subject], bool] = {}
    for finding in state.values():
        key = (finding.detector, finding.subject)
        found[key] = found.get(key, False) or finding.state != FindingState.CLOSED
    return found


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 1000), st.sampled_from([5.0, 90.0, 1800.0, 1e9]))
def test_lanes_may_interleave_in_any_order(seed: int, order: int, slack_s: float) -> None:
    """Lanes lag by seconds, by half an hour, or one is read after the other."""
    story = Story(seed, hours=2.0, troubles=6)

    assert ends(frames(story)) == ends(interleaved(story, order, slack_s))
