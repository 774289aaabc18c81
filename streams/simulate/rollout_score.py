"""`leapwatch score --rollouts`: verdicts on rollouts whose truth is known, counted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from schemas.outputs import Finding, FindingState, Verdict
from streams.engine.runner import Runner
from streams.simulate.rollout_log import START_MS, frames
from streams.simulate.rollout_trials import KINDS, draw, truth
from streams.simulate.rollout_worlds import CLUSTER, World

DETECTOR = "rollout_regression"
PUBLISHED = (
    ("published study", "92.4 %", "100 %"),
    ("its other plane", "94.9 %", "99.8 %"),
)
"""What a published study of such a system in production reports: precision, recall. Other rollouts and other faults
than these; its figures stand beside ours as a measure, not as a match."""
AIM_PRECISION = 0.98
AIM_RECALL = 1.0
WIDTH = 180


@dataclass(frozen=True, slots=True)
class Judged:
    """One change of a trial: what is true, and what was said."""

    number: int
    kind: str
    change: str
    guilty: bool
    told: bool
    """Guilty, and the data can tell (see `rollout_trials.truth`)."""
    rate: float
    ever: bool
    """GUILTY was said at any time: an action would have been taken."""
    last: str
    """The last verdict; empty: no finding at all."""
    cleared_in_harm: bool
    """CLEARED was the last verdict although it had done harm."""
    to_guilty_s: float | None
    """From the first harm to GUILTY."""
    to_cleared_s: float | None
    """From the first server changed to the CLEARED that stood at the end."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    kind: str
    changes: int
    guilty: int
    told: int
    precision: float | None
    """Of those said to be guilty, at any time, the share that is."""
    recall: float | None
    """Of the guilty whom the data can tell, the share said to be; INCONCLUSIVE counts as missed."""
    recall_all: float | None
    """Of all guilty; most that are missed harmed nobody, or few."""
    recall_verdicts: float | None
    """Of the guilty with a verdict, GUILTY or CLEARED, the share not cleared."""
    inconclusive: float
    innocent_cleared: float | None
    cleared_in_harm: int
    false_guilty: int
    guilty_s: float | None
    """Median."""
    cleared_s: float | None


def run_trial(seed: int, number: int) -> list[Judged]:
    """Run one trial through the engine; return what became of each of its changes."""
    trial = draw(seed, number)
    world = World(trial)
    runner = Runner(0, only=[DETECTOR])
    findings = [output for output in runner.feed(frames(world)) if isinstance(output, Finding)]
    broken = runner.clusters[CLUSTER].broken
    if broken:
        msg = f"trial {number} of seed {seed}: {broken}"
        raise RuntimeError(msg)
    judged = []
    for plan in trial.plans:
        known = truth(world, plan)
        said = [found for found in findings if plan.name in _named(found)]
        ever = next((found for found in said if found.verdict == Verdict.GUILTY), None)
        last = said[-1].verdict if said else ""
        judged.append(
            Judged(
                number=number,
                kind=trial.kind,
                change=plan.name,
                guilty=plan.guilty,
                told=known.told,
                rate=plan.rate,
                ever=ever is not None,
                last=str(last),
                cleared_in_harm=last == Verdict.CLEARED and known.harmed > 0,
                to_guilty_s=_at_s(ever) - known.first_harm_s if ever is not None and known.harmed else None,
                to_cleared_s=_cleared_s(said) - plan.begins_s if last == Verdict.CLEARED else None,
            )
        )
    return judged


def _named(finding: Finding) -> tuple[str, ...]:
    """Return the changes that a finding is about: rollouts are named as their plans, and so end their versions."""
    subject = finding.subject
    return (subject.rollout or "", (subject.version or "").removeprefix("2."))


def _at_s(finding: Finding) -> float:
    return (finding.at_ms - START_MS) / 1000


def _cleared_s(said: list[Finding]) -> float:
    """Return when the CLEARED that stands at the end was said first."""
    since = said[-1]
    for found in reversed(said):
        if found.verdict != Verdict.CLEARED or found.state == FindingState.CLOSED:
            break
        since = found
    return _at_s(since)


def run_trials(seed: int, count: int, processes: int) -> list[Judged]:
    """Return what became of all changes of so many trials."""
    if processes == 1:
        return [known for number in range(count) for known in run_trial(seed, number)]
    with ProcessPoolExecutor(processes) as pool:
        results = pool.map(run_trial, [seed] * count, range(count), chunksize=4)
        return [known for result in results for known in result]


