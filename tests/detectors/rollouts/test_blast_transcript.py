"""Golden transcript of the leap day's blast in small: test, blast and fix, and what was found of each.

How it is written anew, tests/golden.py tells.
"""

from __future__ import annotations

from pathlib import Path

from detectors.failfast.words import utc
from schemas.outputs import Finding
from tests.golden import assert_golden
from tests.kit import Log, run, vm

GOLDEN = Path(__file__).parent / "golden" / "blast.txt"
OURS = ("domain_breach", "network_loss", "version_mix")
OLD, NEW, MIX = ({"ha": ha, "netplugin": plugin} for ha, plugin in (("1.6", "1.6"), ("1.7", "1.7"), ("1.6", "1.7")))
SERVERS = 10
HOUR_S = 3600


def report(log: Log, at_s: float, server: str, versions: dict[str, str]) -> Log:
    """Let a server report with four VMs, which have no network where its versions do not go together."""
    network = "DOWN" if versions == MIX else "UP"
    vms = [vm(f"{server}-v{n}", ga_version="1.6", network=network) for n in range(4)]
    return log.host(at_s, server, vms=vms, versions=versions)


def blast() -> Log:
    """Return a cluster with one server of ten updated; the test on it, the blast, and that of the fix."""
    log = Log().inventory(SERVERS)
    for n in range(SERVERS):
        report(log, n, f"s{n + 1}", NEW if n == 0 else OLD)
    report(log.clocks(60), HOUR_S, "s1", MIX).clocks(HOUR_S + 60)
    for at_s, rollout, component, versions in (
        (2 * HOUR_S, "older-agent", "ha", MIX),
        (4 * HOUR_S, "fix", "netplugin", OLD),
    ):
        log.clocks(at_s - 1).maintenance(
            at_s, "ROLLOUT_STARTED", rollout=rollout, component=component, to_version="1.6", mode="blast"
        )
        for n in range(SERVERS):
            name = f"s{n + 1}"
            log.maintenance(at_s + n + 1, "SERVER_UPDATE_STARTED", rollout=rollout, server=name)
            report(log, at_s + n + 1.5, name, versions)
        log.clocks(at_s + 30).maintenance(at_s + 60, "ROLLOUT_COMPLETED", rollout=rollout).clocks(at_s + 1200)
    return log


def told(finding: Finding) -> str:
    """Return a finding in two lines."""
    what = finding.close_reason if finding.state == "CLOSED" else f"{finding.title}\n        {finding.explanation}"
    return f"{utc(finding.at_ms)} {finding.state} {finding.severity} {finding.detector}: {what}"


def test_the_transcript_is_as_it_was() -> None:
    """Change it only if you know why it changed."""
    text = "\n".join(told(finding) for finding in run(blast().frames, only=OURS)) + "\n"
    assert_golden(GOLDEN, text)
