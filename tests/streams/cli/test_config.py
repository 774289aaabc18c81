"""`leapwatch config check`, `apply` and `show`."""

import json
from pathlib import Path

import pytest

from schemas import codec
from schemas.commands import ConfigChanged
from streams.cli.exits import Exit
from streams.cli.main import main
from tests.streams.cli.log import Run, held


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


def test_a_file_that_is_not_there_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.USAGE == main(["config", "check", "-c", "nowhere.toml"])
    assert "leapwatch: nowhere.toml: no such file\n" == capsys.readouterr().err


def test_errors_as_json_have_file_line_key_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("x = 1\n")

    assert Exit.BAD == main(["config", "check", "bad.toml", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("bad.toml", 1, "x") == (told["file"], told["line"], told["key"])


def test_the_errors_of_every_mapping_are_told_with_their_own_files_and_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = [("a", 'mapping = "mine"'), ("b", 'mapping = "mine"'), ("c", 'preset = "waagent-jornald"')]
    text = "".join(f'[[intake.foreign]]\ntopic = "{topic}"\n{which}\n' for topic, which in foreign)
    (tmp_path / "leapwatch.toml").write_text(f'[paths]\nmappings = "."\n{text}', encoding="utf-8")
    (tmp_path / "mine.toml").write_text('[values.x]\npaths = ["x"]\nregex = "("\n[bogus]\n', encoding="utf-8")

    assert Exit.BAD == main(["config", "check"])
    near = "`waagent-jornald`: no such preset; did you mean `waagent-journald`?"
    assert [
        "mine.toml: records: no rule: a mapping that makes no records would only throw away",
        "mine.toml:3: values.x.regex: no regular expression: missing ), unterminated subpattern at position 0",
        "mine.toml:4: bogus: unknown key; known here: mapping, memory, parameters, records, unwrap, values",
        f"leapwatch.toml:11: intake.foreign[2].preset: {near}",
        "4 errors",
    ] == capsys.readouterr().out.splitlines()


def test_a_mapping_that_is_not_there_is_an_error_and_a_good_one_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leapwatch.toml").write_text('[[intake.foreign]]\ntopic = "a"\nmapping = "mine"\n', encoding="utf-8")

    assert Exit.BAD == main(["config", "check", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["file"].endswith("mine.toml")
    assert "cannot be read" in told["reason"]

    place = Path(told["file"])
    place.parent.mkdir(exist_ok=True)
    place.write_text('[mapping]\nbased_on = "waagent-journald"\n', encoding="utf-8")
    assert Exit.OK == main(["config", "check"])


def test_show_keeps_secrets_to_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_PASSWORD", "hush")

    assert Exit.OK == main(["config", "show"])
    said = capsys.readouterr().out
    assert "hush" not in said
    assert "Secrets(kafka_password)" in said


@pytest.mark.embedded
def test_thresholds_are_written_into_every_lane_once(bootstrap: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "leapwatch.toml"
    path.write_text("[policy]\nbudget_per_day = 3\n", encoding="utf-8")

    assert "written into the log" in run("config", "apply", "--by", "ann")[1][0]
    assert "nothing written" in run("config", "apply", "--by", "ann")[1][0]
    records = held(bootstrap, "t.operator")
    assert [0, 1, 2, 3] == sorted(record.partition for record in records)
    change = codec.decode(records[0].value)
    assert isinstance(change, ConfigChanged)
    assert ("*", "[policy]\nbudget_per_day = 3\n", "ann") == (change.cluster, change.text, change.by)

    path.write_text("[policy]\nbudget_per_day = -3\n", encoding="utf-8")
    assert Exit.USAGE == run("config", "apply", "--by", "ann")[0]
    assert 4 == len(held(bootstrap, "t.operator"))
