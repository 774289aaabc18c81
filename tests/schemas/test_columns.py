"""The block of VMs: it comes back as it went, and equal VMs are equal bytes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.columns import CODES, COLUMN, HEAD, STATES, pack_vms, unpack_vms
from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.source import VmReport
from tests.schemas.generated import of_record

VMS = [VmReport(f"vm-{n}", n % 3, "READY", n == 2, f"ga-{n % 2}", 1_330_476_300_000 + n * 1000, "UP") for n in range(5)]


@given(st.lists(of_record(VmReport), max_size=30))
def test_vms_come_back_as_they_went(vms: list[VmReport]) -> None:
    assert tuple(vms) == unpack_vms(pack_vms(vms))


@given(st.lists(of_record(VmReport), max_size=3), st.lists(of_record(VmReport), max_size=3))
def test_equal_vms_are_equal_bytes_and_others_are_not(these: list[VmReport], those: list[VmReport]) -> None:
    assert (these == those) == (pack_vms(these) == pack_vms(those))


@pytest.mark.parametrize(
    "change",
    [
        {"vm": "vm-X"},
        {"incarnation": 9},
        {"ga": "BUSY"},
        {"clean": True},
        {"ga_version": "x"},
        {"since_ms": 1},
        {"network": "DOWN"},
    ],
    ids=str,
)
def test_each_field_of_one_vm_shows_in_the_bytes(change: dict[str, object]) -> None:
    changed = [*VMS[:3], replace(VMS[3], **change), VMS[4]]  # type: ignore[arg-type]

    assert pack_vms(VMS) != pack_vms(changed)
    assert tuple(changed) == unpack_vms(pack_vms(changed))


@pytest.mark.parametrize("span", [0, 1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1], ids=str)
def test_a_column_is_as_wide_as_it_must_be(span: int) -> None:
    vms = [replace(VMS[0], incarnation=0), replace(VMS[0], incarnation=span)]

    assert tuple(vms) == unpack_vms(pack_vms(vms))


def test_names_and_versions_are_sent_once() -> None:
    block = pack_vms([replace(vm, ga_version="GA-2.7") for vm in VMS])

    assert [1, 1] == [block.count(b"GA-2.7"), block.count(b"vm-3")]


def test_the_codes_are_part_of_the_format() -> None:
    """A symbol that is moved rather than added at the end would change the meaning of every block written before."""
    assert (0, 21, 51) == (
        CODES["UNKNOWN", "UNKNOWN", False],
        CODES["READY", "DOWN", True],
        CODES["WAITING_FOR_HOST", "UP", True],
    )


def test_a_code_that_a_newer_writer_added_is_unknown() -> None:
    assert ("UNKNOWN", "UP", True) == STATES[31 << 3 | 1 << 1 | 1]
    assert ("READY", "UNKNOWN", False) == STATES[2 << 3 | 3 << 1]


def test_every_field_of_a_vm_is_in_the_block() -> None:
    """A field added to VmReport needs a place in the block, and with it a new format."""
    names = ["vm", "incarnation", "ga", "clean", "ga_version", "since_ms", "network"]

    assert names == [field.name for field in fields(VmReport)]


def test_a_state_that_is_none_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="SLEEPY"):
        pack_vms([replace(VMS[0], ga="SLEEPY")])


def corrupt(block: bytes) -> str:
    with pytest.raises(CodecError, match="is corrupt") as caught:
        unpack_vms(block)
    assert DeadReason.BAD_VALUE == caught.value.reason
    return caught.value.detail


def test_a_corrupt_block_is_refused_and_says_what_is_wrong() -> None:
    block = pack_vms(VMS)
    first = HEAD.size + len(VMS)
    third = first + COLUMN.size + 5 + COLUMN.size + 10
    fourth = third + COLUMN.size

    assert "format 9" in corrupt(b"\x09" + block[1:])
    assert "VMs promised" in corrupt(HEAD.pack(1, 2**32 - 1) + block[5:])
    assert "behind no VMs" in corrupt(pack_vms([]) + b"x")
    assert "width 3" in corrupt(block[: first + 8] + b"\x03" + block[first + 9 :])
    assert "more versions" in corrupt(block[:fourth] + COLUMN.pack(2**62, 0) + block[fourth + COLUMN.size :])
    assert "more versions" in corrupt(block[:fourth] + COLUMN.pack(-1, 0) + block[fourth + COLUMN.size :])
    assert "lengths" in corrupt(block + b"x")
    assert "lengths" in corrupt(block[:third] + COLUMN.pack(-1, 0) + block[fourth:])
    assert "utf-8" in corrupt(block[:-1] + b"\xff")


@pytest.mark.parametrize("cut", range(len(pack_vms(VMS))))
def test_a_block_cut_anywhere_is_refused(cut: int) -> None:
    corrupt(pack_vms(VMS)[:cut])


@settings(max_examples=300)
@given(st.binary(max_size=40), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4))
def test_random_bytes_are_unpacked_or_refused(tail: bytes, edits: list[tuple[int, int]]) -> None:
    data = bytearray(pack_vms(VMS) + tail)
    for place, value in edits:
        data[place % len(data)] = value
    for block in (bytes(data), b"\x01" + tail):
        try:
            unpack_vms(block)
        except CodecError as error:
            assert error.detail  # noqa: PT017 -- either outcome is right, but a refusal says why
