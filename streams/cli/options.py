"""What many commands share: the flags, the configuration, and how to print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from streams.cli.exits import Failure

if TYPE_CHECKING:
    from streams.config.model import Config

T = TypeVar("T")

PLACES = (Path("leapwatch.toml"), Path("/etc/leapwatch/leapwatch.toml"))
"""Where a configuration is looked for, where none is named."""

LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="LEAPWATCH_CONFIG", help="The configuration; else ./leapwatch.toml or /etc."),
]
Json = Annotated[bool, typer.Option("--json", envvar="LEAPWATCH_JSON", help="Print JSON, one object a line.")]
By = Annotated[str, typer.Option("--by", help="Your name; it stands in the log for good.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the log for good.")]


def config_path(named: Path | None) -> Path | None:
    """Return the configuration file to use: the one named, else the first that is there, else none (the defaults)."""
    if named is not None:
        return named
    return next((place for place in PLACES if place.is_file()), None)


def settings(named: Path | None) -> Config:
    """Return the checked configuration under this process's environment."""
    from streams.config.load import load

    return load(config_path(named), os.environ)


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` comes to; asyncio is imported only by a command that has such work."""
    import asyncio
    import logging

    from streams.operate.logs import configure

    # Output is for what was asked; an error is told once, by us, and not by the client's own lines before it.
    configure("warning")
    for client in ("aiokafka", "kafka"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    return asyncio.run(work)


def say(text: str) -> None:
    """Print one line of output."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """Print one JSON object in a line."""
    say(json.dumps(value, ensure_ascii=False, default=_plain))


def say_rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, columns as wide as they must be; nothing but spaces, so that it can be cut and grepped."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def when(at_ms: int) -> str:
    """Return a time as people read it: UTC, to the second."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def number(value: float) -> str:
    """Return a number as people read it: a whole one with all its digits, another to six, a big one to a tenth."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:g}" if abs(value) < 1e5 or abs(value) >= 1e15 else f"{value:.1f}"


def to_ms(text: str, flag: str) -> int:
    """Return UTC milliseconds of an ISO time (without zone: UTC) or of a number of milliseconds."""
    if text.isdecimal():
        if int(text) > LAST_MS:
            message = f"{flag}: `{text}` milliseconds are beyond the year 9999"
            raise Failure(message)
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        message = f"{flag}: `{text}` is neither an ISO time (2012-02-29T00:25:00Z) nor UTC milliseconds"
        raise Failure(message) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def one_of(items: dict[str, Any], wanted: str, what: str) -> str:
    """Return the one id that begins with `wanted`, so that nobody has to type it whole."""
    if wanted in items:
        return wanted
    if not wanted:
        message = f"give the id of the {what}, or how it begins"
        raise Failure(message)
    found = sorted(key for key in items if key.startswith(wanted))
    if len(found) == 1:
        return found[0]
    if not found:
        message = f"no {what} has the id {wanted}"
        raise Failure(message)
    message = f"{len(found)} {what}s have ids that begin with {wanted}: give more of it"
    raise Failure(message)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
