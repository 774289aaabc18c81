"""`leapwatch availability`: the figures as they are printed, and what is told of promises."""

import json
from pathlib import Path

import pytest

from schemas import codec
from schemas.history_lines import source_to_line
from schemas.inventory import Server, Vm
from schemas.outputs import Finding, Progress, Subject
from schemas.telemetry import Clocks, Stretch
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.partition import lane_of
from streams.kafka.plain import Outgoing
from streams.replay.capture import write_capture
from tests.streams.cli.log import LANES, Run, put
from tests.streams.replay.histories import history, sources

T0 = 1_330_473_600_000
HOUR = 3_600_000


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a capture of the leap day's first hour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, history(1), {})
    return path


def test_a_capture_and_plain_files_say_the_same(night: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plain = tmp_path / "night.jsonl"
    plain.write_bytes(b"\n".join([*(source_to_line(record) for record in sources()), b"no line"]))

    assert Exit.OK == main(["availability", "--capture", str(night), "--by", "group"])
    told = capfd.readouterr().out
    assert told.startswith("from 2012-02-28T23:30:00Z to 2012-02-29T00:2")
    assert "promised: 99.9500 %" in told
    assert Exit.OK == main(["availability", "--source", str(plain), "--by", "group"])
    again = capfd.readouterr()
    assert told.splitlines()[1:] == again.out.splitlines()[1:]
    assert "note: " in again.err
    assert "not taken" in again.err


def test_what_cannot_be_is_told_and_ends_with_2(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["availability", "--capture", str(night)]

    assert Exit.USAGE == main([*command, "--source", str(night)])
    assert Exit.USAGE == main([*command, "--promise", "0"])
    assert "no percentage" in capfd.readouterr().err
    assert Exit.USAGE == main([*command, "--service", "nobody's"])
    assert "no VM was known" in capfd.readouterr().err


def out(vm: str, start_ms: int, end_ms: int) -> Finding:
    """Return an interval that is over."""
    return Finding(
        f"{vm}-{start_ms}",
        "unavailability",
        Subject(cluster="c1", vm=vm),
        "CLOSED",
        "INFO",
        start_ms,
        end_ms,
        "",
        numbers={"start_ms": float(start_ms), "end_ms": float(end_ms)},
        facts={"server": "s1", "signs": "stopped"},
        close_reason="it is available again",
    )


def watched(lane: int) -> Stretch:
    """Return what an intake has read first."""
    return Stretch("host-agent", "host-agent", "t", lane, 0, 9, T0, T0 + 1_000)


@pytest.fixture
def fleet(bootstrap: str, embedded_broker: EmbeddedBroker) -> str:
    """Give a day of a cluster: `web` of two instances is out for a minute, `lone` of one for an hour."""
    for name in ("telemetry", "progress"):
        embedded_broker.create_topic(f"t.{name}", LANES)
    lane, key = lane_of("c1", LANES), b"k"

    def placed(topic: str, key: bytes, record: object, at_ms: int) -> Outgoing:
        return Outgoing(f"t.{topic}", lane, key, None if record is None else codec.encode(record), at_ms=at_ms)

    records = [
        placed("inventory", b"server:s1", Server("c1", "s1", 0, "r1"), T0),
        placed("inventory", b"server:s2", Server("c1", "s2", 1, "r2"), T0),
        placed("inventory", b"vm:a", Vm("a", "c1", "s1", service="web", update_domain=0), T0),
        placed("inventory", b"vm:b", Vm("b", "c1", "s2", service="web", update_domain=1), T0),
        placed("inventory", b"vm:c", Vm("c", "c1", "s2", service="lone"), T0),
        placed("inventory", b"vm:d", Vm("d", "c1", "s2", service="web", update_domain=1), T0),
        placed("inventory", b"vm:d", None, T0 + HOUR),
        placed("telemetry", key, Clocks(lane, (watched(lane),)), T0),
        *(placed("findings", key, out(vm, T0 + 2 * HOUR, T0 + 2 * HOUR + 60_000), T0 + 3 * HOUR) for vm in "ab"),
        placed("findings", key, out("c", T0 + 2 * HOUR, T0 + 3 * HOUR), T0 + 3 * HOUR),
        placed("progress", key, Progress(lane, 9, T0 + 24 * HOUR, {f"host-agent/t/{lane}": T0 + 24 * HOUR}), T0),
    ]
    put(bootstrap, records)
    return bootstrap


def test_from_kafka_it_says_which_promise_was_broken(fleet: str, run: Run) -> None:
    del fleet
    code, lines = run("availability", "--check")

    assert Exit.BAD == code
    assert "from 2012-02-29T00:00:00Z to 2012-03-01T00:00:00Z (1 d); promised: 99.9500 %" == lines[0]
    web, lone = lines[4].split("  "), lines[5]
    assert "BREACHED" == web[-1]
    assert " 99.9305 % " in lines[4]
    assert lone.startswith("lone     1          95.8333 %")
    assert lone.endswith("NO_PROMISE (one instance)")
    assert "web was out for 1 min where 43.2 s may be lost:" == lines[7]
    assert "2012-02-29T02:00:00Z to 2012-02-29T02:01:00Z, 1 min, unplanned: no cause told" == lines[8].strip()
    assert Exit.OK == run("availability")[0]
    assert Exit.OK == run("availability", "--check", "--promise", "99.9")[0]


def test_to_programs_it_tells_all_numbers(fleet: str, run: Run) -> None:
    del fleet
    lone, web = [json.loads(line) for line in run("availability", "--json")[1]]

    assert ("lone", "NO_PROMISE", 3600.0) == (lone["service"], lone["promise_kept"], lone["instance_s"]["unplanned"])
    assert ("web", "BREACHED", 60.0) == (web["service"], web["promise_kept"], web["against_s"])
    assert 3 == web["instances"]
    assert [T0 + 2 * HOUR] == [outage["from_ms"] for outage in web["outages"]]
    (whole,) = [json.loads(line) for line in run("availability", "--json", "--by", "cluster")[1]]
    assert ("c1", 4) == (whole["cluster"], whole["instances"])
    assert "promise_kept" not in whole


def test_what_is_not_kept_any_more_is_told_and_makes_a_range(fleet: str, capsys: pytest.CaptureFixture[str]) -> None:
    del fleet
    code = main(["availability", "--from", str(T0 - HOUR), "--to", str(T0 + 24 * HOUR), "--service", "web"])
    told = capsys.readouterr()

    assert Exit.OK == code
    assert "what is kept of history begins later" in told.err
    assert "99.9305 %" in told.out


def test_subscriptions_and_clusters_have_no_promise_of_their_own(fleet: str, run: Run) -> None:
    del fleet
    lines = run("availability", "--by", "subscription")[1]

    assert lines[4].startswith("(no subscription)  4")
    assert lines[4].endswith("-    -          -   -")
