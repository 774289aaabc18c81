"""Mappings at work: unwrapping, values, conditions, memory; and the preset on lines of journald.

Those are made by hand in the form of imjournal; what rsyslog really sends is in test_real_input.py.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.source import GuestEvent, MaintenanceEvent
from schemas.telemetry import HostRow
from streams.intake.checks import RawRecord
from streams.intake.mapping import RECORDS_MAX, Mapper
from streams.intake.mapping_file import parse_mapping, preset
from tests.streams.intake.makers import T0

RULE = """
[[records]]
kind = "GuestEvent"
[records.fields]
event_id = "$offset/$index"
cluster = "a"
server = "s"
vm = "$vm"
incarnation = 1
sent_ms = "$at_ms"
kind = "HEARTBEAT"
message = "$x"
"""
SHUTDOWN = "98266866d1d54a499c4e98921d93bc40"


def mapper(text: str) -> Mapper:
    return Mapper(parse_mapping(text, "test", source="test.toml"), "logs", 3)


def raw(record: Any, offset: int = 7) -> RawRecord:
    return RawRecord(offset, T0 + offset, None, record if isinstance(record, bytes) else orjson.dumps(record))


def messages(text: str, record: Any) -> list[str]:
    """Give `$x` of each event that a mapping makes of a record."""
    found = mapper(f'[values.vm]\npaths = ["vm"]\ndefault = "v"\n{text}\n{RULE}').rows(raw(record))
    return [row.message for _, row in found if isinstance(row, GuestEvent)]


def refused(text: str, record: Any) -> CodecError:
    with pytest.raises(CodecError) as caught:
        mapper(text).rows(raw(record))
    return caught.value


@pytest.mark.parametrize(
    ("text", "record", "expected"),
    [
        ('[values.x]\npaths = ["a/b"]', {"a": {"b": "found"}}, ["found"]),
        ('[values.x]\npaths = ["a/1/b"]', {"a": [0, {"b": "second"}]}, ["second"]),
        ('[values.x]\npaths = ["a", "b"]', {"a": "", "b": "not empty"}, ["not empty"]),
        ('[values.x]\npaths = ["a", "b"]', {"a": None, "b": "not null"}, ["not null"]),
        ('[values.x]\npaths = ["a"]', {}, [""]),
        ('[values.x]\npaths = ["a"]\ndefault = "else"', {}, ["else"]),
        ('[values.x]\npaths = ["a"]\ndefault = "$vm"', {"vm": "vm-7"}, ["vm-7"]),
        ('[values.x]\ntemplate = "$topic/$lane/$offset"', {}, ["logs/3/7"]),
        ('[values.x]\ntemplate = "$y!"\n[values.y]\npaths = ["y"]', {}, [""]),
        ('[values.x]\npaths = ["a"]\nregex = "v([0-9.]+)"', {"a": "agent v2.7.3 runs"}, ["2.7.3"]),
        ('[values.x]\npaths = ["a"]\nregex = "v([0-9.]+)"', {"a": "agent runs"}, [""]),
        ('[values.x]\npaths = ["a"]\ntable = { "1" = "UP", true = "yes" }', {"a": 1}, ["UP"]),
        ('[values.x]\npaths = ["a"]\ntable = { "1" = "UP", true = "yes" }', {"a": True}, ["yes"]),
        ('[values.x]\npaths = ["a"]\ntable = { "1" = "UP" }', {"a": 2}, [""]),
        ('[values.x]\npaths = ["o.m/a"]\n[[unwrap]]\njson = "o.m"', {"o.m": '{"a": "inner"}'}, ["inner"]),
        ('[values.x]\npaths = ["o.m/a", "o.m"]\n[[unwrap]]\njson = "o.m"', {"o.m": "{no JSON"}, ["{no JSON"]),
        ('[values.x]\npaths = ["a/b/c"]\n[[unwrap]]\njson = "a/b"', {"a": {"b": '{"c": "deep"}'}}, ["deep"]),
        ('[values.x]\npaths = ["a"]\n[[unwrap]]\neach = "records"', {"records": [{"a": "1"}, {"a": "2"}]}, ["1", "2"]),
        ('[values.x]\npaths = ["a"]\n[[unwrap]]\neach = ""', [{"a": "1"}, {"a": "2"}], ["1", "2"]),
        ('[values.x]\npaths = ["a"]\n[[unwrap]]\neach = "records"', {"a": "alone"}, ["alone"]),
        (
            '[values.x]\npaths = ["a"]\n[[unwrap]]\njson = "t"\n[[unwrap]]\neach = "t"',
            {"t": '[{"a": "1"}, {"a": "2"}]'},
            ["1", "2"],
        ),
    ],
)
def test_values_are_found_where_the_mapping_says(text: str, record: Any, expected: list[str]) -> None:
    """Paths, templates, expressions, tables, defaults; arrays and JSON in texts unwrapped."""
    assert expected == messages(text, record)


@pytest.mark.parametrize(
    ("unit", "stated"),
    [
        ("s", T0 // 1000),
        ("s", str(T0 // 1000)),
        ("s", T0 / 1000),
        ("ms", T0),
        ("us", T0 * 1000),
        ("us", f"{T0 * 1000}"),
        ("ns", T0 * 1_000_000),
        ("ns", f" {T0 * 1_000_000} "),
        ("iso", "2012-02-29T00:00:00Z"),
        ("iso", "2012-02-29T00:00:00"),
        ("iso", "2012-02-29T01:00:00.000000+01:00"),
    ],
)
def test_times_of_every_unit_become_milliseconds(unit: str, stated: Any) -> None:
    """From seconds to nanoseconds, numbers and texts, and ISO with and without a zone."""
    text = RULE.replace('"$at_ms"', '"$x"').replace('vm = "$vm"', 'vm = "v"').replace('message = "$x"', "")
    found = mapper(f'[values.x]\npaths = ["t"]\nunit = "{unit}"\n{text}').rows(raw({"t": stated}))

    assert [T0] == [row.sent_ms for _, row in found if isinstance(row, GuestEvent)]


@pytest.mark.parametrize(
    ("when", "record", "applies"),
    [
        ('equals = "a"', {"x": "a"}, True),
        ('equals = "a"', {"x": "b"}, False),
        ('equals = "true"', {"x": True}, True),
        ('equals = "1"', {"x": 1}, True),
        ('matches = "^a+$"', {"x": "aaa"}, True),
        ('matches = "^a+$"', {"x": "aab"}, False),
        ('one_of = ["a", "b"]', {"x": "b"}, True),
        ('one_of = ["a", "b"]', {"x": "c"}, False),
        ("present = true", {"x": 0}, True),
        ("present = true", {}, False),
        ("present = false", {}, True),
        ("present = false", {"x": "a"}, False),
        ('equals = "a"', {}, False),
    ],
)
def test_a_rule_applies_where_its_conditions_hold(when: str, record: Any, applies: bool) -> None:
    """And a record to which none applies is a dead letter, or skipped where the mapping says so."""
    rule = RULE.replace("[records.fields]", f'when = [{{ value = "x", {when} }}]\n[records.fields]')
    text = f'[values.vm]\npaths = ["vm"]\ndefault = "v"\n[values.x]\npaths = ["x"]\n{rule}'

    if applies:
        assert 1 == len(mapper(text).rows(raw(record)))
    else:
        assert DeadReason.NO_MAPPING == refused(text, record).reason
        assert [] == mapper(f'[mapping]\notherwise = "skip"\n{text}').rows(raw(record))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", DeadReason.NOT_JSON),
        (b"no JSON", DeadReason.NOT_JSON),
        (b"\xff\xfe", DeadReason.NOT_UTF8),
        (b"[" * 100, DeadReason.TOO_DEEP),
        (b'{"vm": NaN}', DeadReason.BAD_VALUE),
        ({"x": "no vm"}, DeadReason.MISSING_FIELD),
        ({"vm": {"a": 1}}, DeadReason.WRONG_TYPE),
        ({"vm": "v" * 300}, DeadReason.BAD_VALUE),
        ({"vm": "a\nb"}, DeadReason.BAD_VALUE),
        ([{"vm": "v"}] * (RECORDS_MAX + 1), DeadReason.BAD_VALUE),
    ],
)
def test_what_cannot_be_mapped_has_its_reason(record: Any, reason: DeadReason) -> None:
    """The same reasons as for records of ours."""
    text = f'[[unwrap]]\neach = ""\n[values.vm]\npaths = ["vm"]\n[values.x]\npaths = ["x"]\n{RULE}'

    assert reason == refused(text, record).reason


def test_a_time_that_is_none_is_refused_and_named() -> None:
    """With the value and the unit."""
    error = refused(f'[values.vm]\npaths = ["t"]\nunit = "iso"\n[values.x]\npaths = ["x"]\n{RULE}', {"t": "yesterday"})

    assert (DeadReason.BAD_TIME, "$vm: 'yesterday' is no time in iso") == (error.reason, error.detail)
    assert DeadReason.EMPTY == refused_raw(RawRecord(0, T0, None, None)).reason


def refused_raw(record: RawRecord) -> CodecError:
    with pytest.raises(CodecError) as caught:
        Mapper(preset("waagent-journald"), "logs", 0).rows(record)
    return caught.value


def test_a_cluster_of_everyone_cannot_be_made() -> None:
    """A foreign topic speaks for its machines."""
    text = f'[values.vm]\npaths = ["vm"]\ndefault = "v"\n[values.x]\npaths = ["x"]\n{RULE}'.replace('"a"', '"*"')

    assert DeadReason.BAD_VALUE == refused(text, {}).reason


# -- the preset --------------------------------------------------------------------------------------------------


def journald(message: str, boot: str = "b" * 32, host: str = "machine-1", **fields: str) -> dict[str, Any]:
    """Give a line in the form that imjournal and `%jsonmesg%` of rsyslog 8.2302 give it, made by hand: no recording."""
    return {
        "msg": message,
        "timereported": "2012-02-29T00:00:01.123456+00:00",
        "hostname": host,
        "syslogtag": "systemd[1]:",
        "inputname": "imjournal",
        "programname": "systemd",
        "$!": {
            "_BOOT_ID": boot,
            "_MACHINE_ID": "3f0e1c6cf0a84d1b8f9a6b9c0f1d2e3a",
            "_HOSTNAME": host,
            "_TRANSPORT": "journal",
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": "systemd",
            "_PID": "1",
            "_SOURCE_REALTIME_TIMESTAMP": "1330473600987654",
            "MESSAGE": message,
            **fields,
        },
    }


def blob(status: str = "Ready", version: str = "2.7.3.0", host: str = "machine-1") -> dict[str, Any]:
    """Give a status blob as `logger` hands it to rsyslog's socket."""
    body = {
        "version": "1.1",
        "timestampUTC": "2012-02-29T00:00:02Z",
        "aggregateStatus": {
            "guestAgentStatus": {
                "version": version,
                "status": status,
                "formattedMessage": {"lang": "en-US", "message": "Guest Agent is running"},
            },
            "handlerAggregateStatus": [],
        },
        "guestOSInfo": {"computerName": host, "osName": "debian", "osVersion": "12", "version": version},
    }
    return {"msg": f" {json.dumps(body)}", "hostname": host, "programname": "waagent-status", "inputname": "imuxsock"}


