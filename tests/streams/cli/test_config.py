"""`leapwatch config check` and `show`."""

import json
from pathlib import Path

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)


def test_a_good_file_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leapwatch.toml").write_text("[detectors.host_silence]\nintervals = 4\n[policy]\nbudget_per_day = 3\n")

    assert Exit.OK == main(["config", "check"])
    assert "leapwatch.toml: good; thresholds " in capsys.readouterr().out


def test_all_errors_are_told_and_exit_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("[kafka]\nlane = 1\n[detectors.host_silenc]\n[policy]\nbudget_per_day = -1\n")

    assert Exit.BAD == main(["config", "check", "bad.toml"])
    assert [
        "bad.toml:2: kafka.lane: unknown key; did you mean `lanes`?",
        "bad.toml:3: detectors.host_silenc: unknown detector; did you mean `host_silence`?",
        "bad.toml:5: policy.budget_per_day: must be at least 0, is -1",
        "3 errors",
    ] == capsys.readouterr().out.splitlines()


def test_errors_as_json_have_file_line_key_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("x = 1\n")

    assert Exit.BAD == main(["config", "check", "bad.toml", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("bad.toml", 1, "x") == (told["file"], told["line"], told["key"])


def test_show_keeps_secrets_to_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_PASSWORD", "hush")

    assert Exit.OK == main(["config", "show"])
    said = capsys.readouterr().out
    assert "hush" not in said
    assert "Secrets(kafka_password)" in said
