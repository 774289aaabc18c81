"""What the fields of a source record must hold: names, times, counts and lengths that can be.

The schema says which types fields have; this says which values. Every limit is generous for an honest sender and bounds
what a broken one can make us keep. Names that passed once are remembered, since they come again with every report.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.records import once
from schemas.source import HostReport, MaintenanceEvent, MaintenanceKind, VmReport

EARLIEST_MS = 946_684_800_000
"""2000-01-01: no agent of ours is older, and 1970 means a clock that was never set."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: beyond it lies a unit that is not milliseconds, or a broken clock."""
NAME_MAX = 256
TEXT_MAX = 16_384
"""Characters of free text: a stack trace fits."""
LIST_MAX = 1_000
"""VMs of one server, addresses of a VM, administrators of a subscription."""
MAP_MAX = 64
"""Components that a report names versions of."""
COUNT_MAX = 1 << 53
"""Counters stay exact in any reader's arithmetic, JSON's doubles too."""
INTERVAL_MAX_S = 86_400
KNOWN_NAMES_MAX = 200_000

TEXTS = frozenset({"message", "reason", "description", "initiator", "text"})
"""Fields that hold what people or programs say: longer, and any character."""
OPTIONAL_TEXTS = frozenset({"reason"})
"""Free text without a default that may still be empty."""

ROLLOUT, SERVER, VM, WAVE, NOTICE = ("rollout",), ("server",), ("vm",), ("wave",), ("notice_id",)
NEEDED: dict[str, tuple[str, ...]] = {
    MaintenanceKind.ROLLOUT_STARTED: ("rollout", "component"),
    MaintenanceKind.ROLLOUT_PAUSED: ROLLOUT,
    MaintenanceKind.ROLLOUT_RESUMED: ROLLOUT,
    MaintenanceKind.ROLLOUT_ABORTED: ROLLOUT,
    MaintenanceKind.ROLLOUT_COMPLETED: ROLLOUT,
    MaintenanceKind.UD_STARTED: ("rollout", "update_domain"),
    MaintenanceKind.UD_COMPLETED: ("rollout", "update_domain"),
    MaintenanceKind.SERVER_UPDATE_STARTED: SERVER,
    MaintenanceKind.SERVER_UPDATE_COMPLETED: SERVER,
    MaintenanceKind.SERVER_UPDATE_FAILED: SERVER,
    MaintenanceKind.VM_UPDATE_STARTED: VM,
    MaintenanceKind.VM_UPDATE_COMPLETED: VM,
    MaintenanceKind.VM_UPDATE_FAILED: VM,
    MaintenanceKind.SERVER_STATE: ("server", "state"),
    MaintenanceKind.NODE_REBOOT_STARTED: SERVER,
    MaintenanceKind.NODE_REBOOT_COMPLETED: SERVER,
    MaintenanceKind.VM_CREATED: ("vm", "server"),
    MaintenanceKind.VM_DEALLOCATED: VM,
    MaintenanceKind.IMAGE_COPY_COMPLETED: ROLLOUT,
    MaintenanceKind.VM_HEALED: ("vm", "to_server"),
    MaintenanceKind.VM_REDEPLOYED: VM,
    MaintenanceKind.WAVE_ANNOUNCED: WAVE,
    MaintenanceKind.WAVE_STARTED: WAVE,
    MaintenanceKind.WAVE_ABORTED: WAVE,
    MaintenanceKind.WAVE_COMPLETED: WAVE,
    MaintenanceKind.COMPONENT_UPDATE_STARTED: SERVER,
    MaintenanceKind.COMPONENT_UPDATE_COMPLETED: SERVER,
    MaintenanceKind.SCHEDULED: NOTICE,
    MaintenanceKind.CANCELLED: NOTICE,
    MaintenanceKind.COMMAND_APPLIED: ("decision_id",),
}
"""What a maintenance event must name to mean anything; whatever else it may carry is welcome and not demanded."""

_known: set[str] = set()


def check_fields(record: Any) -> None:
    """Refuse a record with a value that cannot be; the CodecError names the field, the value and what to do."""
    if type(record) is HostReport:
        _host_report(record)
        return
    for check in _checks(type(record)):
        check(record)
    if type(record) is MaintenanceEvent:
        _needed(record)


def check_name(value: str, path: str) -> None:
    """Refuse a name that is empty, longer than 256 characters, or holds what cannot be printed."""
    if value in _known:
        return
    if not value:
        raise CodecError(DeadReason.MISSING_FIELD, f"{path} is empty; it must name something")
    _check_printable(value, path)
    if len(_known) >= KNOWN_NAMES_MAX:
        _known.clear()
    _known.add(value)


def check_time(value: int, path: str) -> None:
    """Refuse a time before 2000 or after 2100: a wrong unit or a clock never set, and no mere skew."""
    if not EARLIEST_MS <= value < LATEST_MS:
        raise CodecError(
            DeadReason.BAD_TIME,
            f"{path} is {value}: not a time between the years 2000 and 2100 in UTC milliseconds; "
            "send milliseconds since 1970, and set the sender's clock",
        )


def _check_printable(value: str, path: str) -> None:
    if len(value) > NAME_MAX:
        raise CodecError(
            DeadReason.BAD_VALUE, f"{path} has {len(value)} characters; a name has at most {NAME_MAX}: shorten it"
        )
    if not value.isprintable():
        place = next(index for index, character in enumerate(value) if not character.isprintable())
        raise CodecError(
            DeadReason.BAD_VALUE,
            f"{path} holds the control character U+{ord(value[place]):04X} at {place}; a name must be printable",
        )


