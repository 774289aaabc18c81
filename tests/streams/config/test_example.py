"""The documented example: it is good, and it is complete."""

import dataclasses
import re
import tomllib
from pathlib import Path

from streams.config.catalogue import config_types
from streams.config.load import OVERRIDES, load
from streams.config.model import Config

EXAMPLE = Path(__file__).parents[3] / "deploy" / "leapwatch.toml"


def test_the_example_is_good_and_changes_no_default() -> None:
    loaded = load(EXAMPLE, {}, config_types())
    default = Config()

    assert (default.kafka, default.web, default.intake, default.engine, default.log) == (
        loaded.kafka,
        loaded.web,
        loaded.intake,
        loaded.engine,
        loaded.log,
    )


def test_the_example_names_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    whole = tomllib.loads(re.sub(r"^# ?((?:\[\[|[a-z_]+ = ).*)$", r"\1", text, flags=re.MULTILINE))

    for table in (field for field in dataclasses.fields(Config) if not field.metadata.get("computed")):
        kind = type(getattr(Config(), table.name))
        missing = {field.name for field in dataclasses.fields(kind)} - whole[table.name].keys()
        assert set() == missing, table.name


def test_variables_that_the_example_names_exist() -> None:
    names = set(re.findall(r"LEAPWATCH_[A-Z_]+[A-Z]", EXAMPLE.read_text(encoding="utf-8")))

    assert names <= OVERRIDES.keys() | {"LEAPWATCH_KAFKA_PASSWORD"}
