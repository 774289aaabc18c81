"""`leapwatch score [SCENARIO...]`: scenarios with known truth, run without a broker and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import Json


def score(
    scenarios: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="Names, or files of your own; else all of ours.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every scenario in its whole size.")] = False,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's own.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Clusters run side by side.")] = 2,
    thresholds: Annotated[
        Path | None, typer.Option(help="A configuration whose [detectors] and [policy] hold instead of the defaults.")
    ] = None,
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Leave out what is well.")] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Print the history of a scenario beside what was said of each turn.")
    ] = False,
    causes: Annotated[
        bool, typer.Option("--causes", help="Judge root causes of simulated intervals instead: a confusion matrix.")
    ] = False,
    rollouts: Annotated[
        bool, typer.Option("--rollouts", help="Judge verdicts on simulated rollouts instead, guilty and innocent.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="With --causes: so many intervals at least (1000); with --rollouts: clusters (500)."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Print what was found, when, by what limit, and what is false; exit 1 if any truth is missed."""
    if causes:
        from streams.simulate.score_causes import score as judged_causes

        return judged_causes(count or 1000, 1 if seed is None else seed, json=as_json)
    if rollouts:
        from streams.simulate.rollout_score import score_rollouts

        return score_rollouts(1 if seed is None else seed, count or 500, processes, as_json=as_json)
    from streams.config.catalogue import config_types
    from streams.config.load import load
    from streams.simulate.score import Options
    from streams.simulate.score import score as judged

    text = load(thresholds, {}, config_types()).thresholds_text if thresholds else ""
    options = Options(
        full=full,
        seed=seed,
        processes=processes,
        thresholds_text=text,
        json=as_json,
        timeline=timeline,
        only_failed=only_failed,
    )
    return judged(scenarios or [], options)
