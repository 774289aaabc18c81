"""The turns of a history beside what was found of each."""

import io

import pytest
from rich.console import Console

from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from streams.simulate.load import loads
from streams.simulate.reading import ScenarioError
from streams.simulate.timeline import Turn, printed, span, tell

MINUTE_MS = 60_000
TURN = Turn(
    75 * MINUTE_MS, "the threshold is hit", 0, 90 * MINUTE_MS, ("hi_forecast", "hi_threshold"), ("stop-updates",)
)


def said(detector: str, at_ms: int, severity: str = Severity.WARNING, state: str = FindingState.OPEN) -> Finding:
    return Finding(detector, detector, Subject(cluster="c"), state, severity, at_ms, at_ms, f"of {detector}")


def made(at_ms: int, action: str = "stop-updates") -> Decision:
    return Decision(f"d{at_ms}", action, "cluster:c", "PROPOSED", "advise", "r", (), at_ms)


def test_the_preferred_detector_is_told_with_its_first_loud_word() -> None:
    findings = [
        said("hi_threshold", 10),
        said("hi_forecast", 5, Severity.INFO),
        said("hi_forecast", 30),
        said("hi_forecast", 20),
    ]
    [told] = tell([TURN], findings, [])

    assert told.finding is not None
    assert ("hi_forecast", 20) == (told.finding.detector, told.finding.at_ms)


def test_only_what_was_said_within_the_turn_is_of_it() -> None:
    late = said("hi_forecast", 90 * MINUTE_MS + 1)
    closed = said("hi_forecast", 9, state=FindingState.CLOSED)
    [told] = tell([TURN], [late, closed], [made(9, "pause-create"), made(90 * MINUTE_MS + 1)])

    assert (None, ()) == (told.finding, told.decisions)


def test_the_first_decision_of_each_action_would_have_stopped_it() -> None:
    [told] = tell([TURN], [], [made(7), made(3)])

    assert [3] == [decision.at_ms for decision in told.decisions]


def test_it_is_printed_beside_the_history() -> None:
    console = Console(width=220, file=io.StringIO(), record=True)
    console.print(printed(tell([TURN], [said("hi_forecast", 20_000)], [made(21_000)]), "leap-day"))
    page = console.export_text()

    assert "01-01 01:15" in page
    assert "20 s" in page
    assert "hi_forecast: of hi_forecast" in page
    assert "stop-updates cluster:c (PROPOSED, 00:00:21)" in page


@pytest.mark.parametrize(("length_ms", "words"), [(12_000, "12 s"), (150_000, "2 min"), (9_000_000, "2.5 h")])
def test_spans_are_told_as_people_say_them(length_ms: int, words: str) -> None:
    assert words == span(length_ms)


FILE = """
name = "x"
start = 2026-01-01T00:00:00Z
duration = "2h"
[[cluster]]
name = "c"
[[history]]
at = "75m"
what = "seen"
from = "5s"
detectors = ["hi_threshold"]
"""


def test_a_scenario_tells_its_history() -> None:
    scenario = loads(FILE)
    [turn] = scenario.history

    assert (75 * MINUTE_MS, 5_000, scenario.end_ms) == (
        turn.at_ms - scenario.start_ms,
        turn.from_ms - scenario.start_ms,
        turn.until_ms,
    )


def test_a_turn_without_a_time_is_refused() -> None:
    with pytest.raises(ScenarioError, match="history"):
        loads(FILE.replace('at = "75m"\n', ""))
