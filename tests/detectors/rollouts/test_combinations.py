"""Tests of the book of combinations: counted server by server, learned and proven."""

from __future__ import annotations

from detectors.rollouts.combinations import COMBINATIONS_MOST, Book, Fares, outcome_of
from tests.detectors.pictured import pictured
from tests.kit import START_MS, Log, vm

COMPONENTS = ("ha", "netplugin", "ga")


def counted(book: Book, log: Log, name: str = "s1", *, changed: bool = False) -> dict[str, None]:
    return book.count(pictured(log), name, COMPONENTS, 300_000, learn_ms=600_000, changed=changed)


def one(at_s: float = 0, *, down: bool = False, ga: str = "1.6") -> Log:
    network = "DOWN" if down else "UP"
    vms = [vm("v1", ga_version=ga, network=network), vm("v2", ga_version=ga)]
    return Log().inventory(1).host(at_s, "s1", vms=vms, versions={"ha": "1", "fc": "7"})


def test_a_server_counts_with_its_vms_and_again_only_where_it_changed() -> None:
    book, log = Book(), one(down=True)
    assert ["ga=1.6,ha=1"] == list(counted(book, log))
    assert {} == counted(book, log)

    known = book.known["ga=1.6,ha=1"]
    assert (Fares(2, 1), 1, False, 2) == (known.now, known.servers, known.new, known.most_vms)


def test_a_server_that_comes_to_another_brings_along_how_it_fared_before() -> None:
    book, log = Book(), one(down=True)
    counted(book, log)
    log.host(60, "s1", vms=[vm("v1", ga_version="1.6", network="UP")], versions={"ha": "2"})
    assert ["ga=1.6,ha=1", "ga=1.6,ha=2"] == list(counted(book, log, changed=True))

    assert (Fares(), 0) == (book.known["ga=1.6,ha=1"].now, book.known["ga=1.6,ha=1"].servers)
    assert (Fares(1), Fares(2, 1), True) == (
        book.known["ga=1.6,ha=2"].now,
        book.known["ga=1.6,ha=2"].before,
        book.known["ga=1.6,ha=2"].new,
    )


def test_a_server_that_is_gone_counts_no_more() -> None:
    book = Book()
    counted(book, one())
    book.count(pictured(Log()), "s1", COMPONENTS, 0, learn_ms=0, changed=False)

    assert (Fares(), {}) == (book.known["ga=1.6,ha=1"].now, book.parts)


def test_an_announced_loss_does_not_count_yet() -> None:
    book, log = Book(), Log().inventory(1)
    log.maintenance(-5, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact="network")
    log.host(0, "s1", vms=[vm("v1", network="DOWN")], versions={"ha": "1"})
    counted(book, log)

    assert (0, ["s1"]) == (book.known["ha=1"].now.down, list(book.expected))


def test_what_nobody_runs_is_forgotten_when_there_are_too_many() -> None:
    book = Book()
    for n in range(COMBINATIONS_MOST + 5):
        counted(book, Log().inventory(1).host(n, "s1", vms=[], versions={"ha": str(n)}))

    assert COMBINATIONS_MOST == len(book.known)
    assert "ha=0" not in book.known


def test_a_new_combination_is_proven_after_a_while_and_healthy_while_it_is_well() -> None:
    book, log = Book(), one()
    counted(book, log, changed=True)
    book.judge(book.known, START_MS, 0.05, 600_000)
    assert [] == book.healthy("network", (), START_MS + 599_999, 600_000)
    assert ["ga=1.6,ha=1"] == book.healthy("network", (), START_MS + 600_000, 600_000)
    assert [] == book.healthy("network", ("ga=1.6,ha=1",), START_MS + 600_000, 600_000)

    log.host(700, "s1", vms=[vm("v1", ga_version="1.6", network="DOWN")])
    counted(book, log)
    book.judge(book.known, START_MS + 700_000, 0.05, 600_000)
    assert [] == book.healthy("network", (), START_MS + 9_000_000, 600_000)

    log.host(800, "s1", vms=[])
    counted(book, log)
    book.judge(["ga=1.6,ha=1", "unknown"], START_MS + 800_000, 0.05, 600_000)
    assert ["ga=1.6,ha=1"] == book.healthy("network", (), START_MS + 800_000, 600_000)


def test_a_combination_that_was_there_is_proven_as_it_stands() -> None:
    book = Book()
    counted(book, one())
    book.judge(book.known, START_MS, 0.05, 600_000)

    assert ["ga=1.6,ha=1"] == book.healthy("network", (), START_MS, 600_000)
    assert ["ga=1.6,ha=1"] == book.healthy("start", (), START_MS, 600_000)


def started(*events: tuple[float, str, int]) -> bool | None:
    """Return the outcome after these events: (second, kind or ga state, incarnation)."""
    log = Log().inventory(1)
    for at_s, kind, incarnation in events:
        if kind in ("START_FAILED", "READY"):
            log.guest(at_s, "v1", kind, incarnation=incarnation)
        else:
            log.host(at_s, "s1", vms=[vm("v1", incarnation, ga="STARTING")], versions={"ha": "1"})
    return outcome_of(pictured(log).vms["v1"], START_MS)


def test_outcomes_of_starts() -> None:
    assert started((0, "STARTING", 1)) is None
    assert started((0, "STARTING", 1), (9, "READY", 1)) is False
    assert started((0, "STARTING", 1), (9, "START_FAILED", 1)) is True
    assert started((0, "STARTING", 1), (300, "STARTING", 2)) is True
    assert started((0, "STARTING", 1), (299.999, "STARTING", 2)) is None
    assert started((0, "READY", 1)) is None, "nobody saw it start"
    assert started((-1, "STARTING", 1), (9, "READY", 1)) is None, "begun before"
