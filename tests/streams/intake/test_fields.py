"""Each limit of a field, at it and beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import ConfigChanged, Release
from schemas.errors import CodecError
from schemas.inventory import Server, Service, Vm
from schemas.outputs import DeadReason
from schemas.source import MaintenanceKind, VmReport
from streams.intake import fields
from streams.intake.fields import EARLIEST_MS, LATEST_MS, NEEDED, check_fields
from tests.streams.intake.makers import T0, VMS, guest, maintenance, report


def vm(name: str, **changes: Any) -> VmReport:
    return VmReport(name, changes.pop("incarnation", 1), "READY", **changes)


@pytest.mark.parametrize(
    "record",
    [
        report(),
        report(vms=VMS, versions={"ha": "1"}),
        report(vms=()),
        report(sent_ms=EARLIEST_MS),
        report(sent_ms=LATEST_MS - 1),
        report(sent_ms=T0 + 5 * 3_600_000),
        report(server="s" * 256),
        report(server="Zürich rack 3"),
        report(interval_s=1),
        report(interval_s=86_400),
        report(vms=tuple(vm(f"vm-{number}") for number in range(1_000))),
        report(versions={f"c{number}": "1" for number in range(64)}),
        guest(message="\x1b[31mred\x1b[0m\nat line 3\n", error_code=""),
        guest(message="m" * 16_384),
        maintenance(),
        Release("c1", "a", "t", "ada", ""),
        ConfigChanged("c1", "*", "x" * 100_000, "d", "start"),
        Service("web"),
        Server("a", "s"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_an_honest_record_passes(record: Any) -> None:
    """At each limit, and with hours of skew, a record is taken."""
    check_fields(record)


@pytest.mark.parametrize(
    ("record", "reason", "part"),
    [
        (report(sent_ms=EARLIEST_MS - 1), DeadReason.BAD_TIME, "sent_ms"),
        (report(sent_ms=LATEST_MS), DeadReason.BAD_TIME, "milliseconds"),
        (report(server="s" * 257), DeadReason.BAD_VALUE, "257 characters"),
        (report(server=""), DeadReason.MISSING_FIELD, "HostReport.server is empty"),
        (report(server="a\x00b"), DeadReason.BAD_VALUE, "U+0000 at 1"),
        (report(run="a\nb"), DeadReason.BAD_VALUE, "HostReport.run"),
        (report(interval_s=0), DeadReason.BAD_VALUE, "interval_s is 0"),
        (report(interval_s=86_401), DeadReason.BAD_VALUE, "86401"),
        (report(seq=3, full_seq=4), DeadReason.BAD_VALUE, "full_seq is 4 at seq 3"),
        (report(seq=3, full_seq=-1), DeadReason.BAD_VALUE, "full_seq is -1"),
        (report(seq=-1, full_seq=-1), DeadReason.BAD_VALUE, "HostReport.seq is -1"),
        (report(seq=2**60), DeadReason.BAD_VALUE, "2^53"),
        (report(vms=tuple(vm(f"vm-{number}") for number in range(1_001))), DeadReason.BAD_VALUE, "1001 entries"),
        (report(vms=(vm("a"), vm("a"))), DeadReason.BAD_VALUE, "'a' twice"),
        (report(vms=(vm("a", incarnation=-1),)), DeadReason.BAD_VALUE, "vms[0].incarnation"),
        (report(vms=(vm("a", since_ms=1),)), DeadReason.BAD_TIME, "vms[0].since_ms"),
        (report(vms=(vm("a", ga_version="1\t2"),)), DeadReason.BAD_VALUE, "vms[0].ga_version"),
        (report(vms=(vm(""),)), DeadReason.MISSING_FIELD, "vms[0].vm"),
        (report(versions={f"c{number}": "1" for number in range(65)}), DeadReason.BAD_VALUE, "65 entries"),
        (report(versions={"": "1"}), DeadReason.MISSING_FIELD, "component"),
        (guest(message="m" * 16_385), DeadReason.BAD_VALUE, "16385 characters"),
        (guest(event_id=""), DeadReason.MISSING_FIELD, "event_id"),
        (guest(sent_ms=0), DeadReason.BAD_TIME, "sent_ms is 0"),
        (maintenance(scheduled_start_ms=1), DeadReason.BAD_TIME, "scheduled_start_ms"),
        (maintenance(update_domain=-1), DeadReason.BAD_VALUE, "update_domain"),
        (maintenance(vms=("a", "b\x7f")), DeadReason.BAD_VALUE, "vms[1]"),
        (maintenance(server=None), DeadReason.MISSING_FIELD, "an event of kind SERVER_STATE needs it"),
        (maintenance(server=""), DeadReason.MISSING_FIELD, "MaintenanceEvent.server"),
        (Release("c1", "a", "", "ada", ""), DeadReason.MISSING_FIELD, "target_id"),
        (Release("c1", "a", "t", "", "because"), DeadReason.MISSING_FIELD, "Release.by"),
        (Vm("v", "a", "s", addresses=("x" * 300,)), DeadReason.BAD_VALUE, "addresses[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_value_that_cannot_be_is_named(record: Any, reason: DeadReason, part: str) -> None:
    """Beyond each limit the error has the reason, the field and what was found."""
    with pytest.raises(CodecError) as caught:
        check_fields(record)

    assert reason == caught.value.reason
    assert part in caught.value.detail


def test_a_field_with_a_default_may_hold_its_zero() -> None:
    """Not set is not wrong: a time of 0 and an empty name where a default stands."""
    check_fields(Release("c1", "a", "t", "ada", "", sent_ms=0))
    check_fields(guest(ga_version="", guest_os=""))


def test_every_kind_of_maintenance_has_its_needs_among_the_fields() -> None:
    """What NEEDED demands exists; kinds without an entry (fleet-wide ones) demand nothing."""
    record = maintenance()
    wanted = {name for names in NEEDED.values() for name in names}

    assert [] == [name for name in wanted if not hasattr(record, name)]
    assert {"UNKNOWN", "MANAGEMENT_DISABLED", "MANAGEMENT_RESTORED"} == {kind.value for kind in MaintenanceKind} - {
        *NEEDED
    }


def test_known_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of machines that come and go do not pile up for ever."""
    monkeypatch.setattr(fields, "KNOWN_NAMES_MAX", 10)
    for number in range(100):
        check_fields(report(server=f"passing-{number}"))

    assert len(fields._known) <= 10
