"""`leapwatch simulate SCENARIO`: play a scenario into the source topics of a broker."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, finish, say, say_json, settings


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a file of your own.")],
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Times as fast as it happened; else as fast as it goes.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's own.")] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Play a scenario into the source topics, stamped as it happened; give simulated runs a prefix of their own."""
    from streams.kafka.plain import reached
    from streams.simulate.feed import play
    from streams.simulate.load import load
    from streams.simulate.reading import ScenarioError

    checked = settings(config)
    if not checked.kafka.prefix:
        message = "set [kafka] prefix (or LEAPWATCH_KAFKA_PREFIX): a simulation must not stand among real reports"
        raise Failure(message, Exit.REFUSED)
    if checked.kafka.security.protocol != "plaintext":
        message = "simulate speaks to plaintext brokers only: it is for a broker of your own, never for production"
        raise Failure(message, Exit.REFUSED)
    try:
        chosen = load(scenario)
    except (ScenarioError, ValueError) as error:
        raise Failure(str(error)) from None
    if seed is not None:
        chosen = dataclasses.replace(chosen, seed=seed)
    kafka = checked.kafka
    finish(reached(checked))
    finish(play(chosen, ",".join(kafka.bootstrap), kafka.lanes, prefix=kafka.prefix, speed=speed))
    if as_json:
        say_json({"scenario": chosen.name, "seed": chosen.seed, "prefix": kafka.prefix})
    else:
        say(f"{chosen.name}, seed {chosen.seed}: played into {kafka.prefix}*")
    return Exit.OK
