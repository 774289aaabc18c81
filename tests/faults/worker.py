"""A worker as the fault tests start it: `leapwatch worker --role ROLE`, as another release if they want.

`LEAPWATCH_TEST_NEWER=NAME,...` raises the state_version of these detectors, `LEAPWATCH_TEST_WITHOUT=NAME,...` is a
release that does not have them yet. Either makes another digest of the code, as an edited file would.
"""

import os
import sys
from pathlib import Path
from typing import Any

from detectors.contract import registry
from streams.engine import digest


def _names(variable: str) -> list[str]:
    return [name for name in os.environ.get(variable, "").split(",") if name]


def _another_release() -> None:
    newer, without = _names("LEAPWATCH_TEST_NEWER"), _names("LEAPWATCH_TEST_WITHOUT")
    for name in newer:
        kind: Any = registry()[name]
        kind.state_version += 1
    for name in without:
        del registry()[name]
    if newer or without:
        # Another tree of files: any other digest will do.
        digest.ROOT = digest.ROOT / "tests" / "faults"


if __name__ == "__main__":
    _another_release()
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.engine import worker as engine
    from streams.intake import worker as intake
    from streams.kafka.faust_host import run_worker
    from streams.operate.logs import configure

    configure("info", "json")
    config = load(Path(os.environ["LEAPWATCH_CONFIG"]), os.environ, config_types())
    run_worker({"engine": engine, "intake": intake}[sys.argv[1]].make(config))
