"""Schemas that are asked for while a record waits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas.avro_files import Schema
from schemas.errors import RegistryAway
from streams.config.model import Config, Schemas
from streams.intake import writers_asked
from streams.intake.writers_asked import UNKNOWN_HOLDS, AskedSchemas, writers_of

SCHEMA = {"type": "record", "name": "HostReport", "fields": []}
GUID = b"g" * 16


@dataclass
class Source:
    """A registry of one schema, away when told."""

    away: bool = False
    asked: list[int | bytes] = field(default_factory=list)

    def by_id(self, schema_id: int) -> Schema | None:
        return self._answer(schema_id, 7)

    def by_guid(self, guid: bytes) -> Schema | None:
        return self._answer(guid, GUID)

    def _answer(self, key: int | bytes, known: int | bytes) -> Schema | None:
        self.asked.append(key)
        if self.away:
            raise RegistryAway("no answer")
        return SCHEMA if key == known else None


async def test_the_first_record_waits_and_the_next_ones_do_not() -> None:
    """One question a schema, by id and by GUID."""
    source = Source()
    schemas = AskedSchemas(source)
    with pytest.raises(RegistryAway):
        schemas.by_id(7)
    with pytest.raises(RegistryAway):
        schemas.by_guid(GUID)

    assert "" == await schemas.ask()
    assert (SCHEMA, SCHEMA, {7, GUID}) == (schemas.by_id(7), schemas.by_guid(GUID), {*source.asked})
    assert "" == await schemas.ask()
    assert 2 == len(source.asked)


async def test_while_the_registry_is_away_the_question_stands() -> None:
    """It says why, and gets its answer later."""
    source = Source(away=True)
    schemas = AskedSchemas(source)
    with pytest.raises(RegistryAway):
        schemas.by_id(7)

    assert "no answer" == await schemas.ask()
    with pytest.raises(RegistryAway):
        schemas.by_id(7)
    source.away = False
    assert "" == await schemas.ask()
    assert SCHEMA == schemas.by_id(7)


async def test_a_schema_that_nobody_knows_is_asked_for_again_later() -> None:
    """A hundred records are told so first: a flood of bad ones is no flood of questions."""
    schemas = AskedSchemas(Source())
    with pytest.raises(RegistryAway):
        schemas.by_id(8)
    await schemas.ask()

    assert [None] * UNKNOWN_HOLDS == [schemas.by_id(8) for _ in range(UNKNOWN_HOLDS)]
    with pytest.raises(RegistryAway):
        schemas.by_id(8)


async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that somebody makes up do not fill the memory."""
    monkeypatch.setattr(writers_asked, "ANSWERS_MAX", 5)
    schemas = AskedSchemas(Source())
    for number in range(100, 130):
        with pytest.raises(RegistryAway):
            schemas.by_id(number)
        await schemas.ask()

    assert len(schemas.known) + len(schemas.unknown) <= 5


async def test_the_configuration_says_where_schemas_are(tmp_path: Path) -> None:
    """Files by id first, then a registry; none where neither is configured."""
    path = tmp_path / "host.avsc"
    path.write_text('{"type": "record", "name": "HostReport", "fields": []}')
    config = Config(schemas=Schemas(files={"7": path}, registry="http://127.0.0.1:9", registry_timeout_s=0.1))
    schemas = writers_of(config)
    assert schemas is not None
    with pytest.raises(RegistryAway):
        schemas.by_id(7)
    with pytest.raises(RegistryAway):
        schemas.by_guid(GUID)

    assert "127.0.0.1:9" in await schemas.ask()
    assert SCHEMA == schemas.by_id(7)
    assert None is writers_of(Config())
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"host\.avsc: an Avro record"):
        writers_of(dataclasses.replace(config))
    with pytest.raises(ValueError, match="absent"):
        writers_of(Config(schemas=Schemas(files={"7": tmp_path / "absent.avsc"})))
