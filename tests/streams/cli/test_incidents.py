"""`leapwatch incidents`: one line a cause."""

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest

from schemas import codec
from schemas.fleet import Incident
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.engine.place import Place
from streams.kafka.plain import Outgoing
from streams.kafka.real import RealBroker
from tests.streams.cli.log import Run, put
from tests.streams.replay.lived import LANES, live, work
from tests.streams.replay.test_fleet import braked

INCIDENT = Incident(
    "i" * 32,
    "OPEN",
    "CRITICAL",
    "cert:E: one fault in 14 clusters of north, set off by 29 February",
    1_330_473_620_000,
    1_330_473_630_000,
    cause="cert:E",
    verdict="SOFTWARE",
    trigger="clock",
    clusters=tuple(f"c{n}" for n in range(14)),
    regions=("north",),
    findings={"server_hi": 700, "start_failure": 14},
    finding_ids=("f" * 32,),
    numbers={"servers_out": 700.0},
    actions=("pause-create everywhere: PROPOSED (advise)",),
    services=("acs (3 of 9 up)",),
)


def write(bootstrap: str, *incidents: Incident) -> None:
    put(bootstrap, [Outgoing("t.incidents", 0, each.id.encode(), codec.encode(each)) for each in incidents])


@pytest.mark.embedded
def test_an_incident_is_read_at_a_glance(bootstrap: str, run: Run) -> None:
    write(bootstrap, INCIDENT)
    row = run("incidents", "list")[1][1]
    shown = run("incidents", "show", "iiii")[1]

    assert ["14", "714"] == row.split()[4:6]
    assert "set off by 29 February" in row
    assert "where    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 and 2 more (north)" in shown
    assert "action   pause-create everywhere: PROPOSED (advise)" in shown
    assert "open     700 server_hi, 14 start_failure" in shown


@pytest.mark.embedded
def test_the_loudest_stand_first_and_what_is_over_only_when_asked_for(bootstrap: str, run: Run) -> None:
    older = dataclasses.replace(INCIDENT, id="a" * 32, severity="WARNING", opened_ms=1, clusters=("c99",))
    write(bootstrap, older, INCIDENT, dataclasses.replace(INCIDENT, id="o" * 32, state="RESOLVED", resolved_ms=9))

    def listed(*flags: str) -> list[str]:
        return [json.loads(line)["id"][0] for line in run("incidents", "list", "--json", *flags)[1]]

    assert ["i", "a"] == listed()
    assert ["i", "o", "a"] == listed("--all")
    assert ["a"] == listed("--cluster", "c99")


@pytest.mark.embedded
def test_calm_is_said(bootstrap: str, run: Run) -> None:
    assert ["no incident goes on"] == run("incidents", "list")[1]


@pytest.mark.kafka
def test_what_a_cluster_decided_and_who_released_it_is_shown_with_its_incident(
    real_broker: RealBroker,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the engine's decision through `fleet` and the fleet engine to the terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    where = f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = {LANES}\n'
    Path("leapwatch.toml").write_text(where)
    asyncio.run(live(real_broker, topic_prefix, braked()))
    asyncio.run(work(Place(real_broker.bootstrap, topic_prefix, 0, source_topic="fleet")))
    capsys.readouterr()

    assert Exit.OK == main(["incidents", "list", "--json", "--cluster", "c1"])
    incident = json.loads(capsys.readouterr().out.splitlines()[0])
    assert Exit.OK == main(["incidents", "show", incident["id"]])
    shown = capsys.readouterr().out.splitlines()
    assert "action   stop-updates cluster:c1: RELEASED by ann" in shown
    assert "action   disable-healing cluster:c1: PROPOSED (advise)" in shown
