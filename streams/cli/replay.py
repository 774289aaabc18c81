"""`leapwatch replay` and `leapwatch capture`: history again, with the same answers; nothing is touched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import Json, config_path, finish, say, say_json, settings, to_ms

if TYPE_CHECKING:
    from streams.config.thresholds import Thresholds

NAMED = 5
"""Clusters that a message names at most."""

From = Annotated[str, typer.Option("--from", help="Tell what is stamped at or after this (ISO or ms, UTC).")]
To = Annotated[str, typer.Option("--to", help="Tell what is stamped before this, itself left out (ISO or ms, UTC).")]
Cluster = Annotated[str, typer.Option(help="Only this cluster.")]
Kafka = Annotated[
    Path | None,
    typer.Option("--kafka", envvar="LEAPWATCH_CONFIG", help="The configuration that leads to the log."),
]


def replay(
    from_: From = "",
    to: To = "",
    cluster: Cluster = "",
    capture: Annotated[
        Path | None, typer.Option(help="A file that `leapwatch capture` made, in place of Kafka.")
    ] = None,
    source: Annotated[
        list[Path] | None, typer.Option(help="A file of source records (JSON lines of feed, at_ms, record).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="What if these thresholds had held; labels every line.")
    ] = None,
    kafka: Kafka = None,
    fleet: Annotated[
        bool,
        typer.Option("--fleet", help="Tell what the fleet engine says: incidents, and what is wider than a cluster."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Run the engine over history and print its findings and decisions, byte for byte those of the live run.

    With --fleet the fleet engine's: from Kafka over `fleet` as it stands there; from a capture or from files over what
    engines make of them, their records in order of time.
    """
    from streams.replay import command
    from streams.replay.run import Range

    if capture and source:
        message = "give --capture or --source, not both"
        raise Failure(message)
    wanted = Range(*_span(from_, to), cluster or None)
    thresholds = None if config is None else _thresholds(config)
    with _bar() as progress:
        if capture:
            report = command.from_capture(capture, wanted, thresholds=thresholds, progress=progress, fleet=fleet)
        elif source:
            report = command.from_sources(source, wanted, thresholds=thresholds, progress=progress, fleet=fleet)
        else:
            work = command.from_kafka(settings(kafka), wanted, thresholds=thresholds, progress=progress, fleet=fleet)
            report = finish(work)
    if wanted.cluster and not fleet and wanted.cluster not in (known := command.clusters_of(report)):
        there = ", ".join(known[:NAMED]) + (f" and {len(known) - NAMED} more" if len(known) > NAMED else "")
        message = (
            f"no cluster {wanted.cluster} in the history that was read ({report.replay.told.records} records); "
            f"{f'there it has {there}' if there else 'nor any other'}"
        )
        raise Failure(message)
    command.write_report(report, as_json=as_json)
    return Exit.OK


def capture(
    file: Annotated[Path, typer.Argument(help="The file to write: an Avro container.")],
    from_: From = "",
    to: To = "",
    cluster: Cluster = "",
    kafka: Annotated[
        Path | None, typer.Option("--config", "-c", envvar="LEAPWATCH_CONFIG", help="The configuration.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Write the log, or a part of it, to a file that `replay --capture` reads anywhere."""
    from streams.replay import command
    from streams.replay.run import Range

    wanted = Range(*_span(from_, to), cluster or None)
    with _bar() as progress:
        count = finish(command.capture(settings(kafka), file, wanted, progress=progress))
    if as_json:
        say_json({"file": str(file), "records": count})
    else:
        say(f"{file}: {count} records")
    return Exit.OK


def _span(from_: str, to: str) -> tuple[int | None, int | None]:
    """Return the range in UTC milliseconds; one that ends before it begins holds nothing, and is refused."""
    from_ms = to_ms(from_, "--from") if from_ else None
    until_ms = to_ms(to, "--to") if to else None
    if from_ms is not None and until_ms is not None and until_ms <= from_ms:
        message = f"--to {to} is not after --from {from_}: nothing can be between them"
        raise Failure(message)
    return from_ms, until_ms


def _thresholds(path: Path) -> Thresholds:
    """Return the thresholds of a file for a what-if; where the log is found is not this file's to say."""
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.config.thresholds import parse

    types: dict[str, type[Any]] = config_types()
    checked = load(config_path(path), os.environ, types)
    return parse(checked.thresholds_text, types, source=str(path))


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Give what shows progress: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
