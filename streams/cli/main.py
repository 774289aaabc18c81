"""`leapwatch`: all commands, and how each of them ends.

Heavy things (Faust, Kafka clients, rich) are imported by the command that needs them: `leapwatch --help` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from streams.cli import (
    availability,
    broker,
    config,
    dead_letters,
    decisions,
    demo,
    detectors,
    doctor,
    findings,
    incidents,
    inventory,
    rca,
    replay,
    score,
    simulate,
    topics,
    worker,
)
from streams.cli.exits import Exit, Failure

HELP = """Tells within seconds what is failing in a server fleet, and replays history with the same answers.

Exit codes: 0 ok; 1 judged and found wanting; 2 usage or bad input; 3 broker away; 4 refused as harmful; 5 sent,
not yet confirmed; 70 a fault of ours; 130 interrupted.

Every flag is also an environment variable, LEAPWATCH_COMMAND_FLAG; those that many commands share are
LEAPWATCH_CONFIG, LEAPWATCH_JSON and LEAPWATCH_DEBUG.
"""

UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Typer carries a click of its own since 0.20 or so, and shows this class of it under no name."""

app = typer.Typer(
    name="leapwatch",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"auto_envvar_prefix": "LEAPWATCH", "help_option_names": ["-h", "--help"]},
)
for name, group in (
    ("broker", broker.app),
    ("config", config.app),
    ("dead-letters", dead_letters.app),
    ("decisions", decisions.app),
    ("detectors", detectors.app),
    ("findings", findings.app),
    ("incidents", incidents.app),
    ("inventory", inventory.app),
    ("topics", topics.app),
):
    app.add_typer(group, name=name)
app.command("doctor")(doctor.doctor)
app.command("score")(score.score)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("capture")(replay.capture)
app.command("rca")(rca.rca)
app.command("availability")(availability.availability)
app.command("worker")(worker.worker)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"leapwatch {importlib.metadata.version('leapwatch')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="LEAPWATCH_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep what holds for every command; the flags act where an error ends (`run`)."""


def run() -> None:
    """Run the command line and end the process with its code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Return the exit code of a command; an error is one line on stderr, or with --debug its traceback."""
    debug = "--debug" in arguments or os.environ.get("LEAPWATCH_DEBUG", "") not in {"", "0", "false"}
    try:
        code = app(arguments, prog_name="leapwatch", standalone_mode=False)
    except UsageError as error:
        error.show()
        return Exit.USAGE
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # `leapwatch findings list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:
        if debug:
            raise
        return _told(error)
    return int(code) if isinstance(code, int) else Exit.OK


def _told(error: Exception) -> int:
    """Print what an error means to the person at the terminal, and return the code that belongs to it."""
    from streams.config.problems import ConfigError

    if isinstance(error, Failure):
        typer.echo(f"leapwatch: {error}", err=True)
        return error.code
    if isinstance(error, ConfigError):
        typer.echo(str(error), err=True)
        return Exit.USAGE
    if type(error).__name__ == "BrokerAway":  # by its name: its module brings a Kafka client
        typer.echo(f"leapwatch: {error}", err=True)
        return Exit.AWAY
    if isinstance(error, ConnectionError | TimeoutError) or _of_kafka(error):
        typer.echo(f"leapwatch: {_first_line(error)}; is the broker there? `leapwatch doctor` looks", err=True)
        return Exit.AWAY
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in {"streams", "schemas"}:  # names of our own
        typer.echo(f"leapwatch: {_first_line(error)}", err=True)
        return Exit.USAGE
    typer.echo(f"leapwatch: a fault of ours: {type(error).__name__}: {_first_line(error)} (see --debug)", err=True)
    return Exit.BROKEN


def _of_kafka(error: Exception) -> bool:
    """Tell whether one of the Kafka clients raised it, without importing any of them."""
    return type(error).__module__.split(".")[0] in {"aiokafka", "kafka", "cimpl", "confluent_kafka"}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
