"""The one codec: records to Avro single-object bytes and back, and whatever a source may send to a record.

Theory of operation: a record travels as `C3 01`, the CRC-64-AVRO fingerprint of the schema that wrote it, and the
datum. The fingerprint finds the writer's schema among ours, current or released, and Avro's resolution makes of an
older record one of today's. fastavro reads datums into dicts and msgspec makes dataclasses of them in C, which is twice
as quick as calling their own `__init__` (a frozen one pays `object.__setattr__` for every field).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from io import BytesIO
from operator import attrgetter
from typing import Any, Union, get_args, get_origin, get_type_hints

import fastavro
import msgspec
from fastavro.validation import validate

from schemas import avro_files, framing, json_source
from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.records import BY_NAME, ENUMS, RECORDS, once
from schemas.source import HostReport
from schemas.telemetry import Batch
from schemas.writers import WriterSchemas

MARKER = b"\xc3\x01"
HEADER_BYTES = 10

TOLD_MOST = 8_192
"""VMs of so many servers are kept as the bytes that they were written as, about 1.5 kB each with 20 of them."""
_told: dict[int, tuple[Any, Any, bytes]] = {}
"""Of full reports by the identity of their VMs: these, the versions told with them, and both as bytes."""

UNREADABLE = (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, TypeError, ValueError)
"""What fastavro and msgspec raise on bytes that are not what their schema says (save SchemaResolutionError)."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How records of one type become bytes."""

    header: bytes
    schema: avro_files.Schema
    datum: Callable[[Any], dict[str, Any]]
    choices: tuple[str, ...]
    """Fields that are null or a container: what stands in them chooses among the schemas of `_chosen`."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How datums of one schema become records; `reader` is None where writer and reader are the same."""

    record: type[Any]
    writer: avro_files.Schema
    reader: avro_files.Schema | None


def encode(record: Any) -> bytes:
    """Return the record in Avro's single-object encoding; what its schema has no room for raises."""
    if type(record) is HostReport and record.vms is not None:
        return _encode_full(record)
    return _encode(record)


def _encode_full(report: HostReport) -> bytes:
    """Return a full report; the bytes of VMs that were written before, in the very same tuple, are not made again."""
    out = BytesIO()
    header, schema, names, values = _report_head()
    out.write(header)
    try:
        fastavro.schemaless_writer(out, schema, dict(zip(names, values(report), strict=True)))
    except UNREADABLE:
        return _encode(report)  # which names the field and the value
    head, known = out.getvalue(), _told.get(id(report.vms))
    if known is not None and known[0] is report.vms and known[1] == report.versions:
        return head + known[2]
    data = _encode(report)
    if len(_told) >= TOLD_MOST:
        _told.clear()
    _told[id(report.vms)] = (report.vms, report.versions, data[len(head) :])
    return data


def _encode(record: Any) -> bytes:
    writer = _writer(type(record))
    out = BytesIO()
    out.write(writer.header)
    datum = writer.datum(record)
    schema = writer.schema
    if writer.choices:
        schema = _chosen(type(record).__name__, tuple([datum[name] is not None for name in writer.choices]))
    try:
        fastavro.schemaless_writer(out, schema, datum)
    except UNREADABLE:
        validate(datum, writer.schema)  # names the field and the value
        raise
    return out.getvalue()


def decode(data: bytes) -> Any:
    """Return the record that single-object bytes hold, by a current or a released schema of ours."""
    if data[:2] != MARKER:
        raise CodecError(DeadReason.NOT_AVRO, f"no single-object encoding: the first bytes are {data[:2].hex()}")
    reader = _readers().get(data[2:HEADER_BYTES])
    if reader is None:
        raise CodecError(
            DeadReason.UNKNOWN_SCHEMA,
            f"fingerprint {data[2:HEADER_BYTES].hex()} is of no schema that this version knows; "
            "send a released schema, or frame the record with a schema id",
        )
    return read_datum(data, HEADER_BYTES, reader)


