"""`leapwatch simulate SCENARIO`: play a scenario into the source topics of a broker, or into a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, finish, say, say_json, settings

if TYPE_CHECKING:
    from streams.config.model import Config
    from streams.simulate.scenario import Scenario

STDOUT = Path("-")


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a file of your own.")],
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Times as fast as it happened; else as fast as it goes.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's own.")] = None,
    clusters: Annotated[int | None, typer.Option(min=1, help="How many clusters; else the scenario's own.")] = None,
    servers: Annotated[int | None, typer.Option(min=1, help="Servers a cluster; else the scenario's own.")] = None,
    vms: Annotated[int | None, typer.Option(min=0, help="VMs a server; else the scenario's own.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Write it to this file instead (- is stdout), without a broker: the JSON lines of feed, at_ms, record "
            "that `replay --source` reads."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Play a scenario into the source topics, stamped as it happened; give simulated runs a prefix of their own."""
    from streams.simulate.load import load
    from streams.simulate.reading import ScenarioError

    try:
        chosen = load(scenario).with_size(clusters=clusters, servers=servers, vms=vms, seed=seed)
    except (ScenarioError, ValueError) as error:
        raise Failure(str(error)) from None
    if to is not None:
        return _write(chosen, to, speed, as_json=as_json)
    checked = settings(config)
    _refuse_production(checked)
    _play(chosen, checked, speed)
    prefix = checked.kafka.prefix
    if as_json:
        say_json({"scenario": chosen.name, "seed": chosen.seed, "prefix": prefix})
    else:
        say(f"{chosen.name}, seed {chosen.seed}: played into {prefix}*")
    return Exit.OK


def _refuse_production(config: Config) -> None:
    """Raise a Failure where the configuration may lead to real reports."""
    if not config.kafka.prefix:
        message = "set [kafka] prefix (or LEAPWATCH_KAFKA_PREFIX): a simulation must not stand among real reports"
        raise Failure(message, Exit.REFUSED)
    if config.kafka.security.protocol != "plaintext":
        message = "simulate speaks to plaintext brokers only: it is for a broker of your own, never for production"
        raise Failure(message, Exit.REFUSED)


def _play(scenario: Scenario, config: Config, speed: float | None) -> None:
    from streams.kafka.plain import reached
    from streams.simulate.feed import play

    finish(reached(config))
    kafka = config.kafka
    finish(play(scenario, ",".join(kafka.bootstrap), kafka.lanes, prefix=kafka.prefix, speed=speed))


def _write(scenario: Scenario, to: Path, speed: float | None, *, as_json: bool) -> int:
    """Write the scenario as lines; on stdout stands nothing else."""
    from streams.simulate.plain_lines import write

    if speed is not None:
        message = "--speed is for a broker: a file is written as fast as it goes"
        raise Failure(message)
    if to == STDOUT:
        write(scenario, sys.stdout.buffer)
        return Exit.OK
    count = write(scenario, to)
    if as_json:
        say_json({"scenario": scenario.name, "seed": scenario.seed, "file": str(to), "records": count})
    else:
        say(f"{scenario.name}, seed {scenario.seed}: {count} records written to {to}")
    return Exit.OK
