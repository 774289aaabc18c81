"""SCENARIOS.md: the page that a stranger writes a scenario by is complete, and its example runs."""

from __future__ import annotations

from pathlib import Path

import streams.simulate
from streams.simulate.kinds import KINDS
from streams.simulate.ledger import FACTS
from streams.simulate.load import loads

PAGE = (Path(streams.simulate.__file__).parent / "SCENARIOS.md").read_text(encoding="utf-8")


def test_every_kind_of_fault_and_moment_is_on_the_page_in_its_own_words() -> None:
    rows = [f"| `{name}` | {kind.doc} |" for name, kind in KINDS.items()]
    moments = [f"- `{name}`: {text}" for name, text in FACTS.items()]

    assert [] == [row for row in rows + moments if row not in PAGE]


def test_every_key_of_a_fault_is_on_the_page() -> None:
    keys = {key for kind in KINDS.values() for key in kind.keys}

    assert set() == {key for key in keys if f"`{key}`" not in PAGE}


def test_the_example_of_the_page_can_be_read() -> None:
    example = PAGE.split("```toml")[1].split("```")[0]

    assert "one-dead-server" == loads(example).name
