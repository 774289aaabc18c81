"""The records of `schemas.commands` keep the house rules."""

from __future__ import annotations

from schemas import commands
from tests.schemas.house import broken_rules


def test_the_records_keep_the_house_rules() -> None:
    assert [] == broken_rules(commands)
