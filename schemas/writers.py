"""Schemas of foreign writers, by the id that their frames carry: the question, and answers from configured files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Protocol

from schemas.avro_files import Schema

GUID_BYTES = 16


class WriterSchemas(Protocol):
    """Where the schema of a foreign writer is found; None: nobody knows it. May raise RegistryAway."""

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the schema with this id of a Confluent registry."""

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return the schema with this 16-byte GUID of a Confluent registry."""


class FileSchemas:
    """Writers' schemas from files: a TOML or JSON map of ids and GUIDs to .avsc paths, beside the map or absolute.

    In TOML: `[schemas]` then `7 = "acme/host.avsc"`; in JSON `{"schemas": {"7": "acme/host.avsc"}}`.
    """

    def __init__(self, map_path: Path) -> None:
        self._by_id: dict[int, Schema] = {}
        self._by_guid: dict[bytes, Schema] = {}
        for key, path in _entries(map_path):
            schema = _schema(map_path, key, path)
            if key.isascii() and key.isdigit():
                self._by_id[int(key)] = schema
            else:
                self._by_guid[_guid(map_path, key)] = schema

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the schema that the map names for this id."""
        return self._by_id.get(schema_id)

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return the schema that the map names for this GUID."""
        return self._by_guid.get(guid)


class FirstOf:
    """Several places to look, in order: files before a registry, so that what is configured needs no registry."""

    def __init__(self, *places: WriterSchemas) -> None:
        self._places = places

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the first answer."""
        return next((schema for place in self._places if (schema := place.by_id(schema_id)) is not None), None)

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return the first answer."""
        return next((schema for place in self._places if (schema := place.by_guid(guid)) is not None), None)


def _entries(map_path: Path) -> list[tuple[str, str]]:
    text = map_path.read_text(encoding="utf-8")
    try:
        content: Any = json.loads(text) if map_path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{map_path}: {error}") from error
    table = content.get("schemas") if isinstance(content, dict) else None
    if not isinstance(table, dict):
        raise ValueError(f"{map_path}: no table `schemas` of ids and .avsc paths")
    for key, path in table.items():
        if not isinstance(path, str):
            raise ValueError(f"{map_path}: schemas.{key} is no path")
    return list(table.items())


def _schema(map_path: Path, key: str, path: str) -> Schema:
    place = map_path.parent / path
    try:
        schema = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{map_path}: schemas.{key}: {place}: {error}") from error
    if not isinstance(schema, dict):
        raise ValueError(f"{map_path}: schemas.{key}: {place}: an Avro record is a JSON object")
    return schema


def _guid(map_path: Path, key: str) -> bytes:
    try:
        guid = bytes.fromhex(key.replace("-", ""))
    except ValueError:
        guid = b""
    if len(guid) != GUID_BYTES:
        raise ValueError(f"{map_path}: schemas.{key}: neither a schema id nor a GUID of 32 hex digits")
    return guid
