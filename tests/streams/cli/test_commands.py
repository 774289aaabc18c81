"""Commands that speak to a broker, against an embedded one: what they read, what they write, how they end."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from schemas.commands import Acknowledge, Close, ConfigChanged, Release
from schemas.inventory import InventoryComplete, Server
from schemas.outputs import DeadLetter, Decision, Evidence, Finding, Subject
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.config.load import load
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.partition import lane_of
from streams.kafka.plain import Outgoing, reader, send

pytestmark = pytest.mark.embedded

LANES = 4
TOPICS = ("host-agent", "inventory", "operator", "findings", "decisions", "dead-letters")
FINDING = Finding(
    id="f" * 32,
    detector="hi_threshold",
    subject=Subject(cluster="c1"),
    state="OPEN",
    severity="CRITICAL",
    opened_ms=1_330_478_100_000,
    at_ms=1_330_478_100_500,
    title="50 of 1000 servers in HI",
    evidence=(Evidence(0, 7, "host-agent", "t", 0, 9, 1_330_478_100_000),),
    numbers={"servers": 50.0},
)
DECISION = Decision(
    "d" * 32, "stop-updates", "cluster:c1", "ENFORCED", "enforce", "brake", (FINDING.id,), 1_330_478_100_500
)

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def bootstrap(embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Give a broker with our topics, and an environment that leads there."""
    for name in TOPICS:
        embedded_broker.create_topic(f"t.{name}", LANES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    monkeypatch.setenv("LEAPWATCH_KAFKA_BOOTSTRAP", embedded_broker.bootstrap)
    monkeypatch.setenv("LEAPWATCH_KAFKA_PREFIX", "t.")
    return embedded_broker.bootstrap


@pytest.fixture
def run(bootstrap: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; return its code and its lines of output."""

    def command(*arguments: str) -> tuple[int, list[str]]:
        code = main(list(arguments))
        return code, capsys.readouterr().out.splitlines()

    return command


def environment(bootstrap: str) -> dict[str, str]:
    return {"LEAPWATCH_KAFKA_BOOTSTRAP": bootstrap, "LEAPWATCH_KAFKA_PREFIX": "t."}


def put(bootstrap: str, records: Iterable[Outgoing]) -> None:
    asyncio.run(send(load(None, environment(bootstrap)), list(records)))


def held(bootstrap: str, topic: str) -> list[Any]:
    async def read() -> list[Any]:
        async with reader(load(None, environment(bootstrap))) as connected:
            return [record async for record in connected.read(topic)]

    return asyncio.run(read())


def place(bootstrap: str, topic: str, record: Finding | Decision) -> None:
    put(bootstrap, [Outgoing(f"t.{topic}", lane_of("c1", LANES), record.id.encode(), codec.encode(record))])


def test_a_redriven_letter_is_the_same_record_in_the_same_lane(bootstrap: str, run: Run) -> None:
    letters = [
        DeadLetter(
            "t.host-agent", 2, 7, 1000, b"k", b"\x00\xffjunk", "NOT_JSON", "neither Avro nor JSON", {"h": b"\x01"}
        ),
        DeadLetter("t.host-agent", 1, 8, 2000, None, None, "EMPTY", "the record has no bytes"),
    ]
    put(bootstrap, [Outgoing("t.dead-letters", 0, b"x", codec.encode(letter)) for letter in letters])

    assert (Exit.OK, ["1 records would be sent again"]) == run(
        "dead-letters", "redrive", "--reason", "not_json", "--dry-run"
    )
    assert [] == held(bootstrap, "t.host-agent")
    assert (Exit.OK, ["1 records sent again"]) == run("dead-letters", "redrive", "t.host-agent-2-7")

    (again,) = held(bootstrap, "t.host-agent")
    assert (2, b"k", b"\x00\xffjunk", (("h", b"\x01"),)) == (again.partition, again.key, again.value, again.headers)


def test_dead_letters_are_listed_by_filter_and_shown_whole(bootstrap: str, run: Run) -> None:
    letter = DeadLetter("t.host-agent", 2, 7, 1000, b"k", b"{}", "MISSING_FIELD", "cluster is missing")
    put(bootstrap, [Outgoing("t.dead-letters", 0, b"x", codec.encode(letter))] * 2)

    code, lines = run("dead-letters", "list", "--json")
    assert (Exit.OK, ["t.host-agent-2-7"]) == (code, [json.loads(line)["id"] for line in lines])
    assert ["0 dead letters"] == run("dead-letters", "list", "--reason", "EMPTY")[1]
    assert ["0 dead letters"] == run("dead-letters", "list", "--since", "1970-01-01T00:00:02Z")[1]
    assert "value   2 bytes" in run("dead-letters", "show", "t.host-agent-2-7")[1]
    assert Exit.USAGE == run("dead-letters", "show", "t.host-agent-2-8")[0]


def test_a_release_goes_into_the_clusters_lane_and_is_pending_until_the_engine_says_so(
    bootstrap: str, run: Run
) -> None:
    place(bootstrap, "decisions", DECISION)
    code, lines = run("decisions", "release", "dddd", "--by", "ann", "--reason", "mended", "--wait-s", "0")

    assert Exit.PENDING == code
    assert "PENDING" in lines[0]
    (sent,) = held(bootstrap, "t.operator")
    asked = codec.decode(sent.value)
    assert isinstance(asked, Release)
    assert (lane_of("c1", LANES), b"c1") == (sent.partition, sent.key)
    assert ("c1", DECISION.id, "ann", "mended") == (asked.cluster, asked.target_id, asked.by, asked.reason)


def test_a_release_that_the_engine_has_made_is_told_and_not_asked_again(bootstrap: str, run: Run) -> None:
    place(bootstrap, "decisions", DECISION)
    assert "ENFORCED" in run("decisions", "list")[1][1]
    place(bootstrap, "decisions", dataclasses.replace(DECISION, state="RELEASED", by="bob"))

    assert ["no decisions in force"] == run("decisions", "list")[1]
    assert Exit.USAGE == run("decisions", "release", "dddd", "--by", "ann", "--reason", "mended")[0]
    assert [] == held(bootstrap, "t.operator")


def test_findings_are_listed_shown_acknowledged_and_closed(bootstrap: str, run: Run) -> None:
    place(bootstrap, "findings", FINDING)

    assert "50 of 1000 servers in HI" in run("findings", "list", "--severity", "critical")[1][1]
    assert ["no open findings"] == run("findings", "list", "--cluster", "c2")[1]
    shown = run("findings", "show", "ffff")[1]
    assert "  servers = 50" in shown
    assert "evidence telemetry[0]@7 host-agent[0]@9 2012-02-29T01:15:00Z" in shown
    assert Exit.OK == run("findings", "ack", "ffff", "--by", "ann")[0]
    assert Exit.OK == run("findings", "close", "ffff", "--by", "ann", "--reason", "drill")[0]
    assert [Acknowledge, Close] == [type(codec.decode(record.value)) for record in held(bootstrap, "t.operator")]


def test_thresholds_are_written_into_every_lane_once(bootstrap: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "leapwatch.toml"
    path.write_text("[policy]\nbudget_per_day = 3\n", encoding="utf-8")

    assert "written into the log" in run("config", "apply", "--by", "ann")[1][0]
    assert "nothing written" in run("config", "apply", "--by", "ann")[1][0]
    records = held(bootstrap, "t.operator")
    assert [0, 1, 2, 3] == sorted(record.partition for record in records)
    change = codec.decode(records[0].value)
    assert isinstance(change, ConfigChanged)
    assert ("*", "[policy]\nbudget_per_day = 3\n", "ann") == (change.cluster, change.text, change.by)

    path.write_text("[policy]\nbudget_per_day = -3\n", encoding="utf-8")
    assert Exit.USAGE == run("config", "apply", "--by", "ann")[0]
    assert 4 == len(held(bootstrap, "t.operator"))


def test_an_import_writes_each_record_into_its_clusters_lane(bootstrap: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "inventory.jsonl"
    servers = "".join(f'{{"type": "Server", "cluster": "c1", "server": "s{number}"}}\n' for number in range(10))
    file.write_text(servers + '{"type": "Service", "service": "web"}\n', encoding="utf-8")

    assert "12 records would be written" == run("inventory", "import", str(file), "--dry-run")[1][-1]
    assert [] == held(bootstrap, "t.inventory")
    assert ["added: 10 server, 1 service", "12 records written"] == run("inventory", "import", str(file))[1]
    records = held(bootstrap, "t.inventory")
    mine = [record for record in records if b"service:" not in record.key]
    assert {lane_of("c1", LANES)} == {record.partition for record in mine}
    assert [0, 1, 2, 3] == sorted(record.partition for record in records if record.key == b"service:web")
    assert InventoryComplete("c1", 10, 0) == codec.decode(mine[-1].value)
    assert ["no difference"] == run("inventory", "import", str(file))[1]

    file.write_text("".join(line + "\n" for line in servers.splitlines()[2:]), encoding="utf-8")
    assert Exit.REFUSED == run("inventory", "import", str(file))[0]
    assert len(records) == len(held(bootstrap, "t.inventory"))
    assert Exit.OK == run("inventory", "import", str(file), "--force")[0]
    tombstones = [record.key for record in held(bootstrap, "t.inventory") if record.value is None]
    assert [b"server:s0", b"server:s1"] == tombstones


def test_a_server_that_moves_is_gone_before_it_appears(bootstrap: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "inventory.jsonl"
    file.write_text('{"type": "Server", "cluster": "c1", "server": "s1"}\n', encoding="utf-8")
    run("inventory", "import", str(file))
    file.write_text('{"type": "Server", "cluster": "c2", "server": "s1"}\n', encoding="utf-8")

    assert Exit.OK == run("inventory", "import", str(file), "--force")[0]
    moved = sorted(held(bootstrap, "t.inventory"), key=lambda record: (record.timestamp, record.value is not None))
    kept = [
        (record.partition, record.value and codec.decode(record.value))
        for record in moved
        if record.key == b"server:s1"
    ]
    expected = [Server("c1", "s1"), None, Server("c2", "s1")]
    assert [
        (lane_of(cluster, LANES), record) for cluster, record in zip(("c1", "c1", "c2"), expected, strict=True)
    ] == kept


def test_the_doctor_names_what_is_missing_and_ends_well(run: Run) -> None:
    code, lines = run("doctor", "--json")
    told = {line["what"]: line for line in map(json.loads, lines)}

    assert Exit.BAD == code
    assert "telemetry" in told["topics"]["found"]
    assert "`leapwatch topics apply` makes them" == told["topics"]["todo"]
    assert "ok" == told["connection"]["verdict"]
