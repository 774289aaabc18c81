"""`leapwatch decisions`: what is in force, and how a person lifts it."""

import asyncio
import dataclasses
import json
import threading

import pytest

from schemas import codec
from schemas.commands import Release
from schemas.outputs import Decision, Finding
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.partition import lane_of
from streams.kafka.plain import Outgoing, reader, send
from tests.streams.cli.log import DECISION, FINDING, LANES, Run, config_of, held, place

pytestmark = pytest.mark.embedded


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


def test_decisions_are_listed_by_cluster_and_released_ones_when_asked_for(bootstrap: str, run: Run) -> None:
    place(bootstrap, "decisions", DECISION)
    place(bootstrap, "decisions", dataclasses.replace(DECISION, id="e" * 32, state="RELEASED", by="bob"))

    assert [DECISION.id] == [json.loads(line)["id"] for line in run("decisions", "list", "--json")[1]]
    assert ["no decisions in force"] == run("decisions", "list", "--cluster", "c2")[1]
    assert "brake (bob)" in run("decisions", "list", "--all")[1][2]


def answering(bootstrap: str, topic: str, said: Finding | Decision) -> threading.Thread:
    """Answer the first release on `operator` as an engine would: by this record."""

    async def engine() -> None:
        config = config_of(bootstrap)
        async with reader(config) as connected:
            while not [record async for record in connected.read("t.operator")]:
                pass
        await send(config, [Outgoing(f"t.{topic}", lane_of("c1", LANES), said.id.encode(), codec.encode(said))])

    thread = threading.Thread(target=lambda: asyncio.run(engine()))
    thread.start()
    return thread


def test_the_engines_released_ends_the_waiting(bootstrap: str, run: Run) -> None:
    place(bootstrap, "decisions", DECISION)
    answer = answering(bootstrap, "decisions", dataclasses.replace(DECISION, state="RELEASED", by="ann"))
    code, lines = run("decisions", "release", "dddd", "--by", "ann", "--reason", "mended", "--json")
    answer.join()

    assert (Exit.OK, ["RELEASED"]) == (code, [json.loads(line)["state"] for line in lines])


LATCHED = dataclasses.replace(FINDING, detector="server_hi", title="server s7 is out", latched=True)
"""A latched finding for which nothing was decided."""


def test_a_latched_finding_is_released_by_its_id_and_its_closing_ends_the_waiting(bootstrap: str, run: Run) -> None:
    place(bootstrap, "findings", LATCHED)
    closed = dataclasses.replace(LATCHED, state="CLOSED", close_reason="released by ann: mended")
    answer = answering(bootstrap, "findings", closed)
    code, lines = run("decisions", "release", "ffff", "--by", "ann", "--reason", "mended")
    answer.join()

    assert (Exit.OK, ["ffffffffffff server_hi: server s7 is out: CLOSED, released by ann: mended"]) == (code, lines)
    asked = codec.decode(held(bootstrap, "t.operator")[0].value)
    assert ("c1", LATCHED.id, "ann", "mended") == (asked.cluster, asked.target_id, asked.by, asked.reason)


def test_a_release_of_a_finding_is_pending_until_it_is_closed(bootstrap: str, run: Run) -> None:
    place(bootstrap, "findings", LATCHED)
    code, lines = run("decisions", "release", "ffff", "--by", "ann", "--reason", "mended", "--wait-s", "0", "--json")

    assert (Exit.PENDING, {"id": LATCHED.id, "state": "PENDING", "by": "ann"}) == (code, json.loads(lines[0]))


def test_what_holds_nothing_is_not_released(bootstrap: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was never latched, unless something was decided for it; and one that is closed."""
    release = ["decisions", "release", "ffff", "--by", "ann", "--reason", "mended", "--wait-s", "0"]
    place(bootstrap, "findings", FINDING)
    assert Exit.USAGE == main(release)
    assert "not latched, and nothing was decided for it: `leapwatch findings close ffff" in capsys.readouterr().err
    place(bootstrap, "decisions", DECISION)
    assert Exit.PENDING == main(release)
    place(bootstrap, "findings", dataclasses.replace(LATCHED, state="CLOSED", close_reason="READY"))
    assert Exit.USAGE == main(release)
    assert "closed already: READY" in capsys.readouterr().err
