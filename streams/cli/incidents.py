"""`leapwatch incidents list|show`: what is wrong in the fleet, one line a cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.exits import Exit
from streams.cli.findings import LOUD
from streams.cli.options import ConfigFile, Json, finish, number, one_of, say, say_json, say_rows, settings, when
from streams.cli.topic_state import as_dict, histories, newest

if TYPE_CHECKING:
    from schemas.fleet import Incident

app = typer.Typer(help="List incidents, and show one: what, where, how many, since when, what is being done.")
NAMED = 12


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    cluster: Annotated[str, typer.Option(help="Only those that reached this cluster.")] = "",
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print the incidents that go on, loudest first, then oldest first."""
    found = finish(newest(settings(config), "incidents"))
    wanted: list[Incident] = [
        incident
        for incident in sorted(found.values(), key=lambda each: (LOUD.get(each.severity, 0), each.opened_ms, each.id))
        if (every or incident.state != "RESOLVED") and (not cluster or cluster in incident.clusters)
    ]
    if as_json:
        for incident in wanted:
            say_json(as_dict(incident))
    elif wanted:
        rows = [
            (i.id[:12], when(i.opened_ms), i.state, i.severity, len(i.clusters), sum(i.findings.values()), i.title)
            for i in wanted
        ]
        say_rows(("ID", "SINCE", "STATE", "SEVERITY", "CLUSTERS", "OPEN FINDINGS", "TITLE"), rows)
    else:
        say("no incidents" if every else "no incident goes on")
    return Exit.OK


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The incident's id, or its beginning.")],
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print an incident: what it is, where, since when, what was found, what is being done, and how it came to be."""
    found = finish(histories(settings(config), "incidents"))
    history: list[Incident] = found[one_of(found, id_, "incident")]
    if as_json:
        for incident in history:
            say_json(as_dict(incident))
        return Exit.OK
    last = history[-1]
    regions = f" ({', '.join(last.regions)})" if last.regions else ""
    over = f", over {when(last.resolved_ms)}" if last.resolved_ms else ""
    say(f"{last.id}  {last.severity}  {last.state}\n{last.title}\n")
    if last.explanation:
        say(f"{last.explanation}\n")
    say(f"since    {when(last.opened_ms)}{over}")
    say(f"verdict  {last.verdict}{f', set off by the {last.trigger}' if last.trigger else ''}")
    say(f"where    {_named(last.clusters) or 'the log itself: its lanes, and no cluster by name'}{regions}")
    for name, value in last.numbers.items():
        say(f"  {name} = {number(value)}")
    if last.findings:
        say("open     " + ", ".join(f"{count} {detector}" for detector, count in last.findings.items()))
    for action in last.actions:
        say(f"action   {action}")
    if last.services:
        say(f"services {_named(last.services)}")
    say(
        "history  "
        + "; ".join(f"{each.state} {when(each.at_ms)} {len(each.clusters)} clusters" for each in history[-8:])
    )
    say(f"findings leapwatch findings show {last.finding_ids[0][:12]}" if last.finding_ids else "findings none")
    return Exit.OK


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
