"""The scanner: each key's line, in every shape that TOML knows."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from streams.config.lines import KeyPath, key_lines, line_of

EVERY_SHAPE = '''# a comment with [brackets] and = signs
[kafka]
bootstrap = [
  "a:1",  # the first
  "b:2",
]
security.protocol = "ssl"

[[intake.foreign]]
topic = "one"
[[intake.foreign]]
topic = """
two
= not a key
"""
gap_s = 3

[detectors."odd name"]
deny = [{ha = "1", fc = "2"},
        {ha = "3"}]
text = 'C:\\' # a backslash is no escape here
after = 1
quoted = "a \\" b"
last = 2012-02-29 00:00:00
'''


def test_each_key_has_its_line() -> None:
    lines = key_lines(EVERY_SHAPE)

    expected: dict[KeyPath, int] = {
        ("kafka",): 2,
        ("kafka", "bootstrap"): 3,
        ("kafka", "bootstrap", 1): 5,
        ("kafka", "security", "protocol"): 7,
        ("intake", "foreign", 0): 9,
        ("intake", "foreign", 0, "topic"): 10,
        ("intake", "foreign", 1): 11,
        ("intake", "foreign", 1, "topic"): 12,
        ("intake", "foreign", 1, "gap_s"): 16,
        ("detectors", "odd name"): 18,
        ("detectors", "odd name", "deny", 0, "fc"): 19,
        ("detectors", "odd name", "deny", 1, "ha"): 20,
        ("detectors", "odd name", "text"): 21,
        ("detectors", "odd name", "after"): 22,
        ("detectors", "odd name", "quoted"): 23,
        ("detectors", "odd name", "last"): 24,
    }
    assert expected == {path: lines.get(path, 0) for path in expected}


def test_a_table_below_an_array_of_tables_belongs_to_its_newest() -> None:
    lines = key_lines("[[a]]\nx = 1\n[[a]]\n[a.b]\ny = 2\n")

    assert 5 == lines["a", 1, "b", "y"]


def test_what_is_not_found_has_the_line_of_the_nearest_key_around_it() -> None:
    lines = key_lines("[kafka]\n\nlanes = 3\n")

    assert 1 == line_of(lines, ("kafka", "bootstrap"))
    assert 0 == line_of(lines, ("web", "port"))


KEYS = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=6)
VALUES = st.sampled_from(["1", "'x'", '"""\n[no]\n= x\n"""', "[1,\n 2]", "{a = 1, b = [2]}", "true", "'''\n'q'\n'''"])


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=5))
def test_every_key_of_a_document_is_on_the_line_that_begins_with_it(tables: dict[str, dict[str, str]]) -> None:
    text = ""
    for table, pairs in tables.items():
        text += f"[{table}] # c\n" + "".join(f"{key} = {value} # c\n" for key, value in pairs.items())
    lines = key_lines(text)

    for table, pairs in tomllib.loads(text).items():
        for key in pairs:
            assert text.split("\n")[lines[table, key] - 1].startswith(f"{key} = ")


@given(st.text(alphabet="[]{}\"'=.,#\\\n a1", max_size=60))
def test_any_text_at_all_comes_to_an_end(text: str) -> None:
    key_lines(text)
