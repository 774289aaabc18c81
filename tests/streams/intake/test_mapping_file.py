"""Mapping files: what is right is read, and all that is wrong is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import streams.intake
from streams.config.problems import ConfigError
from streams.intake.mapping_file import load_mapping, parse_mapping, preset, presets

LEAST = """
[[records]]
kind = "GuestEvent"
[records.fields]
event_id = "$topic-$offset"
cluster = "a"
server = "s"
vm = "v"
incarnation = 1
sent_ms = "$at_ms"
kind = "HEARTBEAT"
"""


def wrong(text: str) -> list[str]:
    """Give `line: key: reason` of everything that is wrong."""
    with pytest.raises(ConfigError) as caught:
        parse_mapping(text, "test", source="test.toml")
    return [problem.text("").lstrip(":") for problem in caught.value.problems]


def test_the_least_mapping_is_one_rule() -> None:
    """Nothing else is needed, and a record without a rule is a dead letter."""
    mapping = parse_mapping(LEAST, "least", source="least.toml")

    assert (("guest-agent",), "dead-letter", None) == (mapping.feeds, mapping.head.otherwise, mapping.memory)


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_is_sound_and_says_what_it_is(name: str) -> None:
    """They come with the program."""
    assert preset(name).head.doc


def test_all_errors_are_told_at_once_with_their_lines() -> None:
    """A file is mended in one go."""
    text = """
[mapping]
otherwise = "ignore"
[[unwrap]]
each = "a"
json = "b"
[values.machine]
path = ["host"]
[values.Host]
paths = ["host"]
[values.time]
paths = ["t"]
unit = "minutes"
[values.id]
paths = ["id"]
regex = "id-[0-9]+"
[values.broken]
paths = ["id"]
regex = "("
[values.none]
[values.first]
template = "$second"
[values.second]
template = "$first"
[[records]]
kind = "HostReport"
when = [{ value = "machin", equals = "x" }, { value = "id" }, { value = "id", matches = "[" }]
[records.fields]
cluster = "$clustr"
server = "$machine"
boot_id = "b"
run = "r"
seq = "$seq"
sent_ms = 1.5
interval = 3
vms = []
[memry]
"""
    found = wrong(text)

    for part in (
        "3: mapping.otherwise: must be one of dead-letter, skip",
        "unwrap[0]: needs either `each` or `json`",
        "8: values.machine.path: unknown key; did you mean `paths`?",
        "9: values.Host: a name has lower-case letters",
        "13: values.time.unit: must be one of",
        "16: values.id.regex: needs a group",
        "19: values.broken.regex: no regular expression",
        "20: values.none: needs either `paths` or `template`",
        "21: values.first: leads back to itself",
        "23: values.second: leads back to itself",
        "records[0].when[0].value: no value `machin`; did you mean `machine`?",
        "records[0].when[1]: needs one of equals, matches, one_of, present",
        "records[0].when[2].matches: no regular expression",
        "29: records[0].fields.cluster: no value `clustr`",
        "records[0].fields.seq: `seq` needs a [memory]",
        "records[0].fields.sent_ms: must be a text",
        "records[0].fields.interval: unknown key; did you mean `interval_s`?",
        "records[0].fields.vms: unknown key",
        "records[0].fields.full_seq: is missing: every HostReport has it",
        "records[0].fields.interval_s: is missing",
        "memry: unknown key; did you mean `memory`?",
    ):
        assert any(part in line for line in found), (part, found)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no rule"),
        ("records = 3", "must be an array of tables"),
        ("unwrap = 3" + LEAST, "unwrap: must be an array of tables"),
        ("values = 3" + LEAST, "values: must be a table of tables"),
        ("parameters = 3" + LEAST, "parameters: must be a table"),
        ("[parameters]\nseq = 3" + LEAST, "`seq` is given already"),
        ("[parameters]\nx = [1]" + LEAST, "parameters.x: must be a text"),
        ('[mapping]\nbased_on = "waagent-jornald"', "did you mean `waagent-journald`?"),
        ('[memory]\nkey = "machine"' + LEAST, "memory.key: no value `machine`"),
        ('[values.x]\npaths = ["x"]\nremember = true' + LEAST, "there is no [memory]"),
        ("[mapping", "not TOML"),
        ("x = 1\n" * 100_000, "at most"),
        (LEAST.replace('"v"', "{a = 1}"), "fields.vm: must be a text"),
    ],
)
def test_one_error_is_told(text: str, part: str) -> None:
    """Each by itself."""
    assert any(part in line for line in wrong(text)), wrong(text)


def test_a_file_based_on_a_preset_states_the_difference() -> None:
    """Its parameters and values stand in place of the preset's, and all the rest is the preset's."""
    base = preset("waagent-journald")
    text = '[mapping]\nbased_on = "waagent-journald"\n[parameters]\ninterval_s = 5\n[values.machine]\npaths = ["host"]'
    mapping = parse_mapping(text, "own", source="own.toml")

    assert (5, "machines") == (mapping.parameters["interval_s"], mapping.parameters["cluster"])
    assert ("host",) == mapping.values["machine"].paths
    assert (base.rules, base.unwrap, base.memory, "skip") == (
        mapping.rules,
        mapping.unwrap,
        mapping.memory,
        mapping.head.otherwise,
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Where it should be, and what it is not."""
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        load_mapping(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="no such preset"):
        preset("absent")


def test_the_document_names_every_key_and_its_examples_are_sound() -> None:
    """What is not written down is not there; what is written down works."""
    text = (Path(streams.intake.__file__).parent / "MAPPING.md").read_text()
    example = re.findall(r"```toml\n(\[mapping\].*?)```", text, re.DOTALL)[0]
    mapping = parse_mapping(example, "example", source="MAPPING.md")
    keys = (
        "based_on otherwise each json paths template regex table unit remember default key boot run shutdown machines"
    )

    assert ("host-agent",) == mapping.feeds
    assert [] == [key for key in keys.split() if f"`{key}" not in text]
