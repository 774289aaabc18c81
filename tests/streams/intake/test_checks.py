"""One raw record, judged: key, lane, stamp, size, tombstones, commands to everyone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.columns import pack_vms
from schemas.commands import ConfigChanged, Release, StartEvent
from schemas.errors import RegistryAway
from schemas.inventory import InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.outputs import DeadLetter, DeadReason
from schemas.source import Pulse, VmReport
from schemas.telemetry import HostRow
from streams.intake.checks import DEAD_MAX_BYTES, Checks, Limits, RawRecord, inventory_key
from streams.kafka.partition import lane_of
from tests.streams.intake.makers import CLUSTER, T0, VMS, guest, place, raw, report


def judge(record: Any, feed: str = "host-agent", lane: int = 0, lanes: int = 1, **changes: Any) -> Any:
    return Checks(place(feed, lane, lanes)).judge(raw(record, **changes))


def dead(record: Any, feed: str = "host-agent", lane: int = 0, lanes: int = 1, **changes: Any) -> DeadLetter:
    letter = judge(record, feed, lane, lanes, **changes)
    assert isinstance(letter, DeadLetter)
    return letter


def test_a_host_report_becomes_a_row_with_its_vms_packed() -> None:
    """All fields of the report, and the VMs as one block."""
    row = judge(report(vms=VMS, versions={"ha": "1"}))

    assert (
        CLUSTER,
        HostRow("server-1", "boot-1", "run-1", 7, 7, T0, 60, "READY", {"ha": "1"}, pack_vms(VMS)),
    ) == row


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, (), VMS, VMS[:1], (VMS[0], VMS[0]), (VmReport("", 1, "READY"),)]),
            st.sampled_from([None, {}, {"ha": "1"}, {"ha": "\x00"}]),
            st.sampled_from([{}, {"server": "server-2"}, {"server": ""}, {"full_seq": 9}, {"cluster": "cluster-b"}]),
            st.sampled_from([b"", b"\x00", b"junk"]),
        ),
        max_size=8,
    )
)
def test_what_a_lane_has_seen_changes_no_judgement(reports: list[Any]) -> None:
    """Known versions and VMs are not read again; what is wrong with a report is seen all the same."""
    lane = Checks(place())
    for vms, versions, changes, behind in reports:
        record = raw(encode(report(vms=vms, versions=versions, **changes)) + behind)

        assert Checks(place()).judge(record) == lane.judge(record)


def test_what_is_remembered_of_reports_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.intake.checks.TOLD_MOST_BYTES", 1_000)
    lane = Checks(place())
    for n in range(100):
        lane.judge(raw(report(vms=(VmReport(f"vm-{n}", 1, "READY"),))))

    assert 0 < sum(map(len, lane.told)) == lane.told_bytes <= 1_000


def test_other_records_are_rows_themselves() -> None:
    """A guest event is its own row."""
    assert (CLUSTER, guest()) == judge(guest(), "guest-agent")


def test_a_pulse_needs_neither_key_nor_cluster() -> None:
    """A pulse belongs to its lane."""
    assert Pulse("intake-1", 4) == judge(Pulse("intake-1", 4), key=None)


def test_the_key_must_be_the_cluster() -> None:
    """Another key, or none, and the letter says which key was expected."""
    assert DeadReason.WRONG_KEY == dead(report(), key=b"cluster-b").reason
    letter = dead(report(), key=None)

    assert DeadReason.WRONG_KEY == letter.reason
    assert "the key is null and the record's cluster 'cluster-a'" in letter.detail


def test_the_lane_must_be_the_clusters() -> None:
    """The letter says which lane it is, and how to set the partitioner."""
    home = lane_of(CLUSTER, 8)
    letter = dead(report(), lane=(home + 1) % 8, lanes=8)

    assert (CLUSTER, DeadReason.WRONG_LANE) == (judge(report(), lane=home, lanes=8)[0], letter.reason)
    assert "partitioner=murmur2_random" in letter.detail
    assert f"lane {home} of 8" in letter.detail


def test_a_record_at_the_size_limit_passes() -> None:
    """The limit is included."""
    value = raw(report()).value
    assert value is not None
    at = Checks(place(), Limits(record_max_bytes=len(value))).judge(raw(value))
    below = Checks(place(), Limits(record_max_bytes=len(value) - 1)).judge(raw(value))

    assert CLUSTER == at[0]  # type: ignore[index]
    assert isinstance(below, DeadLetter)
    assert DeadReason.TOO_LARGE == below.reason


def test_a_producers_stamp_may_lie_a_minute_ahead_of_the_last_pulse() -> None:
    """At 60 s it passes, beyond it does not; a broker's own stamp is never refused."""
    checks = Checks(place())
    checks.judge(raw(Pulse("intake-1", 1), at_ms=T0, key=None, create_time=True))

    at = checks.judge(raw(report(), at_ms=T0 + 60_000, create_time=True))
    beyond = checks.judge(raw(report(), at_ms=T0 + 60_001, create_time=True))
    brokers = checks.judge(raw(report(), at_ms=T0 + 60_001))
    assert isinstance(at, tuple)
    assert isinstance(beyond, DeadLetter)
    assert DeadReason.FUTURE_STAMP == beyond.reason
    assert isinstance(brokers, tuple)


