"""Hypothesis strategies for every record that travels, made from the dataclasses themselves."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas.records import ENUMS, RECORDS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PRIMITIVES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bytes: st.binary(max_size=20),
}


def of_hint(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a type as the dataclasses write it."""
    if hint in PRIMITIVES:
        return PRIMITIVES[hint]
    if is_dataclass(hint):
        return of_record(hint)  # type: ignore[arg-type]
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        return st.lists(of_hint(arguments[0]), max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXT, of_hint(arguments[1]), max_size=3)
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of([st.none() if branch is type(None) else of_hint(branch) for branch in arguments])
    raise TypeError(f"no strategy for {hint}")


def of_record(record: type[Any]) -> st.SearchStrategy[Any]:
    """Return records of one type, with the symbols of its enums."""
    hints = get_type_hints(record)
    enums = ENUMS.get(record, {})
    return st.builds(
        record,
        **{
            field.name: st.sampled_from([symbol.value for symbol in enums[field.name]])
            if field.name in enums
            else of_hint(hints[field.name])
            for field in fields(record)
        },
    )


ANY_RECORD = st.sampled_from(RECORDS).flatmap(of_record)
