"""The account of an interval: found by its moment in history, with its article, or a message that says what is."""

import json

import pytest

from schemas.outputs import Finding
from streams.replay.command import Report, from_records
from streams.replay.rca import AFTER_MS, BEFORE_MS, Account, NoInterval, account_of, as_json, lines, page, timeline
from streams.replay.run import Range
from tests.streams.replay.histories import history


def replayed(vm: str, at_ms: int) -> Report:
    """Return a replay around a moment, of one VM."""
    return from_records(iter(history()), Range(at_ms - BEFORE_MS, at_ms + AFTER_MS, None, vm))


@pytest.fixture(scope="module")
def failing() -> Finding:
    """Give the first interval of the leap day."""
    report = from_records(iter(history()), Range())
    return next(f for f in report.outputs if isinstance(f, Finding) and f.detector == "unavailability")


@pytest.fixture(scope="module")
def account(failing: Finding) -> Account:
    """Give its account, ten minutes into it."""
    vm, at_ms = failing.subject.vm or "", int(failing.numbers["start_ms"]) + 600_000
    return account_of(replayed(vm, at_ms), vm, at_ms)


def test_the_interval_of_a_moment_is_found_with_its_article(failing: Finding, account: Account) -> None:
    assert failing.id == account.interval.id
    assert account.article is not None
    assert ("START_FAILURE", failing.id) == (account.article.cause, account.article.id)


def test_it_is_told_with_timeline_and_evidence(account: Account) -> None:
    text = "\n".join(lines(account))

    assert "## Root cause" in text
    assert "## Timeline (UTC)" in text
    assert "the interval begins" in text
    assert "## Evidence" in text
    assert sorted(timeline(account)) == timeline(account)


def test_it_is_told_to_programs_and_as_a_page(account: Account) -> None:
    told = json.loads(as_json(account))

    assert told["interval"]["id"] == told["article"]["id"]
    assert told["statements"]
    assert page(account).startswith("<!doctype html>")


def test_a_moment_before_the_first_record_knows_what_opened_before_it(failing: Finding) -> None:
    """What was said more than an hour before is known from the engine's state."""
    vm, at_ms = failing.subject.vm or "", int(failing.numbers["start_ms"]) + BEFORE_MS + 2_000_000

    assert failing.id == account_of(replayed(vm, at_ms), vm, at_ms).interval.id


def test_a_moment_at_which_it_was_available_says_so(failing: Finding) -> None:
    vm, at_ms = failing.subject.vm or "", int(failing.numbers["start_ms"]) - 600_000

    with pytest.raises(NoInterval, match=r"was available at .* intervals nearest to it began at"):
        account_of(replayed(vm, at_ms), vm, at_ms)


def test_a_vm_that_is_not_there_says_so(failing: Finding) -> None:
    at_ms = int(failing.numbers["start_ms"])

    with pytest.raises(NoInterval, match="no VM nobody in the history"):
        account_of(replayed("nobody", at_ms), "nobody", at_ms)


def test_an_interval_without_a_statement_has_no_page(failing: Finding) -> None:
    bare = Account(failing, (), None)

    assert "No cause is told yet" in "\n".join(lines(bare))
    with pytest.raises(NoInterval, match="no cause is told yet"):
        page(bare)