def test_a_pulse_is_the_clock_and_never_ahead() -> None:
    """After an outage of an hour the lane goes on with the first pulse."""
    checks = Checks(place())
    for at_ms in (T0, T0 + 3_600_000):
        assert isinstance(checks.judge(raw(Pulse("sim", 1), at_ms=at_ms, key=None, create_time=True)), Pulse)

    assert isinstance(checks.judge(raw(report(), at_ms=T0 + 3_600_000, create_time=True)), tuple)


def test_a_stamp_that_is_no_time_is_refused() -> None:
    """A topic whose producer stamps in seconds, or not at all (-1)."""
    assert DeadReason.BAD_TIME == dead(report(), at_ms=-1).reason
    assert DeadReason.BAD_TIME == dead(report(), at_ms=T0 // 1000).reason


def test_a_record_on_the_wrong_feed_is_refused() -> None:
    """What one producer may write, another may not."""
    assert DeadReason.NOT_ALLOWED == dead(report(), "maintenance").reason
    assert DeadReason.NOT_ALLOWED == dead(ConfigChanged("c", "*", "", "d", "eve"), "requests", key=b"*").reason


def test_a_command_to_everyone_stands_in_every_lane() -> None:
    """`*` belongs in no one lane, and only on the operators' topic."""
    change = ConfigChanged("c", "*", "", "d", "ada")

    assert [("*", change)] * 4 == [judge(change, "operator", lane, 4, key=b"*") for lane in range(4)]
    assert DeadReason.BAD_VALUE == dead(report(cluster="*"), key=b"*").reason
    assert DeadReason.BAD_VALUE == dead(StartEvent("r", "*", "vm", "e"), "requests", key=b"*").reason


def test_a_command_to_a_cluster_keeps_to_its_lane() -> None:
    """A release is for one cluster."""
    release = Release("c", CLUSTER, "t", "ada", "mended")
    home = lane_of(CLUSTER, 4)

    assert (CLUSTER, release) == judge(release, "operator", home, 4)
    assert DeadReason.WRONG_LANE == dead(release, "operator", (home + 1) % 4, 4).reason


@pytest.mark.parametrize(
    ("record", "key", "cluster"),
    [
        (Server(CLUSTER, "s-1"), "server:s-1", CLUSTER),
        (Vm("v-1", CLUSTER, "s-1"), "vm:v-1", CLUSTER),
        (InventoryComplete(CLUSTER), f"complete:{CLUSTER}", CLUSTER),
        (Service("web"), "service:web", "*"),
        (Subscription("sub"), "subscription:sub", "*"),
        (Region("north"), "region:north", "*"),
        (Removed("vm", "v-1"), "vm:v-1", "*"),
    ],
)
def test_inventory_is_keyed_by_kind_and_id(record: Any, key: str, cluster: str) -> None:
    """The record's own key passes, any other does not; what names no cluster concerns everyone."""
    assert key == inventory_key(record)
    assert (cluster, record) == judge(record, "inventory", key=key.encode())
    assert DeadReason.WRONG_KEY == dead(record, "inventory", key=b"server:other").reason


def test_a_tombstone_removes_what_its_key_names() -> None:
    """A null value on the inventory, with colons in the id too."""
    assert ("*", Removed("vm", "a:b")) == judge(None, "inventory", key=b"vm:a:b")


@pytest.mark.parametrize(
    "key", [None, b"", b"vm", b"vm:", b"planet:earth", b"\xff\xfe:x", b"vm:a\nb", b"vm:" + b"x" * 300]
)
def test_a_tombstone_of_nothing_is_refused(key: bytes | None) -> None:
    """A key that names nothing that can be removed."""
    assert DeadReason.WRONG_KEY == dead(None, "inventory", key=key).reason


def test_a_null_on_another_feed_is_refused() -> None:
    """Only the inventory is compacted."""
    assert DeadReason.EMPTY == dead(None).reason


def test_a_letter_keeps_bytes_origin_and_headers() -> None:
    """All that is needed to find the record and to send it again."""
    letter = Checks(place()).judge(RawRecord(17, T0, b"k", b"junk", headers=(("trace", b"1"),)))

    assert isinstance(letter, DeadLetter)
    assert ("host-agent", 0, 17, T0, b"k", b"junk", {"trace": b"1"}) == (
        letter.topic, letter.lane, letter.offset, letter.at_ms, letter.key, letter.value, letter.headers,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "header"),
    [(b"k", b"x" * 1_100_000, b""), (b"k" * 1_100_000, b"x", b""), (b"k", b"x", b"h" * 1_100_000)],
)
def test_a_letter_is_never_larger_than_its_topic_takes(key: bytes, value: bytes, header: bytes) -> None:
    """Of a record that is larger the beginning is kept, and the letter says so."""
    letter = Checks(place()).judge(RawRecord(0, T0, key, value, headers=(("h", header),)))

    assert isinstance(letter, DeadLetter)
    size = len(letter.key or b"") + len(letter.value or b"") + sum(map(len, letter.headers.values()))
    assert size <= DEAD_MAX_BYTES
    assert "only the first are kept here" in letter.detail


class Away:
    """A registry that does not answer."""

    def by_id(self, schema_id: int) -> None:
        raise RegistryAway(f"schema {schema_id}")

    def by_guid(self, guid: bytes) -> None:
        raise RegistryAway(guid.hex())


def test_a_registry_that_is_away_makes_no_dead_letter() -> None:
    """Nothing is known of the record yet."""
    with pytest.raises(RegistryAway):
        Checks(place(), writers=Away()).judge(raw(b"\x00\x00\x00\x00\x07abc"))
