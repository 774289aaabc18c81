"""Writers' schemas from configured files: found by id and GUID, and a wrong map says where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.writers import FileSchemas, FirstOf

PULSE = {"type": "record", "name": "Pulse", "fields": []}
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "pulse.avsc").write_text(json.dumps(PULSE))
    return tmp_path


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_toml_map_finds_schemas_beside_it(folder: Path) -> None:
    schemas = FileSchemas(
        written(folder, "map.toml", f'[schemas]\n7 = "acme/pulse.avsc"\n"{GUID}" = "acme/pulse.avsc"\n')
    )

    assert [PULSE, None] == [schemas.by_id(7), schemas.by_id(8)]
    assert [PULSE, None] == [schemas.by_guid(bytes.fromhex(GUID.replace("-", ""))), schemas.by_guid(b"x" * 16)]


def test_a_json_map_does_the_same(folder: Path) -> None:
    assert FileSchemas(written(folder, "map.json", '{"schemas": {"7": "acme/pulse.avsc"}}')).by_id(7) == PULSE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "map.toml"),
        ("x = 1", "no table `schemas`"),
        ("[schemas]\n7 = 1", "schemas.7 is no path"),
        ('[schemas]\n7 = "gone.avsc"', "schemas.7.*gone.avsc"),
        ('[schemas]\n7 = "map.toml"', "schemas.7.*map.toml"),
        ('[schemas]\n7 = "list.avsc"', "an Avro record is a JSON object"),
        ('[schemas]\nseven = "acme/pulse.avsc"', "schemas.seven: neither a schema id nor a GUID"),
        ('[schemas]\nabcd = "acme/pulse.avsc"', "schemas.abcd: neither a schema id nor a GUID"),
    ],
)
def test_a_wrong_map_says_what_is_wrong(folder: Path, text: str, why: str) -> None:
    written(folder, "list.avsc", "[]")
    with pytest.raises(ValueError, match=why):
        FileSchemas(written(folder, "map.toml", text))


def test_a_json_map_that_is_no_object_says_so(folder: Path) -> None:
    with pytest.raises(ValueError, match="no table `schemas`"):
        FileSchemas(written(folder, "map.json", "[]"))


def test_the_first_place_that_knows_answers(folder: Path) -> None:
    none = FileSchemas(written(folder, "none.toml", "[schemas]"))
    some = FileSchemas(written(folder, "map.toml", f'[schemas]\n7 = "acme/pulse.avsc"\n"{GUID}" = "acme/pulse.avsc"\n'))
    both = FirstOf(none, some)

    assert [PULSE, None] == [both.by_id(7), both.by_id(8)]
    assert [PULSE, None] == [both.by_guid(bytes.fromhex(GUID.replace("-", ""))), both.by_guid(b"x" * 16)]