def heartbeat(run: str = "6CFCEBEB-0023-4D1B-B7B0-32C7BD5A01D7") -> dict[str, Any]:
    """Give the agent's own line."""
    line = (
        "2012-02-29T00:00:03.585476Z INFO ExtHandler ExtHandler [HEARTBEAT] Agent WALinuxAgent-2.7.3.0 is running as "
        f"the goal state agent [DEBUG HeartbeatCounter: 0;HeartbeatId: {run};DroppedPackets: 0;UpdateGSErrors: 0;]"
    )
    return {"msg": line, "hostname": "machine-1", "programname": "waagent", "inputname": "imfile"}


def story(*records: dict[str, Any]) -> list[list[Any]]:
    """Give the rows that the preset makes of each record of a lane."""
    made = Mapper(preset("waagent-journald"), "logs", 0)
    return [[row for _, row in made.rows(raw(record, offset))] for offset, record in enumerate(records)]


def test_a_status_blob_is_a_report_and_a_word_of_the_agent() -> None:
    """With version, system and time."""
    report, event = story(blob())[0]

    assert ("machine-1", 60, {"ha": "2.7.3.0", "host_os": "debian 12"}, T0 + 2_000) == (
        report.server,
        report.interval_s,
        report.versions,
        report.sent_ms,
    )
    assert ("READY", "2.7.3.0", "Guest Agent is running") == (event.kind, event.ga_version, event.message)


