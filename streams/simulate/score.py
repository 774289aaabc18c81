"""The score: scenarios through codec, intake checks, packing and engine without a broker, and what truth says of it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from detectors.contract import registry
from detectors.frames import BatchFrame
from schemas.history import LogRecord, SourceRecord
from schemas.outputs import DeadLetter, Decision, Finding
from schemas.source import MAINTENANCE, MaintenanceEvent, MaintenanceKind
from streams.config.thresholds import parse
from streams.engine.fleet_log import FleetLog, merged
from streams.engine.frames import frame_of
from streams.engine.runner import Runner
from streams.intake.offline import ReadLag, telemetry
from streams.intake.wider import for_fleet
from streams.simulate.arrivals import Lateness, arrivals
from streams.simulate.generator import Simulation, delays, pulse_outages
from streams.simulate.judge import Row, exit_code, judge
from streams.simulate.ledger import Ledger
from streams.simulate.load import load, names
from streams.simulate.quantity import SECOND_MS, utc
from streams.simulate.reading import ScenarioError
from streams.simulate.scenario import Scenario, Size
from streams.simulate.timeline import Told, printed, tell
from streams.simulate.truth import resolve

TAIL_MS = 20 * SECOND_MS
"""Pulses and clocks go on for so long after the end; see `feed.TAIL_MS`."""
FLEET = "fleet"
"""What the table calls lines about the whole fleet."""
_COUNTED = ("reboot_planned", "reboot_unplanned")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the score."""

    size: Size | None = None
    """None: each scenario's own `quick` size."""
    full: bool = False
    """Every scenario in the size that its file has."""
    seed: int | None = None
    processes: int = 2
    through_codec: bool = True
    """False: source records are handed over undecoded; the same comes out in less time."""
    thresholds_text: str = ""
    """The TOML of the tables `detectors` and `policy`; empty: the defaults."""
    json: bool = False
    timeline: bool = False
    """Print the turns of the scenario's history beside what was said of each."""
    only_failed: bool = False
    """The table, or the JSON, leaves out the lines that are well."""


@dataclass(slots=True)
class Outcome:
    """What came of one cluster."""

    cluster: str
    ledger: Ledger
    findings: list[Finding] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    fleet: FleetLog = field(default_factory=lambda: FleetLog(0))
    """What the cluster's engine and intake tell the fleet engine."""
    records: int = 0
    dead: int = 0
    first_dead: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, judged."""

    scenario: str
    title: str
    rows: tuple[Row, ...]
    counts: dict[str, int]
    records: int
    timeline: tuple[Told, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether all of its truth was found, and nothing that is not true."""
        return exit_code(self.rows) == 0


def sized(scenario: Scenario, options: Options) -> Scenario:
    """Return a scenario in the size that the options ask for."""
    size = Size() if options.full else options.size or scenario.quick
    return scenario.with_size(
        clusters=size.clusters, servers=size.servers, vms=size.vms, days=size.days, seed=options.seed
    )


def log_of(scenario: Scenario, cluster: str, outcome: Outcome, *, through_codec: bool = True) -> Iterator[LogRecord]:
    """Return the `telemetry` of one cluster, alone in its partition; what was injected goes into the outcome."""
    run = Simulation(scenario, [cluster])
    outcome.ledger = run.ledger
    lags = [
        ReadLag(delay.feed, delay.from_ms, delay.until_ms, delay.delay_ms)
        for delay in delays(scenario)
        if delay.cluster == cluster
    ]
    outages = [outage for outage in pulse_outages(scenario) if outage.cluster == cluster]
    source: Iterable[SourceRecord] = _counted(run.records(), outcome)
    if outages:
        # Pulses that are missing here and there cannot be left to the intake, which makes all or none.
        source = arrivals(source, 1, Lateness(1, (), outages), tail_ms=TAIL_MS)

    def dead(letter: DeadLetter) -> None:
        outcome.dead += 1
        outcome.first_dead = outcome.first_dead or f"{letter.topic}: {letter.reason}: {letter.detail}"

    return telemetry(
        source,
        clocks_every_ms=scenario.clocks_ms,
        read_lags=lags,
        on_dead=dead,
        end_ms=scenario.end_ms + TAIL_MS,
        through_codec=through_codec,
    )


def _counted(records: Iterable[SourceRecord], outcome: Outcome) -> Iterator[SourceRecord]:
    for record in records:
        outcome.records += 1
        yield record


