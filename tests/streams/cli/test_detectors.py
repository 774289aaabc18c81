"""`leapwatch detectors`: every detector listed and documented whole."""

import json

import pytest

from detectors.contract import registry
from streams.cli.exits import Exit
from streams.cli.main import main


def test_every_detector_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.OK == main(["detectors", "list", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert list(registry()) == [row["detector"] for row in rows]
    assert all(row["finds"] for row in rows)


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_parameter_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.OK == main(["detectors", "explain", name, "--json"])
    told = json.loads(capsys.readouterr().out)

    assert told["rule"]
    assert [] == [row["name"] for row in told["parameters"] if not row["text"]]


def test_what_the_file_changes_is_shown_beside_the_default(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path_factory.mktemp("c") / "leapwatch.toml"
    path.write_text("[detectors.host_silence]\nat_least_s = 120\n", encoding="utf-8")

    assert Exit.OK == main(["detectors", "explain", "host_silence", "--config", str(path)])
    assert "at_least_s = 120.0 (default 90.0)  # seconds" in capsys.readouterr().out
