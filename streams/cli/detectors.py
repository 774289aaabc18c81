"""`leapwatch detectors list|explain NAME`: what is watched for, by which rule, with which numbers."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from typing import Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, config_path, say, say_json, say_rows

app = typer.Typer(help="List the detectors, and explain one: rule, parameters, units, sources.")


@app.command("list")
def list_all(as_json: Json = False) -> int:
    """Print every detector and what it finds."""
    from detectors.contract import registry

    rows = [(name, kind.__module__.split(".")[1], _rule(kind).partition("\n")[0]) for name, kind in registry().items()]
    if as_json:
        for name, table, rule in rows:
            say_json({"detector": name, "table": table, "finds": rule})
    else:
        say_rows(("DETECTOR", "TABLE", "FINDS"), rows)
    return Exit.OK


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="A detector's name, as in `detectors list`.")],
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print a detector's rule, its parameters with unit, default and source, and what the file sets them to."""
    from detectors.contract import registry
    from streams.config.documentation import parameters
    from streams.config.problems import did_you_mean

    kind = registry().get(name)
    if kind is None:
        message = f"no detector `{name}`{did_you_mean(name, list(registry()))}"
        raise Failure(message)
    in_file = _in_file(name, config)
    rows: list[dict[str, Any]] = [
        {**dataclasses.asdict(parameter), "value": getattr(in_file, parameter.name)}
        for parameter in parameters(kind.Config)
    ]
    if as_json:
        say_json(
            {"detector": name, "rule": _rule(kind), "reads": kind.feeds, "follows": kind.follows, "parameters": rows}
        )
        return Exit.OK
    say(f"{name} (detectors/{kind.__module__.split('.')[1]}/{name}.py)\n")
    say(_rule(kind))
    say(f"\nReads {', '.join(kind.feeds) or 'every feed'}; follows {', '.join(kind.follows) or 'no detector'}.")
    say(f"\n[detectors.{name}]")
    for row in rows:
        unit = f"  # {row['unit']}" if row["unit"] else ""
        changed = f" (default {row['default']})" if row["value"] != row["default"] else ""
        say(f"{row['name']} = {row['value']}{changed}{unit}")
        say(textwrap.fill(row["text"], 110, initial_indent="    ", subsequent_indent="    ") or "    (not documented)")
    return Exit.OK


def _rule(kind: type[Any]) -> str:
    """Return the detector's documentation: its class's, and that of its module where this says more."""
    own = inspect.cleandoc(kind.__doc__ or "")
    module = inspect.getmodule(kind)
    whole = inspect.cleandoc(module.__doc__ or "") if module else ""
    return whole if not own else own if own in whole or not whole else f"{whole}\n\n{own}"


def _in_file(name: str, named: Any) -> Any:
    """Return the detector's configuration as the file has it: what the log has is for the engines to say."""
    import os

    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.config.thresholds import parse

    checked = load(config_path(named), os.environ)
    return parse(checked.thresholds_text, config_types(), source=str(checked.source or "")).detectors[name]
