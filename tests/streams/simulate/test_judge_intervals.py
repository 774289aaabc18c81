"""The judge of intervals."""

from __future__ import annotations

import pytest

from schemas.outputs import Finding, FindingState, Severity, Subject
from streams.simulate.judge import judge
from streams.simulate.judge_intervals import judge_intervals
from streams.simulate.ledger import Interval
from streams.simulate.truth import Expected

MINUTE_MS = 60_000


def line(*, during: bool = False, until_ms: int | None = 20 * MINUTE_MS) -> Expected:
    return Expected(
        "intervals", "each", "north-1", detectors=("unavailability",), within_ms=MINUTE_MS, during=during,
        facts={"cause": "HOST_*"}, intervals=(Interval("s1", "v1", "HOST_REBOOT", 10 * MINUTE_MS, until_ms),),
    )  # fmt: skip


def history(
    opened_ms: int = 10 * MINUTE_MS, closed_ms: int | None = 20 * MINUTE_MS, vm: str = "v1", cause: str = "HOST_REBOOT"
) -> list[Finding]:
    def record(state: FindingState, at_ms: int) -> Finding:
        return Finding(
            "id", "unavailability", Subject(cluster="north-1", vm=vm), state, Severity.INFO, opened_ms=opened_ms,
            at_ms=at_ms, title="a VM is away", facts={"cause": cause},
        )  # fmt: skip

    first = [record(FindingState.OPEN, opened_ms)]
    return first if closed_ms is None else [*first, record(FindingState.CLOSED, closed_ms)]


@pytest.mark.parametrize(
    ("found", "ok"),
    [
        (history(), True),
        (history(opened_ms=11 * MINUTE_MS, closed_ms=21 * MINUTE_MS), True),
        (history(opened_ms=11 * MINUTE_MS + 1), False),
        (history(opened_ms=9 * MINUTE_MS - 1), False),
        (history(closed_ms=21 * MINUTE_MS + 1), False),
        (history(closed_ms=None), False),
        (history(vm="v2"), False),
        (history(cause="UNKNOWN"), False),
    ],
)
def test_a_finding_opens_and_closes_with_its_interval(found: list[Finding], ok: bool) -> None:
    assert ok == judge_intervals(line(), {"id": found})[0]


@pytest.mark.parametrize(("opened", "ok"), [(9, True), (26, True), (26.01, False), (8.99, False)])
def test_one_about_an_interval_opens_during_it_or_five_minutes_after(opened: float, ok: bool) -> None:
    found = history(opened_ms=round(opened * MINUTE_MS), closed_ms=None)

    assert ok == judge_intervals(line(during=True), {"id": found})[0]


def test_an_interval_that_lasts_to_the_end_need_not_close() -> None:
    assert judge_intervals(line(until_ms=None), {"id": history(closed_ms=None)})[0]


def test_the_row_says_how_many_were_found_and_what_the_first_lacks() -> None:
    (row,) = judge([line()], history(cause="UNKNOWN"), (), {})

    assert (False, "0 of 1") == (row.ok, row.found)
    assert "v1, HOST_REBOOT from" in row.note
    assert "'UNKNOWN'" in row.note
