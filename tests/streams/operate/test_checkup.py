"""The doctor's lines: a verdict, and what to do where it is not well."""

import pytest

from streams.operate.checkup import examine, here, skew_line


@pytest.mark.parametrize(
    ("skew_s", "verdict"),
    [(0.0, "ok"), (-4.0, "ok"), (4.1, "warn"), (-62.0, "warn"), (62.1, "fail"), (-3600.0, "fail")],
)
def test_clock_skew_is_judged_beyond_what_the_measurement_can_tell(skew_s: float, verdict: str) -> None:
    line = skew_line(skew_s, 2.0)

    assert verdict == line.verdict
    assert bool(line.todo) == (verdict != "ok")


def test_versions_are_told_without_a_broker() -> None:
    lines = {line.what: line for line in here()}

    assert "ok" == lines["python"].verdict
    assert "ok" == lines["faust-streaming"].verdict


async def test_a_bad_configuration_ends_the_examination(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("c") / "leapwatch.toml"
    path.write_text("x = 1\n", encoding="utf-8")
    lines = [line async for line in examine(path, 1.0)]

    assert ("fail", "configuration") == (lines[-1].verdict, lines[-1].what)


async def test_a_broker_that_is_away_is_named_and_nothing_raised(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEAPWATCH_KAFKA_BOOTSTRAP", raising=False)
    path = tmp_path_factory.mktemp("c") / "leapwatch.toml"
    path.write_text('[kafka]\nbootstrap = ["127.0.0.1:1"]\nrequest_timeout_s = 1\n', encoding="utf-8")
    lines = {line.what: line async for line in examine(path, 1.0)}

    assert ["fail", "fail"] == [lines["connection"].verdict, lines["broker"].verdict]
    assert lines["broker"].todo