def decode_source(data: bytes, allowed: tuple[type[Any], ...], writers: WriterSchemas | None = None) -> Any:
    """Return the record of a source topic, whatever its form; the first bytes tell which.

    Raises CodecError where the bytes are no record of an allowed type, RegistryAway where that cannot be known yet.
    """
    if not data:
        raise CodecError(DeadReason.EMPTY, "the record has no bytes")
    if data[:2] == MARKER:
        record = decode(data)
    elif data[0] in framing.MAGIC:
        schema, start = framing.writer_of(data, writers)
        record = read_datum(data, start, _foreign_reader(schema, allowed))
    else:
        record = json_source.parse(data, allowed)
    if type(record) not in allowed:
        raise CodecError(
            DeadReason.NOT_ALLOWED,
            f"a {type(record).__name__} may not stand here; this topic takes {json_source.listed(allowed)}",
        )
    return record


def split_report(data: bytes) -> tuple[HostReport, bytes] | None:
    """Return a host report without its versions and VMs, and the bytes of those; None where it must be read whole.

    Servers rarely change: whoever has read these bytes before knows what they say. None is what is no report in the
    current schema, or no record at all: `decode_source` then says what is wrong with it.
    """
    header, head, _, _ = _report_head()
    if data[:HEADER_BYTES] != header:
        return None
    stream = BytesIO(data)
    stream.seek(HEADER_BYTES)
    try:
        return msgspec.convert(fastavro.schemaless_reader(stream, head, None), HostReport), data[stream.tell() :]
    except UNREADABLE:
        return None


@cache
def _report_head() -> tuple[bytes, avro_files.Schema, list[str], Callable[[Any], tuple[Any, ...]]]:
    """Return the header of a host report; schema, names and values of what stands before its versions and VMs."""
    schema = avro_files.read(HostReport.__name__)
    names = [field["name"] for field in schema["fields"]]
    if names[-2:] != ["versions", "vms"]:
        raise ValueError(f"HostReport ends in {names[-2:]}: split_report drops what stands behind its versions and VMs")
    head = avro_files.parsed({**schema, "fields": schema["fields"][:-2]})
    return _writer(HostReport).header, head, names[:-2], attrgetter(*names[:-2])


def read_datum(data: bytes, start: int, reader: Reader) -> Any:
    """Return the record that stands in `data` from `start` to its very end."""
    stream = BytesIO(data)
    stream.seek(start)
    name = reader.record.__name__
    try:
        if reader.record is Batch:
            datum = fastavro.schemaless_reader(stream, reader.writer, reader.reader, return_record_name=True)
        else:
            datum = fastavro.schemaless_reader(stream, reader.writer, reader.reader)
        record = _record_of(reader.record, datum)
    except UnicodeDecodeError as error:
        raise CodecError(DeadReason.NOT_UTF8, f"{name}: a string is not UTF-8: {error}") from error
    except EOFError as error:
        raise CodecError(DeadReason.NOT_AVRO, f"{name}: the datum ends early, at byte {len(data)}") from error
    except (*UNREADABLE, fastavro.read.SchemaResolutionError) as error:
        raise CodecError(DeadReason.NOT_AVRO, f"{name}: near byte {stream.tell()}: {error!r}") from error
    if stream.tell() != len(data):
        raise CodecError(
            DeadReason.NOT_AVRO,
            f"{name}: {len(data) - stream.tell()} bytes stand behind the datum",
        )
    return record


def _record_of(record: type[object], datum: Any) -> Any:
    if record is Batch:
        return Batch(
            datum["cluster"],
            datum["feed"],
            datum["topic"],
            datum["topic_id"],
            datum["lane"],
            tuple(datum["offsets"]),
            tuple(datum["at_ms"]),
            _rows_of(datum["rows"]),
        )
    for field, respell in _respelled(record).items():
        datum[field] = respell[datum[field]]
    return msgspec.convert(datum, record)


def _rows_of(rows: list[tuple[str, dict[str, Any]]]) -> tuple[Any, ...]:
    """Return the rows of a batch; nearly always they are of one type, and then one call makes them all."""
    kinds = {name for name, _ in rows}
    if len(kinds) == 1:
        record = BY_NAME[kinds.pop().rpartition(".")[2]]
        made: tuple[Any, ...] = msgspec.convert([row for _, row in rows], tuple[record, ...])  # type: ignore[valid-type]
        return made
    return tuple([msgspec.convert(row, BY_NAME[name.rpartition(".")[2]]) for name, row in rows])


@once
def _writer(record: type[Any]) -> Writer:
    if record not in RECORDS:
        raise TypeError(f"{record.__name__} is no record that travels; those that do are in schemas/records.py")
    schema = avro_files.read(record.__name__)
    choices = tuple(field["name"] for field in schema["fields"] if _null_or_container(field["type"]))
    return Writer(MARKER + avro_files.fingerprint(schema), avro_files.parsed(schema), datum_maker(record), choices)


