"""`leapwatch decisions`: what is in force, and how a person lifts it."""

import asyncio
import dataclasses
import json
import threading

import pytest

from schemas import codec
from schemas.commands import Release
from streams.cli.exits import Exit
from streams.kafka.partition import lane_of
from streams.kafka.plain import Outgoing, reader, send
from tests.streams.cli.log import DECISION, LANES, Run, config_of, held, place

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


def test_the_engines_released_ends_the_waiting(bootstrap: str, run: Run) -> None:
    place(bootstrap, "decisions", DECISION)

    async def engine() -> None:
        """Answer the first release on `operator` as an engine would."""
        config = config_of(bootstrap)
        async with reader(config) as connected:
            while not [record async for record in connected.read("t.operator")]:
                pass
        said = dataclasses.replace(DECISION, state="RELEASED", by="ann")
        await send(config, [Outgoing("t.decisions", lane_of("c1", LANES), said.id.encode(), codec.encode(said))])

    answer = threading.Thread(target=lambda: asyncio.run(engine()))
    answer.start()
    code, lines = run("decisions", "release", "dddd", "--by", "ann", "--reason", "mended", "--json")
    answer.join()

    assert (Exit.OK, ["RELEASED"]) == (code, [json.loads(line)["state"] for line in lines])
