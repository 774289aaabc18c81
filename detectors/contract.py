"""What every detector is: one class, one frozen configuration, one state; frames in, findings out.

A detector is one file in a folder of `detectors/`; its module name is its name in the configuration, in the metrics
and in the tests; it is found, not registered (`registry`). It sees three kinds of frames: a batch of its cluster
(already folded into the picture, what is new stands in `picture.news`), its own due time, and findings of detectors
that it follows. It reads no clock: absences are judged by `picture.limit_passed_ms` and `picture.waited_ms` alone, at
a due time that it has named, when every lane of its `feeds` has passed it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

import detectors
from detectors.frames import Frame
from detectors.picture import Picture
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject, Verdict

UPDATE_EVERY_MS = 10_000
"""A finding is updated at most every 10 s (DESIGN, Records)."""
EVIDENCE_KEPT = 16
"""Records cited by one finding; its numbers tell how many there were."""


def finding_id(detector: str, subject: Subject, opened_by: str) -> str:
    """Return the id: a hash of detector, subject and what opened it in the source's own terms."""
    parts = [detector, opened_by]
    parts += [f"{f.name}={getattr(subject, f.name)}" for f in dataclasses.fields(subject)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _floats(numbers: dict[str, float]) -> dict[str, float]:
    """Return numbers as what they are declared to be: a saved 3 comes back as 3.0, and the bytes must be the same."""
    return {name: float(value) for name, value in numbers.items()}


@dataclass(slots=True)
class Deadlines:
    """Due times by key, the earliest first; a key has one due time, naming it again moves it."""

    due: dict[str, int] = field(default_factory=dict)
    heap: list[tuple[int, str]] = field(default_factory=list)

    def set(self, key: str, due_ms: int) -> None:
        """Name the time at which `key` wants to be asked; an earlier or later one is forgotten."""
        if self.due.get(key) != due_ms:
            self.due[key] = due_ms
            heapq.heappush(self.heap, (due_ms, key))
            # Moved deadlines leave their old entries in the heap: rebuilt before they are most of it.
            if len(self.heap) > 64 + 4 * len(self.due):
                self.heap = [(due, known) for known, due in self.due.items()]
                heapq.heapify(self.heap)

    def drop(self, key: str) -> None:
        """Forget the due time of `key`."""
        self.due.pop(key, None)

    def next_ms(self) -> int | None:
        """Return the earliest due time, None where nothing is waited for."""
        while self.heap:
            due_ms, key = self.heap[0]
            if self.due.get(key) == due_ms:
                return due_ms
            heapq.heappop(self.heap)
        return None

    def pop(self, until_ms: int) -> list[str]:
        """Return the keys due at or before `until_ms`, in order of due time, then name; they are forgotten."""
        keys: list[str] = []
        while (due_ms := self.next_ms()) is not None and due_ms <= until_ms:
            key = heapq.heappop(self.heap)[1]
            del self.due[key]
            keys.append(key)
        return keys


@dataclass(slots=True)
class OpenFinding:
    """A finding that is open, as last published."""

    finding: Finding
    dismissed: bool = False
    """A person closed it while its condition holds: nothing more is said of it until that ends."""


@dataclass(slots=True)
class Openings:
    """The open findings of one detector, by a key of its own; their ids, throttling and closing."""

    open: dict[str, OpenFinding] = field(default_factory=dict)

    def start(
        self,
        key: str,
        frame: Frame,
        detector: str,
        subject: Subject,
        opened_by: str,
        *,
        opened_ms: int,
        severity: str,
        title: str,
        explanation: str = "",
        verdict: str = Verdict.NONE,
        trigger: str = "",
        evidence: tuple[Evidence, ...] = (),
        numbers: dict[str, float] | None = None,
        facts: dict[str, str] | None = None,
        advised: tuple[str, ...] = (),
        supersedes: tuple[str, ...] = (),
        latched: bool = False,
    ) -> list[Finding]:
        """Open a finding; nothing where one is open under this key (see `update`)."""
        if key in self.open:
            return []
        finding = Finding(
            id=finding_id(detector, subject, opened_by),
            detector=detector,
            subject=subject,
            state=FindingState.OPEN,
            severity=severity,
            opened_ms=opened_ms,
            at_ms=frame.at_ms,
            title=title,
            explanation=explanation,
            verdict=verdict,
            trigger=trigger,
            evidence=evidence[:EVIDENCE_KEPT],
            numbers=_floats(numbers or {}),
            facts=facts or {},
            advised=advised,
            supersedes=supersedes,
            latched=latched,
        )
        self.open[key] = OpenFinding(finding)
        return [finding]

    def update(self, key: str, frame: Frame, *, at_once: bool = False, **changes: Any) -> list[Finding]:
        """Change fields of an open finding (title, numbers, ...); said if something differs, at most every 10 s.

        `at_once`: a change of what it concludes (verdict, severity) does not wait.
        """
        known = self.open.get(key)
        if known is None or known.dismissed:
            return []
        if "evidence" in changes:
            changes["evidence"] = changes["evidence"][:EVIDENCE_KEPT]
        if "numbers" in changes:
            changes["numbers"] = _floats(changes["numbers"])
        if all(getattr(known.finding, name) == value for name, value in changes.items()):
            return []
        if not at_once and frame.at_ms < known.finding.at_ms + UPDATE_EVERY_MS:
            return []
        finding = dataclasses.replace(known.finding, state=FindingState.UPDATED, at_ms=frame.at_ms, **changes)
        known.finding = finding
        return [finding]

    def end(self, key: str, frame: Frame, reason: str) -> list[Finding]:
        """Close what is open under this key, because its condition ended; nothing where nothing is."""
        known = self.open.pop(key, None)
        if known is None or known.dismissed:
            return []
        return [dataclasses.replace(known.finding, state=FindingState.CLOSED, at_ms=frame.at_ms, close_reason=reason)]

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Close a finding by its id because a person says so; its condition does not open it again while it lasts."""
        for known in self.open.values():
            if known.finding.id == finding_id and not known.dismissed:
                known.dismissed = True
                known.finding = dataclasses.replace(
                    known.finding, state=FindingState.CLOSED, at_ms=frame.at_ms, close_reason=reason
                )
                return [known.finding]
        return []

    def get(self, key: str) -> Finding | None:
        """Return the open finding under this key, None where there is none or a person closed it."""
        known = self.open.get(key)
        return None if known is None or known.dismissed else known.finding

    def __iter__(self) -> Iterator[Finding]:
        """Yield what is open, oldest first."""
        return (known.finding for known in self.open.values() if not known.dismissed)


@dataclass(slots=True)
class State:
    """The base of every detector's state: what is open and what is due. Saved and restored whole; holds no sets."""

    openings: Openings = field(default_factory=Openings)
    deadlines: Deadlines = field(default_factory=Deadlines)


C = TypeVar("C")
S = TypeVar("S", bound=State)


class Detector(Generic[C, S]):
    """The base of every detector of one cluster (or, with `scope` partition, of a whole partition).

    A subclass sets `Config` and `State`, says what it reads, and writes `step`. Its docstring is its documentation:
    the rule, what it tells, where its numbers come from.
    """

    Config: ClassVar[type[Any]]
    """A frozen dataclass; every field has a default, a unit in its name, and a docstring that ends with its source."""
    State: ClassVar[type[Any]] = State
    state_version: ClassVar[int] = 1
    """Raised when the meaning of the state changes: the detector is then fed anew from the log."""
    memory_s: ClassVar[int] = 3600
    """How much of the log it must be fed to know what it would have known, in seconds (at most a day)."""
    scope: ClassVar[str] = "cluster"
    """cluster; or partition: then it sees every frame of the partition, Clocks too, and `picture` of cluster `*`;
    or both; or fleet: then it sees every frame of `fleet`, whose lanes (feed `engine`) are the engine's partitions."""
    feeds: ClassVar[tuple[str, ...]] = ()
    """All feeds that could speak or explain: its due times wait until every lane of these has passed them."""
    follows: ClassVar[tuple[str, ...]] = ()
    """Detectors whose findings it is given, in the frame that brings them."""

    def __init__(self, config: C, state: S | None = None) -> None:
        self.config = config
        self.state: S = state if state is not None else type(self).State()

    @classmethod
    def name(cls) -> str:
        """Return the detector's name: that of its module."""
        return cls.__module__.rpartition(".")[2]

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what this frame brings: openings, updates, closings."""
        raise NotImplementedError

    def next_due_ms(self) -> int | None:
        """Return the next time at which it wants a DueFrame."""
        return self.state.deadlines.next_ms()

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Close a finding because a person says so (Close), or lift its latch (Release)."""
        return self.state.openings.dismiss(finding_id, frame, reason)

    def _open(self, key: str, frame: Frame, subject: Subject, opened_by: str, **fields: Any) -> list[Finding]:
        """Open a finding of this detector (see `Openings.start`)."""
        return self.state.openings.start(key, frame, self.name(), subject, opened_by, **fields)


AnyDetector = Detector[Any, Any]

FOLDERS = ("hosts", "failfast", "investigate", "rollouts", "causes", "fleet")
"""The folders of `detectors/`, one a table of the catalogue, in the order in which detectors are asked."""


@cache
def registry() -> dict[str, type[AnyDetector]]:
    """Return every detector by name, in order of folder and name: found in the folders of `detectors/`.

    A module is a detector if it defines exactly one subclass of Detector; other modules there are their parts.
    """
    found: dict[str, type[AnyDetector]] = {}
    for folder in FOLDERS:
        try:
            package = importlib.import_module(f"detectors.{folder}")
        except ModuleNotFoundError:
            continue
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            loaded = importlib.import_module(f"detectors.{folder}.{module.name}")
            classes = [
                value
                for value in vars(loaded).values()
                if isinstance(value, type) and issubclass(value, Detector) and value.__module__ == loaded.__name__
            ]
            if len(classes) == 1:
                found[module.name] = classes[0]
            elif classes:
                msg = f"detectors.{folder}.{module.name} defines {len(classes)} detectors: one file, one detector"
                raise TypeError(msg)
    return found


def in_order(names: list[str]) -> list[str]:
    """Return detectors' names so that each comes after those it follows, else as given; refuses a circle."""
    known = registry()
    ordered: list[str] = []

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            msg = f"detectors follow each other in a circle: {' -> '.join([*above, name])}"
            raise ValueError(msg)
        if name in ordered or name not in names:
            return
        for followed in known[name].follows:
            place(followed, (*above, name))
        ordered.append(name)

    for name in names:
        place(name, ())
    return ordered


__all__ = [
    "EVIDENCE_KEPT",
    "UPDATE_EVERY_MS",
    "AnyDetector",
    "Deadlines",
    "Detector",
    "OpenFinding",
    "Openings",
    "Severity",
    "State",
    "detectors",
    "finding_id",
    "in_order",
    "registry",
]
