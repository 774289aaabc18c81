"""The .avsc files agree with the dataclasses, and what is released can always be read."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas import avro_files
from schemas.records import BY_NAME, ENUMS, RECORDS

DURATIONS = {"gap_ms"}
"""Milliseconds that are a length of time, not a time."""


def declared(record: type[Any], name: str, hint: Any) -> Any:
    """Return the Avro type that a field of a dataclass must have; a record or an enum by its name."""
    enum = ENUMS.get(record, {}).get(name)
    arguments = get_args(hint)
    if enum is not None:
        return enum.__name__
    if hint in (str, bool, float, bytes):
        return {str: "string", bool: "boolean", float: "double", bytes: "bytes"}[hint]
    if hint is int:
        time = name.endswith("_ms") and name not in DURATIONS
        return {"type": "long", "logicalType": "timestamp-millis"} if time else "long"
    if dataclasses.is_dataclass(hint):
        return hint.__name__  # type: ignore[union-attr]
    if get_origin(hint) is tuple:
        return {"type": "array", "items": declared(record, name, arguments[0])}
    if get_origin(hint) is dict:
        return {"type": "map", "values": declared(record, name, arguments[1])}
    if type(None) in arguments:
        return ["null", *(declared(record, name, branch) for branch in arguments if branch is not type(None))]
    return [branch.__name__ for branch in arguments]


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return the default that the Avro field must have, as JSON has it."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if isinstance(field.default, StrEnum):
        return field.default.name
    return [] if field.default == () else field.default


def by_name(node: Any, found: dict[str, Any]) -> Any:
    """Return a type with its named types as names; their definitions are put into `found`."""
    if isinstance(node, list):
        return [by_name(branch, found) for branch in node]
    if isinstance(node, str):
        return node
    if node["type"] in avro_files.NAMED:
        found[node["name"]] = node
        for field in node.get("fields", ()):
            field["type"] = by_name(field["type"], found)
        return node["name"]
    return {key: by_name(value, found) if key in ("items", "values") else value for key, value in node.items()}


def definitions(name: str) -> dict[str, Any]:
    """Return every named type of a schema, by name."""
    found: dict[str, Any] = {}
    by_name(avro_files.read(name), found)
    return found


def nested_records(record: type[Any]) -> dict[str, type[Any]]:
    """Return the dataclass itself and those inside it, by name."""
    found = {record.__name__: record}
    waiting = list(get_type_hints(record).values())
    while waiting:
        hint = waiting.pop()
        if dataclasses.is_dataclass(hint):
            found.update(nested_records(hint))  # type: ignore[arg-type]
        waiting.extend(get_args(hint))
    return found


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_dataclass_and_avsc_agree_field_for_field(name: str) -> None:
    """Add a field in both, with the same default: `schemas/avsc/NAME.avsc` and the dataclass."""
    schemas = definitions(name)
    for record_name, record in nested_records(BY_NAME[name]).items():
        hints = get_type_hints(record)
        expected = []
        for field in dataclasses.fields(record):
            expected.append({"name": field.name, "type": declared(record, field.name, hints[field.name])})
            if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
                expected[-1]["default"] = default_of(field)
        actual = [
            {key: value for key, value in field.items() if key != "doc"} for field in schemas[record_name]["fields"]
        ]

        assert expected == actual


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_enum_has_the_symbols_of_its_class_and_the_default_unknown(name: str) -> None:
    enums = {enum.__name__: enum for fields in ENUMS.values() for enum in fields.values()}
    for schema in definitions(name).values():
        if schema["type"] == "enum":
            assert [member.name for member in enums[schema["name"]]] == schema["symbols"]
            assert "UNKNOWN" == schema["default"] == schema["symbols"][0]


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_record_and_enum_is_documented_and_of_our_namespace(name: str) -> None:
    assert "leapwatch" == avro_files.read(name)["namespace"]
    assert all(schema["doc"] for schema in definitions(name).values())


def test_each_record_has_its_file_and_each_file_its_record() -> None:
    assert tuple(sorted(record.__name__ for record in RECORDS)) == avro_files.names()


def test_every_released_record_is_still_there() -> None:
    assert all(set(avro_files.names(directory)) <= set(avro_files.names()) for directory in avro_files.released_sets())
    assert "released/1" == avro_files.released_sets()[0]


def judged(reader: dict[str, Any], writer: dict[str, Any]) -> list[str]:
    """Return what Apache's avro has against reading the writer's records by the reader's schema."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(
        avro.schema.parse(json.dumps(reader)), avro.schema.parse(json.dumps(writer))
    )
    return [] if result.compatibility is SchemaCompatibilityType.compatible else list(result.messages)


RELEASED = [(directory, name) for directory in avro_files.released_sets() for name in avro_files.names(directory)]


@pytest.mark.parametrize(("directory", "name"), RELEASED)
def test_today_reads_what_any_release_wrote(directory: str, name: str) -> None:
    assert [] == judged(avro_files.read(name), avro_files.read(name, directory))


LAST = [(directory, name) for directory, name in RELEASED if directory == avro_files.released_sets()[-1]]


@pytest.mark.parametrize(("directory", "name"), LAST)
def test_the_last_release_reads_what_today_writes(directory: str, name: str) -> None:
    """A rolling upgrade has both at once. A record new in a union (a new row of Batch) would have to break this."""
    assert [] == judged(avro_files.read(name, directory), avro_files.read(name))


def test_the_judge_would_see_a_field_without_default() -> None:
    current = avro_files.read("Pulse")
    current["fields"].append({"name": "colour", "type": "string"})

    assert judged(current, avro_files.read("Pulse"))


def test_the_fingerprint_is_of_the_specification() -> None:
    """Avro's specification: the CRC-64-AVRO of `null` is 63dd24e7cc258f8a; single-object bytes are little-endian."""
    assert "8a8f25cce724dd63" == avro_files.fingerprint("null").hex()  # type: ignore[arg-type]


def test_logical_types_of_primitives_vanish_and_others_keep_their_shape() -> None:
    schema = {"type": "array", "logicalType": "list", "items": {"type": "long", "logicalType": "timestamp-millis"}}

    assert {"type": "array", "items": "long"} == avro_files.without_logical_types(schema)
    assert ["null", {"type": "fixed", "size": 2}] == avro_files.without_logical_types(
        ["null", {"type": "fixed", "size": 2, "logicalType": "decimal"}]
    )


def test_a_name_is_defined_at_its_first_mention_only() -> None:
    enum = {"type": "enum", "name": "Colour", "symbols": ["UNKNOWN"]}
    record = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": enum},
            {"name": "b", "type": enum},
            {"name": "c", "type": {"type": "map", "values": "Pulse"}},
        ],
    }
    fields = avro_files.inlined(record, "avsc", set())["fields"]

    assert [enum, "Colour"] == [fields[0]["type"], fields[1]["type"]]
    assert "Pulse" == fields[2]["type"]["values"]["name"]
