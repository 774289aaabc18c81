"""The engine's Faust app: what it reads, under which group, and what it tells; the rest is told by tests/faults."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.config.model import Config, Kafka
from streams.engine import worker


def test_faust_finds_the_app_by_the_configuration_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "leapwatch.toml"
    file.write_text('[kafka]\nprefix = "sim."\n')
    monkeypatch.setenv("LEAPWATCH_CONFIG", str(file))

    assert "sim.leapwatch-engine" == worker.app.conf.id


def test_a_name_that_is_not_the_app_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = worker.nothing


@pytest.mark.parametrize(("role", "source"), [("engine", "telemetry"), ("fleet", "fleet")])
def test_each_role_has_a_group_of_its_own(role: str, source: str) -> None:
    app = worker.make(Config(kafka=Kafka(prefix="p.", session_timeout_s=7.0)), role=role, source=source)

    assert (f"p.leapwatch-{role}", 7.0) == (app.conf.id, app.conf.broker_session_timeout)


def test_a_fetched_record_keeps_its_place_and_stamp() -> None:
    fetched = SimpleNamespace(partition=3, offset=9, timestamp=1_000, key=b"k", value=b"v")

    assert (3, 9, 1_000, b"k", b"v") == tuple(
        getattr(worker.log_record(fetched), name) for name in ("partition", "offset", "at_ms", "key", "value")
    )
