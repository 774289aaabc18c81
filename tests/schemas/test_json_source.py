"""JSON records: taken as they are meant, refused with the field's name, written as declared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from schemas.errors import CodecError
from schemas.inventory import InventoryComplete, Removed, Server
from schemas.json_source import from_json, parse, to_dict, to_json
from schemas.outputs import DeadLetter, DeadReason, Finding, Progress, Subject
from schemas.records import FEEDS
from schemas.source import GuestEvent, HostReport, MaintenanceEvent, Pulse, VmReport
from schemas.telemetry import Batch, HostRow
from tests.schemas.generated import ANY_RECORD

REPORT = HostReport("c-1", "s-1", "b", "r", 7, 5, 8, 60, vms=(VmReport("v-1", 1, "READY"), VmReport("v-2", 1, "BUSY")))
HOST = FEEDS["host-agent"]
INVENTORY = FEEDS["inventory"]


def with_change(**changes: Any) -> bytes:
    return json.dumps({**json.loads(to_json(REPORT)), **changes}).encode()


def refused(data: bytes, allowed: tuple[type[Any], ...] = HOST) -> tuple[DeadReason, str]:
    with pytest.raises(CodecError) as caught:
        parse(data, allowed)
    return caught.value.reason, caught.value.detail


@given(ANY_RECORD)
def test_a_record_comes_back_as_it_went(record: Any) -> None:
    assert record == from_json(type(record), to_json(record))
    assert json.loads(to_json(record)) == to_dict(record)


def test_fields_are_written_as_declared() -> None:
    assert list(HostReport.__slots__) == list(to_dict(REPORT))


def test_bytes_are_written_as_base64() -> None:
    assert b'"value":"AP8="' in to_json(DeadLetter("t", 1, 2, 3, None, b"\x00\xff", "EMPTY", "d"))


def test_what_json_has_no_form_for_is_our_bug() -> None:
    finding = Finding("i", "d", Subject(), "OPEN", "INFO", 1, 2, "t", numbers={"a": {1}})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="not JSON serializable: set"):
        to_json(finding)


def test_unknown_fields_are_passed_over() -> None:
    assert REPORT == parse(with_change(colour="red", deep={"er": [1, {"x": None}]}), HOST)


def test_defaults_stand_for_what_is_not_sent() -> None:
    assert Server("c-1", "s-1") == parse(b'{"type": "Server", "cluster": "c-1", "server": "s-1"}', INVENTORY)


def test_unknown_symbols_of_enums_read_as_unknown() -> None:
    vm = {"vm": "v-1", "incarnation": 1, "ga": "DREAMING", "network": "ODD"}
    report = parse(with_change(state="SLEEPY", vms=[vm, to_dict(REPORT.vms[1])]), HOST)  # type: ignore[index]
    vms = (VmReport("v-1", 1, "UNKNOWN", network="UNKNOWN"), REPORT.vms[1])  # type: ignore[index]

    assert replace(REPORT, state="UNKNOWN", vms=vms) == report


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"seq": "7"}, DeadReason.WRONG_TYPE, "HostReport.seq: expected `int`, got `str`"),
        ({"seq": None}, DeadReason.WRONG_TYPE, "HostReport.seq: expected `int`, got `null`"),
        ({"seq": 1.5}, DeadReason.WRONG_TYPE, "HostReport.seq: expected `int`, got `float`"),
        ({"seq": True}, DeadReason.WRONG_TYPE, "HostReport.seq: expected `int`, got `bool`"),
        ({"state": None}, DeadReason.WRONG_TYPE, "HostReport.state: expected `str`, got `null`"),
        ({"versions": {"fc": 1}}, DeadReason.WRONG_TYPE, "HostReport.versions[...]: expected `str`, got `int`"),
        ({"vms": [{"vm": 1}]}, DeadReason.WRONG_TYPE, "HostReport.vms[0].vm: expected `str`, got `int`"),
        ({"vms": [{"vm": "v"}]}, DeadReason.MISSING_FIELD, "HostReport.vms[0].incarnation is missing"),
        ({"seq": 2**63}, DeadReason.BAD_VALUE, "HostReport.seq: 9223372036854775808 does not fit 64 bits"),
        ({"seq": -(2**70)}, DeadReason.BAD_VALUE, "does not fit 64 bits"),
        (
            {"vms": [{"vm": "v", "incarnation": 1, "ga": "READY", "since_ms": 2**64}]},
            DeadReason.BAD_VALUE,
            "HostReport.vms[0].since_ms: 18446744073709551616 does not fit 64 bits",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_its_place(changes: dict[str, Any], reason: DeadReason, detail: str) -> None:
    assert reason == refused(with_change(**changes))[0]
    assert detail in refused(with_change(**changes))[1]


def test_a_missing_field_is_named() -> None:
    assert (DeadReason.MISSING_FIELD, "Pulse.seq is missing") == refused(b'{"type": "pulse", "intake": "i"}')


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", DeadReason.NOT_JSON),
        (b'{"cluster": "c-1"', DeadReason.NOT_JSON),
        (b"{} {}", DeadReason.NOT_JSON),
        (b"   ", DeadReason.NOT_JSON),
        (b'{"cluster": "\\ud800"}', DeadReason.NOT_JSON),
        (b"[1, 2]", DeadReason.WRONG_TYPE),
        (b"7", DeadReason.WRONG_TYPE),
        (b"null", DeadReason.WRONG_TYPE),
        (b"\xff\xfe{}", DeadReason.NOT_UTF8),
        (b'{"cluster": "\xe9"}', DeadReason.NOT_UTF8),
        (b'{"seq": NaN}', DeadReason.BAD_VALUE),
        (b'{"seq": Infinity}', DeadReason.BAD_VALUE),
        (b'{"seq": -Infinity}', DeadReason.BAD_VALUE),
        (b'{"x": ' + b"[" * 32 + b"]" * 32 + b"}", DeadReason.TOO_DEEP),
        (b"[" * 900_000, DeadReason.TOO_DEEP),
        (b'{"x": "' + b'\\"' * 450_000, DeadReason.NOT_JSON),
        (b'{"x": "' + b"[" * 100 + b"\\", DeadReason.NOT_JSON),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_json_of_ours_is_refused(data: bytes, reason: DeadReason) -> None:
    assert reason == refused(data)[0]


def test_a_deep_value_at_the_limit_is_taken() -> None:
    assert REPORT == parse(with_change(x=json.loads("[" * 31 + "]" * 31), y=[[]] * 40), HOST)


def test_brackets_in_strings_are_no_depth() -> None:
    assert replace(REPORT, boot_id='["{' * 40) == parse(with_change(boot_id='["{' * 40), HOST)


@pytest.mark.parametrize("name", ["InventoryComplete", "inventorycomplete", "inventory-complete", "INVENTORY_COMPLETE"])
def test_the_key_type_says_which_record_it_is(name: str) -> None:
    data = json.dumps({"type": name, "cluster": "c-1"}).encode()

    assert InventoryComplete("c-1") == parse(data, INVENTORY)


def test_the_key_kind_stands_for_type_where_no_tombstone_is_meant() -> None:
    server = b'{"kind": "server", "cluster": "c-1", "server": "s-1"}'
    tombstone = b'{"type": "Removed", "kind": "server", "id": "s-1"}'

    assert [Server("c-1", "s-1"), Removed("server", "s-1")] == [parse(server, INVENTORY), parse(tombstone, INVENTORY)]


@pytest.mark.parametrize(
    "hint", [b"{}", b'{"type": 7}', b'{"type": "heap"}', b'{"kind": "server", "id": "x"}', b'{"kind": "x"}']
)
def test_a_record_that_does_not_say_what_it_is_is_refused(hint: bytes) -> None:
    reason, detail = refused(hint, INVENTORY)

    assert DeadReason.MISSING_FIELD == reason
    assert "Server, Vm" in detail


def test_a_type_of_another_topic_is_not_allowed() -> None:
    assert DeadReason.NOT_ALLOWED == refused(b'{"type": "Release"}', INVENTORY)[0]


def test_a_strangers_type_does_no_harm_where_only_one_record_can_be() -> None:
    assert REPORT == parse(with_change(type="heartbeat"), HOST)


def test_a_pulse_needs_no_type() -> None:
    assert Pulse("i", 4) == parse(b'{"intake": "i", "seq": 4}', HOST)
    assert REPORT == parse(with_change(intake="i"), HOST)


def test_optional_fields_may_be_null() -> None:
    event = MaintenanceEvent("e", "c", 1, "fc", "SCHEDULED", vms=("v",), duration_s=9)

    assert event == parse(to_json(event), FEEDS["maintenance"])


def test_the_rows_of_a_batch_come_back_as_their_own_kinds() -> None:
    event = GuestEvent("e-1", "c-1", "s-1", "v-1", 1, 2, "READY")
    row = HostRow("s", "b", "r", 1, 1, 2, 60, vms_block=b"\x00\xff")
    batch = Batch("c", "f", "t", "i", 1, (1, 2, 3), (3, 4, 5), (row, event, Removed("server", "s-1")))

    assert batch == from_json(Batch, to_json(batch))
    assert ["HostRow", "GuestEvent", "Removed"] == [written["type"] for written in to_dict(batch)["rows"]]


def test_a_row_of_a_batch_that_does_not_fit_is_named() -> None:
    event = GuestEvent("e-1", "c-1", "s-1", "v-1", 1, 2, "READY")
    batch = Batch("c", "f", "t", "i", 1, (1, 2), (3, 4), (HostRow("s", "b", "r", 1, 1, 2, 60), event))
    with pytest.raises(CodecError, match=r"Batch.rows\[1\]: GuestEvent.vm is missing"):
        from_json(Batch, to_json(batch).replace(b'"vm":', b'"wm":'))
    with pytest.raises(CodecError, match=r"Batch.offsets\[0\]"):
        from_json(Batch, to_json(batch).replace(b"[1,2]", b"[%d]" % 2**63))
    with pytest.raises(CodecError, match=r"Batch.cluster is missing"):
        from_json(Batch, b"{}")


def test_a_map_of_integers_is_checked_too() -> None:
    text = b'{"partition": 1, "next_offset": 2, "at_ms": 3, "watermarks": {"host-agent/x/1": %d}}' % 2**63
    with pytest.raises(CodecError, match=r"Progress.watermarks.host-agent/x/1"):
        from_json(Progress, text)
