"""Records as JSON: read strictly, with an error that names the field; written in the order of declaration.

Unknown fields are passed over, so that a sender may be newer than we are. Everything else must fit: a wrong type, a
null where none may be, an integer beyond 64 bits and a missing field are refused, never guessed at.
"""

from __future__ import annotations

import base64
import re
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import msgspec
import orjson

from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.records import BY_NAME, once, with_known_symbols
from schemas.source import Pulse
from schemas.telemetry import Batch, Row

MAX_DEPTH = 32
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
BYTE = re.compile(r"\(byte (\d+)\)")
NOT_A_NUMBER = re.compile(rb"-?(?:nan|inf)", re.IGNORECASE)
MISSING = re.compile(r"Object missing required field `([^`]*)`(?: - at `([^`]*)`)?")
WRONG = re.compile(r"(.*?)(?: - at `([^`]*)`)?", re.DOTALL)


class Hint(msgspec.Struct):
    """What a JSON record says of its own type; whatever is there, it is read without complaint."""

    type: Any = None
    kind: Any = None
    id: Any = None
    intake: Any = None
    cluster: Any = None


class BatchHead(msgspec.Struct):
    """A batch with its rows still as text."""

    cluster: str
    feed: str
    topic: str
    topic_id: str
    lane: int
    offsets: tuple[int, ...]
    at_ms: tuple[int, ...]
    rows: list[msgspec.Raw]


ROWS: tuple[type[Any], ...] = get_args(Row)


def parse(data: bytes, allowed: tuple[type[Any], ...]) -> Any:
    """Return the record that a source sent as JSON; its key `type` tells which where a topic takes several."""
    check_text(data)
    try:
        hint = msgspec.json.decode(data, type=Hint)
    except (msgspec.DecodeError, ValueError) as error:
        raise refused(data, "a record", error) from error
    return from_json(_chosen(hint, allowed), data, checked=True)


def from_json(record: type[Any], data: bytes, *, checked: bool = False) -> Any:
    """Return the record of this type that the JSON text holds."""
    if not checked:
        check_text(data)
    if record is Batch:
        return _batch_of(data)
    try:
        made = msgspec.json.decode(data, type=record)
    except (msgspec.DecodeError, ValueError) as error:
        raise refused(data, record.__name__, error) from error
    check_integers(made, "")
    return with_known_symbols(made)


def to_json(record: Any) -> bytes:
    """Return the record as JSON, fields as declared; bytes as base64. The numbers of a finding must be finite."""
    if isinstance(record, Batch):
        return orjson.dumps(to_dict(record))
    return orjson.dumps(record, default=_base64)


def to_dict(record: Any) -> dict[str, Any]:
    """Return the record as JSON's own values; a row of a batch has its `type` beside its fields."""
    if not isinstance(record, Batch):
        return dict(orjson.loads(to_json(record)))
    whole = {field.name: getattr(record, field.name) for field in fields(record)}
    whole["rows"] = [{"type": type(row).__name__, **to_dict(row)} for row in record.rows]
    return dict(orjson.loads(orjson.dumps(whole)))


