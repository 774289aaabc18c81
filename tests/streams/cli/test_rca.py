"""`leapwatch rca`: the article of a moment from Kafka, a capture or files, and a clear word where there is none."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode
from schemas.history_lines import source_to_line
from schemas.outputs import Finding
from schemas.rca import RcaArticle
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.kafka.real import RealBroker
from streams.replay.capture import write_capture
from streams.replay.command import from_records
from streams.replay.rca import BEFORE_MS
from streams.replay.run import Range
from tests.streams.replay.histories import history, sources
from tests.streams.replay.lived import LANES, live, written


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a capture of the leap day's first hour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    path = tmp_path / "night.capture"
    with path.open("w+b") as file:
        write_capture(file, history(), {})
    return path


@pytest.fixture
def interval() -> Finding:
    """Give the first interval of that hour."""
    report = from_records(iter(history()), Range())
    return next(f for f in report.outputs if isinstance(f, Finding) and f.detector == "unavailability")


def test_it_prints_the_article_the_page_and_the_record(
    night: Path, interval: Finding, capfd: pytest.CaptureFixture[str]
) -> None:
    vm, at = interval.subject.vm or "", str(int(interval.numbers["start_ms"]) + 600_000)
    command = ["rca", vm, "--at", at, "--capture", str(night)]

    assert Exit.OK == main(command)
    assert "## Root cause" in capfd.readouterr().out
    assert Exit.OK == main([*command, "--html"])
    assert capfd.readouterr().out.startswith("<!doctype html>")
    assert Exit.OK == main([*command, "--json"])
    assert interval.id == json.loads(capfd.readouterr().out)["article"]["id"]


def test_plain_files_say_the_same(
    night: Path, tmp_path: Path, interval: Finding, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "night.jsonl"
    plain.write_bytes(b"\n".join(source_to_line(record) for record in sources()))
    vm, at = interval.subject.vm or "", str(int(interval.numbers["start_ms"]) + 600_000)

    assert Exit.OK == main(["rca", vm, "--at", at, "--source", str(plain)])
    assert "## Root cause" in capfd.readouterr().out


def test_what_is_not_there_is_told_and_ends_with_2(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    at = ["--at", "2012-02-29T00:10:00Z"]

    assert Exit.USAGE == main(["rca", "nobody", *at, "--capture", str(night)])
    assert "no VM nobody" in capfd.readouterr().err
    assert Exit.USAGE == main(["rca", "v", *at, "--capture", str(night), "--source", str(night)])


@pytest.fixture
def lived(
    real_broker: RealBroker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, RcaArticle]:
    """Give the articles that engines wrote on a real broker, the newest of each interval; a configuration leads there.

    Snapshots are ten minutes apart: what is asked of the end of the hour begins at one of them.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPWATCH_CONFIG", raising=False)
    where = f'[kafka]\nbootstrap = ["{real_broker.bootstrap}"]\nprefix = "{topic_prefix}"\nlanes = {LANES}\n'
    Path("leapwatch.toml").write_text(where)
    asyncio.run(live(real_broker, topic_prefix))
    values = asyncio.run(written(real_broker, topic_prefix, ("rca",)))
    articles = sorted((decode(value) for value in values), key=lambda article: article.at_ms)
    return {article.id: article for article in articles}


@pytest.mark.kafka
def test_from_kafka_it_prints_the_very_article_that_the_engine_wrote(
    lived: dict[str, RcaArticle], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the reading begins at a snapshot behind the beginning of the interval: the state knows of it."""
    end_ms = max(record.at_ms for record in history(LANES))
    first = min(lived.values(), key=lambda article: (article.start_ms, article.id))
    last = max(lived.values(), key=lambda article: (article.start_ms, article.id))
    long = min((one for one in lived.values() if not one.end_ms), key=lambda article: (article.start_ms, article.id))
    for article, at_ms, before_ms in ((first, first.start_ms, BEFORE_MS), (last, last.start_ms + 1, 60_000)):
        assert article.markdown == _told(article, at_ms, before_ms, capfd, monkeypatch)["markdown"]
    assert end_ms - 60_000 > long.start_ms + 900_000
    assert long.markdown == _told(long, end_ms, 60_000, capfd, monkeypatch)["markdown"]
    assert Exit.OK == main(["rca", long.vm, "--at", str(end_ms), "--cluster", long.cluster])
    assert long.markdown.rstrip() in capfd.readouterr().out


def _told(
    article: RcaArticle,
    at_ms: int,
    before_ms: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Return the article that the command prints where it reads so much of what was before."""
    monkeypatch.setattr("streams.replay.rca.BEFORE_MS", before_ms)
    assert Exit.OK == main(["rca", article.vm, "--at", str(at_ms), "--json"])
    told: dict[str, Any] = json.loads(capfd.readouterr().out)["article"]
    return told


@pytest.mark.kafka
def test_from_kafka_a_vm_that_is_not_there_is_told(
    lived: dict[str, RcaArticle], capfd: pytest.CaptureFixture[str]
) -> None:
    at = str(next(iter(lived.values())).start_ms)

    assert Exit.USAGE == main(["rca", "nobody", "--at", at])
    assert "no VM nobody" in capfd.readouterr().err
