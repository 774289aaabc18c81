"""The contract, of what is written: modules, configurations, states and docstrings of every detector."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from itertools import pairwise
from pathlib import Path

import pytest

import detectors
from detectors.contract import registry

ROOT = Path(detectors.__file__).parent
ALLOWED = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "detectors", "enum", "fractions", "functools",
    "hashlib", "heapq", "itertools", "math", "operator", "re", "schemas", "statistics", "typing",
}  # fmt: skip
"""What `detectors/` may import: no clock, no file, no randomness, no log, no task."""
LOADERS = {"contract.py": {"importlib", "pkgutil"}}
"""The registry finds modules; nothing else does."""
CLOCKS = {"now", "utcnow", "today"}
CALLS = {"open", "print", "input", "eval", "exec", "globals", "breakpoint", "id"}
every_detector = pytest.mark.parametrize("name", sorted(registry()))
every_module = pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)


@every_module
def test_a_module_of_detectors_is_pure(path: Path) -> None:
    """It imports nothing that could see or touch the world, and calls nothing that does; nor does it wait."""
    allowed = ALLOWED | LOADERS.get(path.relative_to(ROOT).as_posix(), set())
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] not in allowed]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] not in allowed:
            found.append(str(node.module))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            found.append(f"line {node.lineno}: {node.func.attr}()")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(f"line {node.lineno}: {node.func.id}()")
        elif isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.Global | ast.Nonlocal):
            found.append(f"line {node.lineno}: {type(node).__name__}")

    assert [] == found


@every_module
def test_a_module_of_detectors_has_no_state_of_its_own(path: Path) -> None:
    """What stands in a module is never changed by a function: state is in one value that can be saved."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    owned = {
        target.id
        for node in module.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }

    assert [] == [f"line {line}: {name}" for line, name in _changed(module) if name in owned]


def _changed(module: ast.Module) -> typing.Iterator[tuple[int, str]]:
    """Yield the names whose items or attributes a function changes, with the line."""
    changers = {"append", "add", "update", "extend", "insert", "pop", "popitem", "clear", "remove", "setdefault"}
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                target: ast.expr | None = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in changers:
                target = node.func.value
            else:
                continue
            if isinstance(target, ast.Name):
                yield node.lineno, target.id


@every_module
def test_no_detector_imports_another(path: Path) -> None:
    """They know each other by their findings alone; parts may be shared."""
    modules = {kind.__module__ for kind in registry().values()}
    imported = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }

    assert set() == imported & modules


@every_detector
def test_its_name_is_its_modules(name: str) -> None:
    """One name in configuration, metrics and tests."""
    kind = registry()[name]

    assert name == kind.name() == Path(inspect.getfile(kind)).stem


@every_detector
def test_it_is_documented(name: str) -> None:
    """Its docstring says what it finds, then the rule; its module has one too."""
    kind = registry()[name]
    doc = inspect.cleandoc(kind.__doc__ or "")

    what, _, rule = doc.partition("\n\n")
    assert what.endswith(".")
    assert len(rule.split()) >= 40
    assert inspect.getmodule(kind).__doc__


@every_detector
def test_its_configuration_is_frozen_and_each_field_is_explained(name: str) -> None:
    """Every field has a default and a docstring that names its source."""
    config = registry()[name].Config
    source = ast.parse(Path(inspect.getfile(config)).read_text(encoding="utf-8"))
    body = next(node.body for node in source.body if isinstance(node, ast.ClassDef) and node.name == config.__name__)
    docs = {
        field.target.id: doc.value.value
        for field, doc in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
    }

    assert config.__dataclass_params__.frozen
    assert config() == config()
    fields = [field.name for field in dataclasses.fields(config)]
    assert [] == [field for field in fields if "Source:" not in str(docs.get(field))]


@every_detector
def test_its_state_is_plain_data_without_sets(name: str) -> None:
    """Saved, restored and compared whole; the order of a set hangs on the hash seed."""
    found: list[str] = []
    _walk(registry()[name].State, found, [])

    assert [] == found


def _walk(hint: typing.Any, found: list[str], above: list[typing.Any]) -> None:
    """Collect what in a type is a set or anything at all."""
    origin = typing.get_origin(hint)
    if hint in (set, frozenset, typing.Any, object) or origin in (set, frozenset):
        found.append(f"{above[-1] if above else ''}: {hint}")
    for argument in typing.get_args(hint):
        if argument is not Ellipsis:
            _walk(argument, found, [*above, hint])
    if dataclasses.is_dataclass(hint) and hint not in above:
        for value in typing.get_type_hints(hint).values():
            _walk(value, found, [*above, hint])


@every_detector
def test_what_it_follows_and_reads_exists(name: str) -> None:
    """A misspelt name would be waited for, or never heard of."""
    kind = registry()[name]

    assert set(kind.follows) <= set(registry())
    sources = {"host-agent", "guest-agent", "maintenance", "inventory", "operator", "requests"}
    assert set(kind.feeds) <= ({"engine"} if kind.scope == "fleet" else sources)
    assert kind.scope in ("cluster", "partition", "both", "fleet")
    assert 0 < kind.memory_s <= 86_400
