"""How commands end: each code once, told by `--help`, and a failure that bears its own."""

import re
from pathlib import Path

import pytest

from streams.cli.exits import Exit, Failure
from streams.cli.main import HELP, main


def test_help_tells_every_code_and_no_other() -> None:
    told = re.search(r"Exit codes: (.*?)\.\n\n", HELP, re.DOTALL)

    assert told
    assert {int(code) for code in Exit} == {int(number) for number in re.findall(r"(\d+) ", told.group(1))}


def test_the_readme_tells_them_in_one_table() -> None:
    table = (Path(__file__).parents[3] / "README.md").read_text().split("| code | means |")[1].split("\n\n")[0]

    assert [int(code) for code in Exit] == [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]


def test_a_failure_is_a_mistake_in_what_was_given_unless_it_says_else() -> None:
    assert (Exit.USAGE, "no such file") == (Failure("no such file").code, str(Failure("no such file")))
    assert Exit.REFUSED == Failure("harmful", Exit.REFUSED).code


@pytest.mark.parametrize("arguments", [["--help"], ["topics", "apply", "--help"], ["--version"]], ids=" ".join)
def test_asking_for_help_is_no_failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert Exit.OK == main(arguments)
    assert capsys.readouterr().out
