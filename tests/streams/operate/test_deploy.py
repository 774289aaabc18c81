"""What runs beside us: the Prometheus rules, their tests, the runbooks and the systemd unit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from streams.operate import metrics
from tests.conftest import skip_loudly

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = (DEPLOY / "prometheus" / "leapwatch.rules.yaml").read_text(encoding="utf-8")
TESTS = (DEPLOY / "prometheus" / "tests.yaml").read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=False)


def test_promtool_finds_the_rules_good_and_their_tests_pass() -> None:
    if shutil.which("promtool") is None:
        skip_loudly("promtool is not on the PATH (Debian: prometheus): the alerts' own tests did not run")
    for arguments in (("check", "rules", "leapwatch.rules.yaml"), ("test", "rules", "tests.yaml")):
        done = run("promtool", *arguments, cwd=DEPLOY / "prometheus")
        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_runbook_and_a_test_that_it_fires_and_one_that_it_does_not(alert: str) -> None:
    assert (DEPLOY / "runbooks" / f"{alert}.md").read_text(encoding="utf-8").startswith(f"# {alert}\n")
    assert f"runbook_url: deploy/runbooks/{alert}.md" in RULES
    if alert != "LeapwatchWatchdog":
        assert f"name: {alert} fires" in TESTS
        assert f"name: {alert} stays quiet" in TESTS


def test_no_runbook_is_without_its_alert() -> None:
    assert set(ALERTS) == {path.stem for path in (DEPLOY / "runbooks").glob("*.md")}


def test_the_rules_ask_only_for_metrics_that_we_export() -> None:
    recorded = set(re.findall(r"record: (\S+)", RULES))
    asked = set(re.findall(r"\bleapwatch_\w+", re.sub(r"record: \S+", "", RULES)))
    names = {name for family in REGISTRY.collect() for name in (family.name, f"{family.name}_total")}

    assert metrics.BUILD is not None
    assert recorded
    assert set() == asked - names


def test_the_unit_is_good(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        skip_loudly("systemd-analyze is not on the PATH: the unit was not verified")
    text = (DEPLOY / "systemd" / "leapwatch@.service").read_text(encoding="utf-8")
    unit = tmp_path / "leapwatch@.service"
    unit.write_text(re.sub(r"/opt/leapwatch/\S+/leapwatch", "/bin/true", text), encoding="utf-8")
    done = run("systemd-analyze", "verify", str(unit), cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
