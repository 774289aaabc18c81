"""What a detector's own text says of it: its rule, and its parameters with unit, default, and source.

A field's documentation is the text below it, which Python itself forgets: it is read from the source.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any

UNITS = {
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "days": "days",
    "bytes": "bytes",
    "share": "share, 0 to 1",
    "count": "count",
    "rate": "share, 0 to 1",
    "percent": "percent",
}
"""The last word of a field's name, and the unit that it means."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a configuration."""

    name: str
    default: Any
    unit: str
    text: str


def parameters(kind: type[Any]) -> list[Parameter]:
    """Return the fields of a configuration dataclass in their order."""
    texts = field_texts(kind)
    return [
        Parameter(field.name, _default(field), unit_of(field.name), texts.get(field.name, ""))
        for field in dataclasses.fields(kind)
    ]


def field_texts(kind: type[Any]) -> dict[str, str]:
    """Return the text that stands below each field of a class; a class whose source is away has none."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}
    (made,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    texts = {}
    for field, below in zip(made.body, made.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            value = below.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts[field.target.id] = " ".join(value.value.split())
    return texts


def unit_of(name: str) -> str:
    """Return the unit that the end of a field's name states; empty where it states none."""
    return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None
