"""`leapwatch inventory import`: the difference is written, each record where it belongs."""

from pathlib import Path

import pytest

from schemas import codec
from schemas.inventory import InventoryComplete, Server
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.partition import lane_of
from tests.streams.cli.log import LANES, Run, held

pytestmark = pytest.mark.embedded


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


def test_a_file_with_errors_is_refused_whole_and_each_is_named(
    bootstrap: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inventory.jsonl"
    file.write_text('{"type": "Server", "cluster": "c1", "server": "s1"}\n{"type": "Server"}\n{bad\n', encoding="utf-8")

    assert Exit.USAGE == main(["inventory", "import", str(file)])
    said = capsys.readouterr().err
    assert "was not imported" in said
    assert "line 2" in said
    assert "line 3" in said
    assert [] == held(bootstrap, "t.inventory")
