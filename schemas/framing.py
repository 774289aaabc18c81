"""Confluent's framing: a magic byte, the id or GUID of the writer's schema, then the datum."""

from __future__ import annotations

from typing import Any

import fastavro

from schemas.avro_files import Schema, parsed
from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.writers import GUID_BYTES, WriterSchemas

ID_MAGIC = 0
GUID_MAGIC = 1
MAGIC = (ID_MAGIC, GUID_MAGIC)
ID_BYTES = 4
UNREADABLE = (
    fastavro.schema.SchemaParseException,
    fastavro.schema.UnknownType,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What fastavro raises on a schema that is none."""


def writer_of(data: bytes, writers: WriterSchemas | None) -> tuple[Schema, int]:
    """Return the schema that wrote a framed record, and where in it the datum begins."""
    size = ID_BYTES if data[0] == ID_MAGIC else GUID_BYTES
    start = 1 + size
    label = data[1:start]
    if len(label) < size:
        raise CodecError(
            DeadReason.NOT_AVRO, f"the frame ends at byte {len(data)}; its schema's name alone takes {size} bytes"
        )
    named = f"schema id {int.from_bytes(label, 'big')}" if data[0] == ID_MAGIC else f"schema GUID {label.hex()}"
    schema = None
    if writers is not None:
        schema = writers.by_id(int.from_bytes(label, "big")) if data[0] == ID_MAGIC else writers.by_guid(label)
    if schema is None:
        raise CodecError(
            DeadReason.UNKNOWN_SCHEMA,
            f"{named} is in neither the file map nor a registry; add it to the map, or register it",
        )
    return _ready(data[:start], schema, named), start


_READY: dict[bytes, tuple[Schema, Schema]] = {}
READY_LIMIT = 1024


def _ready(frame: bytes, schema: Schema, named: str) -> Schema:
    """Return a foreign schema ready for reading; one that could run for ever on few bytes is refused.

    Kept by the frame's first bytes and the very object that was found for them: two registries may both know an id 7.
    """
    kept = _READY.get(frame)
    if kept is not None and kept[0] is schema:
        return kept[1]
    try:
        ready = parsed(schema)
        least_bytes(ready, {})
    except UNREADABLE as error:
        raise CodecError(DeadReason.UNKNOWN_SCHEMA, f"{named} is no schema that can be read: {error!r}") from error
    if len(_READY) >= READY_LIMIT:
        _READY.clear()
    _READY[frame] = (schema, ready)
    return ready


def least_bytes(node: Any, named: dict[str, int | None]) -> int:
    """Return the fewest bytes that a datum of this schema takes.

    Refuses what would let few bytes keep a reader busy for ever: a record inside itself (the reader's stack), and an
    array of items that take no bytes (2^60 of them fit in nine). Nothing that tells of servers needs either.
    """
    if isinstance(node, list):
        return 1 + min([least_bytes(branch, named) for branch in node], default=0)
    kind = node if isinstance(node, str) else node["type"]
    if kind in ("record", "error"):
        name = node["name"]
        named[name] = None
        size = sum(least_bytes(field["type"], named) for field in node["fields"])
        named[name] = size
        return size
    if kind == "array":
        if least_bytes(node["items"], named) == 0:
            raise ValueError("an array of items that take no bytes")
        return 1
    if kind == "map":
        least_bytes(node["values"], named)
        return 1
    if kind in ("enum", "fixed"):
        size = named[node["name"]] = 1 if kind == "enum" else node["size"]
        return size
    if kind in named:
        known = named[kind]
        if known is None:
            raise ValueError(f"the record {kind} holds itself")
        return known
    return {"null": 0, "float": 4, "double": 8}.get(kind, 1)
