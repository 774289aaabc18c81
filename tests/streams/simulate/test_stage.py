"""The demo's processes: their configuration, and what is said of one that ends. The rest is in test_demo.py."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.config.catalogue import config_types
from streams.config.load import load
from streams.simulate.stage import CONFIG, LANES, LEAD_MS, TAIL_LINES, Stage, StageError, held, staged


def test_the_configuration_is_a_good_one_and_blind_begins_beyond_the_lead(tmp_path: Path) -> None:
    path = tmp_path / "leapwatch.toml"
    path.write_text(CONFIG.format(bootstrap="127.0.0.1:1", lanes=LANES, blind_s=2 * LEAD_MS / 1000))
    config = load(path, {}, config_types())

    assert ("127.0.0.1:1",) == config.kafka.bootstrap
    assert LANES == config.kafka.lanes
    assert "still_s = 1200\n" in config.thresholds_text


def test_a_worker_that_ended_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("\n".join(f"line {number}" for number in range(TAIL_LINES + 1)))
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(70)"])
    process.wait()
    stage = Stage("127.0.0.1:1", tmp_path / "leapwatch.toml", [("engine", process, log)])

    with pytest.raises(StageError, match="the engine worker ended with code 70; its log ends:\nline 1\n"):
        stage.alive()
    stage.end()
    assert [] == stage.workers


def test_a_demo_does_without_kafka_pythons_half_a_second() -> None:
    """Neither the stage nor its workers import it: the embedded broker cannot be administered."""
    asked = (
        "import streams.simulate.demo, streams.intake.worker, streams.engine.worker, sys; print('kafka' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()


def test_a_signal_that_comes_while_a_worker_is_started_waits_until_it_is_noted() -> None:
    done: list[str] = []

    def start() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            done.append("noted")

    # A shell that starts the tests in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ["noted"] == done


@pytest.mark.embedded
def test_signals_are_as_they_were_when_the_stage_is_gone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with staged() as stage:
        processes = [process for _, process, _ in stage.workers]
        folder = stage.config.parent
        assert [None, None] == [process.poll() for process in processes]

    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert None not in [process.poll() for process in processes]
    assert not folder.exists()
