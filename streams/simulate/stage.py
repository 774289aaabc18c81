"""The demo's processes: intake and engine on a broker of their own, in one temporary folder; ended by their own pids.

It is begun before all else that a demo needs is loaded: a worker takes seconds until it works.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import apply_embedded, wanted

LANES = 4
ROLES = ("intake", "engine")
"""Those that begin at once; others are started by whoever plays."""
GENTLY_S = 5.0
"""Seconds in which a worker may end by itself before it is killed."""
TAIL_LINES = 15
LEAD_MS = 600_000
"""Source time by which what is sent of a lane may be ahead of what is judged of it."""

CONFIG = """\
[kafka]
bootstrap = ["{bootstrap}"]
lanes = {lanes}
check_crcs = false

[intake]
flush_ms = 50
clocks_s = 0.1

# Nothing of a demo is ever restored.
[engine]
flush_ms = 50
snapshot_every_s = 86400

[web]
intake = 0
engine = 0
fleet = 0

[log]
level = "warning"

# At high speed a lane that waits for a fetch for a second is minutes behind: that is no blindness. The feeder stays
# within half of this of what is judged.
[detectors.blind]
still_s = {blind_s:g}
behind_s = {blind_s:g}
ahead_s = {blind_s:g}
"""


class StageError(Exception):
    """A worker of the demo has ended, or will not begin; the text has the end of its log."""


@dataclass(slots=True)
class Stage:
    """Broker, configuration and workers of one demo."""

    bootstrap: str
    config: Path
    workers: list[tuple[str, subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def start(self, role: str) -> None:
        """Start a worker."""
        # What leads other commands to a broker (LEAPWATCH_KAFKA_BOOTSTRAP) must not lead these away from this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAPWATCH_")}
        log = self.config.parent / f"{role}.log"
        with log.open("wb") as out, held():
            process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", "--role", role, "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches us alone, and we end the workers while the broker still runs.
                start_new_session=True,
                env=environment,
            )
            self.workers.append((role, process, log))

    def runs(self, role: str) -> bool:
        """Tell whether a worker of this role was started."""
        return any(known == role for known, _, _ in self.workers)

    def alive(self) -> None:
        """Raise StageError where a worker has ended."""
        for role, process, _ in self.workers:
            if (code := process.poll()) is not None:
                msg = f"the {role} worker ended with code {code}; its log ends:\n{self.tail(role)}"
                raise StageError(msg)

    def tail(self, role: str) -> str:
        """Return the end of a worker's log."""
        log = next(log for known, _, log in self.workers if known == role)
        return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def end(self) -> None:
        """End all workers, gently and then not."""
        for _, process, _ in self.workers:
            process.terminate()
        for _, process, _ in self.workers:
            try:
                process.wait(GENTLY_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.workers.clear()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """Give a stage whose workers are starting; all of it is gone when this ends, by a signal too."""
    with _signals(), tempfile.TemporaryDirectory(prefix="leapwatch-demo-") as folder, EmbeddedBroker() as broker:
        config = Path(folder) / "leapwatch.toml"
        config.write_text(CONFIG.format(bootstrap=broker.bootstrap, lanes=LANES, blind_s=2 * LEAD_MS / 1000))
        stage = Stage(broker.bootstrap, config)
        try:
            apply_embedded(broker, wanted(partitions=LANES, simulated=True))
            for role in ROLES:
                stage.start(role)
            yield stage
        finally:
            # A second Ctrl-C must not leave a worker behind.
            for number in _ENDING:
                signal.signal(number, signal.SIG_IGN)
            stage.end()


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keep back a signal that ends us until the block is done: a worker started and not yet noted would be left."""
    came: list[int] = []
    kept = {number: signal.signal(number, lambda which, _frame: came.append(which)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    for which in came:
        signal.raise_signal(which)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, with all that ends with it."""
    kept = {number: signal.getsignal(number) for number in _ENDING}
    # Set even where a shell started us in the background with SIGINT ignored: the others come by way of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
