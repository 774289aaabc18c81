"""A hundred and more kinds of bad input, each with the reason that its dead letter must give."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from schemas.codec import encode
from schemas.commands import ConfigChanged, Release, StartEvent
from schemas.inventory import Server, Service
from schemas.outputs import DeadReason
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, Pulse, VmReport
from streams.intake.checks import RawRecord
from tests.streams.intake.makers import CLUSTER, T0, VMS, guest, maintenance, report

LANES = 4
HOME = 0
"""CLUSTER's lane of one lane; the wrong-lane kinds name clusters of other lanes of four."""

REPORT: dict[str, Any] = {
    "cluster": CLUSTER,
    "server": "server-1",
    "boot_id": "boot-1",
    "run": "run-1",
    "seq": 1,
    "full_seq": 1,
    "sent_ms": T0,
    "interval_s": 60,
}
EVENT: dict[str, Any] = {
    "event_id": "e-1",
    "cluster": CLUSTER,
    "server": "server-1",
    "vm": "vm-1",
    "incarnation": 1,
    "sent_ms": T0,
    "kind": "START",
}


@dataclass(frozen=True, slots=True)
class Bad:
    """One kind of bad input, and the reason of its dead letter."""

    name: str
    value: bytes | None
    reason: DeadReason
    feed: str = HOST_AGENT
    key: bytes | None = CLUSTER.encode()
    at_ms: int = T0
    create_time: bool = False
    lanes: int = 1

    def raw(self, offset: int) -> RawRecord:
        """Give it as a record of its topic."""
        return RawRecord(offset, self.at_ms, self.key, self.value, self.create_time)


def changed(template: dict[str, Any], **changes: Any) -> bytes:
    """Give the template as JSON with fields changed, or taken away by `...`."""
    whole = template | changes
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def with_text(field: str, text: str) -> bytes:
    """Give the report with a field that holds this text of JSON, sound or not."""
    return changed(REPORT, **{field: "@"}).replace(b'"@"', text.encode())


def kinds() -> Iterator[Bad]:
    """Yield them all."""
    yield from _not_a_record()
    yield from _avro()
    yield from _framed()
    yield from _json()
    yield from _missing()
    yield from _wrong_types()
    yield from _values()
    yield from _times()
    yield from _places()
    yield from _not_here()


def _not_a_record() -> Iterator[Bad]:
    junk = Random(4).randbytes(900_000)
    yield Bad("null", None, DeadReason.EMPTY)
    yield Bad("no bytes", b"", DeadReason.EMPTY)
    yield Bad("900 kB of junk", b"{" + junk[1:], DeadReason.TOO_LARGE)
    yield Bad("900 kB of spaces", b" " * 900_000, DeadReason.TOO_LARGE)
    yield Bad("a sound report, 600 kB of it", changed(REPORT, server="s" * 600_000), DeadReason.TOO_LARGE)
    yield Bad("100 kB of junk", b"\x7f" + junk[:100_000], DeadReason.NOT_UTF8)
    yield Bad("one zero byte", b"\x00", DeadReason.NOT_AVRO)
    yield Bad("one letter", b"x", DeadReason.NOT_JSON)
    yield Bad("a newline", b"\n", DeadReason.NOT_JSON)
    yield Bad("plain text", b"agent started", DeadReason.NOT_JSON)
    yield Bad("XML", b"<report/>", DeadReason.NOT_JSON)
    yield Bad("YAML", b"cluster: a\nserver: s\n", DeadReason.NOT_JSON)
    yield Bad("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", DeadReason.NOT_UTF8)
    yield Bad("UTF-16", '{"cluster": "a"}'.encode("utf-16"), DeadReason.NOT_UTF8)
    yield Bad("Latin-1", changed(REPORT).replace(b"server-1", "Zürich".encode("latin-1")), DeadReason.NOT_UTF8)
    yield Bad("a byte order mark", b"\xef\xbb\xbf" + changed(REPORT), DeadReason.NOT_JSON)
    yield Bad("an overlong slash", changed(REPORT).replace(b"server-1", b"\xc0\xaf"), DeadReason.NOT_UTF8)
    yield Bad("half a surrogate in UTF-8", changed(REPORT).replace(b"server-1", b"\xed\xa0\x80"), DeadReason.NOT_UTF8)


