"""The house rules, held by a test: who may import whom, who may read a clock, and that each module has its test.

Each list of exceptions says why; it is for the person who adds to it to convince the next reader.
"""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("schemas", "detectors", "streams")
LINES_MOST = 400

COMMON = {"config", "kafka", "operate"}
"""What every role may import: connections, configuration, logs and health are nobody's role."""
ROLES: dict[str, set[str]] = {
    "config": set(),
    "kafka": {"config"},
    "operate": {"config", "kafka"},
    "intake": COMMON,
    "engine": COMMON,
    "serve": COMMON,
    "notify": COMMON,
    "replay": COMMON | {"engine", "intake"},
    "simulate": COMMON | {"engine", "intake"},
    "cli": COMMON | {"engine", "intake", "replay", "simulate", "serve", "notify"},
}
"""Folder of `streams/` to those of which it may import; of the intake replay and simulate get the pure part alone."""
PURE_INTAKE = {"checks", "clocks", "fields", "inventory", "offline", "pack", "reader", "wider"}
PURE = (
    *(f"streams/intake/{name}.py" for name in sorted(PURE_INTAKE)),
    *(f"streams/engine/{name}.py" for name in ("runner", "cluster", "policy", "frames")),
    "streams/config/thresholds.py",
    "streams/kafka/partition.py",
)
"""Modules of `streams/` that are the same live and replayed: no broker, no task, no clock (law 1)."""
IMPURE = {
    "faust",
    "aiokafka",
    "kafka",
    "confluent_kafka",
    "asyncio",
    "threading",
    "time",
    "random",
    "socket",
    "logging",
}
SEEDED = {"streams/simulate"}
"""Where `random` is right: seeded, and nowhere near a verdict."""

CLOCKS = {
    "streams/cli/decisions.py": "how long `release` waits for the engine's word",
    "streams/cli/demo.py": "how long after the command the first finding stood on the screen",
    "streams/cli/topic_state.py": "the stamp of what a person writes, and the age of what is shown",
    "streams/engine/partition.py": "how long a restore took, for the log",
    "streams/engine/place.py": "time-out of a wait for the place to go on from",
    "streams/engine/worker.py": "when the next snapshot and flush are due",
    "streams/intake/host.py": "how long a lane has been away",
    "streams/intake/pulses.py": "the stamp of a pulse: the one clock that enters the log",
    "streams/intake/worker.py": "when the next pulse and flush are due; age of the batch under way",
    "streams/kafka/faust_host.py": "time-out of a fetch, and how long ago one was answered",
    "streams/kafka/guards.py": "how long the event loop was blocked",
    "streams/kafka/plain.py": "time-out of a read that stands",
    "streams/kafka/real.py": "time-outs of starting and ending a broker",
    "streams/kafka/topics.py": "time-out of a topic's being seen",
    "streams/kafka/transactions.py": "time-out of a read that stands",
    "streams/operate/checkup.py": "how long an answer took, how old the newest record is",
    "streams/operate/health.py": "age of the last sign of life",
    "streams/operate/metrics.py": "age of the last progress, by the wall clock",
    "streams/operate/supervise.py": "when to start a role again, how long it may take to end",
    "streams/operate/thresholds_log.py": "the stamp of a ConfigChanged",
    "streams/simulate/demo.py": "how fast the demo plays, and how long it took",
    "streams/simulate/feed.py": "how fast a simulation is fed",
}
"""Modules that read a clock, and what for; never for a verdict."""

NO_TEST_OF_ITS_OWN = {
    "streams/cli/__main__.py": "one line; the CLI's tests run it",
    "streams/config/catalogue.py": "one expression over the registry; tests/streams/config read through it",
    "streams/config/model.py": "dataclasses alone; test_load.py reads every field of them",
    "streams/simulate/scenario.py": "dataclasses alone; test_load.py reads every field of them",
}
LONG: dict[str, int] = {}
"""Files above the ceiling, and how long they may be: to be cut, and to grow no further."""


