"""The judge: each line of truth at, below and above its limit."""

from __future__ import annotations

from dataclasses import replace

from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from streams.simulate.judge import exit_code, judge
from streams.simulate.truth import Expected


def finding(name: str = "a", **changes: object) -> Finding:
    found = Finding(
        id=name,
        detector="start_failure",
        subject=Subject(cluster="north-1", server="s1"),
        state=FindingState.OPEN,
        severity=Severity.CRITICAL,
        opened_ms=1000,
        at_ms=1500,
        title="starts fail at 01:15:00",
        verdict="SOFTWARE",
        trigger="clock",
        numbers={"vms": 3},
        facts={"step": "transfer-certificate"},
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def find(**changes: object) -> Expected:
    return replace(Expected("find", "line", "north-1", detectors=("start_failure",)), **changes)  # type: ignore[arg-type]


def note(line: Expected, *findings: Finding) -> str:
    return judge([line], findings, [], {})[0].note


def test_a_finding_that_says_all_in_time_is_found() -> None:
    line = find(
        severity="CRITICAL", verdict="SOFTWARE", trigger="clock", says=("01:15:00",), facts={"step": "transfer-*"},
        numbers={"vms": (3, 3)}, seen_by_ms=1500, opened_by_ms=1000, before_ms=1501, opened_at_ms=3000, within_ms=2000,
        subject={"server": ("s*",)},
    )  # fmt: skip
    (row,) = judge([line], [finding()], [], {})

    assert (True, "", 1000, 1500) == (row.ok, row.note, row.opened_ms, row.seen_ms)
    assert 0 == exit_code([row])


def test_each_limit_is_missed_one_millisecond_late() -> None:
    assert "said 0.001 s too late" == note(find(seen_by_ms=1499), finding())
    assert "opened 0.001 s too late" == note(find(opened_by_ms=999), finding())
    assert "said 0.000 s after what it should precede" == note(find(before_ms=1500), finding())
    assert note(find(opened_at_ms=3001, within_ms=2000), finding()).startswith("opened -2.001 s from")


def test_what_a_finding_does_not_say_is_named() -> None:
    assert "no such finding" == note(find())
    assert "no such finding" == note(find(), finding(subject=Subject(cluster="south-1")))
    assert "no such finding" == note(find(subject={"server": frozenset({"s2"})}), finding())
    assert "no such finding" == note(find(subject={"vm": ("*",)}), finding())
    assert "verdict is SOFTWARE, not HARDWARE" == note(find(verdict="HARDWARE"), finding())
    assert "trigger is none, not clock" == note(find(trigger="clock"), finding(trigger=""))
    assert "severity is CRITICAL, not WARNING" == note(find(severity="WARNING"), finding())
    assert "does not say '01:16'" == note(find(says=("01:16",)), finding())
    assert "number vms is 3, not 4 to 9" == note(find(numbers={"vms": (4, 9)}), finding())
    assert "number racks is None, not 1 to 9" == note(find(numbers={"racks": (1, 9)}), finding())
    assert note(find(facts={"step": "mount"}), finding()).startswith("fact step is 'transfer-certificate'")


def test_a_verdict_that_comes_with_an_update_counts_from_that_update() -> None:
    first = finding(verdict="INCONCLUSIVE")
    later = finding(state=FindingState.UPDATED, at_ms=9000)

    assert "" == note(find(verdict="SOFTWARE", seen_by_ms=9000), first, later)
    assert "said 0.001 s too late" == note(find(verdict="SOFTWARE", seen_by_ms=8999), first, later)


def test_counts_are_of_findings_not_of_their_records() -> None:
    both = [finding(), finding(state=FindingState.UPDATED, at_ms=1600)]

    assert "" == note(find(least=1, most=1), *both)
    assert "2 found" == note(find(least=1, most=1), *both, finding("b"))
    assert "1 in time, of 2" == note(find(least=2, seen_by_ms=1500), finding(), finding("b", at_ms=1501))


def test_a_finding_must_stand_throughout() -> None:
    line = find(says=("01:15:00",), throughout_ms=(2000, 5000))
    wrong = finding(state=FindingState.UPDATED, at_ms=3000, title="01:40:00")
    closed = finding(state=FindingState.CLOSED, at_ms=4000)

    assert "" == note(line, finding(), finding(state=FindingState.CLOSED, at_ms=5000))
    assert note(line, finding(), wrong).endswith("00:00:03.000: does not say '01:15:00'")
    assert note(line, finding(), closed).endswith("00:00:04.000: nothing stands")
    assert note(line, finding(at_ms=2001)).endswith("00:00:02.000: nothing stands")


def test_what_must_not_be_there_counts_where_it_first_says_so() -> None:
    line = Expected(
        "not", "quiet", "north-1", detectors=("*",), severity_at_least="WARNING", from_ms=1000, until_ms=2000
    )
    mild = finding(severity=Severity.INFO, at_ms=500)
    risen = finding(state=FindingState.UPDATED, at_ms=1999)

    assert "1 false: starts fail at 01:15:00" == note(line, mild, risen)
    assert "" == note(line, mild, replace(risen, at_ms=2000))
    assert "" == note(line, finding(at_ms=999), risen)
    assert "" == note(line, finding(state=FindingState.CLOSED))
    assert "" == note(replace(line, unless=("start_*",)), finding())
    assert "" == note(replace(line, verdict="HARDWARE"), finding())


def test_a_finding_about_a_whole_lane_concerns_each_cluster_in_it() -> None:
    blind = finding(detector="blind", subject=Subject(feed="host-agent", lane=0))

    assert "" == note(find(detectors=("blind",)), blind)


def test_decisions_are_counted_once_each_by_scope() -> None:
    line = Expected("decide", "stop", "north-1", action="stop-*", least=1, most=1, seen_by_ms=2000)
    made = Decision("d", "stop-updates", "cluster:north-1", "PROPOSED", "advise", "", ("a",), 2000)

    def judged(*decisions: Decision) -> str:
        return judge([line], [], decisions, {})[0].note

    assert "" == judged(made, replace(made, state="RELEASED", at_ms=3000))
    assert "0 made, not 1" == judged(replace(made, scope="cluster:south-1"))
    assert "2 made, not 1" == judged(made, replace(made, id="e"))
    assert "made 0.001 s too late" == judged(replace(made, at_ms=2001))


def test_counts_broken_detectors_and_moments_that_never_came_fail() -> None:
    broken = finding("x", detector="engine", title="detector blind failed")
    never = find(broken="healed_failed: never came")
    rows = judge([Expected("count", "reboot_planned", "", least=3, most=3), never], [broken], [], {"reboot_planned": 2})

    assert [False, False, False] == [row.ok for row in rows]
    assert ["2", "healed_failed: never came"] == [rows[0].found, rows[1].note]
    assert 1 == exit_code(rows)


def test_loud_findings_that_nobody_asked_for_are_told_and_not_judged() -> None:
    (row,) = judge([], [finding(), finding("b"), finding("c", severity=Severity.INFO)], [], {})

    assert (None, "2 more of start_failure") == (row.ok, row.label)
    assert 0 == exit_code([row])


def test_a_line_about_the_fleet_takes_findings_of_any_cluster_and_of_none() -> None:
    line = replace(find(), cluster="", fleet=True)

    assert "" == note(line, finding())
    assert "" == note(line, finding(subject=Subject(region="north")))
    assert "no such finding" == note(replace(line, subject={"region": ("south",)}), finding())


def test_of_several_texts_all_must_be_said() -> None:
    assert "" == note(find(says=("01:15", "transfer")), finding())
    assert "does not say 'netplugin'" == note(find(says=("01:15", "netplugin")), finding())


def test_a_decision_of_a_wider_scope_is_judged_by_its_scope() -> None:
    line = Expected("decide", "pause", "", action="pause-create", scope="region:*", fleet=True, least=1, most=1)
    made = [
        Decision(str(place), "pause-create", scope, "PROPOSED", "advise", "", (), 2000)
        for place, scope in enumerate(("everywhere", "cluster:north-1", "region:north"))
    ]

    assert [True] == [row.ok for row in judge([line], [], made, {})]
    assert [False] == [row.ok for row in judge([replace(line, scope="")], [], made, {})]
    assert [False] == [row.ok for row in judge([replace(line, scope="region:south")], [], made, {})]


def test_a_decision_about_a_rollout_is_judged_by_its_target() -> None:
    line = Expected("decide", "halt", "north-1", action="halt-*", target="rollout:a*", least=1, most=1)
    made = Decision("d", "halt-rollout", "cluster:north-1", "PROPOSED", "advise", "", (), 2000, target="rollout:agent")

    assert [True] == [row.ok for row in judge([line], [], [made], {})]
    assert [False] == [row.ok for row in judge([line], [], [replace(made, target="rollout:b")], {})]
    assert [False] == [row.ok for row in judge([line], [], [replace(made, target="")], {})]


def test_what_opened_before_a_time_is_not_what_a_line_asks_for() -> None:
    assert "" == note(find(opened_from_ms=1000), finding())
    assert "no such finding" == note(find(opened_from_ms=1001), finding())
    assert "" == note(find(opened_from_ms=1001), finding(), finding("b", opened_ms=1001))
