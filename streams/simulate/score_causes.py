"""`leapwatch score --causes`: what root_cause makes of intervals whose cause is known; a confusion matrix."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from detectors.frames import BatchFrame, ClocksFrame
from schemas.inventory import InventoryComplete, Server, Vm
from schemas.outputs import Finding
from schemas.rca import ArticleState, Cause
from schemas.telemetry import Batch, Clocks, Row, Stretch
from streams.engine.runner import Runner
from streams.simulate.clinic import CLUSTER, LASTS_S, START_MS, Clinic
from streams.simulate.clinic_cases import happening

DETECTORS = ("guest_timeout", "unavailability", "root_cause")
RIGHT_LEAST = 0.99
"""Source: the project's aim; none may be confidently wrong."""
TURN_S = 5
MATCH_S = 120.0
"""An interval found is the one injected if it began so near it: a server's last report may be a minute old."""

Second = tuple[float, str, list[tuple[float, Row]]]
"""The rows of a second of one feed, with the stamp of the last; without a feed it is a turn of the clocks."""


@dataclass(slots=True)
class Tally:
    """What was made of the intervals."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(cause injected, cause found; `-`: the interval was not found)."""
    right: int = 0
    planned_right: int = 0
    confident_wrong: list[str] = field(default_factory=list)
    """A line for each that was final, wrong, and not UNKNOWN."""
    unknown: int = 0
    """Of those with a cause, those said to have none that is known."""
    total: int = 0

    def good(self) -> bool:
        """Tell whether the aims are met."""
        return self.total > 0 and self.right >= RIGHT_LEAST * self.total and not self.confident_wrong


def frames(clinic: Clinic) -> Iterator[BatchFrame | ClocksFrame]:
    """Yield the log of a clinic: its inventory, batches of a second, and a turn of the clocks every few seconds."""
    names = sorted(clinic.hosts)
    rows: list[Row] = [Server(CLUSTER, name, n % 5, f"r{n % 4}", "dc1", "region1") for n, name in enumerate(names)]
    rows += [Vm(vm.name, CLUSTER, vm.server) for vm in clinic.vms.values()]
    rows.append(InventoryComplete(CLUSTER, len(names), len(clinic.vms)))
    before_ms = START_MS - 1000
    yield _batch(0, "inventory", 0, [(-1.0, row) for row in rows])
    seconds: list[Second] = []
    for feed, sent in clinic.rows.items():
        for _, group in itertools.groupby(sent, key=lambda row: int(row[0])):
            batch = list(group)
            seconds.append((batch[-1][0], feed, batch))
    turns: list[tuple[float, str, list[tuple[float, Row]]]] = [
        (float(at_s), "", []) for at_s in range(0, int(LASTS_S) + 400, TURN_S)
    ]
    offsets = dict.fromkeys(clinic.rows, 0)
    read = dict.fromkeys(clinic.rows, (0, before_ms))
    place = 1
    for at_s, feed, batch in sorted([*seconds, *turns], key=lambda item: (item[0], item[1])):
        if feed:
            yield _batch(place, feed, offsets[feed], batch)
            offsets[feed] += len(batch)
        else:
            at_ms, stretches = START_MS + round(at_s * 1000), []
            for known, (from_offset, from_ms) in read.items():
                topic_id = f"id-{known}"
                stretches.append(Stretch(known, known, topic_id, 0, from_offset, offsets[known], from_ms + 1000, at_ms))
                offsets[known] += 1
                read[known] = (offsets[known], at_ms)
            yield ClocksFrame(0, place, at_ms, Clocks(0, tuple(stretches)))
        place += 1


def _batch(place: int, feed: str, offset: int, rows: list[tuple[float, Row]]) -> BatchFrame:
    stamps = tuple(START_MS + round(at_s * 1000) for at_s, _ in rows)
    offsets = tuple(range(offset, offset + len(rows)))
    batch = Batch(CLUSTER, feed, feed, f"id-{feed}", 0, offsets, stamps, tuple(row for _, row in rows))
    return BatchFrame(0, place, stamps[-1], batch)


