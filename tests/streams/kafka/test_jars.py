"""The jars of a real broker: brought once, by Maven, and what is missing named with the package that brings it."""

from pathlib import Path

import pytest

from streams.kafka import jars
from streams.kafka.jars import BrokerError

BRINGS = """#!/bin/sh
for word in "$@"; do
  case "$word" in -DoutputDirectory=*) mkdir -p "${word#*=}" && : > "${word#*=}/kafka.jar";; esac
done
"""
FAILS = "#!/bin/sh\necho 'no route to the repository' >&2\nexit 1\n"


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, mvn: str) -> None:
    """Put a java and a Maven of ours first on the PATH: bringing 45 MB is not this test's business."""
    for name, text in (("java", "#!/bin/sh\n"), ("mvn", mvn)):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")


def test_jars_are_brought_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, BRINGS)
    folder = tmp_path / "cache" / f"jars-{jars.KAFKA_VERSION}"

    assert f"{folder}/*" == jars.classpath(tmp_path / "cache")
    assert ["kafka.jar"] == [each.name for each in folder.iterdir()]
    programs(tmp_path, monkeypatch, FAILS)
    assert f"{folder}/*" == jars.classpath(tmp_path / "cache")


def test_a_maven_that_fails_is_told_in_its_own_words_and_leaves_no_half_of_the_jars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path, monkeypatch, FAILS)

    with pytest.raises(BrokerError, match="no route to the repository"):
        jars.classpath(tmp_path / "cache")
    assert [] == list((tmp_path / "cache").glob("jars-*"))


def test_missing_java_is_named_with_the_package_that_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    reason = jars.missing(tmp_path)

    assert reason is not None
    assert "java" in reason
    assert "openjdk-17" in reason
    with pytest.raises(BrokerError, match="java is not on the PATH"):
        jars.classpath(tmp_path)


def test_missing_maven_matters_only_while_there_are_no_jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(java.parent))
    cache = tmp_path / "cache"

    assert "mvn" in str(jars.missing(cache))
    (cache / f"jars-{jars.KAFKA_VERSION}").mkdir(parents=True)
    assert jars.missing(cache) is None


def test_the_environment_says_where_brokers_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path))

    assert tmp_path == jars.cache_dir()
