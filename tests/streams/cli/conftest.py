"""What tests of commands stand on: an embedded broker with our topics, and an environment that leads there."""

from pathlib import Path

import pytest

from streams.cli.main import main
from streams.kafka.embedded import EmbeddedBroker
from tests.streams.cli.log import LANES, TOPICS, Run


@pytest.fixture
def bootstrap(embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Give a broker with our topics, and an environment that leads there."""
    for name in TOPICS:
        embedded_broker.create_topic(f"t.{name}", LANES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    monkeypatch.setenv("LEAPWATCH_KAFKA_BOOTSTRAP", embedded_broker.bootstrap)
    monkeypatch.setenv("LEAPWATCH_KAFKA_PREFIX", "t.")
    return embedded_broker.bootstrap


@pytest.fixture
def run(bootstrap: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against that broker; return its code and its lines of output."""
    del bootstrap

    def command(*arguments: str) -> tuple[int, list[str]]:
        code = main(list(arguments))
        return code, capsys.readouterr().out.splitlines()

    return command