def statements(log: Iterable[BatchFrame | ClocksFrame]) -> dict[str, list[Finding]]:
    """Return the last statement on each interval, by VM, in order of their beginnings."""
    last: dict[str, Finding] = {}
    for output in Runner(0, only=DETECTORS).feed(log):
        if isinstance(output, Finding) and output.detector == "engine":
            raise RuntimeError(output.explanation)
        if isinstance(output, Finding) and output.detector == "root_cause":
            last[output.facts["interval"]] = output
    found: dict[str, list[Finding]] = {}
    for finding in sorted(last.values(), key=lambda known: known.numbers["start_ms"]):
        found.setdefault(finding.subject.vm or "", []).append(finding)
    return found


def judge(clinic: Clinic, tally: Tally) -> None:
    """Add what was made of one clinic's intervals."""
    found = statements(frames(clinic))
    for injected in clinic.truth:
        if injected.at_s > LASTS_S - 1800:
            continue
        at_ms = START_MS + injected.at_s * 1000
        near = [f for f in found.get(injected.vm, []) if abs(f.numbers["start_ms"] - at_ms) <= MATCH_S * 1000]
        tally.total += 1
        if not near:
            tally.pairs[injected.cause, "-"] += 1
            continue
        finding = near[0]
        cause = finding.facts["cause"]
        tally.pairs[injected.cause, cause] += 1
        tally.right += cause == injected.cause
        tally.planned_right += cause == injected.cause and (finding.facts["planned"] == "yes") == injected.planned
        if cause != injected.cause and cause == Cause.UNKNOWN:
            tally.unknown += 1
        elif cause != injected.cause and finding.facts["state"] != ArticleState.PROVISIONAL:
            tally.confident_wrong.append(f"{injected.story} ({injected.cause}): {finding.title}")


def run(count: int, seed: int) -> Tally:
    """Return what is made of at least so many intervals."""
    tally = Tally()
    for number in itertools.count():
        clinic = Clinic(seed * 1_000 + number)
        clinic.run(happening)
        judge(clinic, tally)
        if tally.total >= count:
            return tally
    raise AssertionError


def score(count: int, seed: int, *, json: bool) -> int:
    """Print the matrix; return 0 where the aims are met, else 1."""
    tally = run(count, seed)
    if json:
        sys.stdout.buffer.write(as_json(tally, seed) + b"\n")
    else:
        sys.stdout.write("\n".join(lines(tally, seed)) + "\n")
    return 0 if tally.good() else 1


def lines(tally: Tally, seed: int) -> Iterator[str]:
    """Yield the matrix for people, a row for each cause injected, and what it comes to."""
    yield f"{tally.total} intervals, seed {seed}; injected, then what was found"
    for cause in Cause:
        row = {found: count for (injected, found), count in tally.pairs.items() if injected == cause}
        if row:
            told = ", ".join(f"{found} {count}" for found, count in sorted(row.items(), key=lambda item: -item[1]))
            yield f"{cause:22} {sum(row.values()):5}  {told}"
    total = max(1, tally.total)
    yield (
        f"right {100 * tally.right / total:.2f} % (aim {100 * RIGHT_LEAST:g} %), "
        f"confidently wrong {100 * len(tally.confident_wrong) / total:.2f} % (aim 0 %), "
        f"UNKNOWN though there was a cause {100 * tally.unknown / total:.2f} %; "
        f"planned or not told rightly of {100 * tally.planned_right / max(1, tally.right):.2f} % of those"
    )
    yield from (f"confidently wrong: {line}" for line in tally.confident_wrong[:20])


def as_json(tally: Tally, seed: int) -> bytes:
    """Return the same as one JSON object."""
    matrix: dict[str, dict[str, int]] = {}
    for (injected, found), count in sorted(tally.pairs.items()):
        matrix.setdefault(str(injected), {})[str(found)] = count
    told: dict[str, Any] = {
        "seed": seed,
        "intervals": tally.total,
        "matrix": matrix,
        "right": tally.right,
        "confidently_wrong": len(tally.confident_wrong),
        "unknown": tally.unknown,
        "planned_right": tally.planned_right,
        "ok": tally.good(),
    }
    return orjson.dumps(told)
