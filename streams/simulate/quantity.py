"""Quantities as a scenario writes them: durations, moments, and numbers that are formulas of the fleet's size."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
_LONGEST_FORMULA = 200


def brake(servers: int) -> int:
    """Return how many servers in HI stop a cluster of so many servers: max(3, 5 %, 1.5 sqrt(n)), in exact integers.

    It is a fact of the fleet that is simulated: the fabric controller of 2012 had a brake of its own.
    """
    five_percent = -(-servers // 20)
    least_square = -(-9 * servers // 4)
    root = math.isqrt(least_square - 1) + 1 if least_square > 0 else 0
    return max(3, five_percent, root)


def size_names(servers: int, vms: int) -> dict[str, float]:
    """Return the names that a formula may use for a cluster of `servers` servers with `vms` VMs each."""
    return {"n": servers, "vms": vms, "brake": brake(servers)}


def number(value: float | str, names: Mapping[str, float]) -> float:
    """Return a number, or what a formula such as `floor(n / brake)` gives for these names."""
    if not isinstance(value, str):
        return value
    if len(value) > _LONGEST_FORMULA:
        raise ValueError(f"formula of {len(value)} characters; at most {_LONGEST_FORMULA}")
    try:
        tree = ast.parse(value.strip(), mode="eval")
        return float(_value(tree.body, names))
    except SyntaxError:
        raise ValueError(f"formula {value!r} cannot be read") from None
    except (ZeroDivisionError, OverflowError) as error:
        raise ValueError(f"formula {value!r}: {error}") from None


def whole(value: float | str, names: Mapping[str, float]) -> int:
    """Return a whole number; a fraction is an error, so that a formula says itself how it rounds."""
    result = number(value, names)
    if result != int(result):
        raise ValueError(f"{value!r} gives {result}, not a whole number; say ceil() or floor()")
    return int(result)


def _value(node: ast.AST, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as constant) if not isinstance(constant, bool):
            return constant
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name):
            raise ValueError(f"formula uses {name!r}; it may use {', '.join(sorted(names))}")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
            try:
                return _FUNCTIONS[name](*(_value(argument, names) for argument in args))
            except TypeError as error:
                raise ValueError(f"formula: {error}") from None
    raise ValueError(f"formula may hold + - * / // %, {', '.join(_FUNCTIONS)} and names only")


def duration_ms(value: object) -> int:
    """Return milliseconds of `"1h30m"`, `"90s"`, `"250ms"`, or of a plain number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no duration; write seconds, or such as '1h30m'")
    if isinstance(value, int | float):
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"{value!r} is no duration; it must be finite and not negative")
        return round(value * SECOND_MS)
    parts = _PART.findall(value)
    if not parts or "".join(amount + unit for amount, unit in parts) != value:
        raise ValueError(f"{value!r} is no duration; write such as '1d', '1h30m', '90s', '250ms'")
    return round(sum(float(amount) * _UNITS_MS[unit] for amount, unit in parts))


def moment_ms(value: object, start_ms: int) -> int:
    """Return UTC milliseconds of a date with its offset (`2012-02-29T00:00:00Z`), or of a duration after the start."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} names no time zone; end it in Z")
        return round(value.timestamp() * SECOND_MS)
    if isinstance(value, str) and "-" in value:
        try:
            return moment_ms(datetime.fromisoformat(value), start_ms)
        except ValueError:
            raise ValueError(f"{value!r} is no time; write such as 2012-02-29T00:00:00Z") from None
    return start_ms + duration_ms(value)


@dataclass(frozen=True, slots=True)
class Clock:
    """The start of a scenario, for times that are given relative to it."""

    start_ms: int

    def moment(self, value: Any) -> int:
        """Return UTC milliseconds of a time or of a duration after the start."""
        return moment_ms(value, self.start_ms)


def utc(at_ms: int) -> str:
    """Return `2012-02-29 01:15:00.000` for UTC milliseconds."""
    moment = datetime.fromtimestamp(at_ms // SECOND_MS, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % SECOND_MS:03d}"
