"""One raw record of a source topic, judged: a row for `telemetry`, a pulse, or a dead letter that says what to do.

Pure but for two memories: the stamp of the lane's last pulse, against which stamps that a producer chose are measured,
and what servers said of their versions and VMs, so that a full report that says the same again costs what a beat costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from schemas.codec import MARKER, decode, decode_source, split_report
from schemas.columns import pack_vms
from schemas.commands import OPERATOR
from schemas.errors import CodecError
from schemas.inventory import INVENTORY, InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.outputs import DeadLetter, DeadReason
from schemas.records import FEEDS
from schemas.source import HOST_AGENT, HostReport, Pulse, VmReport
from schemas.telemetry import EVERYONE, HostRow, Row
from schemas.writers import WriterSchemas
from streams.intake.fields import EARLIEST_MS, LATEST_MS, NAME_MAX, check_fields
from streams.kafka.partition import lane_of

FUTURE_MS = 60_000
"""How far ahead of the lane's last pulse a producer's own stamp may lie (DESIGN, time)."""
DEAD_MAX_BYTES = 1_000_000
"""A dead letter keeps so much of a record, lest it be larger than what its own topic takes."""

IDS: dict[type[Any], tuple[str, str]] = {
    Server: ("server", "server"),
    Vm: ("vm", "vm"),
    Service: ("service", "service"),
    Subscription: ("subscription", "subscription"),
    Region: ("region", "region"),
    InventoryComplete: ("complete", "cluster"),
}
"""How each inventory record is keyed: kind, and the field that holds its id."""
KINDS = frozenset(kind for kind, _ in IDS.values())

TOLD_MOST_BYTES = 32 * 1024 * 1024
"""So much of what servers said of themselves is remembered in a lane, then it begins anew; 20 VMs are 0.7 kB."""

lane_cached = lru_cache(maxsize=65_536)(lane_of)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as the source topic holds it."""

    offset: int
    at_ms: int
    """The stamp: the broker's, or the producer's where `create_time` says so."""
    key: bytes | None
    value: bytes | None
    create_time: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()
    record: Any = None
    """Set where the record was never encoded: a replay of our own, for speed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A lane of a source topic. `feed` is `host-agent`, or `host-agent@topic` of a foreign one."""

    feed: str
    topic: str
    topic_id: str
    lane: int
    lanes: int
    """Lanes of each keyed feed, and partitions of `telemetry`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused, and how far apart neighbours may be."""

    record_max_bytes: int = 524_288
    batch_max_bytes: int = 524_288
    batch_max_rows: int = 2_000
    gap_ms: int = 10_000


@dataclass(slots=True)
class Checks:
    """The checks of one lane of a keyed feed."""

    place: Place
    limits: Limits = Limits()
    writers: WriterSchemas | None = None
    last_pulse_ms: int = 0
    pack: Callable[[tuple[VmReport, ...]], bytes] = pack_vms
    told: dict[bytes, tuple[dict[str, str] | None, bytes | None]] = field(default_factory=dict)
    """Versions and packed VMs of reports that were read and found well, by their bytes (`codec.split_report`)."""
    told_bytes: int = 0

    def judge(self, raw: RawRecord) -> tuple[str, Row] | Pulse | DeadLetter:
        """Return (cluster, row), a pulse, or a dead letter. RegistryAway passes through: nothing is known yet."""
        try:
            self.check_stamp(raw)
            split = split_report(raw.value) if raw.value is not None and self.place.feed == HOST_AGENT else None
            if split is not None:
                self.check_ahead(raw)
                return self._report(raw, *split)
            record = self._decode(raw)
            if type(record) is Pulse:
                # Pulses are the clock that others are measured by: after an hour without, the next one is an hour on.
                self.last_pulse_ms = max(self.last_pulse_ms, raw.at_ms)
                return record
            self.check_ahead(raw)
            return self.check_record(raw.key, record)
        except CodecError as error:
            return dead_letter(self.place, raw, error)

    def _report(self, raw: RawRecord, head: HostReport, tail: bytes) -> tuple[str, Row]:
        """Return the cluster and the row of a host report; what was never told before is read whole."""
        known = self.told.get(tail)
        if known is not None:
            check_fields(head)
            self._check_place(raw.key, head)
            return head.cluster, _host_row(head, *known)
        cluster, row = self.check_record(raw.key, self._decode(raw))
        if isinstance(row, HostRow):
            if self.told_bytes + len(tail) > TOLD_MOST_BYTES:
                self.told, self.told_bytes = {}, 0
            self.told[tail] = (row.versions, row.vms_block)
            self.told_bytes += len(tail)
        return cluster, row

    def is_pulse(self, raw: RawRecord) -> bool:
        """Tell whether a record of a foreign topic is a pulse of ours, and remember its stamp."""
        if raw.value is None or raw.value[:2] != MARKER or type(decode(raw.value)) is not Pulse:
            return False
        self.last_pulse_ms = max(self.last_pulse_ms, raw.at_ms)
        return True

    def check_record(self, key: bytes | None, record: Any) -> tuple[str, Row]:
        """Return the cluster and the row of a record that has been decoded; a CodecError says why it has none."""
        check_fields(record)
        return self._check_place(key, record), row_of(record, self.pack)

    def _check_place(self, key: bytes | None, record: Any) -> str:
        """Return the cluster of a record that stands where it belongs, by its key and in its lane."""
        cluster = cluster_of(record)
        if self.place.feed == INVENTORY:
            _check_inventory_key(key, record)
        elif key != cluster.encode():
            raise CodecError(
                DeadReason.WRONG_KEY,
                f"the key is {_shown(key)} and the record's cluster {cluster!r}; send the cluster's name as the key",
            )
        if cluster == EVERYONE:
            if self.place.feed not in (OPERATOR, INVENTORY):
                raise CodecError(DeadReason.BAD_VALUE, f"cluster {EVERYONE!r} may not stand on {self.place.feed}")
        else:
            self._check_lane(cluster)
        return cluster

    def check_stamp(self, raw: RawRecord) -> None:
        """Refuse a record whose stamp is no time, or that is too large."""
        if not EARLIEST_MS <= raw.at_ms < LATEST_MS:
            raise CodecError(
                DeadReason.BAD_TIME,
                f"the record's own stamp is {raw.at_ms}, no time between 2000 and 2100; "
                "let the broker stamp it (message.timestamp.type=LogAppendTime)",
            )
        if raw.value is not None and len(raw.value) > self.limits.record_max_bytes:
            raise CodecError(
                DeadReason.TOO_LARGE,
                f"{len(raw.value)} bytes; a record here has at most {self.limits.record_max_bytes}: split it",
            )

    def check_ahead(self, raw: RawRecord) -> None:
        """Refuse a record whose producer stamped it further ahead than any clock of ours is wrong."""
        if raw.create_time and self.last_pulse_ms and raw.at_ms > self.last_pulse_ms + FUTURE_MS:
            raise CodecError(
                DeadReason.FUTURE_STAMP,
                f"the producer's stamp lies {raw.at_ms - self.last_pulse_ms} ms ahead of the lane's last pulse, "
                f"{FUTURE_MS} are allowed; set the producer's clock, or let the broker stamp the topic",
            )

    def _decode(self, raw: RawRecord) -> Any:
        if raw.record is not None:
            return raw.record
        if raw.value is None:
            if self.place.feed == INVENTORY:
                return _tombstone(raw.key)
            raise CodecError(DeadReason.EMPTY, "the value is null; only the inventory's records are removed so")
        return decode_source(raw.value, FEEDS[self.place.feed], self.writers)

    def _check_lane(self, cluster: str) -> None:
        lane = lane_cached(cluster, self.place.lanes)
        if lane != self.place.lane:
            raise CodecError(
                DeadReason.WRONG_LANE,
                f"cluster {cluster!r} belongs in lane {lane} of {self.place.lanes}, and this is lane "
                f"{self.place.lane}; key by cluster and partition by murmur2: Java's default, in librdkafka "
                "`partitioner=murmur2_random`",
            )


