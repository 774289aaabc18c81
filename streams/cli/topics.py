"""`leapwatch topics apply`: make the topics that the log needs, set as they must be."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, say, say_json, settings

app = typer.Typer(help="Make the topics, and mend their settings.")


@app.callback()
def group() -> None:
    """Make the topics, and mend their settings."""


@app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs; exit 1 if anything does.")] = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="For a simulation: stamped by its producers, kept for ever.")
    ] = False,
    restamp: Annotated[
        bool, typer.Option("--restamp", help="Let others stamp topics that are there, and set how long they keep.")
    ] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Make what is missing and set what differs; the number of lanes is fixed once it is made."""
    from streams.kafka.client import aiokafka_settings
    from streams.kafka.topics import Retention, TopicAdmin, TopicsError, wanted

    checked = settings(config)
    kafka = checked.kafka
    if simulated and not kafka.prefix:
        message = "--simulated needs a [kafka] prefix: a simulation must not stand among real reports"
        raise Failure(message, Exit.REFUSED)
    hour_ms = 3_600_000
    source_ms = kafka.source_retention_h * hour_ms if kafka.source_retention_h >= 0 else -1
    history_ms = kafka.history_retention_days * 24 * hour_ms if kafka.history_retention_days >= 0 else -1
    topics = wanted(
        partitions=kafka.lanes,
        replicas=kafka.replication,
        prefix=kafka.prefix,
        simulated=simulated,
        retention=Retention(source_ms=source_ms, history_ms=history_ms),
    )
    try:
        admin = TopicAdmin(",".join(kafka.bootstrap), security=aiokafka_settings(checked))
    except TopicsError as error:
        raise Failure(str(error), Exit.AWAY) from None
    with admin:
        try:
            plan = admin.plan(topics)
            if plan.restamped and not (restamp or dry_run):
                first = plan.restamped[0]
                made, flag = ("a simulation", "with") if first.has == "CreateTime" else ("real reports", "without")
                message = (
                    f"{first.topic} and {len(plan.restamped) - 1} more were made for {made} "
                    f"({first.setting}={first.has}): repeat {flag} --simulated, or choose another [kafka] prefix; "
                    "--restamp changes them all the same"
                )
                raise Failure(message, Exit.REFUSED)
            if not dry_run:
                admin.apply(plan)
        except TopicsError as error:
            raise Failure(str(error), Exit.REFUSED) from None
    for change in plan.changes:
        if as_json:
            say_json({**dataclasses.asdict(change), "applied": not dry_run})
        else:
            say(str(change))
    if not as_json:
        say(
            f"{len(plan.changes)} changes{' to make' if dry_run else ''}"
            if plan.changes
            else "all topics are as they must be"
        )
    return Exit.BAD if dry_run and plan.changes else Exit.OK