def check_text(data: bytes) -> None:
    """Refuse what is not UTF-8 or nests deeper than any record of ours, before a parser sees it."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise CodecError(
            DeadReason.NOT_UTF8, f"neither Avro nor JSON: byte {error.start} is no UTF-8 ({error.reason})"
        ) from error
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in STRING.sub(b"", data).translate(None, NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise CodecError(DeadReason.TOO_DEEP, f"JSON nested more than {MAX_DEPTH} deep; no record of ours is")


def listed(allowed: tuple[type[Any], ...]) -> str:
    """Return the names of record types as a sentence has them."""
    return ", ".join(record.__name__ for record in allowed)


def _chosen(hint: Hint, allowed: tuple[type[Any], ...]) -> type[Any]:
    """Return the type that a record says it is, else the only one that it can be."""
    by_name = {_folded(record.__name__): record for record in allowed}
    if isinstance(hint.type, str):
        if (named := by_name.get(_folded(hint.type))) is not None:
            return named
        if _folded(hint.type) in ALL_NAMES:
            raise CodecError(
                DeadReason.NOT_ALLOWED, f"type {hint.type!r} may not stand here; this topic takes {listed(allowed)}"
            )
    records = tuple(record for record in allowed if record is not Pulse)
    if Pulse in allowed and hint.intake is not None and hint.cluster is None:
        return Pulse
    if len(records) == 1:
        return records[0]
    # `kind` of a tombstone (Removed) says what was removed, and only a tombstone has an `id`.
    if isinstance(hint.kind, str) and hint.id is None and (named := by_name.get(_folded(hint.kind))) is not None:
        return named
    raise CodecError(
        DeadReason.MISSING_FIELD,
        f"type: say which of {listed(allowed)} in the key `type` (it is {hint.type!r})",
    )


def _folded(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()


ALL_NAMES = frozenset(_folded(name) for name in BY_NAME)


def refused(data: bytes, name: str, error: Exception) -> CodecError:
    """Return what was wrong in our words: the reason, the field's path, what was expected."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        place = BYTE.search(text)
        at = int(place[1]) if place else len(data)
        if number := NOT_A_NUMBER.match(data[at:]) or NOT_A_NUMBER.match(data[max(0, at - 1) :]):
            return CodecError(DeadReason.BAD_VALUE, f"{number[0].decode()} near byte {at} is no JSON number")
        return CodecError(DeadReason.NOT_JSON, f"neither Avro nor JSON, or not whole: {text}")
    if missing := MISSING.fullmatch(text):
        path = _path(missing[2], missing[1])
        return CodecError(DeadReason.MISSING_FIELD, f"{name}.{path} is missing")
    wrong = WRONG.fullmatch(text)
    what, where = (wrong[1], wrong[2]) if wrong else (text, None)
    path = _path(where, "")
    place_name = f"{name}.{path}" if path else name
    return CodecError(DeadReason.WRONG_TYPE, f"{place_name}: {what[:1].lower()}{what[1:]}")


def _path(where: str | None, field: str) -> str:
    parts = [part for part in ((where or "$").removeprefix("$").removeprefix("."), field) if part]
    return ".".join(parts)


@once
def _integers(record: type[Any]) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(record).items() if hint in (int, int | None))


@once
def _nested(record: type[Any]) -> tuple[str, ...]:
    return tuple(
        name for name, hint in get_type_hints(record).items() if hint not in (int, int | None, str, str | None)
    )


def check_integers(value: Any, path: str) -> None:
    """Refuse an integer that Avro's long has no room for; JSON itself has no limit."""
    if isinstance(value, bool | float | str | bytes | None):
        return
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise CodecError(DeadReason.BAD_VALUE, f"{path}: {value} does not fit 64 bits")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            check_integers(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_integers(item, f"{path}.{key}")
    else:
        for name in _integers(type(value)) + _nested(type(value)):
            check_integers(getattr(value, name), f"{path or type(value).__name__}.{name}")


def _batch_of(data: bytes) -> Batch:
    """Return the batch that `to_json` wrote: msgspec has no union of dataclasses, so each row is read by its `type`."""
    try:
        head = msgspec.json.decode(data, type=BatchHead)
    except (msgspec.DecodeError, ValueError) as error:
        raise refused(data, "Batch", error) from error
    for name in ("lane", "offsets", "at_ms"):
        check_integers(getattr(head, name), f"Batch.{name}")
    rows = []
    for index, row in enumerate(head.rows):
        try:
            rows.append(parse(bytes(row), ROWS))
        except CodecError as error:
            raise CodecError(error.reason, f"Batch.rows[{index}]: {error.detail}") from error
    return Batch(head.cluster, head.feed, head.topic, head.topic_id, head.lane, head.offsets, head.at_ms, tuple(rows))


def _base64(value: Any) -> str:
    """Return bytes as base64; on anything else this raises, and orjson names the type."""
    return base64.b64encode(value).decode()
