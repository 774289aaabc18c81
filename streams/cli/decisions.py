"""`leapwatch decisions list|release`: what is stopped and by what, and how a person lifts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import By, ConfigFile, Json, Reason, finish, one_of, say, say_json, say_rows, settings, when
from streams.cli.topic_state import as_dict, cluster_of_decision, command, command_id, newest, now_ms, signed

if TYPE_CHECKING:
    from streams.config.model import Config

app = typer.Typer(help="List decisions, and release one by name and reason.")
POLL_S = 0.5


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="Released and refused ones too.")] = False,
    cluster: Annotated[str, typer.Option(help="Only those of this cluster.")] = "",
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print the decisions in force, oldest first."""
    found = finish(newest(settings(config), "decisions"))
    wanted = [
        decision
        for decision in sorted(found.values(), key=lambda each: (each.at_ms, each.id))
        if (every or decision.state not in {"RELEASED", "REFUSED"})
        and (not cluster or decision.scope == f"cluster:{cluster}")
    ]
    if as_json:
        for decision in wanted:
            say_json(as_dict(decision))
    elif wanted:
        head = ("ID", "SINCE", "STATE", "MODE", "ACTION", "SCOPE", "REASON")
        say_rows(
            head,
            [(d.id[:12], when(d.at_ms), d.state, d.mode, d.action, d.scope, _by(d.reason, d.by)) for d in wanted],
        )
    else:
        say("no decisions" if every else "no decisions in force")
    return Exit.OK


@app.command()
def release(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The decision's id, or its beginning.")],
    by: By,
    reason: Reason,
    wait_s: Annotated[float, typer.Option(min=0, help="Seconds to wait for the engine's RELEASED.")] = 30.0,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Lift a decision. Waits for the engine to say RELEASED; exit 5 (PENDING) where it does not in time."""
    name, why = signed(by, reason)
    decision, released = finish(_release(settings(config), id_, name, why, wait_s))
    state = "RELEASED" if released else "PENDING"
    if as_json:
        say_json({"id": decision.id, "state": state, "by": decision.by if released else name})
    elif released:
        say(f"{decision.id[:12]} {decision.action} of {decision.scope}: RELEASED by {decision.by}")
    else:
        say(f"{decision.id[:12]} {decision.action} of {decision.scope}: PENDING; sent, not yet confirmed by the engine")
    return Exit.OK if released else Exit.PENDING


async def _release(config: Config, wanted: str, by: str, reason: str, wait_s: float) -> tuple[Any, bool]:
    """Send the release and wait; return the decision as it then stands, and whether it is released."""
    import asyncio

    from schemas.commands import Release

    known = await newest(config, "decisions")
    decision = known[one_of(known, wanted, "decision")]
    if decision.state in {"RELEASED", "REFUSED"}:
        message = (
            f"decision {decision.id[:12]} is {decision.state} already{f' by {decision.by}' if decision.by else ''}"
        )
        raise Failure(message)
    ask = Release(command_id(), cluster_of_decision(decision), decision.id, by, reason, now_ms())
    await command(config, ask)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    while True:
        seen = (await newest(config, "decisions")).get(decision.id, decision)
        if seen.state == "RELEASED":
            return seen, True
        if loop.time() + POLL_S > until_s:
            return seen, False
        await asyncio.sleep(POLL_S)


def _by(reason: str, by: str) -> str:
    return f"{reason} ({by})" if by else reason
