"""`leapwatch demo`: a scenario at high speed through the whole path, on a broker of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.exits import Failure


def demo(
    scenario: Annotated[str, typer.Option(help="A scenario's name, or a file of your own.")] = "leap-day",
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's own.")] = None,
    speed: Annotated[float, typer.Option(min=1, help="Seconds of the scenario's time a second.")] = 300.0,
    clusters: Annotated[int, typer.Option(min=1, help="Clusters to show.")] = 4,
    servers: Annotated[int, typer.Option(min=3, help="Servers a cluster.")] = 50,
    vms: Annotated[int, typer.Option(min=1, help="VMs a server.")] = 5,
) -> int:
    """Play the leap day of 2012 and watch it being found; Ctrl-C leaves nothing behind."""
    from streams.simulate.demo import DemoError, Options, run
    from streams.simulate.reading import ScenarioError

    try:
        return run(Options(scenario, seed, speed, clusters, servers, vms))
    except (DemoError, ScenarioError) as error:
        raise Failure(str(error)) from error
