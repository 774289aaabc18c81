"""Source records as JSON lines: `{"feed": "host-agent", "at_ms": 1330476300000, "record": {"type": "HostReport"}}`.

`lane` stands beside them on a pulse, which is of one lane. Errors name what is wrong; the file and the number of the
line are for the caller to say.
"""

from __future__ import annotations

import msgspec
import orjson

from schemas import json_source
from schemas.errors import CodecError
from schemas.history import SourceRecord
from schemas.outputs import DeadReason
from schemas.records import FEEDS


class Line(msgspec.Struct):
    """One line with its record still as text."""

    feed: str
    at_ms: int
    record: msgspec.Raw
    lane: int | None = None


def source_to_line(source: SourceRecord) -> bytes:
    """Return the record as one line, without its end."""
    whole = {
        "feed": source.feed,
        "at_ms": source.at_ms,
        "record": {"type": type(source.record).__name__, **json_source.to_dict(source.record)},
    }
    if source.lane is not None:
        whole["lane"] = source.lane
    return orjson.dumps(whole)


def source_from_line(line: bytes) -> SourceRecord:
    """Return the record that one line holds; a CodecError says what of it is wrong."""
    json_source.check_text(line)
    try:
        whole = msgspec.json.decode(line, type=Line)
    except (msgspec.DecodeError, ValueError) as error:
        raise json_source.refused(line, "line", error) from error
    json_source.check_integers(whole.at_ms, "line.at_ms")
    json_source.check_integers(whole.lane, "line.lane")
    allowed = FEEDS.get(whole.feed)
    if allowed is None:
        raise CodecError(DeadReason.BAD_VALUE, f"line.feed: {whole.feed!r} is none of {', '.join(FEEDS)}")
    return SourceRecord(whole.feed, whole.at_ms, json_source.parse(bytes(whole.record), allowed), whole.lane)
