"""An intake as a process of its own, for the tests: `python -m tests.streams.intake.intake_worker CONFIG [pulse]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streams.config.load import load
from streams.intake.worker import make
from streams.kafka.faust_host import run_worker

if __name__ == "__main__":
    run_worker(make(load(Path(sys.argv[1]), os.environ), pulse=True if "pulse" in sys.argv[2:] else None))
