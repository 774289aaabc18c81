"""`leapwatch dead-letters`: what could not be taken is listed, shown whole, and sent again as it was."""

import base64
import json

import pytest

from schemas import codec
from schemas.outputs import DeadLetter
from streams.cli.exits import Exit
from streams.kafka.plain import Outgoing
from tests.streams.cli.log import Run, held, put

pytestmark = pytest.mark.embedded


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
    assert ["0 dead letters"] == run("dead-letters", "list", "--until", "1970-01-01T00:00:01Z")[1]
    assert "1 dead letters" == run("dead-letters", "list", "--until", "1001")[1][-1]
    assert "value   2 bytes" in run("dead-letters", "show", "t.host-agent-2-7")[1]
    assert Exit.USAGE == run("dead-letters", "show", "t.host-agent-2-8")[0]


def test_bytes_that_a_terminal_cannot_bear_are_shown_as_hex_and_whole_as_json(bootstrap: str, run: Run) -> None:
    letter = DeadLetter("t.host-agent", 2, 7, 1000, None, b"\x1b[2J" + bytes(5_000), "NOT_JSON", "junk", {"h": b"\xff"})
    put(bootstrap, [Outgoing("t.dead-letters", 0, b"x", codec.encode(letter))])

    lines = run("dead-letters", "show", "t.host-agent-2-7")[1]
    assert "header  h: ff" in lines
    assert "key     (none)" in lines
    assert lines[-1].startswith("1b 5b 32 4a 00")
    assert lines[-1].endswith("00 ... and 908 bytes more (--json has all)")
    told = json.loads(run("dead-letters", "show", "t.host-agent-2-7", "--json")[1][0])
    assert letter.value == base64.b64decode(told["value_base64"])
    assert told["key_base64"] is None


def test_everything_is_sent_again_only_where_that_is_asked_for(bootstrap: str, run: Run) -> None:
    letters = [DeadLetter("t.host-agent", 0, offset, 1000, None, b"{}", "NOT_JSON", "x") for offset in range(3)]
    put(bootstrap, [Outgoing("t.dead-letters", 0, b"x", codec.encode(letter)) for letter in letters])

    assert Exit.USAGE == run("dead-letters", "redrive")[0]
    assert [] == held(bootstrap, "t.host-agent")
    assert (Exit.OK, ["3 records sent again"]) == run("dead-letters", "redrive", "--all")
    assert 3 == len(held(bootstrap, "t.host-agent"))


def test_a_letter_with_neither_key_nor_value_holds_up_no_other(bootstrap: str, run: Run) -> None:
    values = enumerate((None, b"{}"))
    letters = [DeadLetter("t.host-agent", 0, offset, 1000, None, value, "EMPTY", "x") for offset, value in values]
    put(bootstrap, [Outgoing("t.dead-letters", 0, b"x", codec.encode(letter)) for letter in letters])

    said = "1 records sent again; 1 left out that had neither key nor value"
    assert (Exit.OK, [said]) == run("dead-letters", "redrive", "--all")
    assert [b"{}"] == [record.value for record in held(bootstrap, "t.host-agent")]