def run_cluster(scenario: Scenario, cluster: str, options: Options, partition: int = 0) -> Outcome:
    """Return what the engine makes of one cluster of a scenario; to the fleet it is partition `partition`."""
    outcome = Outcome(cluster, Ledger(), fleet=FleetLog(partition))
    thresholds = parse(options.thresholds_text, {name: kind.Config for name, kind in registry().items()})
    runner = Runner(0, thresholds, pinned=bool(options.thresholds_text))
    reboots: dict[str, bool] = {}
    for record in log_of(scenario, cluster, outcome, through_codec=options.through_codec):
        frame = frame_of(record)
        if isinstance(frame, BatchFrame) and frame.batch.feed == MAINTENANCE:
            _note_reboots(frame, reboots)
        if isinstance(frame, BatchFrame) and (wider := for_fleet(frame.batch)) is not None:
            outcome.fleet.take([wider])
        told = runner.tell([frame])
        outcome.fleet.take(told)
        outcome.fleet.turn(runner, record.offset + 1)
        for output in told:
            if isinstance(output, Finding):
                outcome.findings.append(output)
            elif isinstance(output, Decision):
                outcome.decisions.append(output)
    planned = sum(reboots.values())
    outcome.counts = {"reboot_planned": planned, "reboot_unplanned": len(reboots) - planned}
    return outcome


def run_fleet(outcomes: Sequence[Outcome], options: Options) -> Outcome:
    """Return what the fleet engine makes of what the clusters' engines tell it."""
    thresholds = parse(options.thresholds_text, {name: kind.Config for name, kind in registry().items()})
    runner = Runner(0, thresholds, pinned=bool(options.thresholds_text), fleet=True)
    outcome = Outcome(FLEET, Ledger())
    for output in runner.tell(merged(outcome.fleet for outcome in outcomes)):
        if isinstance(output, Finding):
            outcome.findings.append(output)
        elif isinstance(output, Decision):
            outcome.decisions.append(output)
    return outcome


def _note_reboots(frame: BatchFrame, reboots: dict[str, bool]) -> None:
    """Note the reboots that a frame tells of, by event: a record that comes twice is one reboot."""
    for row in frame.batch.rows:
        if isinstance(row, MaintenanceEvent) and row.kind == MaintenanceKind.NODE_REBOOT_STARTED:
            reboots[row.event_id] = bool(row.planned)


def run_clusters(scenario: Scenario, options: Options, done: Callable[[], None]) -> list[Outcome]:
    """Return what comes of each cluster, in their order, side by side in processes of their own; `done` after each."""
    jobs = [(scenario, name, options, place) for place, (name, _) in enumerate(scenario.instances())]
    outcomes: list[Outcome] = []
    if options.processes == 1 or len(jobs) == 1:
        for job in jobs:
            outcomes.append(run_cluster(*job))
            done()
        return outcomes
    # A fresh interpreter each: no lock or thread of this process is copied into them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(options.processes, len(jobs)), mp_context=context) as pool:
        running = [pool.submit(run_cluster, *job) for job in jobs]
        for _ in as_completed(running):
            done()
        return [future.result() for future in running]


def score_scenario(scenario: Scenario, options: Options, done: Callable[[], None] = lambda: None) -> Result:
    """Return one scenario, judged; `done` is called after each cluster."""
    instances = scenario.instances()
    outcomes = run_clusters(scenario, options, done)
    ledger = Ledger()
    for outcome in outcomes:
        ledger.merge(outcome.ledger)
    counts = {name: sum(outcome.counts[name] for outcome in outcomes) for name in _COUNTED}
    sizes = [(name, plan.servers, plan.vms) for name, plan in instances]
    expected = resolve(scenario.truth, sizes, ledger, _COUNTED)
    rows: list[Row] = []
    for outcome in outcomes:
        # Each cluster stood alone in its partition: what was found of a partition is this cluster's own.
        lines = [line for line in expected if line.cluster == outcome.cluster]
        rows += judge(lines, outcome.findings, outcome.decisions, counts)
        if outcome.dead:
            rows.append(
                Row(
                    False,
                    "dead",
                    f"{outcome.dead} dead letters",
                    outcome.cluster,
                    limit="none",
                    note=outcome.first_dead,
                )
            )
    fleet = run_fleet(outcomes, options)
    rows += judge([line for line in expected if line.fleet], fleet.findings, fleet.decisions, counts)
    rows += judge([line for line in expected if line.kind == "count"], (), (), counts)
    if not expected:
        rows.append(Row(False, "truth", "no line of truth speaks of these clusters", "", note="choose a larger size"))
    every = [*outcomes, fleet]
    timeline = tell(
        scenario.history,
        [found for outcome in every for found in outcome.findings],
        [made for outcome in every for made in outcome.decisions],
    )
    records = sum(outcome.records for outcome in outcomes)
    return Result(scenario.name, scenario.title, tuple(rows), counts, records, tuple(timeline))


