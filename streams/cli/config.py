"""`leapwatch config check|apply|show`: the file judged, the thresholds written into the log, and what is in force."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import By, ConfigFile, Json, Reason, config_path, finish, say, say_json, settings

if TYPE_CHECKING:
    from streams.config.model import Config
    from streams.config.problems import ConfigError

app = typer.Typer(help="Check the configuration, write its thresholds into the log, show what is in force.")
File = Annotated[Path | None, typer.Argument(help="The file; else that of --config.")]


@app.command()
def check(file: File = None, config: ConfigFile = None, as_json: Json = False) -> int:
    """Name all errors of the configuration and its field mappings, each with line and reason; exit 1 if any."""
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.config.problems import ConfigError

    path = config_path(file or config)
    if path is not None and not path.exists():
        message = f"{path}: no such file"
        raise Failure(message)
    try:
        checked = load(path, os.environ, config_types())
        # Where mappings stand, and which, is known of a good configuration alone.
        errors = list(_wrong_mappings(checked))
    except ConfigError as error:
        errors = [error]
    if errors:
        return _bad(errors, as_json=as_json)
    if as_json:
        say_json({"file": str(path or ""), "thresholds_digest": checked.thresholds_digest, "problems": 0})
    else:
        say(f"{path or 'defaults'}: good; thresholds {checked.thresholds_digest[:12]}")
    return Exit.OK


def _wrong_mappings(config: Config) -> Iterator[ConfigError]:
    """Yield what is wrong with each field mapping that the configuration names; each once."""
    from streams.config.lines import key_lines, line_of
    from streams.config.problems import ConfigError, Problem
    from streams.intake.mapping_file import mapping_of

    seen: set[str] = set()
    for place, foreign in enumerate(config.intake.foreign):
        if foreign.mapping in seen:
            continue
        if foreign.mapping:
            seen.add(foreign.mapping)
        try:
            mapping_of(config, foreign)
        except ConfigError as error:
            if foreign.mapping or config.source is None:
                yield error
                continue
            # A preset has no file to be mended: the wrong word is where it is named.
            line = line_of(key_lines(config.source.read_text(encoding="utf-8")), ("intake", "foreign", place, "preset"))
            key = f"intake.foreign[{place}].preset"
            reason = f"`{foreign.preset}`: {error.problems[0].reason}"
            yield ConfigError(str(config.source), [Problem(line, key, reason)])


def _bad(errors: list[ConfigError], *, as_json: bool) -> Exit:
    count = sum(len(error.problems) for error in errors)
    for error in errors:
        for problem in error.problems:
            if as_json:
                say_json({"file": error.source, **dataclasses.asdict(problem)})
            else:
                say(problem.text(error.source))
    if not as_json:
        say(f"{count} errors" if count > 1 else "1 error")
    return Exit.BAD


@app.command()
def apply(by: By, reason: Reason = "", config: ConfigFile = None, as_json: Json = False) -> int:
    """Check the file and write its thresholds into the log, where engines obey them from that place on."""
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.operate.thresholds_log import write

    checked = load(config_path(config), os.environ, config_types())
    outcome = finish(write(checked, by=by, reason=reason))
    if as_json:
        say_json({"outcome": outcome, "thresholds_digest": checked.thresholds_digest})
    else:
        said = {"written": "written into the log", "unchanged": "in force already; nothing written"}[outcome]
        say(f"thresholds {checked.thresholds_digest[:12]}: {said}")
    return Exit.OK


@app.command()
def show(config: ConfigFile = None, as_json: Json = False) -> int:
    """Print the configuration as it stands after the environment; no secrets."""
    checked = settings(config)
    shown: dict[str, Any] = {
        field.name: dataclasses.asdict(getattr(checked, field.name))
        for field in dataclasses.fields(checked)
        if not field.metadata.get("computed")
    }
    if as_json:
        say_json({**shown, "thresholds": checked.thresholds_text, "thresholds_digest": checked.thresholds_digest})
        return Exit.OK
    say(f"# {checked.source or 'defaults'}; secrets: {checked.secrets!r}")
    for table, values in shown.items():
        say(f"[{table}]")
        for key, value in values.items():
            say(f"{key} = {value}")
    say(f"# thresholds {checked.thresholds_digest}")
    say(checked.thresholds_text)
    return Exit.OK
