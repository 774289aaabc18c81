"""`leapwatch availability`: the share of time in which services were up, and which promises were broken."""

from __future__ import annotations

import math
import sys
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, finish, say, say_json, say_rows, settings, to_ms, when

if TYPE_CHECKING:
    from streams.replay.availability import Availability, Question, Row
    from streams.replay.figures import Outage
    from streams.replay.members import Members

HEAD = (
    "INSTANCES",
    "INSTANCES UP",
    "PLANNED",
    "UNPLANNED",
    "BY OWNER",
    "NOT SEEN",
    "OUT",
    "MAYBE OUT",
    "UP",
    "PROMISE",
)
OUTAGES_SHOWN = 5
"""Outages told of one broken promise, the longest; --json tells all."""


class By(StrEnum):
    """What the figures are of."""

    SERVICE = "service"
    GROUP = "group"
    SUBSCRIPTION = "subscription"
    CLUSTER = "cluster"


def availability(
    from_: Annotated[str, typer.Option("--from", help="The beginning of the period (ISO or ms, UTC).")] = "",
    to: Annotated[str, typer.Option("--to", help="Its end, itself left out (ISO or ms, UTC).")] = "",
    by: Annotated[By, typer.Option("--by", help="A line for each of these.")] = By.SERVICE,
    service: Annotated[str, typer.Option(help="Only VMs of this service.")] = "",
    group: Annotated[str, typer.Option(help="Only VMs of this group.")] = "",
    subscription: Annotated[str, typer.Option(help="Only VMs of this subscription.")] = "",
    cluster: Annotated[str, typer.Option(help="Only VMs of this cluster.")] = "",
    promise: Annotated[float, typer.Option(help="Per cent of time for which two instances or more are up.")] = 99.95,
    check: Annotated[bool, typer.Option("--check", help="End with 1 where a promise is broken.")] = False,
    capture: Annotated[
        Path | None, typer.Option(help="A file that `leapwatch capture` made, in place of Kafka.")
    ] = None,
    source: Annotated[
        list[Path] | None, typer.Option(help="A file of source records (JSON lines of feed, at_ms, record).")
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print how long instances, and the services made of them, were up: planned and unplanned outages apart.

    A service is out while all of its instances are. For one of two instances or more, in two update domains,
    99.95 % is promised; what its owner does himself does not count against that. Time that nobody watched counts
    neither as up nor as out: it is told, and where the verdict hangs on it, it is INCONCLUSIVE. Without --from it is
    the last 30 days, or what there is of them.
    """
    from streams.replay.availability import Question, answer

    if capture and source:
        message = "give --capture or --source, not both"
        raise Failure(message)
    if not 0 < promise <= 100:
        message = f"--promise: {promise:g} is no percentage above 0 and up to 100"
        raise Failure(message)
    only = {"service": service, "group": group, "subscription": subscription, "cluster": cluster}
    question = Question(
        by.value,
        to_ms(from_, "--from") if from_ else None,
        to_ms(to, "--to") if to else None,
        {name: value for name, value in only.items() if value},
    )
    found = answer(_known(question, capture, source, config), question)
    if not found.rows:
        message = "no VM was known in this period: is the inventory imported, and are --from, --to and the names right?"
        raise Failure(message)
    share = Fraction(str(promise)) / 100
    if as_json:
        for row in found.rows:
            say_json(_as_dict(row, found, by, share))
    else:
        _print(found, by, share)
    for note in found.notes:
        sys.stderr.write(f"note: {note}\n")
    broken = any(_kept(row, by, share) == "BREACHED" for row in found.rows)
    return Exit.BAD if check and broken else Exit.OK


def _known(question: Question, capture: Path | None, source: list[Path] | None, config: Path | None) -> Members:
    """Return what Kafka, or the files named, tell."""
    from streams.replay.availability import from_kafka, from_records
    from streams.replay.capture import read_capture
    from streams.replay.command import Taken

    if capture:
        return from_records(read_capture(capture), question.to_ms)
    if source:
        taken = Taken()
        known = from_records(taken.records(source), question.to_ms)
        for note in taken.told():
            sys.stderr.write(f"note: {note}\n")
        return known
    return finish(from_kafka(settings(config)))


def _whole(by: By) -> bool:
    """Tell whether a line is of one thing that is up or out; subscriptions and clusters have many."""
    return by in (By.SERVICE, By.GROUP)


def _kept(row: Row, by: By, share: Fraction) -> str:
    return row.figures.kept(share).value if row.name and _whole(by) else ""


def _print(found: Availability, by: By, share: Fraction) -> None:
    from streams.replay.availability import ranked

    start_ms, end_ms = found.period
    say(f"from {when(start_ms)} to {when(end_ms)} ({_lasted(end_ms - start_ms)}); promised: {_percent(share)}")
    say("PLANNED, UNPLANNED, BY OWNER and NOT SEEN are summed over instances; OUT is when none was up\n")
    rows = list(ranked(found.rows, share))
    say_rows((by.value.upper(), *HEAD), [_cells(row, by, share) for row in rows])
    broken = [row for row in rows if _kept(row, by, share) == "BREACHED"]
    for row in broken:
        against = row.figures.against_ms
        allowed = math.floor(row.figures.promised_ms * (1 - share))
        say(f"\n{row.name} was out for {_lasted(against)} where {_lasted(allowed)} may be lost:")
        outages = sorted(row.figures.outages, key=lambda each: (each.from_ms - each.until_ms, each.from_ms))
        for outage in outages[:OUTAGES_SHOWN]:
            say(f"  {_outage(outage)}")
        if len(outages) > OUTAGES_SHOWN:
            say(f"  and {len(outages) - OUTAGES_SHOWN} shorter ones (--json tells them)")


def _cells(row: Row, by: By, share: Fraction) -> tuple[object, ...]:
    from streams.replay.figures import OUT, Sight

    figures, each = row.figures, row.figures.instance_ms
    up = figures.instances_up()
    name = row.name or f"(no {by})"
    head = (name, figures.instances, "-" if up is None else _percent(up))
    times = tuple(_lasted(each[sight]) for sight in (Sight.PLANNED, Sight.UNPLANNED, Sight.OWN, Sight.UNSEEN))
    if not row.name or not _whole(by):
        return (*head, *times, "-", "-", "-", "-")
    out = sum(figures.whole_ms[sight] for sight in OUT)
    least, most = figures.whole_up() or (Fraction(0), Fraction(0))
    span = _percent(least) if least == most else f"{_percent(least)} to {_percent(most)}"
    kept = figures.kept(share)
    why = f" ({', '.join(figures.unpromised)})" if kept == "NO_PROMISE" else ""
    return (*head, *times, _lasted(out), _lasted(figures.whole_ms[Sight.UNSEEN]), span, f"{kept}{why}")


def _outage(outage: Outage) -> str:
    names = {"PLANNED": "planned", "UNPLANNED": "unplanned", "OWN": "by its owner", "UNSEEN": "not seen"}
    promised = "" if outage.promised else ", outside the promise"
    causes = f": {', '.join(outage.causes)}" if outage.causes else ""
    lasted = _lasted(outage.until_ms - outage.from_ms)
    return f"{when(outage.from_ms)} to {when(outage.until_ms)}, {lasted}, {names[outage.sight]}{promised}{causes}"


def _percent(share: Fraction) -> str:
    """Return per cent with four places, cut and never rounded up: what is not whole does not read as whole."""
    return f"{math.floor(share * 1_000_000) / 10_000:.4f} %"


def _lasted(ms: int) -> str:
    """Return a time as people read it, in the two greatest units that it has."""
    if ms < 60_000:
        return f"{ms / 1000:g} s" if ms else "0"
    seconds = round(ms / 1000)
    units = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next(place for place, (count, _) in enumerate(units) if count)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count)


def _as_dict(row: Row, found: Availability, by: By, share: Fraction) -> dict[str, Any]:
    from streams.replay.figures import Sight

    figures = row.figures
    up, whole = figures.instances_up(), figures.whole_up()
    told: dict[str, Any] = {
        by.value: row.name,
        "from_ms": found.period[0],
        "to_ms": found.period[1],
        "clusters": row.clusters,
        "subscriptions": row.subscriptions,
        "instances": figures.instances,
        "instances_up": None if up is None else float(up),
        "instance_s": {sight.value.lower(): figures.instance_ms[sight] / 1000 for sight in Sight},
    }
    if _whole(by) and row.name and whole is not None:
        told |= {
            "service_s": {sight.value.lower(): figures.whole_ms[sight] / 1000 for sight in Sight},
            "up_least": float(whole[0]),
            "up_most": float(whole[1]),
            "promise": float(share),
            "promise_kept": figures.kept(share).value,
            "promised_s": figures.promised_ms / 1000,
            "against_s": figures.against_ms / 1000,
            "unsure_s": figures.unsure_ms / 1000,
            "unpromised_s": {why: lasted / 1000 for why, lasted in figures.unpromised.items()},
            "outages": [
                {
                    "from_ms": outage.from_ms,
                    "until_ms": outage.until_ms,
                    "what": outage.sight.value,
                    "promised": outage.promised,
                    "causes": outage.causes,
                }
                for outage in figures.outages
            ],
        }
    return told