@cache
def committed() -> tuple[str, ...]:
    """Return every file of the repository, committed or staged: work that is under way is judged when it is added."""
    listed = subprocess.run(
        ["git", "ls-files"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(sorted(name for name in set(listed.stdout.splitlines()) if (ROOT / name).is_file()))


def modules(*folders: str) -> list[str]:
    """Return the Python files below these folders."""
    return [name for name in committed() if name.endswith(".py") and PurePosixPath(name).parts[0] in folders]


@cache
def tree(name: str) -> ast.Module:
    """Return a file's syntax."""
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def imports(name: str) -> dict[str, int]:
    """Return every module that a file imports, wherever in it, with the line."""
    found: dict[str, int] = {}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found[node.module] = node.lineno
            # `from streams.engine import runner` imports the module too.
            found |= {f"{node.module}.{alias.name}": node.lineno for alias in node.names}
    return found


@pytest.mark.parametrize("name", modules(*OURS))
def test_schemas_know_nobody_detectors_know_schemas_streams_know_both(name: str) -> None:
    """The arrows of the design point one way."""
    above = {"schemas": {"detectors", "streams"}, "detectors": {"streams"}, "streams": set()}[
        name.split("/", maxsplit=1)[0]
    ]
    above |= {"tests", "deploy"} if not name.startswith("streams/") else {"tests"}

    assert [] == [f"{name}:{line}: {known}" for known, line in imports(name).items() if known.split(".")[0] in above]


@pytest.mark.parametrize("name", modules("streams"))
def test_no_role_imports_another(name: str) -> None:
    """But those that the table allows; a new folder of `streams/` has to be put into it."""
    parts = name.split("/")
    if len(parts) < 3:
        return
    role = parts[1]
    assert role in ROLES, f"{role} is no role that tests/test_structure.py knows"
    wrong = []
    for known, line in imports(name).items():
        other = known.split(".")
        if other[0] != "streams" or len(other) < 2 or other[1] in (role, *ROLES[role]):
            continue
        wrong.append(f"{name}:{line}: {known}")

    assert [] == wrong


@pytest.mark.parametrize("name", modules("streams"))
def test_replay_and_simulate_get_the_pure_part_of_the_intake(name: str) -> None:
    """What reads sources without a broker."""
    if name.split("/")[1] not in ("replay", "simulate"):
        return
    wrong = [
        f"{name}:{line}: {known}"
        for known, line in imports(name).items()
        if known.startswith("streams.intake.") and known.split(".")[2] not in PURE_INTAKE
    ]

    assert [] == wrong


@pytest.mark.parametrize("name", [*modules("schemas", "detectors"), *PURE])
def test_a_pure_module_sees_no_broker_no_task_and_no_clock(name: str) -> None:
    """What must be the same in a replay reads nothing but its arguments."""
    assert [] == [f"{name}:{line}: {known}" for known, line in imports(name).items() if known.split(".")[0] in IMPURE]
    assert [] == [f"{name}:{line}: {what}" for line, what in clocks(name)]


def clocks(name: str) -> list[tuple[int, str]]:
    """Return where a file reads a clock: `time`, `datetime.now` and its kin, an event loop's time."""
    found = []
    for node in ast.walk(tree(name)):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        read = owner == "time" and node.attr in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")
        read = read or (owner in ("datetime", "date") and node.attr in ("now", "utcnow", "today"))
        called = isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute | ast.Name)
        read = read or (node.attr == "time" and (owner == "loop" or (called and "loop" in ast.unparse(node.value))))
        if read:
            found.append((node.lineno, ast.unparse(node)))
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [(node.lineno, f"from time import {alias.name}") for alias in node.names]
    return found


def test_clocks_are_read_by_the_modules_listed_alone() -> None:
    """Law 1: nothing behind the intake reads a clock for a verdict. Who reads one stands in CLOCKS, with what for."""
    reading = {name: clocks(name) for name in modules("schemas", "detectors", "streams", "deploy")}

    assert {} == {name: places for name, places in reading.items() if places and name not in CLOCKS}
    assert [] == [name for name in CLOCKS if name in reading and not reading[name]], (
        "no clock there any more: strike out"
    )


def test_chance_is_the_simulators() -> None:
    """Nothing else draws lots."""
    drawing = [name for name in modules("schemas", "detectors", "streams") if "random" in imports(name)]

    assert [] == [name for name in drawing if not any(name.startswith(f"{place}/") for place in SEEDED)]


def gaps() -> list[str]:
    """Return the modules without a test file of their own name."""
    found = []
    for name in modules("schemas", "detectors", "streams", "deploy"):
        path = PurePosixPath(name)
        if path.name != "__init__.py" and f"tests/{path.parent}/test_{path.name}" not in committed():
            found.append(name)
    return found


def test_each_module_has_its_one_test_file() -> None:
    """a/b.py has tests/a/test_b.py."""
    assert [] == [name for name in gaps() if name not in NO_TEST_OF_ITS_OWN]


def test_no_exception_is_kept_that_is_none() -> None:
    """A module that has its test, or is gone, is no exception."""
    assert [] == [name for name in NO_TEST_OF_ITS_OWN if name not in gaps()]


@pytest.mark.parametrize("name", modules(*OURS, "deploy"))
def test_a_file_can_be_read_in_one_sitting(name: str) -> None:
    """Four hundred lines at most."""
    lines = (ROOT / name).read_text(encoding="utf-8").count("\n")

    assert lines <= LONG.get(name, LINES_MOST)


PLACES = re.compile(
    r"(?<![\w./~-])/(?:work|root|home|Users|mnt|private)/\w"
    r"|\b(?:pypi\.org|pythonhosted\.org|repo\d?\.maven|repo\.maven\.apache|registry\.npmjs|crates\.io|docker\.io|ghcr\.io"
    r"|artifactory|sonatype|deb\.debian\.org)\b",
    re.IGNORECASE,
)
"""Absolute places of one machine, and hosts of package registries: both are the business of whoever installs."""


@pytest.mark.parametrize(
    "name", [name for name in committed() if PurePosixPath(name).suffix not in (".png", ".gz", ".jar", ".bin")]
)
def test_no_text_names_a_machine_or_a_registry(name: str) -> None:
    """What is committed works anywhere."""
    if name == "tests/test_structure.py":
        return
    text = (ROOT / name).read_text(encoding="utf-8", errors="replace")

    assert [] == [f"{name}: {found.group()}" for found in PLACES.finditer(text)]


def test_processes_that_share_the_tests_keep_groups_together(request: pytest.FixtureRequest) -> None:
    """Whose mark pytest-xdist writes behind the id: without it tests with a broker would run against each other."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@" + str(request.path))