def test_an_agent_that_is_not_ready_is_busy() -> None:
    """And says why."""
    assert ("BUSY", "NotReady") == (story(blob("NotReady"))[0][1].kind, story(blob("NotReady"))[0][1].reason)


def test_a_heartbeat_line_is_a_report_too() -> None:
    """With the agent's version out of the text."""
    report, event = story(heartbeat())[0]

    assert isinstance(report, HostRow)
    assert ("HEARTBEAT", "2.7.3.0", {"ha": "2.7.3.0"}) == (event.kind, event.ga_version, report.versions)


def test_reports_of_one_run_are_numbered_without_a_gap() -> None:
    """Another HeartbeatId, another boot or another reader begins anew."""
    rows = story(
        heartbeat("A" * 36), blob(), journald("x"), blob(), heartbeat("B" * 36), blob(), journald("y", "c" * 32), blob()
    )
    reports = [row for made in rows for row in made if isinstance(row, HostRow)]

    assert [0, 1, 0, 0, 1, 0] == [report.seq for report in reports]
    assert 4 == len({report.run for report in reports})


def test_first_sight_is_no_reboot() -> None:
    """A boot id that is the first one known."""
    assert [[], []] == story(journald("x"), journald("y"))


def test_a_boot_behind_a_shutdown_is_expected() -> None:
    """The machine said that it would go down."""
    down, up = story(journald("x"), journald("Shutting down.", MESSAGE_ID=SHUTDOWN), journald("Startup.", "c" * 32))[1:]

    assert ["SHUTDOWN", "NODE_REBOOT_STARTED"] == [row.kind for row in down]
    assert [("START", "boot", 2)] == [
        (row.kind, row.reason, row.incarnation) for row in up if isinstance(row, GuestEvent)
    ]
    assert [("NODE_REBOOT_COMPLETED", True)] == [
        (row.kind, row.planned) for row in up if isinstance(row, MaintenanceEvent)
    ]
    assert T0 + 987 == up[0].sent_ms


