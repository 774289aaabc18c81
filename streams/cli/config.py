"""`leapwatch config check|apply|show`: the file judged, the thresholds written into the log, and what is in force."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.exits import Exit
from streams.cli.options import By, ConfigFile, Json, Reason, config_path, finish, say, say_json, settings

app = typer.Typer(help="Check the configuration, write its thresholds into the log, show what is in force.")
File = Annotated[Path | None, typer.Argument(help="The file; else that of --config.")]


@app.command()
def check(file: File = None, config: ConfigFile = None, as_json: Json = False) -> int:
    """Name all errors of the configuration at once, each with its line and reason; exit 1 if there is one."""
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.config.problems import ConfigError

    path = config_path(file or config)
    try:
        checked = load(path, os.environ, config_types())
    except ConfigError as error:
        for problem in error.problems:
            if as_json:
                say_json({"file": error.source, **dataclasses.asdict(problem)})
            else:
                say(problem.text(error.source))
        if not as_json:
            say(f"{len(error.problems)} errors" if len(error.problems) > 1 else "1 error")
        return Exit.BAD
    if as_json:
        say_json({"file": str(path or ""), "thresholds_digest": checked.thresholds_digest, "problems": 0})
    else:
        say(f"{path or 'defaults'}: good; thresholds {checked.thresholds_digest[:12]}")
    return Exit.OK


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
