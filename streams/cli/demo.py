"""`leapwatch demo`: the leap day at high speed through the whole path, on a broker of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.exits import Exit, Failure


def demo(
    scenario: Annotated[str, typer.Option(help="A scenario's name, or a file of your own.")] = "leap-day-dawn",
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's own.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.1, help="Seconds of the source's time a second, from the first fault on.")
    ] = 300.0,
    clusters: Annotated[int | None, typer.Option(min=1, help="How many clusters.")] = 4,
    servers: Annotated[int | None, typer.Option(min=1, help="Servers a cluster.")] = 50,
    vms: Annotated[int | None, typer.Option(min=1, help="VMs a server.")] = 5,
) -> int:
    """Play a scenario through source topics, intake and engine, and show what is found, beside what history found."""
    import time

    started_s = time.monotonic()
    from streams.simulate.load import load
    from streams.simulate.reading import ScenarioError
    from streams.simulate.stage import StageError, staged

    try:
        chosen = load(scenario).with_size(clusters=clusters, servers=servers, vms=vms, seed=seed)
    except (ScenarioError, ValueError) as error:
        raise Failure(str(error)) from None
    try:
        with staged() as stage:
            # Loaded while the workers start.
            from streams.simulate.demo import DemoError, play

            try:
                play(chosen, stage, speed=speed, started_s=started_s)
            except (DemoError, StageError) as error:
                raise Failure(str(error), Exit.BROKEN) from None
    except KeyboardInterrupt:
        typer.echo("stopped; nothing is left running", err=True)
        return Exit.INTERRUPTED
    return Exit.OK
