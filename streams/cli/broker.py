"""`leapwatch broker start|stop|status`: a real Kafka on this machine's loopback, for developers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import Json, say, say_json

app = typer.Typer(help="Run a real Kafka on this machine, for development.")
Directory = Annotated[
    Path | None, typer.Option("--directory", help="Where it lives; else a folder of the user's cache.")
]


@app.command()
def start(
    directory: Directory = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of its first node; else its last, or 9092.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="1, or 3 for replication.")] = 1,
    as_json: Json = False,
) -> int:
    """Start it, and go on; its records stay until the folder is deleted."""
    from streams.kafka import real

    if reason := real.missing():
        raise Failure(reason)
    folder = directory or real.default_dir()
    if port is None and not (folder / "cluster.json").exists():
        port = real.DEVELOPER_PORT  # one that was used before keeps its own
    try:
        address = real.start(folder, port=port, nodes=nodes)
    except real.BrokerError as error:
        raise Failure(str(error), Exit.AWAY) from None
    if as_json:
        say_json({"bootstrap": address})
    else:
        say(f"running at {address}; LEAPWATCH_KAFKA_BOOTSTRAP={address} leads every command there")
    return Exit.OK


@app.command()
def stop(directory: Directory = None, as_json: Json = False) -> int:
    """Stop it; its records stay."""
    from streams.kafka import real

    ran = real.stop(directory or real.default_dir())
    if as_json:
        say_json({"ran": ran})
    else:
        say("stopped" if ran else "was not running")
    return Exit.OK


@app.command()
def status(directory: Directory = None, as_json: Json = False) -> int:
    """Say whether it runs, and where; exit 3 where it does not."""
    from streams.kafka import real

    folder = directory or real.default_dir()
    broker = real.RealBroker(folder) if (folder / "cluster.json").exists() else None
    running = broker is not None and broker.running()
    address = broker.bootstrap if broker is not None else ""
    if as_json:
        say_json({"running": running, "bootstrap": address, "directory": str(folder)})
    elif running:
        say(f"running at {address} ({folder})")
    else:
        say(f"not running ({folder}); `leapwatch broker start` starts it")
    return Exit.OK if running else Exit.AWAY
