"""`leapwatch demo` on the command line; what it plays is in tests/streams/simulate/test_demo.py."""

import pytest

from streams.cli.exits import Exit
from streams.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scenario", "no-such-day"), "no-such-day"),
        (("--clusters", "0"), "--clusters"),
        (("--servers", "0"), "--servers"),
        (("--servers", "1000000"), "servers: is 1000000; must be a whole number from 1 to 100000"),
        (("--clusters", "1001"), "clusters: is 1001"),
        (("--vms", "1001"), "vms: is 1001"),
        (("--speed", "0"), "--speed"),
        (("--vms", "x"), "--vms"),
    ],
)
def test_a_wrong_flag_is_named_before_anything_starts(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Exit.USAGE == main(["demo", *arguments])
    assert said in capsys.readouterr().err


def test_every_flag_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--help"])
    said = capsys.readouterr().out

    assert [] == [
        flag for flag in ("scenario", "seed", "speed", "clusters", "servers", "vms") if f"--{flag}" not in said
    ]
