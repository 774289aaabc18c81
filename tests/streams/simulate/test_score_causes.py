"""`score --causes`, short: the aims hold, and a wrong answer would show."""

import json
from collections import Counter

import pytest

from streams.cli.main import main
from streams.simulate.score_causes import Tally, as_json, lines, run


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Return what is made of 200 intervals."""
    return run(200, 11)


def test_almost_every_cause_is_right_and_none_is_confidently_wrong(tally: Tally) -> None:
    assert tally.good(), "\n".join(lines(tally, 11))


def test_the_matrix_is_told_to_people_and_programs(tally: Tally) -> None:
    told = json.loads(as_json(tally, 11))

    assert tally.total == told["intervals"] == sum(sum(row.values()) for row in told["matrix"].values())
    assert "confidently wrong 0.00 %" in "\n".join(lines(tally, 11))


@pytest.mark.parametrize(
    ("right", "wrong", "good"),
    [(99, [], True), (98, [], False), (99, ["HARDWARE, and it was not"], False), (0, [], False)],
)
def test_the_aims_are_at_least_99_in_100_and_no_confident_error(right: int, wrong: list[str], good: bool) -> None:
    found = Tally(Counter(), right=right, confident_wrong=wrong, total=100 if right else 0)

    assert good is found.good()


def test_the_command_ends_with_its_judgement(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["score", "--causes", "--count", "20", "--seed", "12", "--json"])
    assert json.loads(capsys.readouterr().out)["ok"]