def _check_text(value: str, path: str) -> None:
    if len(value) > TEXT_MAX:
        raise CodecError(
            DeadReason.BAD_VALUE, f"{path} has {len(value)} characters; a text has at most {TEXT_MAX}: cut it"
        )


def _check_count(value: int, path: str) -> None:
    if not 0 <= value <= COUNT_MAX:
        raise CodecError(DeadReason.BAD_VALUE, f"{path} is {value}; it must lie between 0 and 2^53")


def _check_length(found: int, most: int, path: str) -> None:
    if found > most:
        raise CodecError(DeadReason.BAD_VALUE, f"{path} has {found} entries; at most {most} are taken")


def _check_versions(versions: dict[str, str], path: str) -> None:
    _check_length(len(versions), MAP_MAX, path)
    for component, version in versions.items():
        check_name(component, f"{path} (a component)")
        if version and version not in _known:
            check_name(version, f"{path}.{component}")


def _host_report(report: HostReport) -> None:
    """Check the record that most records are; its names are nearly always known."""
    if not EARLIEST_MS <= report.sent_ms < LATEST_MS:
        check_time(report.sent_ms, "HostReport.sent_ms")
    if not (report.cluster in _known and report.server in _known and report.boot_id in _known and report.run in _known):
        for name in ("cluster", "server", "boot_id", "run"):
            check_name(getattr(report, name), f"HostReport.{name}")
    if not 0 <= report.full_seq <= report.seq <= COUNT_MAX:
        _check_count(report.seq, "HostReport.seq")
        raise CodecError(
            DeadReason.BAD_VALUE,
            f"HostReport.full_seq is {report.full_seq} at seq {report.seq}; it names this report or an earlier one",
        )
    if not 0 < report.interval_s <= INTERVAL_MAX_S:
        raise CodecError(
            DeadReason.BAD_VALUE,
            f"HostReport.interval_s is {report.interval_s}; it is in seconds, from 1 to {INTERVAL_MAX_S}",
        )
    if report.versions:
        _check_versions(report.versions, "HostReport.versions")
    if report.vms:
        _vms(report.vms)


def _vms(vms: tuple[VmReport, ...]) -> None:
    _check_length(len(vms), LIST_MAX, "HostReport.vms")
    for index, vm in enumerate(vms):
        if vm.vm not in _known:
            check_name(vm.vm, f"HostReport.vms[{index}].vm")
        if vm.ga_version and vm.ga_version not in _known:
            check_name(vm.ga_version, f"HostReport.vms[{index}].ga_version")
        if not 0 <= vm.incarnation <= COUNT_MAX:
            _check_count(vm.incarnation, f"HostReport.vms[{index}].incarnation")
        if vm.since_ms and not EARLIEST_MS <= vm.since_ms < LATEST_MS:
            check_time(vm.since_ms, f"HostReport.vms[{index}].since_ms")
    if len({vm.vm for vm in vms}) < len(vms):
        names = [vm.vm for vm in vms]
        twice = next(name for name in names if names.count(name) > 1)
        raise CodecError(DeadReason.BAD_VALUE, f"HostReport.vms names {twice!r} twice; a VM stands once in a report")


def _needed(event: MaintenanceEvent) -> None:
    for name in NEEDED.get(event.kind, ()):
        if getattr(event, name) in (None, ""):
            raise CodecError(
                DeadReason.MISSING_FIELD, f"MaintenanceEvent.{name} is missing; an event of kind {event.kind} needs it"
            )


@once
def _checks(record: type[Any]) -> list[Callable[[Any], None]]:
    """Return the checks of a record type, one a field, made from the types that it declares."""
    hints = get_type_hints(record)
    checks = []
    for field in fields(record):
        required = field.default is MISSING and field.default_factory is MISSING
        check = _check_for(field.name, hints[field.name], f"{record.__name__}.{field.name}", required)
        if check is not None:
            checks.append(check)
    return checks


def _check_for(name: str, hint: Any, path: str, required: bool) -> Callable[[Any], None] | None:
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        hint = next(argument for argument in get_args(hint) if argument is not type(None))
    judge = _judge(name, hint, path, required and not optional)
    if judge is None:
        return None

    def check(record: Any) -> None:
        value = getattr(record, name)
        if value is not None:
            judge(value)

    return check


def _judge(name: str, hint: Any, path: str, required: bool) -> Callable[[Any], None] | None:
    """Return what judges a value of this field; what is not required may also hold its type's zero."""
    if hint is str:
        if name == "text":
            # The size of the record bounds it: a configuration is as long as it is.
            return None
        if name in TEXTS:
            demanded = required and name not in OPTIONAL_TEXTS
            return lambda value: check_name(value, path) if demanded and not value else _check_text(value, path)
        return lambda value: check_name(value, path) if value or required else None
    if hint is int:
        if name.endswith("_ms"):
            return lambda value: check_time(value, path) if value or required else None
        return lambda value: _check_count(value, path)
    if get_origin(hint) is tuple and get_args(hint)[0] is str:

        def names(values: tuple[str, ...]) -> None:
            _check_length(len(values), LIST_MAX, path)
            for index, value in enumerate(values):
                check_name(value, f"{path}[{index}]")

        return names
    return None
