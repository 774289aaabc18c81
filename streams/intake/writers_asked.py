"""Schemas of foreign writers without blocking: a record whose schema is not known yet waits, and a thread asks.

The checks are pure and the event loop must not stand, while a registry answers over HTTP. So the first record with a
new id raises RegistryAway, which stops its lane where it stands; `ask` gets the answer, and the lane goes on.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

from schemas.avro_files import Schema
from schemas.errors import RegistryAway
from schemas.writers import FirstOf, WriterSchemas
from streams.config.model import Config
from streams.kafka.registry import HttpRegistry

ANSWERS_MAX = 4_096
"""Answers kept; then all are asked for anew."""
UNKNOWN_HOLDS = 100
"""So many records are told that nobody knows their schema, before it is asked for again."""


@dataclass(frozen=True, slots=True)
class ConfiguredSchemas:
    """The writers' schemas that the configuration names by their ids."""

    schemas: dict[int, Schema]

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the schema that is configured for this id."""
        return self.schemas.get(schema_id)

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return None: the configuration knows ids alone."""


def writers_of(config: Config) -> AskedSchemas | None:
    """Return where writers' schemas are found: the files first, then the registry; None where there is neither.

    A file that is no Avro record raises ValueError, which names it.
    """
    places: list[WriterSchemas] = []
    settings = config.schemas
    if settings.files:
        places.append(ConfiguredSchemas({int(number): _read(path) for number, path in settings.files.items()}))
    if settings.registry:
        user_info = None
        if settings.registry_username:
            user_info = f"{settings.registry_username}:{config.secrets.registry_password}"
        places.append(HttpRegistry(settings.registry, timeout_s=settings.registry_timeout_s, user_info=user_info))
    return AskedSchemas(FirstOf(*places)) if places else None


def _read(path: Path) -> Schema:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"[schemas] files: {path}: {error}") from error
    if not isinstance(schema, dict):
        raise ValueError(f"[schemas] files: {path}: an Avro record is a JSON object")
    return schema


@dataclass(slots=True)
class AskedSchemas:
    """Answers of `source` that are there already; what is not is noted in `wanted`."""

    source: WriterSchemas
    known: dict[int | bytes, Schema] = field(default_factory=dict)
    unknown: dict[int | bytes, int] = field(default_factory=dict)
    wanted: set[int | bytes] = field(default_factory=set)

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the schema, None where nobody knows it; RegistryAway until the answer is there."""
        return self._answer(schema_id, f"schema id {schema_id}")

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return the schema, None where nobody knows it; RegistryAway until the answer is there."""
        return self._answer(guid, f"schema GUID {guid.hex()}")

    async def ask(self) -> str:
        """Get the answers that are wanted; return why some did not come, an empty text where all did."""
        away = ""
        for key in sorted(self.wanted, key=repr):
            try:
                schema = await asyncio.to_thread(self._ask, key)
            except RegistryAway as error:
                away = str(error)
                continue
            self.wanted.discard(key)
            if len(self.known) + len(self.unknown) >= ANSWERS_MAX:
                self.known.clear()
                self.unknown.clear()
            if schema is None:
                self.unknown[key] = UNKNOWN_HOLDS
            else:
                self.known[key] = schema
        return away

    def _ask(self, key: int | bytes) -> Schema | None:
        return self.source.by_id(key) if isinstance(key, int) else self.source.by_guid(key)

    def _answer(self, key: int | bytes, name: str) -> Schema | None:
        if (schema := self.known.get(key)) is not None:
            return schema
        left = self.unknown.get(key, 0)
        if left:
            if left == 1:
                del self.unknown[key]
            else:
                self.unknown[key] = left - 1
            return None
        self.wanted.add(key)
        raise RegistryAway(f"{name} is being asked for")
