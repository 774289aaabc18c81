"""`leapwatch rca VM --at TIME`: why a VM was not available then, with what the answer stands on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import Json, finish, say, settings, to_ms


def rca(
    vm: Annotated[str, typer.Argument(help="The VM's name.")],
    at: Annotated[str, typer.Option("--at", help="A moment in which it was not available (ISO or ms, UTC).")],
    cluster: Annotated[str, typer.Option(help="Its cluster: only that part of the log is read.")] = "",
    capture: Annotated[
        Path | None, typer.Option(help="A file that `leapwatch capture` made, in place of Kafka.")
    ] = None,
    source: Annotated[
        list[Path] | None, typer.Option(help="A file of source records (JSON lines of feed, at_ms, record).")
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="Print the article as HTML, everything in it escaped.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", envvar="LEAPWATCH_CONFIG", help="The configuration.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Print the article, the timeline and the evidence of the interval in which a VM was not available.

    The history up to a day after that moment is run through the engine again, as `replay` does: nothing is touched.
    """
    from streams.replay import command
    from streams.replay.rca import AFTER_MS, BEFORE_MS, NoInterval, account_of, lines, page
    from streams.replay.rca import as_json as json_of
    from streams.replay.run import Range

    if capture and source:
        message = "give --capture or --source, not both"
        raise Failure(message)
    at_ms = to_ms(at, "--at")
    wanted = Range(at_ms - BEFORE_MS, at_ms + AFTER_MS, cluster or None, vm)
    if capture:
        report = command.from_capture(capture, wanted)
    elif source:
        report = command.from_sources(source, wanted)
    else:
        report = finish(command.from_kafka(settings(config), wanted))
    for note in report.notes:
        sys.stderr.write(f"note: {note}\n")
    try:
        account = account_of(report, vm, at_ms)
        if as_json:
            sys.stdout.buffer.write(json_of(account) + b"\n")
        elif html:
            sys.stdout.write(page(account))
        else:
            say("\n".join(lines(account)))
    except NoInterval as nothing:
        raise Failure(str(nothing)) from None
    return Exit.OK
