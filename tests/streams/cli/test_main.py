"""The command line as a whole: quick, complete, and clear about how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli.exits import Exit
from streams.cli.main import app, main

HEAVY = {"faust", "aiokafka", "kafka", "confluent_kafka", "rich.console", "aiohttp", "fastavro", "avro", "structlog"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder with an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LEAPWATCH_")]:
        monkeypatch.delenv(name)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_help_imports_no_client_and_nothing_heavy() -> None:
    program = (
        "import sys\nfrom streams.cli.main import main\ncode = main(['--help'])\n"
        f"print('HEAVY', sorted({HEAVY!r} & sys.modules.keys()))\nsys.exit(code)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root)

    assert (0, "") == (done.returncode, done.stderr)
    assert "HEAVY []" in done.stdout
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_flag_is_explained_and_has_a_variable(path: tuple[str, ...]) -> None:
    command = ALL[path]

    assert command.help
    for option in command.params:
        if option.param_type_name == "option" and option.name not in {"help", "install_completion", "show_completion"}:
            assert option.help, option.name
            assert option.envvar or option.allow_from_autoenv, option.name


def test_a_flag_can_come_from_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAPWATCH_JSON", "1")
    (tmp_path / "x.toml").write_text("[kafka]\nlanes = 4\n")
    monkeypatch.setenv("LEAPWATCH_CONFIG", "x.toml")

    assert Exit.OK == main(["config", "show"])
    assert 4 == json.loads(capsys.readouterr().out)["kafka"]["lanes"]


def test_a_commands_own_flag_has_its_own_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAPWATCH_FINDINGS_LIST_SEVERITY", "loud")

    assert Exit.USAGE == main(["findings", "list"])
    assert "`loud` is none of info, warning, critical" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nonsense"], Exit.USAGE, "No such command"),
        (["config", "check", "--bogus"], Exit.USAGE, "No such option"),
        (["config", "show", "--config", "gone.toml"], Exit.USAGE, "gone.toml: not readable: No such file"),
        (["detectors", "explain", "nosuch"], Exit.USAGE, "no detector `nosuch`"),
        (["decisions", "release", "x", "--by", " ", "--reason", "r"], Exit.USAGE, "--by: your name is needed"),
        (["findings", "close", "x", "--by", "n", "--reason", ""], Exit.USAGE, "--reason: a reason is needed"),
        (["dead-letters", "redrive"], Exit.USAGE, "name an ID, a filter, or --all"),
        (["dead-letters", "list", "--reason", "NOT_JSO"], Exit.USAGE, "did you mean `NOT_JSON`?"),
        (["dead-letters", "list", "--since", "soon"], Exit.USAGE, "neither an ISO time"),
        (["inventory", "import", "gone.jsonl"], Exit.USAGE, "gone.jsonl"),
        (["simulate", "leap-day"], Exit.REFUSED, "set [kafka] prefix"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_on_stderr_and_no_traceback(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code == main(arguments)

    said = capsys.readouterr()
    assert told in said.err
    assert "Traceback" not in said.err
    assert "" == said.out


def test_a_broker_that_is_away_is_exit_three_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_BOOTSTRAP", "127.0.0.1:1")

    assert Exit.AWAY == main(["decisions", "list"])
    assert "is the broker there?" in capsys.readouterr().err


def test_debug_shows_where_an_error_came_from() -> None:
    with pytest.raises(Exception, match="no detector"):
        main(["--debug", "detectors", "explain", "nosuch"])
