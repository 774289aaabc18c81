"""Each of a hundred kinds of bad input is a dead letter with its reason, and nothing else is disturbed."""

from __future__ import annotations

import pytest

from schemas.outputs import DeadLetter
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, Pulse
from schemas.telemetry import Batch, Clocks
from streams.intake.checks import DEAD_MAX_BYTES, RawRecord
from streams.intake.reader import Out, PartitionReader
from tests.streams.intake.bad import Bad, kinds
from tests.streams.intake.makers import CLUSTER, T0, guest, maintenance, place, raw, report

KINDS = [*kinds()]
GOOD = {
    HOST_AGENT: (report(1), report(2)),
    GUEST_AGENT: (guest("e-1"), guest("e-2")),
    MAINTENANCE: (maintenance("m-1"), maintenance("m-2")),
}


def test_there_are_a_hundred_kinds_with_names_of_their_own() -> None:
    """The promise of the issue, counted."""
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 100


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_bad_input_is_a_dead_letter_and_its_neighbours_pass(kind: Bad) -> None:
    """Reason, origin and bytes in the letter; the good rows before and behind it in their order; the clock runs on."""
    # The cluster of the good ones is in lane 0 of one lane; where lanes matter they are left out.
    good = GOOD.get(kind.feed, ()) if kind.lanes == 1 else ()
    key = CLUSTER.encode()
    raws: list[RawRecord] = [raw(Pulse("i", 1), 0, T0, None)] if kind.feed in GOOD else []
    raws += [raw(record, len(raws), T0, key) for record in good[:1]]
    bad_offset = len(raws)
    raws.append(kind.raw(bad_offset))
    raws += [raw(record, len(raws), T0 + 1, key) for record in good[1:]]
    where = place(kind.feed, 0, kind.lanes)
    intake = PartitionReader((0,))
    intake.add(where, 0)
    outputs = [*intake.take(where, raws).outputs, *intake.turn()]

    letters = [out for out in outputs if isinstance(out, DeadLetter)]
    assert [(kind.reason, kind.feed, 0, bad_offset)] == [
        (one.reason, one.topic, one.lane, one.offset) for one in letters
    ]
    assert letters[0].detail
    if len(kind.value or b"") + len(kind.key or b"") <= DEAD_MAX_BYTES:
        assert (kind.key, kind.value) == (letters[0].key, letters[0].value)
    offsets = [
        offset
        for out in outputs
        if isinstance(out, Out) and isinstance(out.record, Batch)
        for offset in out.record.offsets
    ]
    assert [raws.index(one) for one in raws if one.offset != bad_offset and one.key == key and good] == offsets
    clocks = [out.record for out in outputs if isinstance(out, Out) and isinstance(out.record, Clocks)]
    if len(raws) > 1:
        assert [(0, len(raws) - 1, T0 + len(good) // 2)] == [
            (one.stretches[0].from_offset, one.stretches[0].to_offset, one.stretches[0].to_ms) for one in clocks
        ]