def score(paths: Sequence[str | Path], options: Options = Options(), console: Console | None = None) -> int:
    """Run scenarios (files, or names; none: all of ours), print what was found, and return the exit code.

    0: all truth was found, and nothing false. 1: something was missed, or is false. 2: a file cannot be used.
    """
    # Into a file or a pipe tables go whole, whatever width is assumed there.
    screen = console or (Console() if sys.stdout.isatty() else Console(width=WIDTH))
    scenarios: list[Scenario] = []
    errors: list[str] = []
    for path in paths or names():
        try:
            scenarios.append(sized(load(path), options))
        except (ScenarioError, ValueError) as error:
            errors += str(error).splitlines()
    if errors:
        for line in errors:
            Console(stderr=True, soft_wrap=True).print(line, markup=False, highlight=False)
        return 2
    code = 0
    for scenario in scenarios:
        clusters = len(scenario.instances())
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task(f"{scenario.name}, {clusters} clusters", total=clusters)
            result = score_scenario(scenario, options, partial(progress.advance, task))
        code = max(code, exit_code(result.rows))
        if options.json:
            told = as_json(result, only_failed=options.only_failed)
            screen.out(orjson.dumps(told).decode(), highlight=False)
        else:
            _print(result, screen, options.only_failed)
            if options.timeline and result.timeline:
                screen.print(printed(result.timeline, result.scenario))
    return code


def as_json(result: Result, *, only_failed: bool = False) -> dict[str, Any]:
    """Return a result as plain values: one object a scenario, of its rows all, or those that are not well."""
    return {
        "scenario": result.scenario,
        "ok": result.ok,
        "records": result.records,
        "counts": result.counts,
        "timeline": [asdict(told) for told in result.timeline],
        "rows": [asdict(row) for row in result.rows if not only_failed or row.ok is False],
    }


WIDTH = 200
"""Columns where the output is no terminal."""
LEAST_WIDTH = 140
"""Columns of a screen below which a table of eight columns breaks names and times in two."""
_MARKS = {True: "[green]ok[/]", False: "[red]MISSED[/]", None: "[dim]·[/]"}
_FALSE_MARK = "[red]FALSE[/]"


def _print(result: Result, screen: Console, only_failed: bool) -> None:
    """Print a result as a table; where that would break its words, each row as lines."""
    shown = [row for row in result.rows if row.ok is False or not only_failed]
    if screen.width < LEAST_WIDTH:
        screen.print(f"{result.scenario}: {result.title}\n", highlight=False, markup=False)
        for row in shown:
            screen.print(f"{_mark(row)} {escape(_as_line(row))}", highlight=False)
    else:
        screen.print(_table(result, shown))
    missed = sum(row.ok is False and row.kind != "not" for row in result.rows)
    false = sum(row.ok is False and row.kind == "not" for row in result.rows)
    reboots = f"reboots: {result.counts['reboot_planned']} planned, {result.counts['reboot_unplanned']} unplanned"
    screen.print(f"{result.records:,} records; {reboots}; {missed} missed, {false} false\n", highlight=False)


def _as_line(row: Row) -> str:
    """Return a row as one text, with what it has."""
    parts = {"": row.found, "opened ": _time(row.opened_ms), "said ": _time(row.seen_ms), "limit: ": row.limit}
    told = "; ".join(f"{name}{text}" for name, text in {**parts, "note: ": row.note}.items() if text)
    return ": ".join(text for text in (row.cluster, row.label, told) if text)


def _mark(row: Row) -> str:
    return _FALSE_MARK if row.ok is False and row.kind == "not" else _MARKS[row.ok]


def _table(result: Result, rows: Iterable[Row]) -> Table:
    table = Table(title=f"{result.scenario}: {result.title}", title_justify="left", expand=False)
    for column in ("", "cluster", "truth", "found", "opened (UTC)", "said (UTC)", "limit", "note"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            _mark(row), row.cluster, row.label, row.found, _time(row.opened_ms), _time(row.seen_ms), row.limit, row.note
        )
    return table


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else utc(at_ms)[5:]