@cache
def _chosen(name: str, present: tuple[bool, ...]) -> avro_files.Schema:
    """Return a schema that writes the same bytes without a union: the branch is a number before the value.

    Given `["null", array]`, fastavro validates the whole array to find its branch, which is half the cost of a full
    host report (tests/bench/bench_codec.py).
    """
    there = dict(zip(_writer(BY_NAME[name]).choices, present, strict=True))
    written: list[dict[str, Any]] = []
    for field in avro_files.read(name)["fields"]:
        chosen = there.get(field["name"])
        if chosen is not None:
            written.append({"name": f"{field['name']}_branch", "type": "long", "default": int(chosen)})
        if chosen is not False:
            written.append({"name": field["name"], "type": field["type"][1] if chosen else field["type"]})
    return avro_files.parsed({"type": "record", "name": name, "fields": written})


def _null_or_container(kind: Any) -> bool:
    return isinstance(kind, list) and isinstance(kind[-1], dict) and kind[-1]["type"] in ("array", "map")


@cache
def _readers() -> dict[bytes, Reader]:
    """Return every schema that we can read, by fingerprint; of equal ones the current stands."""
    readers = {}
    for directory in (*avro_files.released_sets(), avro_files.CURRENT):
        for name in avro_files.names(directory):
            schema = avro_files.read(name, directory)
            record = BY_NAME[name]
            current = None if directory == avro_files.CURRENT else _writer(record).schema
            readers[avro_files.fingerprint(schema)] = Reader(record, avro_files.parsed(schema), current)
    return readers


def _foreign_reader(schema: avro_files.Schema, allowed: tuple[type[Any], ...]) -> Reader:
    """Return how a writer's own schema is read as ours: by the record's name, whatever its namespace."""
    name = str(schema.get("name")).rpartition(".")[2]
    for record in allowed:
        if record.__name__ == name:
            return Reader(record, schema, _writer(record).schema)
    raise CodecError(
        DeadReason.NOT_ALLOWED,
        f"the writer's schema is of a record {name}; this topic takes {json_source.listed(allowed)}: name it so",
    )


@once
def _respelled(record: type[Any]) -> dict[str, dict[str, str]]:
    """Return the enum fields whose values Avro cannot spell (`stop-updates`): symbol to value."""
    enums = ENUMS.get(record, {})
    return {
        field: {member.name: member.value for member in enum}
        for field, enum in enums.items()
        if any(member.name != member.value for member in enum)
    }


@once
def datum_maker(record: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """Return what makes of a dataclass the dict that fastavro writes."""
    names = [field.name for field in fields(record)]
    values = attrgetter(*names)
    hints = get_type_hints(record)
    changes = {name: change for name in names if (change := _change_for(hints[name])) is not None}
    for field, respell in _respelled(record).items():
        changes[field] = {value: name for name, value in respell.items()}.__getitem__

    def flat(value: Any) -> dict[str, Any]:
        return dict(zip(names, values(value), strict=True))

    def nested(value: Any) -> dict[str, Any]:
        datum = dict(zip(names, values(value), strict=True))
        for name, change in changes.items():
            datum[name] = change(datum[name])
        return datum

    return nested if changes else flat


def _change_for(hint: Any) -> Callable[[Any], Any] | None:
    """Return how a field's value is changed for fastavro, None where it stands as it is."""
    if is_dataclass(hint):
        return datum_maker(hint)  # type: ignore[arg-type]
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        item = arguments[0]
        if get_origin(item) in (Union, types.UnionType):
            return lambda rows: [(_full_name(type(row)), datum_maker(type(row))(row)) for row in rows]
        change = _change_for(item)
        # A list, since fastavro takes a tuple in a union for a branch with its name.
        return list if change is None else lambda items: [change(item) for item in items]
    if get_origin(hint) in (Union, types.UnionType) and type(None) in arguments:
        inner = _change_for(next(argument for argument in arguments if argument is not type(None)))
        return None if inner is None else lambda value: None if value is None else inner(value)
    return None


@once
def _full_name(record: type[Any]) -> str:
    return f"{avro_files.NAMESPACE}.{record.__name__}"
