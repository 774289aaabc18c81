"""The house rules of every module of records."""

from __future__ import annotations

from enum import EnumMeta, StrEnum
from types import ModuleType
from typing import Any, get_type_hints


def broken_rules(module: ModuleType) -> list[str]:
    """Return what the module's own classes do against the rules, in words."""
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    broken = [f"{cls.__name__}: no docstring" for cls in own if not cls.__doc__]
    for cls in own:
        broken += _of_enum(cls) if isinstance(cls, EnumMeta) else _of_record(cls)
    return broken if own else [f"{module.__name__} holds no record"]


def _of_enum(enum: Any) -> list[str]:
    if not issubclass(enum, StrEnum):
        return [f"{enum.__name__}: a plain string on the wire, so a StrEnum"]
    first = next(iter(enum))
    return [] if first.name == first.value == "UNKNOWN" else [f"{enum.__name__}: UNKNOWN comes first"]


def _of_record(record: Any) -> list[str]:
    rules = {
        "a dataclass": hasattr(record, "__dataclass_fields__"),
        "frozen": getattr(record, "__dataclass_params__", None) is not None and record.__dataclass_params__.frozen,
        "slotted": hasattr(record, "__slots__"),
        "of integer times": all(
            hint in (int, int | None, tuple[int, ...])
            for name, hint in get_type_hints(record).items()
            if name.endswith("_ms")
        ),
    }
    return [f"{record.__name__}: not {rule}" for rule, kept in rules.items() if not kept]
