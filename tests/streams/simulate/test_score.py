"""The score: a scenario through codec, intake and engine, judged; and that truth knows nothing of detectors."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import streams.simulate
from detectors.frames import ClocksFrame
from streams.engine.frames import frame_of
from streams.simulate.ledger import Ledger
from streams.simulate.load import load, loads
from streams.simulate.scenario import Size
from streams.simulate.score import LEAST_WIDTH, Options, Outcome, log_of, run_cluster, run_clusters, score, sized

HERE = Path(streams.simulate.__file__).parent
ENGINE_USERS = {"score.py", "rollout_log.py", "rollout_score.py", "score_causes.py"}
"""Only the score puts detectors and truth together; what makes records and truth sees neither engine nor intake."""


SHELLS = {"demo.py", "board.py"}
"""Shells that play to a screen: how long a person waits is the wall's time."""


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.name)
def test_truth_and_records_know_nothing_of_detectors(path: Path) -> None:
    if path.name in ENGINE_USERS | SHELLS:
        return
    ours = {name for name in imports_of(path) if name.split(".")[0] in {"schemas", "detectors", "streams", "deploy"}}

    assert {name for name in ours if not name.startswith(("schemas", "streams.simulate", "streams.kafka"))} == set()


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.name)
def test_the_simulator_reads_no_wall_clock(path: Path) -> None:
    if path.name in SHELLS:
        return
    assert not imports_of(path) & {"time"}
    assert "now(" not in path.read_text().replace("utcnow(", "now(")


@pytest.mark.parametrize(
    "name", ["leap-day-dawn", "lag", "duplicates", "clock-skew", "power-loss", "healthy-week", "collector-outage"]
)
def test_the_intake_takes_every_record_of_a_scenario(name: str) -> None:
    scenario = load(name).with_size(servers=6, vms=2, days=0.05)
    for cluster, _ in scenario.instances()[:1]:
        outcome = Outcome(cluster, Ledger())
        logged = list(log_of(scenario, cluster, outcome))

        assert (0, "") == (outcome.dead, outcome.first_dead)
        assert logged


def test_a_file_may_turn_its_clocks_more_seldom() -> None:
    text = 'name = "s"\nstart = 2012-03-01T00:00:00Z\nduration = "10m"\n%s[[cluster]]\nname = "north"\nservers = 2\n'
    turns = []
    for key in ("", "clocks_s = 10\n"):
        log = log_of(loads(text % key), "north-1", Outcome("north-1", Ledger()))
        turns.append(sum(isinstance(frame_of(record), ClocksFrame) for record in log))

    assert 10 * (turns[1] - 1) <= turns[0] <= 10 * (turns[1] + 1)


def test_reboots_are_counted_once_however_often_they_are_told() -> None:
    scenario = load("duplicates").with_size(servers=60, vms=1)
    outcome = run_cluster(scenario, "north-1", Options())

    assert outcome.ledger.count("reboot_planned") == outcome.counts["reboot_planned"] > 0


@pytest.mark.parametrize("processes", [1, 2])
def test_clusters_come_in_their_order_and_each_is_told_of(processes: int) -> None:
    """Side by side the second may be done first."""
    scenario = load("lag").with_size(clusters=2, servers=4, vms=1)
    done: list[None] = []
    outcomes = run_clusters(scenario, Options(processes=processes), lambda: done.append(None))

    assert [name for name, _ in scenario.instances()] == [outcome.cluster for outcome in outcomes]
    assert 2 == len(done)


def test_quick_full_and_chosen_sizes() -> None:
    scenario = load("healthy-week")

    assert ["north-1"] == [name for name, _ in sized(scenario, Options()).instances()]
    assert 4 == len(sized(scenario, Options(full=True)).instances())
    assert 7 == sized(scenario, Options(size=Size(servers=7))).clusters[0].servers


FOREIGN = """
name = "foreign"
start = 2026-01-01T00:00:00Z
duration = "20m"
[[cluster]]
name = "north"
servers = 4
vms = 1
[[truth.not]]
detectors = "hi_threshold"
[truth.count]
reboot_planned = {planned}
"""


@pytest.mark.parametrize(("planned", "code"), [(0, 0), (3, 1)])
def test_a_file_that_somebody_else_wrote_is_judged(planned: int, code: int, tmp_path: Path) -> None:
    path = tmp_path / "foreign.toml"
    path.write_text(FOREIGN.replace("{planned}", str(planned)))
    screen = Console(record=True, width=200, quiet=True)

    assert code == score([path], Options(json=True), screen)


@pytest.mark.parametrize(("width", "table"), [(LEAST_WIDTH - 1, False), (LEAST_WIDTH, True)])
def test_a_narrow_screen_gets_lines_and_no_table_that_breaks_words(width: int, table: bool, tmp_path: Path) -> None:
    path = tmp_path / "foreign.toml"
    path.write_text(FOREIGN.replace("{planned}", "3"))
    out = io.StringIO()
    score([path], Options(), Console(file=out, width=width))

    assert table == ("┃" in out.getvalue())
    assert "; 1 missed, 0 false" in out.getvalue()
    if not table:
        assert ["ok north-1: no hi_threshold", "MISSED reboot_planned: 0; limit: 3"] == out.getvalue().splitlines()[2:4]


def test_into_a_pipe_the_table_goes_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.toml"
    path.write_text(FOREIGN.replace("{planned}", "0"))
    score([path], Options())

    assert "┃" in capsys.readouterr().out


def test_the_result_as_json_is_one_object_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.toml"
    path.write_text(FOREIGN.replace("{planned}", "0"))
    score([path], Options(json=True))
    result = json.loads(capsys.readouterr().out)

    assert ("foreign", True) == (result["scenario"], result["ok"])
    assert {"ok", "kind", "label", "cluster", "found", "opened_ms", "seen_ms", "limit", "note"} == set(
        result["rows"][0]
    )


def test_a_file_that_cannot_be_used_says_every_error_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("name = 3\nspeed = 1\n")

    assert 2 == score([path])
    shown = capsys.readouterr()
    assert "" == shown.out
    assert {"name", "speed", "start"} <= {line.split(": ")[1] for line in shown.err.splitlines()}


def test_a_truth_about_clusters_that_are_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no cluster is named 'south-"):
        loads(FOREIGN.replace("{planned}", "0").replace("[[truth.not]]", '[[truth.not]]\nclusters = "south-*"'))
