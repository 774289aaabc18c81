"""Typed reading: every type, every kind of mistake, all mistakes at once."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest

from streams.config.problems import Problems
from streams.config.typed import Between, Keys, Text, read


class Colour(StrEnum):
    """Choices."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    """A table below."""

    size: Annotated[int, Between(1, 3)] = 1


@dataclass(frozen=True)
class Outer:
    """A field of every type."""

    share: Annotated[float, Between(0, 1)] = 0.5
    name: Annotated[str, Text(r"[a-z]+", "lower case letters")] = "a"
    on: bool = False
    file: Path | None = None
    colour: Colour = Colour.RED
    mode: Literal["x", "yes"] = "x"
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    table: Annotated[dict[str, float], Keys(("one", "two"))] = field(default_factory=dict)
    stated: int = field(default=5, metadata={"least": 2, "most": 6})

    def __post_init__(self) -> None:
        if self.on and self.file is None:
            message = "on needs a file"
            raise ValueError(message)


def problems_of(table: object) -> list[tuple[str, str]]:
    problems = Problems()
    assert read(Outer, table, ("o",), problems) is None
    return [(problem.key, problem.reason) for problem in problems.found]


def test_every_type_is_read() -> None:
    problems = Problems()
    made = read(
        Outer,
        {
            "share": 1,
            "name": "b",
            "on": True,
            "file": "/x",
            "colour": "blue",
            "mode": "yes",
            "inner": {"size": 2},
            "many": [{"size": 3}, {}],
            "table": {"one": 2},
            "stated": 6,
        },
        ("o",),
        problems,
    )

    assert [] == problems.found
    assert (
        Outer(1.0, "b", True, Path("/x"), Colour.BLUE, "yes", Inner(2), (Inner(3), Inner(1)), {"one": 2.0}, 6) == made
    )


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ({"share": 1.5}, "o.share", "must be at most 1, is 1.5"),
        ({"share": float("nan")}, "o.share", "must be a finite number, is nan"),
        ({"share": True}, "o.share", "must be a number, is true"),
        ({"share": "1"}, "o.share", 'must be a number, is the text "1"'),
        ({"name": "B"}, "o.name", "must be lower case letters, is `B`"),
        ({"on": 1}, "o.on", "must be true or false, is the number 1"),
        ({"file": 1}, "o.file", "must be a path in quotes, is the number 1"),
        ({"colour": "blu"}, "o.colour", 'must be one of red, blue, is the text "blu"; did you mean `blue`?'),
        ({"mode": 1}, "o.mode", "must be one of x, yes, is the number 1"),
        ({"inner": {"size": 4}}, "o.inner.size", "must be at most 3, is 4"),
        ({"inner": []}, "o.inner", "must be a table, is an array"),
        ({"many": {}}, "o.many", "must be an array, is a table"),
        ({"many": [{}, {"size": 1.0}]}, "o.many[1].size", "must be a whole number, is the number 1.0"),
        ({"table": {"on": 1.0}}, "o.table.on", "unknown key; did you mean `one`?"),
        ({"table": {"one": "x"}}, "o.table.one", 'must be a number, is the text "x"'),
        ({"stated": 7}, "o.stated", "must be at most 6, is 7"),
        ({"shar": 1}, "o.shar", "unknown key; did you mean `share`?"),
        ({"on": True}, "o", "on needs a file"),
        (3, "o", "must be a table, is the number 3"),
    ],
)
def test_each_mistake_is_named(table: object, key: str, reason: str) -> None:
    assert [(key, reason)] == problems_of(table)


def test_all_mistakes_are_told_at_once() -> None:
    found = problems_of({"share": 2, "nam": 1, "many": [{"size": 0}, {"size": 9}], "table": {"one": "a", "two": "b"}})

    assert ["o.share", "o.nam", "o.many[0].size", "o.many[1].size", "o.table.one", "o.table.two"] == [
        key for key, _ in found
    ]


def test_a_field_without_default_is_missed() -> None:
    @dataclass(frozen=True)
    class Needy:
        topic: str

    problems = Problems()

    assert read(Needy, {}, ("n",), problems) is None
    assert ["is missing and has no default"] == [problem.reason for problem in problems.found]