def _avro() -> Iterator[Bad]:
    whole = encode(report(vms=VMS, versions={"ha": "1"}))
    for share in (2, 9, 10, 11, len(whole) // 2, len(whole) - 1):
        reason = DeadReason.UNKNOWN_SCHEMA if share < 10 else DeadReason.NOT_AVRO
        yield Bad(f"Avro cut at {share}", whole[:share], reason)
    yield Bad("Avro with bytes behind it", whole + b"\x00", DeadReason.NOT_AVRO)
    yield Bad("Avro twice", whole * 2, DeadReason.NOT_AVRO)
    yield Bad("Avro of an unknown fingerprint", whole[:2] + b"\xff" * 8 + whole[10:], DeadReason.UNKNOWN_SCHEMA)
    yield Bad("Avro under another record's fingerprint", encode(guest())[:10] + b"\x02", DeadReason.NOT_AVRO)
    yield Bad("Avro with a string of 2^40 bytes", whole[:10] + b"\x80\x80\x80\x80\x80\x40", DeadReason.NOT_AVRO)
    yield Bad("Avro with a string of negative length", whole[:10] + b"\x03abc", DeadReason.NOT_AVRO)
    yield Bad("Avro with an endless number", whole[:10] + b"\xff" * 30, DeadReason.NOT_AVRO)
    broken = whole.replace(b"server-1", b"server-\xff")
    yield Bad("Avro with a string that is no UTF-8", broken, DeadReason.NOT_UTF8)
    beat = encode(report())
    yield Bad("Avro with a union branch that is not there", beat[:-1] + b"\x08", DeadReason.NOT_AVRO)


def _framed() -> Iterator[Bad]:
    yield Bad("a frame cut in its id", b"\x00\x00\x00", DeadReason.NOT_AVRO)
    yield Bad("a frame of an unknown id", b"\x00" + struct.pack(">I", 77) + b"abc", DeadReason.UNKNOWN_SCHEMA)
    yield Bad("a frame of the greatest id", b"\x00\xff\xff\xff\xff", DeadReason.UNKNOWN_SCHEMA)
    yield Bad("a frame cut in its GUID", b"\x01" + b"g" * 10, DeadReason.NOT_AVRO)
    yield Bad("a frame of an unknown GUID", b"\x01" + b"g" * 16 + b"abc", DeadReason.UNKNOWN_SCHEMA)


def _json() -> Iterator[Bad]:
    whole = changed(REPORT)
    yield Bad("JSON cut in the middle", whole[: len(whole) // 2], DeadReason.NOT_JSON)
    yield Bad("JSON without its end", whole[:-1], DeadReason.NOT_JSON)
    yield Bad("JSON with text behind it", whole + b"}", DeadReason.NOT_JSON)
    yield Bad("two JSON records", whole + b"\n" + whole, DeadReason.NOT_JSON)
    yield Bad("JSON with single quotes", whole.replace(b'"', b"'"), DeadReason.NOT_JSON)
    yield Bad("JSON with a comment", whole[:-1] + b"/* */}", DeadReason.NOT_JSON)
    yield Bad("JSON with a comma at its end", whole[:-1] + b",}", DeadReason.NOT_JSON)
    yield Bad("JSON with a raw newline in a string", whole.replace(b"server-1", b"ser\nver"), DeadReason.NOT_JSON)
    yield Bad("JSON with an unknown escape", whole.replace(b"server-1", b"\\x41"), DeadReason.NOT_JSON)
    yield Bad("JSON in JSON", orjson.dumps(whole.decode()), DeadReason.WRONG_TYPE)
    yield Bad("a JSON array", b"[" + whole + b"]", DeadReason.WRONG_TYPE)
    yield Bad("a JSON number", b"42", DeadReason.WRONG_TYPE)
    yield Bad("JSON null", b"null", DeadReason.WRONG_TYPE)
    yield Bad("JSON true", b"true", DeadReason.WRONG_TYPE)
    yield Bad("arrays a hundred thousand deep", b"[" * 100_000, DeadReason.TOO_DEEP)
    yield Bad("objects a hundred thousand deep", b'{"a":' * 80_000, DeadReason.TOO_DEEP)
    deep = with_text("extra", "[" * 40 + "]" * 40)
    yield Bad("a deep field that nobody knows", deep, DeadReason.TOO_DEEP)
    yield Bad("NaN", with_text("seq", "NaN"), DeadReason.BAD_VALUE)
    yield Bad("Infinity", with_text("seq", "Infinity"), DeadReason.BAD_VALUE)
    yield Bad("minus Infinity", with_text("seq", "-Infinity"), DeadReason.BAD_VALUE)
    yield Bad("a number with a leading zero", with_text("seq", "007"), DeadReason.NOT_JSON)
    yield Bad("a hexadecimal number", with_text("seq", "0x10"), DeadReason.NOT_JSON)


def _missing() -> Iterator[Bad]:
    yield Bad("an empty JSON object", b"{}", DeadReason.MISSING_FIELD)
    for field in REPORT:
        yield Bad(f"no {field}", changed(REPORT, **{field: ...}), DeadReason.MISSING_FIELD)
    for field in ("cluster", "server", "boot_id", "run"):
        yield Bad(f"an empty {field}", changed(REPORT, **{field: ""}), DeadReason.MISSING_FIELD)
    for field in ("event_id", "kind"):
        yield Bad(f"an event without {field}", changed(EVENT, **{field: ...}), DeadReason.MISSING_FIELD, GUEST_AGENT)
    lacking = encode(maintenance(server=None))
    yield Bad("a server state of no server", lacking, DeadReason.MISSING_FIELD, MAINTENANCE)
    started = encode(maintenance(kind="ROLLOUT_STARTED"))
    yield Bad("a rollout without a name", started, DeadReason.MISSING_FIELD, MAINTENANCE)
    release = b'{"command_id": "c", "cluster": "cluster-a"}'
    yield Bad("a command that says not which", release, DeadReason.MISSING_FIELD, "operator")
    yield Bad("a release by nobody", encode(Release("c", CLUSTER, "t", "", "r")), DeadReason.MISSING_FIELD, "operator")


def _wrong_types() -> Iterator[Bad]:
    for name, field, value in (
        ("a number for a name", "server", 7),
        ("null for a name", "server", None),
        ("a list for a name", "cluster", ["cluster-a"]),
        ("text for a number", "seq", "1"),
        ("a fraction for a count", "seq", 1.5),
        ("true for a count", "seq", True),
        ("text for a time", "sent_ms", "2012-02-29T00:00:00Z"),
        ("null for a time", "sent_ms", None),
        ("an object for VMs", "vms", {"vm-1": "READY"}),
        ("names for VMs", "vms", ["vm-1"]),
        ("a list for versions", "versions", ["ha"]),
        ("a number for a version", "versions", {"ha": 1}),
    ):
        yield Bad(name, changed(REPORT, **{field: value}), DeadReason.WRONG_TYPE)
    yield Bad(
        "a VM without an incarnation", changed(REPORT, vms=[{"vm": "v", "ga": "READY"}]), DeadReason.MISSING_FIELD
    )


def _values() -> Iterator[Bad]:
    yield Bad("an integer of 65 bits", changed(REPORT, seq=2**64), DeadReason.BAD_VALUE)
    yield Bad("an integer of 400 digits", with_text("seq", "9" * 400), DeadReason.BAD_VALUE)
    yield Bad("a negative seq", changed(REPORT, seq=-1, full_seq=-1), DeadReason.BAD_VALUE)
    yield Bad("a full report of the future", changed(REPORT, seq=1, full_seq=2), DeadReason.BAD_VALUE)
    yield Bad("a seq beyond any agent", encode(report(2**62)), DeadReason.BAD_VALUE)
    yield Bad("no interval", changed(REPORT, interval_s=0), DeadReason.BAD_VALUE)
    yield Bad("an interval of two days", changed(REPORT, interval_s=172_800), DeadReason.BAD_VALUE)
    yield Bad("an interval in milliseconds", encode(report(interval_s=60_000_000)), DeadReason.BAD_VALUE)
    yield Bad("a name of 257 characters", changed(REPORT, server="s" * 257), DeadReason.BAD_VALUE)
    yield Bad("a name with a zero byte", changed(REPORT, server="a\x00"), DeadReason.BAD_VALUE)
    yield Bad("a name with an escape sequence", encode(report(run="\x1b[2J")), DeadReason.BAD_VALUE)
    yield Bad("a name written from right to left", encode(report(run="a\u202eb")), DeadReason.BAD_VALUE)
    many = tuple(VmReport(f"vm-{number}", 1, "READY") for number in range(1_001))
    yield Bad("a thousand and one VMs", encode(report(vms=many)), DeadReason.BAD_VALUE)
    yield Bad("a VM twice", encode(report(vms=(VMS[0], VMS[0]))), DeadReason.BAD_VALUE)
    versions = {f"part-{number}": "1" for number in range(65)}
    yield Bad("versions of 65 components", encode(report(versions=versions)), DeadReason.BAD_VALUE)
    yield Bad("a message of 20 kB", encode(guest(message="m" * 20_000)), DeadReason.BAD_VALUE, GUEST_AGENT)
    yield Bad("a negative incarnation", changed(EVENT, incarnation=-1), DeadReason.BAD_VALUE, GUEST_AGENT)
    yield Bad("a negative domain", encode(maintenance(update_domain=-3)), DeadReason.BAD_VALUE, MAINTENANCE)


def _times() -> Iterator[Bad]:
    for name, sent_ms in (
        ("1970", 0),
        ("before 1970", -1),
        ("1999", 946_684_799_999),
        ("2100", 4_102_444_800_000),
        ("9999", 253_370_764_800_000),
        ("seconds", T0 // 1_000),
        ("microseconds", T0 * 1_000),
        ("nanoseconds", T0 * 1_000_000),
        ("the end of 64 bits", 2**63 - 1),
    ):
        yield Bad(f"sent in {name}", encode(report(sent_ms=sent_ms)), DeadReason.BAD_TIME)
    yield Bad("a VM since 1970", encode(report(vms=(VmReport("v", 1, "READY", since_ms=1),))), DeadReason.BAD_TIME)
    wave = encode(maintenance(kind="WAVE_ANNOUNCED", wave="w", scheduled_start_ms=5))
    yield Bad("a wave in 1970", wave, DeadReason.BAD_TIME, MAINTENANCE)
    sound = encode(report())
    yield Bad("stamped in 1970", sound, DeadReason.BAD_TIME, at_ms=0)
    yield Bad("not stamped", sound, DeadReason.BAD_TIME, at_ms=-1)
    yield Bad("stamped in seconds", sound, DeadReason.BAD_TIME, at_ms=T0 // 1_000)
    yield Bad("stamped in 9999", sound, DeadReason.BAD_TIME, at_ms=253_370_764_800_000)
    ahead = T0 + 60_001
    yield Bad("stamped a minute ahead", sound, DeadReason.FUTURE_STAMP, at_ms=ahead, create_time=True)
    far = T0 + 3_600_000
    yield Bad("stamped an hour ahead", sound, DeadReason.FUTURE_STAMP, at_ms=far, create_time=True)


def _places() -> Iterator[Bad]:
    sound = encode(report())
    yield Bad("no key", sound, DeadReason.WRONG_KEY, key=None)
    yield Bad("an empty key", sound, DeadReason.WRONG_KEY, key=b"")
    yield Bad("the server for a key", sound, DeadReason.WRONG_KEY, key=b"server-1")
    yield Bad("a key in quotes", sound, DeadReason.WRONG_KEY, key=b'"cluster-a"')
    yield Bad("a key of bytes", sound, DeadReason.WRONG_KEY, key=b"\xff\x00")
    yield Bad("a key of a megabyte", sound, DeadReason.WRONG_KEY, key=b"k" * 1_000_000)
    for name in ("cluster-c", "cluster-d", "north-7"):
        wrong = encode(report(cluster=name))
        yield Bad(f"{name} in another's lane", wrong, DeadReason.WRONG_LANE, key=name.encode(), lanes=LANES)
    yield Bad("a report of every cluster", encode(report(cluster="*")), DeadReason.BAD_VALUE, key=b"*")
    asked = encode(StartEvent("r", "*", "vm", "e"))
    yield Bad("a request to every cluster", asked, DeadReason.BAD_VALUE, "requests", key=b"*")
    server = encode(Server(CLUSTER, "s-1"))
    yield Bad("inventory keyed by cluster", server, DeadReason.WRONG_KEY, "inventory")
    yield Bad("inventory under another's id", server, DeadReason.WRONG_KEY, "inventory", key=b"server:s-2")
    yield Bad(
        "a service keyed as a server", encode(Service("web")), DeadReason.WRONG_KEY, "inventory", key=b"server:web"
    )
    yield Bad("a tombstone of nothing", None, DeadReason.WRONG_KEY, "inventory", key=b"planet:earth")
    yield Bad("a tombstone without a key", None, DeadReason.WRONG_KEY, "inventory", key=None)


def _not_here() -> Iterator[Bad]:
    yield Bad("a guest event among host reports", encode(guest()), DeadReason.NOT_ALLOWED)
    yield Bad("a host report among guest events", encode(report()), DeadReason.NOT_ALLOWED, GUEST_AGENT)
    yield Bad("a report as maintenance", encode(report()), DeadReason.NOT_ALLOWED, MAINTENANCE)
    change = encode(ConfigChanged("c", "*", "", "d", "eve"))
    yield Bad("a configuration by a tenant", change, DeadReason.NOT_ALLOWED, "requests", key=b"*")
    yield Bad("a configuration by an agent", change, DeadReason.NOT_ALLOWED, key=b"*")
    release = encode(Release("c", CLUSTER, "t", "eve", "r"))
    yield Bad("a release by a tenant", release, DeadReason.NOT_ALLOWED, "requests")
    yield Bad("a release as inventory", release, DeadReason.NOT_ALLOWED, "inventory")
    yield Bad("a pulse among commands", encode(Pulse("i", 1)), DeadReason.NOT_ALLOWED, "operator")
    named = changed(REPORT, type="ConfigChanged")
    yield Bad("JSON that says it is a configuration", named, DeadReason.NOT_ALLOWED)
