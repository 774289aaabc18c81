"""`leapwatch doctor`: what is here, what answers, what differs; each line says ok, warn or fail, and what to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.exits import Exit
from streams.cli.options import ConfigFile, Json, config_path, finish, say, say_json


def doctor(
    config: ConfigFile = None,
    as_json: Json = False,
    timeout_s: Annotated[float, typer.Option(min=1, help="Seconds that the broker may take to answer.")] = 10.0,
) -> int:
    """Look at versions, configuration, broker, clocks, topics and lag; exit 1 if anything fails."""
    return Exit.BAD if finish(_failed(config_path(config), timeout_s, as_json=as_json)) else Exit.OK


async def _failed(path: Path | None, timeout_s: float, *, as_json: bool) -> bool:
    """Print each line as it comes; return whether one failed."""
    from streams.operate.checkup import examine

    failed = False
    async for line in examine(path, timeout_s):
        failed |= line.verdict == "fail"
        if as_json:
            say_json(dataclasses.asdict(line))
            continue
        say(f"{line.verdict:4}  {line.what}: {line.found}")
        if line.todo:
            say(f"      {line.todo}")
    return failed
