"""The demo's board: what it counts, what it shows, and what it says at the end."""

import io

from rich.console import Console

from schemas.fleet import Incident
from schemas.outputs import Decision, DecisionState, Finding, FindingState, Severity, Subject
from streams.simulate.board import INCIDENTS_SHOWN, LEAP_DAY_MS, NEWEST_KEPT, Board, Lines, after_trigger, line_of


def board() -> Board:
    made = Board.of("a title", {"c1": (50, 11), "c2": (50, 11)})
    made.trigger_ms = LEAP_DAY_MS
    return made


def finding(detector: str, at_s: float = 3.0, **changes: object) -> Finding:
    fields: dict[str, object] = {
        "id": f"{detector}-{at_s}",
        "detector": detector,
        "subject": Subject(cluster="c1"),
        "state": FindingState.OPEN,
        "severity": Severity.CRITICAL,
        "opened_ms": LEAP_DAY_MS,
        "at_ms": LEAP_DAY_MS + round(at_s * 1000),
        "title": f"title of {detector}",
    }
    return Finding(**(fields | changes))  # type: ignore[arg-type]


def decision(cluster: str = "c1", state: str = DecisionState.PROPOSED) -> Decision:
    reason = f"{cluster} has reached its brake"
    at_ms = LEAP_DAY_MS + 4_500_000
    return Decision(cluster, "stop-updates", f"cluster:{cluster}", state, "advise", reason, ("f",), at_ms)


def shown(made: Board, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(made.render())
    console.print(made.summary())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_servers_in_hi_and_time_outs_count_while_their_findings_are_open() -> None:
    made = board()
    for server in ("s1", "s2"):
        made.take(finding("server_hi", subject=Subject(cluster="c1", server=server)))
    made.take(finding("guest_timeout", subject=Subject(cluster="c1", server="s1", vm="v1")))
    made.take(finding("server_hi", state=FindingState.CLOSED, subject=Subject(cluster="c1", server="s2")))

    assert {"s1"} == made.clusters["c1"].investigated
    assert {"v1"} == made.clusters["c1"].time_outs
    assert "1 of 50" in shown(made)


def incident(number: int, severity: str = Severity.WARNING, **changes: object) -> Incident:
    fields = {"title": f"incident {number}", "opened_ms": LEAP_DAY_MS + number, "at_ms": LEAP_DAY_MS}
    return Incident(**({"id": f"i{number}", "state": "OPEN", "severity": severity, **fields} | changes))  # type: ignore[arg-type]


def test_incidents_that_go_on_are_told_as_they_stand_loudest_first() -> None:
    made = board()
    made.take(incident(50))
    made.take(incident(50, Severity.CRITICAL, state="RESOLVED"))
    for number in range(INCIDENTS_SHOWN + 1):
        made.take(incident(number, clusters=("c1",)))
    made.take(incident(0, title="it has grown", clusters=("c1", "c2"), actions=("pause-create *: PROPOSED",)))
    made.take(incident(99, Severity.CRITICAL))
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    console.print(made.incidents_table())
    said = console.file.getvalue()  # type: ignore[attr-defined]

    assert said.index("incident 99") < said.index("it has grown") < said.index("incident 1 ")
    assert "pause-create *: PROPOSED" in said
    assert "and 2 more" in said
    assert "incident 0" not in said
    assert "incident 50" not in said


def test_the_forecast_stands_until_it_is_closed() -> None:
    made = board()
    forecast = finding("hi_forecast", facts={"crosses_at": "01:15:00"})
    made.take(forecast)
    assert "01:15:00" == made.clusters["c1"].forecast

    made.take(finding("hi_forecast", facts={"crosses_at": "01:15:00"}, state=FindingState.CLOSED))
    assert "" == made.clusters["c1"].forecast


def test_the_fault_is_named_once_it_is_concluded() -> None:
    made = board()
    made.take(finding("fault_class", severity=Severity.INFO, verdict="INCONCLUSIVE"))
    assert "" == made.clusters["c1"].verdict

    made.take(
        finding("fault_class", severity=Severity.INFO, verdict="SOFTWARE", trigger="clock", state=FindingState.UPDATED)
    )
    assert "SOFTWARE (clock)" == made.clusters["c1"].verdict
    assert ["SOFTWARE"] == [first.verdict for first in made.first.values()]
    assert "the host agents had blamed the hardware" in " ".join(shown(made, width=300).split())


def test_a_decision_brakes_its_cluster_until_it_is_released() -> None:
    made = board()
    made.take(decision())
    assert "01:15:00" == made.clusters["c1"].braked
    assert "" == made.clusters["c2"].braked

    assert "DECISION stop-updates c1 (proposed)" == line_of(decision())


def test_the_first_finding_is_the_first_warning_that_is_no_blindness() -> None:
    made = board()
    made.take(finding("blind"), 1.0)
    made.take(finding("start_failure", severity=Severity.INFO), 2.0)
    assert "s after the command" not in made.last_words()
    assert "none of them a warning" in made.last_words()

    made.take(finding("start_failure"), 3.0)
    made.take(finding("hi_forecast"), 4.0)
    assert 3.0 == made.first_finding_s
    assert "4 records of findings; the first warning stood on the screen 3.0 s after the command" in made.last_words()


def test_the_summary_has_the_first_of_each_detector_beside_history() -> None:
    made = board()
    made.take(finding("start_failure", 9.0, subject=Subject(cluster="c2"), title="the second"))
    made.take(finding("start_failure", 3.2, title="the first"))
    made.take(finding("start_failure", 1.0, severity=Severity.INFO, title="one VM", subject=Subject(cluster="c3")))
    made.take(decision())
    made.take(decision("c2"))
    said = shown(made, width=200)

    assert "the first" in said
    assert "3.2 s" in said
    assert "2 h 38 min until developers knew the bug" in said
    assert "then 1 more: c1 has reached its brake" in said
    assert "one VM" not in said.split("What was found, when")[1]


def test_another_scenario_is_not_measured_by_the_leap_day() -> None:
    made = board()
    made.trigger_ms = LEAP_DAY_MS + 1
    made.take(finding("server_hi"))

    assert "on the day itself" not in shown(made)


def test_the_newest_are_kept_and_no_more() -> None:
    made = board()
    for place in range(NEWEST_KEPT + 5):
        made.take(finding("hi_threshold", float(place)))

    assert NEWEST_KEPT == len(made.newest)
    assert NEWEST_KEPT + 5 == made.told


def test_without_a_terminal_each_finding_is_one_line_once() -> None:
    made = board()
    console = Console(width=60, file=io.StringIO())
    with Lines(console, made) as lines:
        made.take(
            finding("start_failure", title="[red] is no markup here, and a long title is not broken into two lines")
        )
        lines.update(None)
        lines.update(None)
        made.take(decision())
    assert isinstance(console.file, io.StringIO)

    assert [
        "a title",
        "00:00:03  start_failure: [red] is no markup here, and a long title is not broken into two lines",
        "01:15:00  DECISION stop-updates c1 (proposed)",
    ] == console.file.getvalue().splitlines()


def test_times_after_the_trigger_are_for_people() -> None:
    assert "3.2 s" == after_trigger(3_200)
    assert "119.9 s" == after_trigger(119_900)
    assert "75 min 00 s" == after_trigger(4_500_000)
