"""Servers out, as intervals."""

from hypothesis import given
from hypothesis import strategies as st

from detectors.frames import BatchFrame
from detectors.investigate.outages import ENDED_KEPT, Outage, Outages
from detectors.lanes import FAR_MS, Interval, Lanes
from detectors.picture import Picture
from schemas.outputs import Finding, FindingState, Severity, Subject
from tests.kit import START_MS, Log

SERVERS = 6


def known(servers: int = SERVERS) -> Picture:
    """Return the picture of a cluster of so many servers."""
    picture = Picture("c1", Lanes())
    frame = Log().inventory(servers).frames[0]
    assert isinstance(frame, BatchFrame)
    picture.fold(frame)
    return picture


def hi(server: str, from_ms: int, state: str = FindingState.OPEN, **numbers: float) -> Finding:
    """Return a finding of `server_hi`."""
    subject = Subject(cluster="c1", server=server)
    return Finding(
        f"{server}/{from_ms}", "server_hi", subject, state, Severity.WARNING, from_ms, 0, "", numbers=numbers
    )


def test_an_outage_lasts_from_its_opening_to_the_ready_that_ended_it() -> None:
    """Both are stamps of the source, not of the frames that told."""
    outages = Outages()

    assert (100, FAR_MS) == outages.take_finding(hi("s1", 100))
    assert outages.take_finding(hi("s1", 100, FindingState.CLOSED, ended_ms=200)) is None
    assert [(100, 200)] == [(outage.from_ms, outage.until_ms) for outage in outages.ended]


def test_a_released_finding_counts_not_even_for_the_past() -> None:
    """Closed without the stamp of an end."""
    outages = Outages()
    outages.take_finding(hi("s1", 100))
    outages.take_finding(hi("s1", 100, FindingState.CLOSED))

    assert Outages() == outages


def test_a_repair_read_after_the_ready_that_ended_it_is_over() -> None:
    """Two lanes of a foreign topic may tell it in this order."""
    log = Log().inventory(3)
    log.maintenance(20, "SERVER_STATE", server="s1", state="READY")
    log.maintenance(10, "SERVER_STATE", server="s1", state="OUT_FOR_REPAIR")
    picture, outages = Picture("c1", Lanes()), Outages()
    for frame in log.frames:
        assert isinstance(frame, BatchFrame)
        picture.fold(frame)
        outages.take_batch(frame, picture)

    assert {} == outages.current
    assert [(START_MS + 10_000, START_MS + 20_000)] == [(out.from_ms, out.until_ms) for out in outages.ended]


def test_what_is_remembered_of_the_past_has_a_bound() -> None:
    """The oldest go first; so does what is over for more than a day."""
    outages = Outages()
    for n in range(ENDED_KEPT + 5):
        outages.take_finding(hi("s1", n))
        outages.take_finding(hi("s1", n, FindingState.CLOSED, ended_ms=n + 1))
    assert ENDED_KEPT == len(outages.ended)
    assert 5 == outages.ended[0].from_ms

    outages.take_finding(hi("s2", 90_000_000))
    outages.take_finding(hi("s2", 90_000_000, FindingState.CLOSED, ended_ms=100_000_000))
    assert ["s2"] == [outage.server for outage in outages.ended]


def slow(outages: list[Outage], least: int, window: Interval) -> int | None:
    """Return the first moment in the window at which so many servers were out, by asking every one."""
    for moment in range(window[0], min(window[1], 60)):
        if len({out.server for out in outages if out.from_ms <= moment < out.until_ms}) >= least:
            return moment
    return None


drawn = st.lists(
    st.tuples(st.integers(1, SERVERS), st.integers(0, 40), st.integers(1, 20), st.booleans()), min_size=1, max_size=12
)


@given(drawn, st.integers(1, 4), st.integers(0, 50), st.integers(1, 60))
def test_the_sweep_finds_what_a_look_at_every_moment_finds(
    spans: list[tuple[int, int, int, bool]], least: int, since_ms: int, length_ms: int
) -> None:
    """The first moment at which so many were out at once, within any window."""
    outages, every = Outages(), []
    for n, (server, from_ms, length, lasts) in enumerate(spans):
        out = Outage(f"s{server}", str(n), from_ms, FAR_MS if lasts else from_ms + length)
        every.append(out)
        if lasts:
            outages.current[str(n)] = out
        else:
            outages.ended.append(out)
    window = (since_ms, since_ms + length_ms)

    assert slow(every, least, window) == outages.crossing_ms(known(), least, window)


def test_the_one_that_crosses_is_the_last_that_went_out_before() -> None:
    """By its beginning, then its name."""
    outages = Outages()
    for server, from_ms in (("s3", 30), ("s1", 10), ("s2", 20), ("stranger", 20)):
        outages.take_finding(hi(server, from_ms))

    assert "s2" == outages.begun_last(known(), 29).server
    assert ["s1", "s2", "s3"] == list(outages.servers(known()))
