"""Confluent's frames: the schema is found by id or GUID, and one that could run for ever is refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import framing
from schemas.errors import CodecError
from schemas.framing import least_bytes, writer_of
from schemas.outputs import DeadReason

PULSE = {"type": "record", "name": "Pulse", "fields": [{"name": "intake", "type": "string"}]}


class Table:
    """Schemas by id, and by GUID under -1."""

    def __init__(self, schemas: dict[int, Any]) -> None:
        self.schemas = schemas

    def by_id(self, schema_id: int) -> Any:
        return self.schemas.get(schema_id)

    def by_guid(self, guid: bytes) -> Any:
        return self.schemas.get(-1) if guid == b"\x07" * 16 else None


def record_of(kind: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Pulse", "fields": [{"name": "x", "type": kind}]}


def refused(data: bytes, writers: Table | None) -> tuple[DeadReason, str]:
    with pytest.raises(CodecError) as caught:
        writer_of(data, writers)
    return caught.value.reason, caught.value.detail


def test_a_frame_with_an_id_begins_its_datum_at_byte_five() -> None:
    schema, start = writer_of(b"\x00\x00\x00\x01\x02rest", Table({258: PULSE}))

    assert ("Pulse", 5) == (schema["name"], start)


def test_a_frame_with_a_guid_begins_its_datum_at_byte_seventeen() -> None:
    schema, start = writer_of(b"\x01" + b"\x07" * 16, Table({-1: PULSE}))

    assert ("Pulse", 17) == (schema["name"], start)


def test_a_schema_that_nobody_knows_is_named() -> None:
    assert (DeadReason.UNKNOWN_SCHEMA, "schema id 9 is in neither the file map nor a registry") == (
        refused(b"\x00\x00\x00\x00\x09", None)[0],
        refused(b"\x00\x00\x00\x00\x09", Table({}))[1].partition(";")[0],
    )
    assert "schema GUID 0808" in refused(b"\x01" + b"\x08" * 16, Table({}))[1]


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x00\x00\x00", b"\x01" + b"g" * 15])
def test_a_frame_that_ends_in_its_head_is_not_avro(data: bytes) -> None:
    assert DeadReason.NOT_AVRO == refused(data, Table({}))[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "Pulse", "fields": [{"name": "x", "type": "Nowhere"}]},
        {"type": "array"},
        {"nothing": 1},
        record_of(["null", "Pulse"]),
        record_of({"type": "array", "items": "null"}),
        record_of({"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}),
        record_of({"type": "map", "values": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}}),
    ],
    ids=str,
)
def test_a_schema_that_cannot_be_read_safely_is_refused(schema: dict[str, Any]) -> None:
    reason, detail = refused(b"\x00\x00\x00\x00\x07", Table({7: schema}))

    assert DeadReason.UNKNOWN_SCHEMA == reason
    assert "schema id 7 is no schema that can be read" in detail


def test_a_record_inside_itself_is_named() -> None:
    """Nested deep enough, its bytes would end the process by its stack."""
    assert (
        "the record Pulse holds itself" in refused(b"\x00\x00\x00\x00\x07", Table({7: record_of(["null", "Pulse"])}))[1]
    )


def test_least_bytes_adds_up() -> None:
    fields: list[Any] = [
        "null",
        "string",
        "double",
        "float",
        {"type": "enum", "name": "E", "symbols": ["A"]},
        "E",
        {"type": "fixed", "name": "F", "size": 3},
        "F",
        {"type": "map", "values": "long"},
        {"type": "array", "items": "int"},
        ["null", "double"],
        [],
        {"type": "long"},
    ]
    record = {
        "type": "record",
        "name": "R",
        "fields": [{"name": f"f{n}", "type": kind} for n, kind in enumerate(fields)],
    }

    assert 0 + 1 + 8 + 4 + 1 + 1 + 3 + 3 + 1 + 1 + 1 + 1 + 1 == least_bytes(record, {})


def test_a_schema_is_made_ready_once_and_two_places_may_share_an_id() -> None:
    frame = b"\x00\x00\x00\x00\x07"
    one, other = Table({7: PULSE}), Table({7: record_of("long")})

    assert writer_of(frame, one)[0] is writer_of(frame, one)[0]
    assert "x" == writer_of(frame, other)[0]["fields"][0]["name"]


def test_what_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "READY_LIMIT", 2)
    monkeypatch.setattr(framing, "_READY", {})
    table = Table(dict.fromkeys(range(5), PULSE))
    for number in range(5):
        writer_of(b"\x00\x00\x00\x00" + bytes([number]), table)

    assert 1 == len(framing._READY)
