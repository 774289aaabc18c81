"""`leapwatch findings`: what is seen, what it stands on, and what a person says of it."""

import dataclasses
import json

import pytest

from schemas import codec
from schemas.commands import Acknowledge, Close
from schemas.outputs import Subject
from streams.cli.exits import Exit
from streams.cli.findings import subject
from streams.cli.main import main
from tests.streams.cli.log import DECISION, FINDING, Run, held, place

pytestmark = pytest.mark.embedded


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


def test_the_loudest_stand_first_and_closed_ones_only_when_asked_for(bootstrap: str, run: Run) -> None:
    place(bootstrap, "findings", dataclasses.replace(FINDING, id="a" * 32, severity="WARNING", opened_ms=1))
    place(bootstrap, "findings", FINDING)
    later = dataclasses.replace(FINDING, id="b" * 32, opened_ms=FINDING.opened_ms + 1, state="CLOSED")
    place(bootstrap, "findings", later)

    def listed(*flags: str) -> list[str]:
        return [json.loads(line)["id"][0] for line in run("findings", "list", "--json", *flags)[1]]

    assert ["f", "a"] == listed()
    assert ["f"] == listed("--severity", "critical")
    assert ["f", "b", "a"] == listed("--all")
    assert [] == listed("--detector", "host_silence")


def test_what_is_closed_is_not_closed_again(bootstrap: str, run: Run) -> None:
    place(bootstrap, "findings", dataclasses.replace(FINDING, state="CLOSED", close_reason="CONDITION"))

    assert Exit.USAGE == run("findings", "close", "ffff", "--by", "ann", "--reason", "drill")[0]
    assert [] == held(bootstrap, "t.operator")


def test_a_brake_is_not_closed_while_its_decisions_stand(
    bootstrap: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    place(bootstrap, "findings", dataclasses.replace(FINDING, latched=True))
    place(bootstrap, "decisions", DECISION)

    assert Exit.REFUSED == main(["findings", "close", "ffff", "--by", "ann", "--reason", "drill"])
    assert (
        "stop-updates of cluster:c1 stand for finding ffffffffffff; `leapwatch decisions release"
        in capsys.readouterr().err
    )
    assert [] == held(bootstrap, "t.operator")
    place(bootstrap, "decisions", dataclasses.replace(DECISION, state="RELEASED", by="bob"))
    assert Exit.OK == run("findings", "close", "ffff", "--by", "ann", "--reason", "drill")[0]


def test_a_subject_is_one_phrase() -> None:
    assert "cluster c1 server s7" == subject(Subject(cluster="c1", server="s7"))
    assert "everything" == subject(Subject())
