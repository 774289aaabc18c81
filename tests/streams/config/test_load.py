"""Loading: the file, the environment, the secrets, and every problem at once."""

from pathlib import Path

import pytest

from streams.config.load import OVERRIDES, load
from streams.config.model import Foreign
from streams.config.problems import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "leapwatch.toml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text), env or {})
    return [problem.text("f") for problem in caught.value.problems]


def test_without_a_file_the_defaults_hold() -> None:
    config = load(None, {})

    assert (("127.0.0.1:9092",), 64, "127.0.0.1", 250) == (
        config.kafka.bootstrap,
        config.kafka.lanes,
        config.web.bind,
        config.intake.flush_ms,
    )


def test_a_foreign_topic_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, '[[intake.foreign]]\ntopic = "syslog"\npreset = "waagent-journald"\ngap_s = 90\n')

    assert (Foreign(topic="syslog", preset="waagent-journald", gap_s=90.0),) == load(path, {}).intake.foreign


def test_all_errors_are_told_at_once_with_line_key_and_reason(tmp_path: Path) -> None:
    text = """[kafka]
bootstrap = ["nowhere"]
lane = 4
[intake]
flush_ms = 0
clocks_s = "1"
[[intake.foreign]]
topic = "a b"
[wob]
x = 1
[detectors]
host_silence = 3
"""

    assert [
        "f:2: kafka.bootstrap[0]: must be HOST:PORT, is `nowhere`",
        "f:3: kafka.lane: unknown key; did you mean `lanes`?",
        "f:5: intake.flush_ms: must be at least 1, is 0",
        'f:6: intake.clocks_s: must be a number, is the text "1"',
        "f:8: intake.foreign[0].topic: must be a topic's name (letters, digits, `.`, `_`, `-`), is `a b`",
        "f:9: wob: unknown key; did you mean `web`?",
    ] == told(tmp_path, text)


def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    assert ["f:2: not TOML: Cannot overwrite a value (column 6)"] == told(tmp_path, "a = 1\na = 2\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: not readable: No such file"):
        load(tmp_path / "gone.toml", {})


def test_the_environment_overrides_connections_paths_and_ports(tmp_path: Path) -> None:
    path = written(tmp_path, '[kafka]\nbootstrap = ["a:1"]\n[web]\nintake = 1\n')
    env = {"LEAPWATCH_KAFKA_BOOTSTRAP": "b:2, c:3", "LEAPWATCH_WEB_INTAKE": "99", "LEAPWATCH_PATHS_MAPPINGS": "/var/x"}
    config = load(path, env)

    assert (("b:2", "c:3"), 99, Path("/var/x")) == (config.kafka.bootstrap, config.web.intake, config.paths.mappings)


def test_a_wrong_variable_is_named_and_not_the_file(tmp_path: Path) -> None:
    env = {"LEAPWATCH_KAFKA_BOOTSTRAP": "b", "LEAPWATCH_WEB_FLEET": "x"}

    assert [
        "f: LEAPWATCH_KAFKA_BOOTSTRAP: must be HOST:PORT, is `b`",
        "f: LEAPWATCH_WEB_FLEET: must be a port, is `x`",
    ] == told(tmp_path, "[kafka]\n", env)


def test_the_environment_cannot_change_a_threshold(tmp_path: Path) -> None:
    env = {
        "LEAPWATCH_DETECTORS_HOST_SILENCE_TIMEOUT_S": "5",
        "LEAPWATCH_POLICY_BUDGET_PER_DAY": "99",
        "LEAPWATCH_ENGINE_FLUSH_MS": "1",
        "LEAPWATCH_DETECTORS_LIST_JSON": "1",
        "LEAPWATCH_DEMO_SEED": "1",
        "HOME": "/",
    }
    no = "the environment cannot change a threshold: change the file, then `leapwatch config apply`"

    assert [
        f"f: LEAPWATCH_DETECTORS_HOST_SILENCE_TIMEOUT_S: {no}",
        "f: LEAPWATCH_ENGINE_FLUSH_MS: the environment overrides only connections, paths and ports: set it in the file",
        f"f: LEAPWATCH_POLICY_BUDGET_PER_DAY: {no}",
    ] == told(tmp_path, "", env)


def test_every_override_names_a_field_that_exists() -> None:
    config = load(None, {})

    for path in OVERRIDES.values():
        value: object = config
        for part in path:
            assert hasattr(value, part)
            value = getattr(value, part)


def test_a_secret_comes_from_its_file_and_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hush\n", encoding="utf-8")
    text = '[kafka.security]\nprotocol = "sasl_ssl"\nusername = "u"\npassword_file = "pw"\n'
    config = load(written(tmp_path, text), {})

    assert "hush" == config.secrets.kafka_password
    assert "hush" not in repr(config)
    assert tmp_path / "pw" == config.kafka.security.password_file


def test_a_secret_of_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hush\n", encoding="utf-8")
    text = '[kafka.security]\nprotocol = "sasl_ssl"\nusername = "u"\npassword_file = "pw"\n'

    assert "new" == load(written(tmp_path, text), {"LEAPWATCH_KAFKA_PASSWORD": "new"}).secrets.kafka_password


def test_sasl_without_a_password_is_refused(tmp_path: Path) -> None:
    assert ["f:2: kafka.security.protocol: needs a password: set password_file, or LEAPWATCH_KAFKA_PASSWORD"] == told(
        tmp_path, '[kafka.security]\nprotocol = "sasl_ssl"\nusername = "u"\n'
    )


def test_a_password_in_the_file_is_an_unknown_key(tmp_path: Path) -> None:
    assert ["f:2: kafka.security.password: unknown key; did you mean `password_file`?"] == told(
        tmp_path, '[kafka.security]\npassword = "x"\n'
    )


def test_two_roles_on_one_port_are_refused(tmp_path: Path) -> None:
    assert ["f:1: web: intake, engine and fleet need ports of their own (0 takes any free one)"] == told(
        tmp_path, "[web]\nintake = 7000\nengine = 7000\n"
    )


def test_thresholds_leave_with_their_digest(tmp_path: Path) -> None:
    config = load(written(tmp_path, "[policy]\nbudget_per_day = 3\n[kafka]\nlanes = 4\n"), {}, {})

    assert "[policy]\nbudget_per_day = 3\n" == config.thresholds_text
    assert 64 == len(config.thresholds_digest)