def row_of(record: Any, pack: Callable[[tuple[VmReport, ...]], bytes] = pack_vms) -> Row:
    """Return the row that stands for a record in a batch: the record itself, a host report with its VMs packed."""
    if type(record) is HostReport:
        return _host_row(record, record.versions, None if record.vms is None else pack(record.vms))
    row: Row = record
    return row


def _host_row(report: HostReport, versions: dict[str, str] | None, vms_block: bytes | None) -> HostRow:
    return HostRow(
        report.server,
        report.boot_id,
        report.run,
        report.seq,
        report.full_seq,
        report.sent_ms,
        report.interval_s,
        report.state,
        versions,
        vms_block,
    )


def cluster_of(record: Any) -> str:
    """Return the cluster that a record concerns; `*` for what names none: services, tombstones and the like."""
    cluster: str = getattr(record, "cluster", EVERYONE)
    return cluster


def inventory_key(record: Any) -> str:
    """Return the key of an inventory record: `kind:id`, a tombstone's with its own kind."""
    if isinstance(record, Removed):
        return f"{record.kind}:{record.id}"
    kind, name = IDS[type(record)]
    return f"{kind}:{getattr(record, name)}"


def dead_letter(place: Place, raw: RawRecord, error: CodecError) -> DeadLetter:
    """Return the letter that keeps a refused record: its bytes, its origin, the reason and what to do."""
    key, value, headers, detail = raw.key, raw.value, dict(raw.headers), error.detail
    sizes = [len(key or b""), len(value or b""), sum(len(name) + len(held) for name, held in raw.headers)]
    if sum(sizes) > DEAD_MAX_BYTES:
        kept = max(0, DEAD_MAX_BYTES - sizes[0] - sizes[2])
        if not kept:
            key, headers, kept = (key or b"")[:NAME_MAX], {}, DEAD_MAX_BYTES - NAME_MAX
        value = value[:kept] if value is not None else None
        detail += f" (of its {sum(sizes)} bytes only the first are kept here)"
    return DeadLetter(place.topic, place.lane, raw.offset, raw.at_ms, key, value, error.reason, detail, headers)


def _check_inventory_key(key: bytes | None, record: Any) -> None:
    expected = inventory_key(record)
    if key != expected.encode():
        raise CodecError(
            DeadReason.WRONG_KEY, f"the key is {_shown(key)}; this record's is {expected!r} (kind:id of what it tells)"
        )


def _tombstone(key: bytes | None) -> Removed:
    try:
        kind, colon, name = (key or b"").decode().partition(":")
    except UnicodeDecodeError:
        kind = colon = name = ""
    if not colon or kind not in KINDS or not name or len(name) > NAME_MAX or not name.isprintable():
        raise CodecError(
            DeadReason.WRONG_KEY,
            f"a tombstone with the key {_shown(key)} removes nothing; the key is kind:id, kind one of "
            f"{', '.join(sorted(KINDS))}",
        )
    return Removed(kind, name)


def _shown(key: bytes | None) -> str:
    if key is None:
        return "null"
    text = repr(key[:80])[1:]
    return text if len(key) <= 80 else f"{text}..."
