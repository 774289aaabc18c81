"""The leap day in one small cluster, as a transcript that a person can read.

After a change that is meant, tests/golden.py tells how it is written anew.
"""

from pathlib import Path

from schemas.commands import Release
from schemas.outputs import Decision, Finding, FindingState
from streams.engine.runner import Runner
from tests.detectors.investigate.failing import CHAIN, cluster, names, of
from tests.golden import assert_golden
from tests.kit import START_MS, Log, run

TRANSCRIPT = Path(__file__).parent / "golden" / "leap-day.txt"
SHOWN = ("server_hi", "hi_threshold", "hi_forecast")


def leap_day() -> Log:
    """Return midnight to a repair: 4 of 5 servers restart VMs at 00:00:00.2; released at 01:40, READY at 02:00."""
    log = cluster(5).fail(names(4), 3)
    brake = of(run(log.frames, only=CHAIN), "hi_threshold")[0]
    log.tick(5990, names(5)[:4], 300)
    log.batch("operator", [(6000, Release("r1", "c1", brake.id, "ada", "the agent's certificate; fix is out"))])
    for n, server in enumerate(names(4)):
        log.maintenance(7200 + n, "SERVER_STATE", server=server, state="READY")
    return log.clocks(7300)


def clock(at_ms: float) -> str:
    """Return a stamp as time of the day, to the millisecond."""
    seconds, ms = divmod(int(at_ms) - START_MS, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


def transcript() -> str:
    """Return what the engine says of the leap day, a line a record."""
    lines = []
    for output in Runner(0, only=CHAIN).feed(leap_day().frames):
        if isinstance(output, Decision):
            lines.append(f"{clock(output.at_ms)} decision {output.action} {output.state} {output.by}".rstrip())
        elif isinstance(output, Finding) and output.detector in SHOWN:
            where = output.subject.server or output.subject.cluster
            said = output.close_reason if output.state == FindingState.CLOSED else output.title
            since = clock(output.opened_ms)
            lines.append(f"{clock(output.at_ms)} {output.detector} {where} {output.state} since {since}: {said}")
    return "\n".join(lines) + "\n"


def test_the_leap_day_is_told_as_the_transcript_has_it() -> None:
    """Forecast, servers, brake, decisions, release, return."""
    assert_golden(TRANSCRIPT, transcript())
