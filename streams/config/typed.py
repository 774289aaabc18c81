"""A TOML table read into a frozen dataclass: names, types and ranges checked, every problem kept, none raised."""

from __future__ import annotations

import dataclasses
import enum
import math
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from streams.config.lines import KeyPath
from streams.config.problems import Problems, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Between:
    """The range of a number, or of the length of a text or list; both ends are allowed."""

    least: float | None = None
    most: float | None = None

    def fault(self, value: float, what: str = "") -> str:
        """Return what is wrong with `value`, or an empty text."""
        if self.least is not None and value < self.least:
            return f"{what}must be at least {self.least:g}, is {value:g}"
        if self.most is not None and value > self.most:
            return f"{what}must be at most {self.most:g}, is {value:g}"
        return ""


@dataclass(frozen=True, slots=True)
class Text:
    """A pattern of a text, and what to call it where it does not match."""

    pattern: str
    called: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that a table may have."""

    names: tuple[str, ...]


class _Wrong(Exception):  # noqa: N818 - never leaves this file: the problem is already kept
    """The value could not be read; its problem is kept."""


def read(kind: type[T], table: object, path: KeyPath, problems: Problems) -> T | None:
    """Return the dataclass `kind` made of `table`; None where something is wrong, which `problems` then holds."""
    try:
        made: T = _dataclass(kind, table, path, problems)
    except _Wrong:
        return None
    return made


def _dataclass(kind: Any, table: object, path: KeyPath, problems: Problems) -> Any:
    if not isinstance(table, dict):
        problems.add(path, f"must be a table, is {_called(table)}")
        raise _Wrong
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init and not f.metadata.get("computed")}
    hints = typing.get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    whole = True
    for key, value in table.items():
        if key not in fields:
            problems.unknown((*path, key), list(fields))
            whole = False
            continue
        try:
            values[key] = _value(hints[key], value, (*path, key), problems, _metadata_range(fields[key].metadata))
        except _Wrong:
            whole = False
    for name, field in fields.items():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and name not in table:
            problems.add((*path, name), "is missing and has no default")
            whole = False
    if not whole:
        raise _Wrong
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:  # a rule between fields, in __post_init__
        problems.add(path, str(error))
        raise _Wrong from None


def _metadata_range(metadata: typing.Mapping[str, Any]) -> Between | None:
    """Return the range that a detector's field states (`metadata={"least": 1, "most": 9}`): it cannot import us."""
    least, most = metadata.get("least"), metadata.get("most")
    return None if least is None and most is None else Between(least, most)


def _value(hint: Any, value: object, path: KeyPath, problems: Problems, limits: Between | None = None) -> Any:
    rules: list[Any] = [limits] if limits else []
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        rules += more
    for rule in rules:
        if isinstance(rule, Keys) and isinstance(value, dict):
            _known(rule, hint, value, path, problems)
    made = _plain(hint, value, path, problems)
    for rule in rules:
        fault = _fault(rule, made)
        if fault:
            problems.add(path, fault)
            raise _Wrong
    return made


def _plain(hint: Any, value: object, path: KeyPath, problems: Problems) -> Any:
    origin = typing.get_origin(hint)
    if origin in {types.UnionType, typing.Union}:
        return _value(_only(hint), value, path, problems)  # TOML has no null: None is what a missing key means
    if origin is typing.Literal:
        return _choice([str(choice) for choice in typing.get_args(hint)], value, path, problems)
    if origin is tuple:
        return _tuple(typing.get_args(hint)[0], value, path, problems)
    if origin is dict:
        return _dict(typing.get_args(hint)[1], value, path, problems)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, path, problems)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(_choice([str(member.value) for member in hint], value, path, problems))
    return _scalar(hint, value, path, problems)


def _scalar(hint: Any, value: object, path: KeyPath, problems: Problems) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
        problems.add(path, f"must be a finite number, is {value}")
        raise _Wrong
    if hint is Path and isinstance(value, str):
        return Path(value)
    if type(value) is hint:
        return value
    problems.add(path, f"must be {_NAMES.get(hint, str(hint))}, is {_called(value)}")
    raise _Wrong


def _only(hint: Any) -> Any:
    """Return the one type of `X | None`; where there are several, the programmer is told at once."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if len(kinds) != 1:
        message = f"a configuration field can be `X` or `X | None`, not {hint}"
        raise TypeError(message)
    return kinds[0]


def _choice(choices: list[str], value: object, path: KeyPath, problems: Problems) -> str:
    if isinstance(value, str) and value in choices:
        return value
    near = did_you_mean(value, choices) if isinstance(value, str) else ""
    tail = near if near.startswith("; did") else ""
    problems.add(path, f"must be one of {', '.join(choices)}, is {_called(value)}{tail}")
    raise _Wrong


def _tuple(kind: Any, value: object, path: KeyPath, problems: Problems) -> tuple[Any, ...]:
    if not isinstance(value, list):
        problems.add(path, f"must be an array, is {_called(value)}")
        raise _Wrong
    return tuple(_each(kind, list(enumerate(value)), path, problems).values())


def _dict(kind: Any, value: object, path: KeyPath, problems: Problems) -> dict[str, Any]:
    if not isinstance(value, dict):
        problems.add(path, f"must be a table, is {_called(value)}")
        raise _Wrong
    return _each(kind, list(value.items()), path, problems)


def _each(kind: Any, items: list[tuple[Any, object]], path: KeyPath, problems: Problems) -> dict[Any, Any]:
    """Read all items before giving up, so that all their problems are told."""
    made: dict[Any, Any] = {}
    for key, item in items:
        try:
            made[key] = _value(kind, item, (*path, key), problems)
        except _Wrong:
            continue
    if len(made) < len(items):
        raise _Wrong
    return made


def _known(rule: Keys, hint: Any, table: dict[str, Any], path: KeyPath, problems: Problems) -> None:
    """Refuse keys that the rule does not name; what is wrong with the others is told as well."""
    unknown = [key for key in table if key not in rule.names]
    for key in unknown:
        problems.unknown((*path, key), list(rule.names))
    if unknown:
        _plain(hint, {key: value for key, value in table.items() if key in rule.names}, path, problems)
        raise _Wrong


def _fault(rule: object, value: Any) -> str:
    if isinstance(rule, Text):
        return "" if re.fullmatch(rule.pattern, str(value)) else f"must be {rule.called}, is `{value}`"
    if not isinstance(rule, Between):
        return ""
    if isinstance(value, int | float):
        return rule.fault(value)
    return rule.fault(len(value), "its length ") if isinstance(value, str | tuple | dict) else ""


_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    Path: "a path in quotes",
}


def _called(value: object) -> str:
    """Return the value as an error names it, cut short."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value[:40]}{"…" if len(value) > 40 else ""}"'
        case list():
            return "an array"
        case dict():
            return "a table"
    return f"a {type(value).__name__}"