def _share(part: Iterable[Judged], of: Callable[[Judged], bool]) -> float | None:
    known = [of(judged) for judged in part]
    return sum(known) / len(known) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def summed(kind: str, judged: list[Judged]) -> Row:
    """Return one line about these changes."""
    guilty = [known for known in judged if known.guilty]
    verdicts = [known for known in guilty if known.ever or known.last == Verdict.CLEARED]
    return Row(
        kind=kind,
        changes=len(judged),
        guilty=len(guilty),
        told=sum(known.told for known in guilty),
        precision=_share([known for known in judged if known.ever], lambda known: known.guilty),
        recall=_share([known for known in guilty if known.told], lambda known: known.ever),
        recall_all=_share(guilty, lambda known: known.ever),
        recall_verdicts=_share(verdicts, lambda known: known.ever),
        inconclusive=_share(judged, lambda known: not known.ever and known.last != Verdict.CLEARED) or 0.0,
        innocent_cleared=_share(
            [known for known in judged if not known.guilty], lambda known: known.last == Verdict.CLEARED
        ),
        cleared_in_harm=sum(known.cleared_in_harm for known in guilty),
        false_guilty=sum(known.ever for known in judged if not known.guilty),
        guilty_s=_median(known.to_guilty_s for known in guilty),
        cleared_s=_median(known.to_cleared_s for known in judged if not known.guilty),
    )


def rows_of(judged: list[Judged]) -> list[Row]:
    """Return a line for each kind that occurred, and one for all."""
    kinds = [kind for kind in KINDS if any(known.kind == kind for known in judged)]
    return [*(summed(kind, [known for known in judged if known.kind == kind]) for kind in kinds), summed("all", judged)]


def percent(share: float | None) -> str:
    """Return a share as a person reads it."""
    return "-" if share is None else f"{100 * share:.1f} %"


def duration(seconds: float | None) -> str:
    """Return a length of time as a person reads it."""
    if seconds is None or math.isnan(seconds):
        return "-"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def score_rollouts(seed: int, count: int, processes: int, *, as_json: bool) -> int:
    """Run the trials and print what came of them; return 1 where precision or recall misses its aim."""
    judged = run_trials(seed, count, processes)
    rows = rows_of(judged)
    total = rows[-1]
    missed = (total.precision or 0.0) < AIM_PRECISION or (total.recall or 0.0) < AIM_RECALL
    if as_json:
        found: dict[str, Any] = {
            "seed": seed,
            "trials": count,
            "aim": {"precision": AIM_PRECISION, "recall": AIM_RECALL, "reached": not missed},
            "rows": [asdict(row) for row in rows],
            "changes": [asdict(known) for known in judged],
        }
        Console(soft_wrap=True).print(orjson.dumps(found).decode(), markup=False, highlight=False)
        return int(missed)
    console = Console()
    # Into a file or a pipe the table goes whole, whatever width is assumed there.
    _print(console if console.is_terminal else Console(width=WIDTH), rows, judged, seed, count)
    return int(missed)


def _print(console: Console, rows: list[Row], judged: list[Judged], seed: int, count: int) -> None:
    table = Table(title=f"{count} simulated clusters, seed {seed}: verdicts on {len(judged)} changes")
    names = ("kind", "changes", "guilty", "telling", "precision", "recall", "recall of all", "recall of verdicts",
             "inconclusive", "innocent cleared", "to GUILTY", "to CLEARED")  # fmt: skip
    for name in names:
        table.add_column(name, justify="left" if name == "kind" else "right")
    for row in rows:
        shares = (
            row.precision,
            row.recall,
            row.recall_all,
            row.recall_verdicts,
            row.inconclusive,
            row.innocent_cleared,
        )
        table.add_row(
            row.kind,
            str(row.changes),
            str(row.guilty),
            str(row.told),
            *(percent(share) for share in shares),
            duration(row.guilty_s),
            duration(row.cleared_s),
            end_section=row is rows[-2],
        )
    for name, precision, recall in PUBLISHED:
        table.add_row(name, "", "", "", precision, recall)
    console.print(table)
    total = rows[-1]
    console.print(
        f"precision: of those said to be guilty at any time, how many are; {total.false_guilty} innocents were.\n"
        "recall: of the guilty who can be told (telling); INCONCLUSIVE counts as missed. Told, by what was injected:\n"
        "  no telemetry lost; Fisher's exact test at the end, once a server, contradicts at 1e-5 that what looks like\n"
        "  its failures is as frequent without it; and at 1e-2 that it is the hour: by the servers without it in the\n"
        "  same hours, or by how many stretches of six hours were struck with it and before.\n"
        "recall of all: of all guilty, also those that harmed few or nobody, or whose telemetry was lost.\n"
        "recall of verdicts: of the guilty, without those left INCONCLUSIVE; "
        f"{total.cleared_in_harm} stood CLEARED after harm.\n"
        "to GUILTY: median from the first harm; to CLEARED: median from the first server changed.\n"
        f"aim: precision {percent(AIM_PRECISION)}, recall {percent(AIM_RECALL)}.",
        highlight=False,
    )
    wrong = [
        f"{known.number}/{known.change} ({known.kind}, rate {known.rate:.2%}): "
        f"{'GUILTY though innocent' if not known.guilty else 'missed: ' + (known.last or 'no finding')}"
        for known in judged
        if (known.ever and not known.guilty) or (known.told and not known.ever) or known.cleared_in_harm
    ]
    for line in wrong:
        console.print(f"  {line}", highlight=False)
