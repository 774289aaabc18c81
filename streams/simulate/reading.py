"""Reading a declarative table so that every error in it is named at once, each with its key's place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")
_REQUIRED: Any = object()


class ScenarioError(ValueError):
    """A scenario that cannot be used: `errors` holds every line, such as `fault[2].at: ...`."""

    def __init__(self, name: str, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(f"{name}: {error}" for error in errors))


class Table:
    """One table of a scenario while it is read: each key taken is judged, what is left over is refused."""

    def __init__(self, raw: object, place: str, errors: list[str]) -> None:
        self.place = place
        self._errors = errors
        self._known: list[str] = []
        if isinstance(raw, dict):
            self._raw: dict[str, Any] = raw
        else:
            self._raw = {}
            errors.append(f"{place}: is {shown(raw)}; must be a table")

    def __contains__(self, key: str) -> bool:
        return key in self._raw

    def keys(self) -> list[str]:
        """Return the keys that the file gives."""
        return list(self._raw)

    def at(self, key: str) -> str:
        """Return the place of a key, as errors name it."""
        return f"{self.place}.{key}" if self.place else key

    def error(self, key: str, text: str) -> None:
        """Note an error at a key."""
        self._errors.append(f"{self.at(key)}: {text}")

    def take(self, key: str, parse: Callable[[Any], T], default: T = _REQUIRED) -> T:
        """Return the parsed value of a key, or its default; an error is noted and the default stands in."""
        self._known.append(key)
        if key not in self._raw:
            if default is _REQUIRED:
                self.error(key, "is missing")
            return default
        try:
            return parse(self._raw[key])
        except ValueError as error:
            self.error(key, str(error))
            return default

    def table(self, key: str) -> Table:
        """Return a table within this one; empty where it is missing."""
        self._known.append(key)
        return Table(self._raw.get(key, {}), self.at(key), self._errors)

    def tables(self, key: str) -> list[Table]:
        """Return an array of tables within this one; empty where it is missing."""
        self._known.append(key)
        raw = self._raw.get(key, [])
        if not isinstance(raw, list):
            self.error(key, f"is {shown(raw)}; must be an array of tables, written [[{self.at(key)}]]")
            return []
        return [Table(item, f"{self.at(key)}[{place}]", self._errors) for place, item in enumerate(raw)]

    def close(self) -> None:
        """Refuse the keys that nobody took."""
        for key in self._raw:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self._known))}"
                self.error(key, f"unknown key; {hint}")


def shown(value: object) -> str:
    """Return a value for an error message, cut to a readable length."""
    text = value.isoformat() if isinstance(value, datetime) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def text(value: Any) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"is {shown(value)}; must be a text")
    return value


def any_text(value: Any) -> str:
    """Return a string, also an empty one."""
    if not isinstance(value, str):
        raise ValueError(f"is {shown(value)}; must be a text")
    return value


def flag(value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"is {shown(value)}; must be true or false")
    return value


def whole_between(low: int, high: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers within two limits, both allowed."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"is {shown(value)}; must be a whole number from {low} to {high}")
        return value

    return parse


def fraction(value: Any) -> float:
    """Return a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"is {shown(value)}; must be a number from 0 to 1")
    return float(value)


def real(value: Any) -> float:
    """Return a number of either sign."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(f"is {shown(value)}; must be a number")
    return float(value)


def span(value: Any) -> tuple[float, float]:
    """Return a pair of numbers, the smaller first."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"is {shown(value)}; must be two numbers, such as [15, 90]")
    low, high = real(value[0]), real(value[1])
    if not 0 <= low <= high:
        raise ValueError(f"is {shown(value)}; must be two numbers >= 0, the smaller first")
    return low, high


def texts(value: Any) -> tuple[str, ...]:
    """Return one text or an array of texts."""
    if isinstance(value, str):
        return (text(value),)
    if not isinstance(value, list) or not value:
        raise ValueError(f"is {shown(value)}; must be a text or an array of texts")
    return tuple(text(item) for item in value)


def text_map(value: Any) -> dict[str, str]:
    """Return a table of texts."""
    if not isinstance(value, dict):
        raise ValueError(f"is {shown(value)}; must be a table of texts")
    return {key: text(item) for key, item in value.items()}


def one_of(*allowed: str) -> Callable[[Any], str]:
    """Return a parser of one of a few words."""

    def parse(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"is {shown(value)}; must be one of {', '.join(allowed)}")
        return str(value)

    return parse
