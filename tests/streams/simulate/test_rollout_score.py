"""rollout_score: a short form of what `score --rollouts` runs, and its sums."""

from __future__ import annotations

import dataclasses
import json

import pytest

from streams.simulate.rollout_score import Judged, duration, percent, rows_of, run_trials, score_rollouts, summed

SHORT = 24
GUILTY = Judged(0, "guilty", "a", True, True, 0.1, True, "GUILTY", False, 600.0, None)
MISSED = dataclasses.replace(GUILTY, ever=False, last="INCONCLUSIVE", to_guilty_s=None)
INNOCENT = dataclasses.replace(
    GUILTY, kind="innocent", guilty=False, told=False, ever=False, last="CLEARED", to_guilty_s=None, to_cleared_s=3600.0
)


def test_in_short_no_innocent_is_blamed_and_no_harm_is_cleared() -> None:
    """Seeds of their own, with which nothing was developed; the whole is run by hand."""
    judged = run_trials(424_242, SHORT, 1)
    total = summed("all", judged)

    assert 0 == total.false_guilty, [known for known in judged if known.ever and not known.guilty]
    assert 0 == total.cleared_in_harm
    assert total.guilty > 5


def test_shares_are_of_what_they_say() -> None:
    false = dataclasses.replace(INNOCENT, ever=True, last="GUILTY", to_cleared_s=None)
    cleared = dataclasses.replace(MISSED, told=False, last="CLEARED", cleared_in_harm=True)
    row = summed("all", [GUILTY, MISSED, INNOCENT, false, cleared])

    assert (0.5, 0.5, 1 / 3, 0.5) == (row.precision, row.recall, row.recall_all, row.recall_verdicts)
    assert (0.2, 0.5, 1, 1) == (row.inconclusive, row.innocent_cleared, row.cleared_in_harm, row.false_guilty)
    assert (600.0, 3600.0) == (row.guilty_s, row.cleared_s)


def test_a_kind_without_guilt_has_no_precision() -> None:
    assert [None, None] == [summed("x", [INNOCENT]).precision, summed("x", [INNOCENT]).recall]


def test_each_kind_has_its_line_and_the_sum_is_last() -> None:
    assert ["guilty", "innocent", "all"] == [row.kind for row in rows_of([INNOCENT, GUILTY])]


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (90, "2 min"), (7200, "2.0 h"), (172_800, "2.0 d")])
def test_times_are_told_as_people_say_them(seconds: float | None, text: str) -> None:
    assert text == duration(seconds)
    assert "-" == percent(None)
    assert "92.4 %" == percent(0.924)


def test_it_prints_a_table_and_the_published_figures(capfd: pytest.CaptureFixture[str]) -> None:
    score_rollouts(7, 1, 1, as_json=False)
    printed = capfd.readouterr().out

    assert "92.4 %" in printed
    assert "precision:" in printed


def test_as_json_it_gives_every_change(capfd: pytest.CaptureFixture[str]) -> None:
    code = score_rollouts(7, 1, 1, as_json=True)
    found = json.loads(capfd.readouterr().out)

    assert {"precision": 0.98, "recall": 1.0, "reached": not code} == found["aim"]
    assert "all" == found["rows"][-1]["kind"]
    assert found["changes"][0]["kind"] == "guilty-servers"
