"""`leapwatch inventory import FILE`: who is where, the denominator of every fraction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, finish, say, say_json, settings

if TYPE_CHECKING:
    from streams.config.model import Config
    from streams.intake.inventory import Plan

app = typer.Typer(help="Import the inventory of servers and VMs.")


@app.callback()
def group() -> None:
    """Import the inventory of servers and VMs."""


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, each with a `type`: Server, Vm, ...")],
    force: Annotated[bool, typer.Option("--force", help="Even if a cluster loses more than a tenth.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Check the file, compare it with what stands, and write the difference; each cluster ends with its counts."""
    from streams.intake.inventory import InventoryError, read_lines

    try:
        with file.open("rb") as lines:
            wanted = read_lines(lines)
    except InventoryError as error:
        message = f"{file} was not imported:\n{error}"
        raise Failure(message) from None
    plan = finish(_import(settings(config), wanted, force=force, dry_run=dry_run))
    told: dict[str, Any] = {
        name: dict(getattr(plan, name)) for name in ("added", "changed", "moved", "removed") if getattr(plan, name)
    }
    if as_json:
        say_json({"records": len(plan.changes), "written": not dry_run, **told, "shrunk": plan.shrunk})
        return Exit.OK
    for name, counts in told.items():
        say(f"{name}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    for words in plan.shrunk:
        say(f"mind: {words}")
    say(
        f"{len(plan.changes)} records {'would be written' if dry_run else 'written'}"
        if plan.changes
        else "no difference"
    )
    return Exit.OK


async def _import(config: Config, wanted: list[Any], *, force: bool, dry_run: bool) -> Plan:
    from schemas.inventory import INVENTORY
    from streams.intake.inventory import difference, present_of
    from streams.kafka.plain import send

    topic = config.kafka.prefix + INVENTORY
    held, lanes = await _held(config, topic)
    plan = difference(present_of(held, lanes), wanted)
    if plan.shrunk and not force and not dry_run:
        message = f"nothing was written: {'; '.join(plan.shrunk)}; --force does it all the same"
        raise Failure(message, Exit.REFUSED)
    if not dry_run:
        # What moves is gone from its old lane, acknowledged, before it appears in its new one.
        for stage in (plan.changes[: plan.moves], plan.changes[plan.moves :]):
            if stage:
                await send(config, [record for change in stage for record in _outgoing(topic, change, lanes)])
    return plan


async def _held(config: Config, topic: str) -> tuple[dict[tuple[int, str], Any], int]:
    """Return the newest record of each lane and key of the topic, and how many lanes there are."""
    from schemas import codec
    from schemas.errors import CodecError
    from schemas.inventory import Removed
    from schemas.records import FEEDS
    from streams.intake.inventory import key_of
    from streams.kafka.plain import reader

    held: dict[tuple[int, str], Any] = {}
    async with reader(config) as connected:
        lanes = await connected.lanes(topic)
        async for record in connected.read(topic):
            key = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                held.pop((record.partition, key), None)
                continue
            try:
                read = codec.decode_source(record.value, FEEDS["inventory"])
            except CodecError:
                continue  # the intake tells of it, in dead-letters
            if not isinstance(read, Removed) and key == key_of(read):
                held[record.partition, key] = read
    return held, len(lanes)


def _outgoing(topic: str, change: Any, lanes: int) -> list[Any]:
    from schemas import codec
    from streams.kafka.partition import lane_of
    from streams.kafka.plain import Outgoing

    value = None if change.record is None else codec.encode(change.record)
    chosen = range(lanes) if change.cluster is None else [lane_of(change.cluster, lanes)]
    return [Outgoing(topic, lane, change.key.encode(), value) for lane in chosen]
