"""`leapwatch worker --role intake|engine|fleet`: run a role, or all of them side by side."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Failure
from streams.cli.options import ConfigFile, config_path, finish

if TYPE_CHECKING:
    from streams.config.model import Config

ROLES = ("intake", "engine", "fleet")


def worker(
    role: Annotated[str, typer.Option(help="intake, engine or fleet; else all three, each a process.")] = "all",
    config: ConfigFile = None,
) -> int:
    """Run a role until SIGTERM or Ctrl-C. SIGHUP lets the intake read the thresholds of the file again.

    Ends with 3 where no broker answers at the start; one that goes away later is waited for.
    """
    if role not in {*ROLES, "all"}:
        message = f"--role: `{role}` is none of {', '.join(ROLES)}, all"
        raise Failure(message)
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.operate.logs import configure

    path = config_path(config)
    checked = load(path, os.environ, config_types())
    # Asked by us before Faust is: it would end with a traceback and 1.
    from streams.kafka.plain import reached

    finish(reached(checked))
    configure(checked.log.level, checked.log.format, role=role)
    if role == "all":
        return _all(path)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # its default would end us; the intake sets its own
    return _one(checked, role)


def _all(path: Path | None) -> int:
    from streams.operate.supervise import Supervisor

    named = ["--config", str(path)] if path else []
    return Supervisor(
        {role: [sys.executable, "-m", "streams.cli", "worker", "--role", role, *named] for role in ROLES}
    ).run()


def _one(config: Config, role: str) -> int:
    """Run one role in this process; it does not come back but by its end."""
    import importlib.metadata

    from streams.engine.digest import code_digest
    from streams.kafka.faust_host import run_worker
    from streams.operate import metrics

    try:
        version = importlib.metadata.version("leapwatch")
    except importlib.metadata.PackageNotFoundError:
        version = "checkout"
    metrics.build(version, code_digest())
    app: Any
    if role == "intake":
        from streams.intake.worker import make as make_intake

        app = make_intake(config)
    else:
        from streams.engine.worker import make as make_engine

        app = make_engine(config, role=role, source="fleet" if role == "fleet" else "telemetry")
    run_worker(app)
