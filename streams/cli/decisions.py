"""`leapwatch decisions list|release`: what is stopped and by what, and how a person lifts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import By, ConfigFile, Json, Reason, finish, one_of, say, say_json, say_rows, settings, when
from streams.cli.topic_state import (
    as_dict,
    cluster_of_decision,
    cluster_of_finding,
    command,
    command_id,
    ends,
    newest,
    now_ms,
    signed,
    standing_for,
)

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
        head = ("ID", "SINCE", "STATE", "MODE", "ACTION", "SCOPE", "TARGET", "REASON")
        say_rows(
            head,
            [
                (d.id[:12], when(d.at_ms), d.state, d.mode, d.action, d.scope, d.target, _by(d.reason, d.by))
                for d in wanted
            ],
        )
    else:
        say("no decisions" if every else "no decisions in force")
    return Exit.OK


@app.command()
def release(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a decision or of a latched finding, or its beginning.")
    ],
    by: By,
    reason: Reason,
    wait_s: Annotated[float, typer.Option(min=0, help="Seconds to wait for the engine's word.")] = 30.0,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Lift a decision; or a latched finding, and with it all that was decided for it.

    Waits until the engine says RELEASED of a decision, CLOSED of a finding; exit 5 (PENDING) where it does not in time.
    """
    name, why = signed(by, reason)
    target, lifted = finish(_release(settings(config), id_, name, why, wait_s))
    if _is_decision(target):
        what, done, word = f"{target.action} {target.scope}", "RELEASED", f"RELEASED by {target.by}"
    else:
        what, done, word = f"{target.detector}: {target.title}", "CLOSED", f"CLOSED, {target.close_reason}"
    if as_json:
        say_json({"id": target.id, "state": done if lifted else "PENDING", "by": getattr(target, "by", "") or name})
    else:
        say(f"{target.id[:12]} {what}: {word if lifted else 'PENDING; sent, not yet confirmed by the engine'}")
    return Exit.OK if lifted else Exit.PENDING


async def _release(config: Config, wanted: str, by: str, reason: str, wait_s: float) -> tuple[Any, bool]:
    """Send the release and wait; return the decision or finding as it then stands, and whether it is lifted."""
    import asyncio

    from schemas.commands import Release

    target = await _target(config, wanted)
    topic = "decisions" if _is_decision(target) else "findings"
    cluster = cluster_of_decision(target) if _is_decision(target) else cluster_of_finding(target)
    since = await ends(config, topic)
    await command(config, Release(command_id(), cluster, target.id, by, reason, now_ms()))
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    while True:
        target = (await newest(config, topic, since)).get(target.id, target)
        if target.state in {"RELEASED", "CLOSED"}:
            return target, True
        if loop.time() + POLL_S > until_s:
            return target, False
        await asyncio.sleep(POLL_S)


async def _target(config: Config, wanted: str) -> Any:
    """Return the decision or finding that an id, or its beginning, names; a Failure where there is nothing to lift."""
    decisions = await newest(config, "decisions")
    known = {**await newest(config, "findings"), **decisions}
    target = known[one_of(known, wanted, "decision or finding")]
    name = target.id[:12]
    if _is_decision(target):
        if target.state in {"RELEASED", "REFUSED"}:
            message = f"decision {name} is {target.state} already{f' by {target.by}' if target.by else ''}"
            raise Failure(message)
    elif target.state == "CLOSED":
        message = f"finding {name} is closed already: {target.close_reason}"
        raise Failure(message)
    elif not target.latched and not standing_for(target.id, decisions):
        message = f"finding {name} is not latched, and nothing was decided for it: `leapwatch findings close {name}`"
        raise Failure(message)
    return target


def _is_decision(target: Any) -> bool:
    return hasattr(target, "action")


def _by(reason: str, by: str) -> str:
    return f"{reason} ({by})" if by else reason