def test_a_boot_without_a_shutdown_is_unexpected() -> None:
    """Power lost, or a crash."""
    up = story(journald("x"), journald("Startup.", "c" * 32))[1]

    assert ["unexpected boot: no shutdown was begun"] == [row.reason for row in up if isinstance(row, GuestEvent)]
    assert [False] == [row.planned for row in up if isinstance(row, MaintenanceEvent)]


def test_a_shutdown_explains_one_boot_only() -> None:
    """The next one needs its own."""
    lines = (journald("x", MESSAGE_ID=SHUTDOWN), journald("x", "c" * 32), journald("x", "d" * 32))
    planned = [row.planned for made in story(*lines)[1:] for row in made if isinstance(row, MaintenanceEvent)]

    assert [True, False] == planned


def test_machines_are_told_apart() -> None:
    """Another machine's boot id is no reboot."""
    assert [[], []] == story(journald("x", "b" * 32, "machine-1"), journald("x", "c" * 32, "machine-2"))


def test_lines_of_others_are_skipped() -> None:
    """Most of a log."""
    assert [[], []] == story({"msg": "cron ran", "hostname": "m"}, {"anything": [1, 2]})


def test_the_cluster_is_what_the_machine_says() -> None:
    """Once said, it is remembered."""
    made = Mapper(preset("waagent-journald"), "logs", 0)
    made.rows(raw({"msg": "x", "hostname": "machine-1", "$!": {"leapwatch_cluster": "rack-7"}}, 0))

    assert {"rack-7"} == {cluster for cluster, _ in made.rows(raw(blob(), 1))}


def test_the_memory_is_bounded() -> None:
    """The machine not heard for the longest is forgotten."""
    text = '[mapping]\nbased_on = "waagent-journald"\n[memory]\nkey = "machine"\nboot = "boot_id"\nmachines = 3'
    made = Mapper(parse_mapping(text, "small", source="small.toml"), "logs", 0)
    for offset in range(100):
        made.rows(raw(journald("x", host=f"machine-{offset % 10}"), offset))

    assert ["machine-7", "machine-8", "machine-9"] == [*made.machines]


RECURSIVE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["msg", "hostname", "$!", "_BOOT_ID"]), inner)
    ),
    max_leaves=20,
)


@given(st.lists(RECURSIVE, max_size=5))
def test_whatever_json_comes_it_is_rows_or_a_reason(records: list[Any]) -> None:
    """A stranger's topic cannot end the intake."""
    made = Mapper(preset("waagent-journald"), "logs", 0)
    for offset, record in enumerate(records):
        with contextlib.suppress(CodecError):
            made.rows(raw(json.dumps(record).encode(), offset))
