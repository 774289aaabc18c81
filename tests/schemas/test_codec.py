"""The codec: a record comes back as it went, Apache's avro agrees, and bad bytes raise one kind of error."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import avro_files, codec
from schemas.codec import decode, decode_source, encode, split_report
from schemas.errors import CodecError, RegistryAway
from schemas.inventory import Server
from schemas.json_source import to_json
from schemas.outputs import Action, DeadReason, Decision
from schemas.records import FEEDS, RECORDS, once
from schemas.source import GuestEvent, HostReport, Pulse, VmReport
from schemas.telemetry import Batch, HostRow
from tests.schemas.generated import ANY_RECORD, of_record

BEAT = HostReport("c-1", "s-1", "boot-1", "run-1", 7, 5, 1_330_476_300_000, 60)
EVENT = GuestEvent("e-1", "c-1", "s-1", "v-1", 1, 1_330_476_300_000, "START_FAILED", step="transfer-certificate")
BATCH = Batch("c-1", "host-agent", "host-agent", "id", 3, (1, 2), (3, 4), (HostRow("s", "b", "r", 1, 1, 2, 60), EVENT))
ALLOWED = FEEDS["host-agent"]


def reason_of(data: bytes, allowed: tuple[type[Any], ...] = ALLOWED) -> DeadReason:
    with pytest.raises(CodecError) as caught:
        decode_source(data, allowed)
    return caught.value.reason


@once
def avro_schema(record: type[Any]) -> Any:
    return avro.schema.parse(json.dumps(avro_files.without_logical_types(avro_files.read(record.__name__))))


@given(ANY_RECORD)
def test_a_record_comes_back_as_it_went(record: Any) -> None:
    back = decode(encode(record))

    assert record == back
    assert type(record) is type(back)


@pytest.mark.parametrize(
    "record", [record for record in RECORDS if record is not Batch], ids=lambda record: record.__name__
)
@settings(max_examples=20)
@given(data=st.data())
def test_apaches_avro_reads_and_writes_the_same_bytes(record: type[Any], data: st.DataObject) -> None:
    value = data.draw(of_record(record))
    ours = encode(value)
    datum = codec.datum_maker(record)(value)
    written = io.BytesIO()
    avro.io.DatumWriter(avro_schema(record)).write(datum, avro.io.BinaryEncoder(written))
    read = avro.io.DatumReader(avro_schema(record)).read(avro.io.BinaryDecoder(io.BytesIO(ours[10:])))

    assert ours[10:] == written.getvalue()
    assert datum == read


@given(of_record(HostReport), of_record(HostReport))
def test_a_report_splits_into_what_changes_and_what_it_says_of_versions_and_vms(
    one: HostReport, other: HostReport
) -> None:
    split = split_report(encode(one))
    alike = split_report(encode(replace(other, versions=one.versions, vms=one.vms)))
    assert split is not None
    assert alike is not None

    assert replace(one, versions=None, vms=None) == split[0]
    assert encode(one).endswith(split[1])
    assert split[1] == alike[1]


@given(of_record(HostReport), of_record(HostReport), st.booleans())
def test_vms_written_before_are_the_same_bytes(one: HostReport, other: HostReport, alike: bool) -> None:
    """By their identity: the very same tuple, told with the same versions or with others."""
    again = replace(other, vms=one.vms, versions=one.versions if alike else other.versions)
    encode(one)

    assert codec._encode(again) == encode(again)


@pytest.mark.parametrize("data", [b"", b"{}", encode(EVENT), encode(BEAT)[:30], encode(BEAT)[:10] + b"\xff" * 40])
def test_what_is_no_report_is_left_to_be_read_whole(data: bytes) -> None:
    assert split_report(data) is None


@given(of_record(Batch))
def test_apaches_avro_reads_a_batch_the_same(batch: Batch) -> None:
    """Avro writes a union by the first branch that fits, so that only its reading can be compared."""
    read = avro.io.DatumReader(avro_schema(Batch)).read(avro.io.BinaryDecoder(io.BytesIO(encode(batch)[10:])))
    rows = [codec.datum_maker(type(row))(row) for row in batch.rows]

    assert rows == read["rows"]
    assert list(batch.offsets) == read["offsets"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_the_header_is_the_fingerprint_that_apaches_avro_finds(record: type[Any]) -> None:
    header = codec._writer(record).header

    assert b"\xc3\x01" + avro_schema(record).fingerprint("CRC-64-AVRO") == header


def test_a_value_without_room_in_its_schema_is_named() -> None:
    with pytest.raises(Exception, match="seq"):
        encode(replace(BEAT, seq="seven"))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="state"):
        encode(replace(BEAT, state="SLEEPY"))
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        encode(replace(BEAT, server="\ud800"))


def test_what_is_no_record_cannot_be_encoded() -> None:
    with pytest.raises(TypeError, match="VmReport is no record that travels"):
        encode(VmReport("v", 1, "READY"))


def test_an_action_is_spelled_as_avro_can_and_read_as_we_write_it() -> None:
    decision = Decision("d", Action.STOP_UPDATES, "cluster:c-1", "ENFORCED", "enforce", "hi", ("f",), 1)

    assert decision == decode(encode(decision))


def test_a_batch_of_one_kind_and_a_mixed_one_keep_their_rows() -> None:
    alone = replace(BATCH, rows=(BATCH.rows[0],) * 2)

    assert [BATCH, alone] == [decode(encode(BATCH)), decode(encode(alone))]


def test_bytes_of_another_encoding_are_not_avro() -> None:
    with pytest.raises(CodecError, match="no single-object encoding") as caught:
        decode(b"{}")

    assert DeadReason.NOT_AVRO == caught.value.reason


def test_a_fingerprint_of_no_schema_of_ours_is_an_unknown_schema() -> None:
    assert DeadReason.UNKNOWN_SCHEMA == reason_of(b"\xc3\x01" + b"\x07" * 8 + b"\x00")
    assert DeadReason.UNKNOWN_SCHEMA == reason_of(b"\xc3\x01\x07")


@pytest.mark.parametrize("cut", range(11, len(encode(BEAT))))
def test_a_datum_that_ends_early_is_not_avro(cut: int) -> None:
    assert DeadReason.NOT_AVRO == reason_of(encode(BEAT)[:cut])


def test_bytes_behind_the_datum_are_an_error() -> None:
    assert DeadReason.NOT_AVRO == reason_of(encode(BEAT) + b"\x00")


def test_a_string_that_is_not_utf8_is_named_so() -> None:
    assert DeadReason.NOT_UTF8 == reason_of(encode(BEAT).replace(b"boot-1", b"boot\xff\xfe"))


def test_a_union_branch_that_is_none_is_not_avro() -> None:
    assert DeadReason.NOT_AVRO == reason_of(encode(BEAT)[:-1] + b"\x08")


def test_a_record_of_another_topic_is_not_allowed() -> None:
    assert DeadReason.NOT_ALLOWED == reason_of(encode(EVENT))
    assert DeadReason.NOT_ALLOWED == reason_of(encode(BATCH))


@pytest.mark.parametrize("feed", ["host-agent", "guest-agent", "maintenance"])
def test_a_pulse_is_recognised_on_each_telemetry_feed(feed: str) -> None:
    assert Pulse("intake-1", 4) == decode_source(encode(Pulse("intake-1", 4)), FEEDS[feed])
    assert Pulse("intake-1", 4) == decode_source(b'{"intake": "intake-1", "seq": 4}', FEEDS[feed])


def test_the_first_bytes_tell_the_form() -> None:
    schema = avro_files.read("HostReport")

    assert BEAT == decode_source(encode(BEAT), ALLOWED)
    assert BEAT == decode_source(to_json(BEAT), ALLOWED)
    assert BEAT == decode_source(b"\x00\x00\x00\x00\x07" + encode(BEAT)[10:], ALLOWED, Known(schema))
    assert BEAT == decode_source(b"\x01" + b"g" * 16 + encode(BEAT)[10:], ALLOWED, Known(schema))
    assert DeadReason.EMPTY == reason_of(b"")


@dataclass
class Known:
    """A place that knows one schema by every name."""

    schema: dict[str, Any] | None

    def by_id(self, schema_id: int) -> dict[str, Any] | None:
        assert schema_id >= 0
        return self.schema

    def by_guid(self, guid: bytes) -> dict[str, Any] | None:
        assert len(guid) == 16
        return self.schema


def framed(schema: dict[str, Any], datum: dict[str, Any]) -> bytes:
    out = io.BytesIO(b"\x00\x00\x00\x00\x07")
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


def foreign_pulse(name: str = "Pulse") -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": "com.example",
        "fields": [
            {"name": "colour", "type": ["null", "string"]},
            {"name": "seq", "type": "int"},
            {"name": "intake", "type": "string"},
        ],
    }


def test_a_writers_own_schema_is_resolved_to_ours() -> None:
    """Another namespace, another order, an int for a long and a field that we do not know."""
    data = framed(foreign_pulse(), {"colour": "red", "seq": 5, "intake": "i"})

    assert Pulse("i", 5) == decode_source(data, (Pulse,), Known(foreign_pulse()))


def test_a_writers_schema_of_another_name_is_not_allowed() -> None:
    data = framed(foreign_pulse("Blip"), {"colour": None, "seq": 5, "intake": "i"})
    with pytest.raises(CodecError, match="a record Blip") as caught:
        decode_source(data, (Pulse,), Known(foreign_pulse("Blip")))

    assert DeadReason.NOT_ALLOWED == caught.value.reason


def test_a_writers_schema_without_what_we_need_is_not_avro() -> None:
    schema = {"type": "record", "name": "Pulse", "fields": [{"name": "seq", "type": "long"}]}
    with pytest.raises(CodecError, match="intake") as caught:
        decode_source(framed(schema, {"seq": 1}), (Pulse,), Known(schema))

    assert DeadReason.NOT_AVRO == caught.value.reason


def test_a_symbol_that_a_newer_writer_added_reads_as_unknown() -> None:
    schema = json.loads(json.dumps(avro_files.read("Server")).replace('"DECOMMISSIONED"', '"DECOMMISSIONED", "MELTED"'))
    server = Server("c-1", "s-1")
    data = framed(avro_files.without_logical_types(schema), asdict(replace(server, state="MELTED")))

    assert replace(server, state="UNKNOWN") == decode_source(data, (Server,), Known(schema))


def test_a_record_of_a_released_schema_is_read_with_todays_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    older = avro_files.read("Server")
    older["fields"] = [field for field in older["fields"] if field["name"] != "rack"]
    read = avro_files.read
    monkeypatch.setattr(
        avro_files,
        "read",
        lambda name, directory="avsc": (
            older if (name, directory) == ("Server", "released/1") else read(name, directory)
        ),
    )
    monkeypatch.setattr(codec, "_readers", codec._readers.__wrapped__)
    datum = {name: value for name, value in asdict(Server("c-1", "s-1")).items() if name != "rack"}
    data = b"\xc3\x01" + avro_files.fingerprint(older) + framed(avro_files.without_logical_types(older), datum)[5:]

    assert Server("c-1", "s-1") == decode(data)


def test_a_registry_that_is_away_is_for_the_caller_to_wait_for() -> None:
    class Away(Known):
        def by_id(self, schema_id: int) -> dict[str, Any] | None:
            raise RegistryAway(f"schema {schema_id}")

    with pytest.raises(RegistryAway):
        decode_source(b"\x00\x00\x00\x00\x07abc", ALLOWED, Away(None))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def taken_or_refused(data: bytes, allowed: tuple[type[Any], ...], writers: Known | None = None) -> None:
    """Whatever the bytes: a record that can travel on, or a CodecError."""
    try:
        record = decode_source(data, allowed, writers)
    except CodecError as error:
        assert error.detail  # noqa: PT017 -- either outcome is right, but a refusal says why
        return
    assert record == decode(encode(record))


@settings(max_examples=300)
@given(
    st.binary(max_size=200), st.sampled_from(sorted(FEEDS)), st.sampled_from([b"", b"\xc3\x01", b"\x00", b"\x01", b"{"])
)
def test_random_bytes_are_taken_or_refused(data: bytes, feed: str, start: bytes) -> None:
    taken_or_refused(start + data, FEEDS[feed], Known(avro_files.read("HostReport")))


@settings(max_examples=300)
@given(
    ANY_RECORD,
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
    st.booleans(),
)
def test_mutated_records_are_taken_or_refused(
    record: Any, edits: list[tuple[int, int]], cut: int, as_json: bool
) -> None:
    data = bytearray(to_json(record) if as_json else encode(record))
    for place, value in edits:
        data[place % len(data)] = value
    taken_or_refused(bytes(data[:cut] if cut % 3 == 0 else data), (type(record), Pulse))


@settings(max_examples=200)
@given(
    of_record(HostReport), st.dictionaries(st.sampled_from([*HostReport.__slots__, "type"]), JSON_VALUES, max_size=3)
)
@example(BEAT, {"versions": {"fc": "\ud800"}})
@example(BEAT, {"seq": 2**63})
@example(BEAT, {"vms": [{"vm": "v", "incarnation": 1, "ga": "READY", "since_ms": -(2**70)}]})
def test_random_json_is_taken_or_refused(report: HostReport, changes: dict[str, Any]) -> None:
    taken_or_refused(json.dumps({**json.loads(to_json(report)), **changes}).encode(), ALLOWED)
