"""`leapwatch topics apply`: what differs is told, then made; what would do harm is refused."""

import json
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.real import RealBroker


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LEAPWATCH_CONFIG", "LEAPWATCH_KAFKA_BOOTSTRAP", "LEAPWATCH_KAFKA_PREFIX"):
        monkeypatch.delenv(name, raising=False)


def test_simulated_topics_need_a_prefix_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.REFUSED == main(["topics", "apply", "--simulated"])
    assert "prefix" in capsys.readouterr().err


def test_a_broker_that_is_away_is_exit_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_BOOTSTRAP", "127.0.0.1:1")

    assert Exit.AWAY == main(["topics", "apply", "--dry-run"])
    assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.kafka
def test_a_dry_run_tells_what_apply_then_makes_and_afterwards_nothing_differs(
    real_broker: RealBroker, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = 2\n'
    (tmp_path / "leapwatch.toml").write_text(text, encoding="utf-8")

    assert Exit.BAD == main(["topics", "apply", "--dry-run", "--json"])
    changes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {False} == {change["applied"] for change in changes}
    assert Exit.OK == main(["topics", "apply"])
    assert f"{len(changes)} changes" == capsys.readouterr().out.splitlines()[-1]
    assert Exit.OK == main(["topics", "apply", "--dry-run"])
    assert "all topics are as they must be\n" == capsys.readouterr().out


@pytest.mark.kafka
def test_other_lanes_than_the_topics_have_are_refused(
    real_broker: RealBroker, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = '
    for lanes, code in ((1, Exit.OK), (2, Exit.REFUSED)):
        (tmp_path / "leapwatch.toml").write_text(f"{text}{lanes}\n", encoding="utf-8")

        assert code == main(["topics", "apply"])
    assert "begin anew under another prefix" in capsys.readouterr().err


@pytest.mark.kafka
def test_a_simulated_log_is_not_made_a_real_one_by_leaving_out_a_flag(
    real_broker: RealBroker, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records of another year would be deleted for their age; the other way senders' clocks would be believed."""
    text = f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = 1\n'
    (tmp_path / "leapwatch.toml").write_text(text, encoding="utf-8")
    assert Exit.OK == main(["topics", "apply", "--simulated"])

    assert Exit.REFUSED == main(["topics", "apply"])
    assert "were made for a simulation (message.timestamp.type=CreateTime)" in capsys.readouterr().err
    assert Exit.OK == main(["topics", "apply", "--simulated"])
    assert Exit.OK == main(["topics", "apply", "--restamp"])
    assert Exit.REFUSED == main(["topics", "apply", "--simulated"])
    assert "were made for real reports" in capsys.readouterr().err
