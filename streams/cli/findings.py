"""`leapwatch findings list|show|ack|close`: what is seen, what it stands on, and a person's word on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import (
    By,
    ConfigFile,
    Json,
    Reason,
    finish,
    number,
    one_of,
    say,
    say_json,
    say_rows,
    settings,
    when,
)
from streams.cli.topic_state import (
    as_dict,
    cluster_of_finding,
    command,
    command_id,
    histories,
    newest,
    now_ms,
    signed,
    standing_for,
)

if TYPE_CHECKING:
    from schemas.outputs import Finding, Subject
    from streams.config.model import Config

app = typer.Typer(help="List findings, show one with its evidence, acknowledge or close it.")
Id = Annotated[str, typer.Argument(metavar="ID", help="The finding's id, or its beginning.")]
LOUD = {"CRITICAL": 0, "WARNING": 1, "INFO": 2}


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    detector: Annotated[str, typer.Option(help="Only this detector's.")] = "",
    cluster: Annotated[str, typer.Option(help="Only this cluster's.")] = "",
    severity: Annotated[str, typer.Option(help="At least this: info, warning, critical.")] = "info",
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print the open findings, loudest first, then oldest first."""
    least = LOUD.get(severity.upper())
    if least is None:
        message = f"--severity: `{severity}` is none of info, warning, critical"
        raise Failure(message)
    found = finish(newest(settings(config), "findings"))
    wanted = [
        finding
        for finding in sorted(found.values(), key=lambda each: (LOUD.get(each.severity, 0), each.opened_ms, each.id))
        if (every or finding.state != "CLOSED")
        and (not detector or finding.detector == detector)
        and (not cluster or finding.subject.cluster == cluster)
        and LOUD.get(finding.severity, 0) <= least
    ]
    if as_json:
        for finding in wanted:
            say_json(as_dict(finding))
    elif wanted:
        rows = [
            (f.id[:12], when(f.opened_ms), f.state, f.severity, f.detector, subject(f.subject), f.title) for f in wanted
        ]
        say_rows(("ID", "OPENED", "STATE", "SEVERITY", "DETECTOR", "SUBJECT", "TITLE"), rows)
    else:
        say("no findings" if every else "no open findings")
    return Exit.OK


@app.command()
def show(id_: Id, config: ConfigFile = None, as_json: Json = False) -> int:
    """Print a finding: what it says, the numbers, the records that it stands on, and how it came to be."""
    found = finish(histories(settings(config), "findings"))
    history: list[Finding] = found[one_of(found, id_, "finding")]
    if as_json:
        for finding in history:
            say_json(as_dict(finding))
        return Exit.OK
    last = history[-1]
    say(f"{last.id}  {last.detector}  {last.severity}  {last.state}{'  latched' if last.latched else ''}")
    say(f"{last.title}\n{subject(last.subject)}\n")
    if last.explanation:
        say(f"{last.explanation}\n")
    say(
        f"opened   {when(last.opened_ms)}   verdict {last.verdict}{f', trigger {last.trigger}' if last.trigger else ''}"
    )
    for name, value in {**last.numbers, **last.facts}.items():
        say(f"  {name} = {number(value)}" if isinstance(value, float) else f"  {name} = {value}")
    if last.advised:
        say(f"advised  {', '.join(last.advised)}")
    say("history  " + "; ".join(f"{each.state} {when(each.at_ms)}" for each in history[-8:]))
    if last.close_reason:
        say(f"closed   {last.close_reason}")
    for each in last.evidence:
        source = f"{each.topic}[{each.lane}]@{each.source_offset}" if each.topic else ""
        say(f"evidence telemetry[{each.partition}]@{each.offset} {source} {when(each.at_ms)} {each.note}".rstrip())
    say(f"digests  configuration {last.config_digest[:12] or '-'}, code {last.code_digest[:12] or '-'}")
    return Exit.OK


@app.command()
def ack(id_: Id, by: By, reason: Reason = "", config: ConfigFile = None, as_json: Json = False) -> int:
    """Say that you have seen a finding."""
    name, why = signed(by, reason, need_reason=False)
    return _sent(finish(_send(settings(config), id_, "Acknowledge", name, why)), "acknowledged", as_json=as_json)


@app.command()
def close(id_: Id, by: By, reason: Reason, config: ConfigFile = None, as_json: Json = False) -> int:
    """Close a finding; while its condition lasts it does not open again. A brake is released, not closed (exit 4)."""
    name, why = signed(by, reason)
    return _sent(finish(_send(settings(config), id_, "Close", name, why)), "close asked for", as_json=as_json)


async def _send(config: Config, wanted: str, kind: str, by: str, reason: str) -> Any:
    """Send what a person says of a finding; return the finding."""
    from schemas import commands

    known = await newest(config, "findings")
    finding = known[one_of(known, wanted, "finding")]
    if finding.state == "CLOSED":
        message = f"finding {finding.id[:12]} is closed already: {finding.close_reason}"
        raise Failure(message)
    decided = await newest(config, "decisions") if kind == "Close" and finding.latched else {}
    if standing := standing_for(finding.id, decided):
        actions = ", ".join(decision.action for decision in standing)
        message = (
            f"{actions} of {standing[0].scope} stand for finding {finding.id[:12]}; "
            f"`leapwatch decisions release {finding.id[:12]}` lifts them, and closes it"
        )
        raise Failure(message, Exit.REFUSED)
    make = commands.Close if kind == "Close" else commands.Acknowledge
    await command(config, make(command_id(), cluster_of_finding(finding), finding.id, by, reason, now_ms()))
    return finding


def _sent(finding: Any, said: str, *, as_json: bool) -> int:
    if as_json:
        say_json({"id": finding.id, "sent": said})
    else:
        say(f"{finding.id[:12]} {finding.title}: {said}")
    return Exit.OK


def subject(of: Subject) -> str:
    """Return what a finding is about, in one phrase: `cluster c1 server s7`."""
    parts = {name: getattr(of, name) for name in type(of).__dataclass_fields__}
    return " ".join(f"{name} {value}" for name, value in parts.items() if value is not None) or "everything"
