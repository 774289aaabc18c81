"""The VMs of a host report as one block of columns: small, quick to make, and equal exactly when the VMs are.

A server's VMs rarely change, so that the reader's common case is one comparison of bytes with the block that it knows.

    byte 0        the format, 1
    4 bytes       how many VMs (little-endian, as all numbers here)
    a byte a VM   its code: guest agent state << 3 | network << 1 | clean
    5 columns     incarnations, since_ms, lengths of the names, place of each VM's ga_version, lengths of the versions
    the rest      text in UTF-8: all names, then each distinct version once, in the order of first use

A column is its least value (8 bytes), a width (one byte: 0, 1, 2, 4 or 8) and each value less the least one in that
width: nothing at all where all are equal. Lengths count characters. A list of VMs has one form only, hence equal bytes.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from operator import attrgetter

from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.source import GaState, Network, VmReport

FORMAT = 1
HEAD = struct.Struct("<BI")
COLUMN = struct.Struct("<qB")
WIDTHS = {0: "", 1: "B", 2: "H", 4: "I", 8: "Q"}

CODES: dict[tuple[str, str, bool], int] = {
    (ga.value, network.value, clean): ga_index << 3 | network_index << 1 | clean
    for ga_index, ga in enumerate(GaState)
    for network_index, network in enumerate(Network)
    for clean in (False, True)
}
"""A symbol's place in its enum is part of the format: new ones go to the end."""

STATES: tuple[tuple[str, str, bool], ...] = tuple(
    (
        ([*GaState][code >> 3].value if code >> 3 < len(GaState) else GaState.UNKNOWN.value),
        ([*Network][code >> 1 & 3].value if code >> 1 & 3 < len(Network) else Network.UNKNOWN.value),
        bool(code & 1),
    )
    for code in range(256)
)
"""What each code means; a symbol that a newer writer added is UNKNOWN."""

VALUES = attrgetter("vm", "incarnation", "since_ms", "ga_version")
STATE = attrgetter("ga", "network", "clean")
SLOTS = tuple(getattr(VmReport, field.name).__set__ for field in fields(VmReport))


def pack_vms(vms: Sequence[VmReport]) -> bytes:
    """Return the block of these VMs, in their order; equal VMs give equal bytes and others do not."""
    count = len(vms)
    if not count:
        return HEAD.pack(FORMAT, 0)
    try:
        codes = bytes([CODES[state] for state in map(STATE, vms)])
    except KeyError as error:
        raise ValueError(
            f"no code for the VM state {error.args[0]}: a state is one of GaState, Network, bool"
        ) from None
    names, incarnations, sinces, versions = zip(*map(VALUES, vms), strict=True)
    places = {version: place for place, version in enumerate(dict.fromkeys(versions))}
    return b"".join(
        (
            HEAD.pack(FORMAT, count),
            codes,
            _column(incarnations),
            _column(sinces),
            _column([*map(len, names)]),
            _column([places[version] for version in versions]),
            _column([*map(len, places)]),
            "".join((*names, *places)).encode(),
        )
    )


def unpack_vms(block: bytes) -> tuple[VmReport, ...]:
    """Return the VMs of a block, in their order; a block that no `pack_vms` made is a CodecError."""
    try:
        return _unpacked(block)
    except (struct.error, IndexError, ValueError) as error:
        raise CodecError(DeadReason.BAD_VALUE, f"vms_block of {len(block)} bytes is corrupt: {error}") from error


def _unpacked(block: bytes) -> tuple[VmReport, ...]:
    form, count = HEAD.unpack_from(block)
    if form != FORMAT:
        raise ValueError(f"format {form}, known is {FORMAT}")
    place = HEAD.size + count
    if len(block) < place:
        raise ValueError(f"{count} VMs promised")
    if not count:
        if len(block) > place:
            raise ValueError("bytes behind no VMs")
        return ()
    gas, networks, cleans = zip(*[STATES[code] for code in block[HEAD.size : place]], strict=True)
    incarnations, place = _values(block, place, count)
    sinces, place = _values(block, place, count)
    name_lengths, place = _values(block, place, count)
    version_places, place = _values(block, place, count)
    if not 0 <= min(version_places) <= max(version_places) < count:
        raise ValueError("more versions than VMs")
    version_lengths, place = _values(block, place, max(version_places) + 1)
    texts = _texts(block[place:].decode(), [*name_lengths, *version_lengths])
    versions = texts[count:]
    ga_versions = [versions[version_place] for version_place in version_places]
    return _rows(count, (texts, incarnations, gas, cleans, ga_versions, sinces, networks))


def _rows(count: int, columns: tuple[Iterable[object], ...]) -> tuple[VmReport, ...]:
    """Return the VMs whose fields, as declared, are these columns.

    Filled slot by slot, a column at a time, at C speed: a third of the time of calling a frozen dataclass for each.
    """
    vms = [object.__new__(VmReport) for _ in range(count)]
    for fill, column in zip(SLOTS, columns, strict=True):
        deque(map(fill, vms, column), maxlen=0)
    return tuple(vms)


def _column(values: Sequence[int]) -> bytes:
    """Return a column in the least width that holds it."""
    least = min(values)
    span = max(values) - least
    if not span:
        return COLUMN.pack(least, 0)
    width = 1 if span < 1 << 8 else 2 if span < 1 << 16 else 4 if span < 1 << 32 else 8
    above = [value - least for value in values] if least else values
    return COLUMN.pack(least, width) + struct.pack(f"<{len(values)}{WIDTHS[width]}", *above)


def _values(block: bytes, place: int, count: int) -> tuple[Sequence[int], int]:
    """Return the values of the column that begins at `place`, and where the next one begins."""
    least, width = COLUMN.unpack_from(block, place)
    place += COLUMN.size
    if not width:
        return (least,) * count, place
    if width not in WIDTHS:
        raise ValueError(f"a column of width {width} at byte {place - 1}")
    values: Sequence[int] = struct.unpack_from(f"<{count}{WIDTHS[width]}", block, place)
    if least:
        values = [least + value for value in values]
    return values, place + count * width


def _texts(text: str, lengths: list[int]) -> list[str]:
    """Return the text in pieces of these lengths, which must be all of it."""
    if min(lengths) < 0 or sum(lengths) != len(text):
        raise ValueError(f"lengths of {sum(lengths)} characters for a text of {len(text)}")
    return [text[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
