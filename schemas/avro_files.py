"""The .avsc files as schemas ready for use: each self-contained, with its fingerprint."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
from fastavro.schema import fingerprint as hex_fingerprint
from fastavro.schema import to_parsing_canonical_form

Schema = dict[str, Any]

CURRENT = "avsc"
RELEASED = "released"
NAMESPACE = "leapwatch"
PRIMITIVES = ("boolean", "int", "long", "float", "double", "bytes", "string")
NAMED = ("record", "enum", "fixed")


def read(name: str, directory: str = CURRENT) -> Schema:
    """Return the schema of one record, whole: what it names of other files is put in where it is first named."""
    schema: Schema = inlined(_text_of(name, directory), directory, set())
    return schema


def inlined(node: Any, directory: str, seen: set[str]) -> Any:
    """Return `node` with every named type defined at its first mention and only named at the later ones."""
    if isinstance(node, list):
        return [inlined(branch, directory, seen) for branch in node]
    if isinstance(node, str):
        # Primitive names are lower case, ours are not.
        if node in seen or not node[:1].isupper():
            return node
        return inlined(_text_of(node, directory), directory, seen)
    if node["type"] in NAMED:
        if node["name"] in seen:
            return node["name"]
        seen.add(node["name"])
    whole = dict(node)
    for key in ("items", "values"):
        if key in node:
            whole[key] = inlined(node[key], directory, seen)
    if "fields" in node:
        whole["fields"] = [{**field, "type": inlined(field["type"], directory, seen)} for field in node["fields"]]
    return whole


def without_logical_types(node: Any) -> Any:
    """Return the schema with times as bare longs, so that no datetime is ever made of a millisecond."""
    if isinstance(node, list):
        return [without_logical_types(branch) for branch in node]
    if isinstance(node, dict):
        if "logicalType" in node and node["type"] in PRIMITIVES:
            return node["type"]
        return {key: without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    return node


def parsed(schema: Schema) -> Schema:
    """Return the schema as fastavro wants it on the hot path."""
    ready: Schema = fastavro.parse_schema(without_logical_types(schema))
    return ready


def fingerprint(schema: Schema) -> bytes:
    """Return the schema's CRC-64-AVRO fingerprint in the byte order of the single-object encoding."""
    return bytes.fromhex(hex_fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@cache
def released_sets() -> tuple[str, ...]:
    """Return the directories of released schemas, oldest first."""
    numbers = sorted(int(entry.name) for entry in files("schemas").joinpath(RELEASED).iterdir() if entry.name.isdigit())
    return tuple(f"{RELEASED}/{number}" for number in numbers)


def names(directory: str = CURRENT) -> tuple[str, ...]:
    """Return the names of the records that a directory holds, sorted."""
    entries = (entry.name for entry in files("schemas").joinpath(directory).iterdir())
    return tuple(sorted(name.removesuffix(".avsc") for name in entries if name.endswith(".avsc")))


def _text_of(name: str, directory: str) -> Any:
    return json.loads(files("schemas").joinpath(directory, f"{name}.avsc").read_text(encoding="utf-8"))
