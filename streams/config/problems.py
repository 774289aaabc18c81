"""What is wrong with a configuration: every problem at once, each with its line, its key and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from streams.config.lines import KeyPath, line_of


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong, and where: `line` is 0 where no line can be named (the environment, a whole file)."""

    line: int
    key: str
    reason: str

    def text(self, source: str) -> str:
        """`leapwatch.toml:12: engine.flush_ms: must be at least 1`."""
        place = f"{source}:{self.line}" if self.line else source
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class ConfigError(ValueError):
    """A configuration that must not be used; `problems` names all that is wrong with it."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(problem.text(source) for problem in self.problems))


@dataclass(slots=True)
class Problems:
    """Collects what is wrong while a document is read; `lines` tells where each key stands."""

    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    """Keys whose value is not the file's but an environment variable's, with its name."""

    def add(self, path: KeyPath, reason: str) -> None:
        """Keep one problem of the key at `path`."""
        for end in range(1, len(path) + 1):
            if path[:end] in self.variables:
                self.found.append(Problem(0, self.variables[path[:end]], reason))
                return
        self.found.append(Problem(line_of(self.lines, path), dotted(path), reason))

    def unknown(self, path: KeyPath, known: list[str]) -> None:
        """Keep the problem that nobody knows the key at `path`, with the nearest known one."""
        self.add(path, f"unknown key{did_you_mean(str(path[-1]), known)}")


def did_you_mean(word: str, known: list[str]) -> str:
    """Return `; did you mean X?`, or what there is to choose from where nothing is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def dotted(path: KeyPath) -> str:
    """Return the key as a person would write it: `intake.foreign[1].topic`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
