"""The contract over the simulator's scenarios, small: as score runs them, through codec, intake and packing."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest

from detectors.frames import BatchFrame, ClocksFrame
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.frames import frame_of
from streams.engine.runner import Runner, TelemetryFrame
from streams.simulate.ledger import Ledger
from streams.simulate.load import load
from streams.simulate.score import Outcome, log_of

SCENARIOS = ("leap-day-dawn", "leap-day-silent", "bad-server", "cascade", "power-loss", "collector-outage", "lag")
every_scenario = pytest.mark.parametrize("name", SCENARIOS)


@cache
def log(name: str) -> tuple[TelemetryFrame, ...]:
    """Return the log of a scenario's first cluster, of 16 servers with 2 VMs each."""
    scenario = load(name).with_size(clusters=1, servers=16, vms=2)
    cluster = next(iter(scenario.instances()))[0]
    records = log_of(scenario, cluster, Outcome(cluster, Ledger()), through_codec=False)
    return tuple(frame for frame in map(frame_of, records) if isinstance(frame, BatchFrame | ClocksFrame))


@cache
def told(name: str) -> tuple[bytes, ...]:
    """Return what a log brings, as bytes."""
    return tuple(map(msgspec.msgpack.encode, Runner(0).feed(log(name))))


@every_scenario
def test_a_scenario_says_the_same_however_it_is_fetched(name: str) -> None:
    """In pieces of chance, and no detector fails."""
    sizes, runner, taken = random.Random(name), Runner(0), 0
    pieces: list[bytes] = []
    while taken < len(log(name)):
        size = sizes.choice((1, 7, 300))
        pieces += map(msgspec.msgpack.encode, runner.feed(log(name)[taken : taken + size]))
        taken += size

    assert list(told(name)) == pieces
    assert {} == {known: cluster.broken for known, cluster in runner.clusters.items() if cluster.broken}


@every_scenario
def test_a_scenario_says_the_same_after_a_restore(name: str) -> None:
    """At three places of chance in one run: saved, restored into a new engine, and on."""
    whole, runner = log(name), Runner(0)
    pieces: list[bytes] = []
    begun = 0
    for cut in (*sorted(random.Random(name).sample(range(1, len(whole)), 3)), len(whole)):
        pieces += map(msgspec.msgpack.encode, runner.feed(whole[begun:cut]))
        saved = {known: encode_saved(runner.save(known)) for known in runner.clusters}
        runner, begun = Runner(0), cut
        for known in sorted(saved, key=lambda cluster: cluster != "*"):
            assert [] == runner.restore(known, decode_saved(saved[known]), whole[cut - 1].offset + 1)

    assert list(told(name)) == pieces
