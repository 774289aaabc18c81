"""The generator: order, determinism, the host agent's arithmetic, and the leap day by construction."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.history import SourceRecord
from schemas.inventory import InventoryComplete, Server, Vm
from schemas.source import GuestEvent, HostReport, MaintenanceEvent
from streams.simulate.generator import Simulation, records
from streams.simulate.load import load, loads
from streams.simulate.quantity import brake, moment_ms
from streams.simulate.scenario import Scenario

MIDNIGHT_MS = moment_ms("2012-02-29T00:00:00Z", 0)
MINUTE_MS = 60_000
DIGEST = """
import hashlib
from streams.simulate.generator import records
from streams.simulate.load import load
digest = hashlib.sha256()
for record in records(load("leap-day-dawn").with_size(clusters=2, servers=12, vms=2)):
    digest.update(repr(record).encode())
print(digest.hexdigest())
"""


def run(scenario: Scenario) -> tuple[list[SourceRecord], Simulation]:
    simulation = Simulation(scenario)
    return list(simulation.records()), simulation


def small(text: str, *, servers: int = 10, vms: int = 2, duration: str = "2h", seed: int = 1) -> Scenario:
    return loads(
        f"""
name = "small"
start = 2012-03-01T00:00:00Z
duration = "{duration}"
seed = {seed}
[fleet]
servers = {servers}
vms = {vms}
[[cluster]]
name = "north"
{text}
"""
    )


def reports(found: list[SourceRecord]) -> list[tuple[int, HostReport]]:
    return [(one.at_ms, one.record) for one in found if isinstance(one.record, HostReport)]


def events(found: list[SourceRecord], kind: str) -> list[MaintenanceEvent | GuestEvent]:
    return [
        one.record for one in found if isinstance(one.record, MaintenanceEvent | GuestEvent) and one.record.kind == kind
    ]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_two_hash_seeds_give_the_same_bytes(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    digest = hashlib.sha256()
    for record in records(load("leap-day-dawn").with_size(clusters=2, servers=12, vms=2)):
        digest.update(repr(record).encode())

    assert digest.hexdigest() == done.stdout.strip()


def test_another_seed_gives_other_records() -> None:
    scenario = load("bad-server").with_size(clusters=1, servers=10, vms=2)

    assert run(scenario)[0] != run(scenario.with_size(seed=99))[0]


def test_a_cluster_alone_sends_what_it_sends_in_company() -> None:
    scenario = load("leap-day-dawn").with_size(clusters=2, servers=12, vms=2)
    both = [one for one in records(scenario) if getattr(one.record, "cluster", "") == "complete-1"]
    alone = [one for one in records(scenario, ["complete-1"]) if getattr(one.record, "cluster", "") == "complete-1"]

    assert both == alone


def test_the_inventory_comes_first_and_is_closed_for_each_cluster() -> None:
    found, _ = run(load("leap-day-dawn").with_size(clusters=2, servers=12, vms=2))
    first = next(place for place, one in enumerate(found) if one.feed != "inventory")
    heads = [one.record for one in found[:first]]

    assert {InventoryComplete("started-1", 12, 24), InventoryComplete("complete-1", 12, 24)} == {
        record for record in heads if isinstance(record, InventoryComplete)
    }
    assert 24 == sum(isinstance(record, Server) for record in heads)
    assert 48 == sum(isinstance(record, Vm) for record in heads)


def test_a_healthy_server_beats_every_interval_and_is_full_every_five_minutes() -> None:
    found, _ = run(small("", servers=4, duration="1h"))
    by_server = defaultdict(list)
    for _, report in reports(found):
        by_server[report.server].append(report)

    for sent in by_server.values():
        assert len(sent) in {59, 60}
        fulls = [report.sent_ms for report in sent if report.vms is not None]
        assert {300_000} == {later - earlier for earlier, later in pairwise(fulls)}
        assert all(report.full_seq == report.seq for report in sent if report.vms is not None)


def test_the_host_agent_acts_at_the_limit_itself_three_times_and_then_gives_the_server_up() -> None:
    found, simulation = run(
        small(
            """
[[fault]]
name = "bad"
kind = "bad_hardware"
scope = { servers = 1 }
at = "10m"
effect = "silent"
"""
        )
    )
    start_ms = moment_ms("2012-03-01T00:10:00Z", 0)
    timeouts = [fact.at_ms - start_ms for fact in simulation.ledger.facts("north-1", "timeout")]
    (given_up,) = simulation.ledger.facts("north-1", "hi")

    assert [25 * MINUTE_MS] * 2 + [50 * MINUTE_MS] * 2 + [75 * MINUTE_MS] * 2 == timeouts
    assert 75 * MINUTE_MS == given_up.at_ms - start_ms
    assert ["HI"] == [event.state for event in events(found, "SERVER_STATE") if isinstance(event, MaintenanceEvent)]
    faulted = [at_ms for at_ms, report in reports(found) if report.state == "FAULTED"]
    assert 75 * MINUTE_MS <= faulted[0] - start_ms <= 75 * MINUTE_MS + 300


def test_vms_of_a_bad_server_are_healed_and_start_well_elsewhere() -> None:
    found, simulation = run(load("bad-server").with_size(clusters=1, servers=50, vms=5))
    (bad,) = simulation.ledger.hit("bad", "server")
    healed = {event.vm for event in events(found, "VM_HEALED")}

    assert 5 <= len(healed)
    assert [] == simulation.ledger.facts("north-1", "healed_failed")
    assert all(event.from_server == bad for event in events(found, "VM_HEALED") if isinstance(event, MaintenanceEvent))
    assert healed <= {event.vm for event in events(found, "READY")}


@pytest.mark.parametrize(("servers", "vms"), [(50, 5), (100, 2), (3, 1)])
def test_leap_day_crosses_the_brake_at_a_quarter_past_one(servers: int, vms: int) -> None:
    _, simulation = run(load("leap-day-dawn").with_size(clusters=3, servers=servers, vms=vms))

    for cluster in ("started-1", "nearly-1"):
        given_up = simulation.ledger.facts(cluster, "hi")
        assert MIDNIGHT_MS + 75 * MINUTE_MS == given_up[brake(servers) - 1].at_ms
        assert [MIDNIGHT_MS + 75 * MINUTE_MS] == [fact.at_ms for fact in simulation.ledger.facts(cluster, "brake")]
        assert [] == simulation.ledger.facts(cluster, "healed")


@pytest.mark.parametrize("name", ["leap-day-dawn", "leap-day-silent"])
def test_without_a_rollout_healing_spreads_the_leap_day_before_the_brake(name: str) -> None:
    _, simulation = run(load(name).with_size(clusters=2, servers=50, vms=5))
    (braked,) = simulation.ledger.facts("complete-1", "brake")
    second = simulation.ledger.completed_ms("complete-1", "healed_failed", 2, 1, 600_000)

    assert second is not None
    assert second < braked.at_ms


def test_the_silent_leap_day_says_not_a_word() -> None:
    found, _ = run(load("leap-day-silent").with_size(clusters=2, servers=50, vms=5))
    spoken = [one for one in found if isinstance(one.record, GuestEvent) and one.at_ms > MIDNIGHT_MS + 10 * MINUTE_MS]

    assert [] == spoken


def test_storage_runs_no_guest_agent() -> None:
    found, _ = run(load("leap-day-dawn").with_size(clusters=5, servers=10, vms=2))
    storage = [one.record for one in found if getattr(one.record, "cluster", "") == "storage-1"]

    assert {"none"} == {record.ga for record in storage if isinstance(record, Server)}
    assert not any(isinstance(record, GuestEvent) for record in storage)


def test_the_first_update_domain_of_the_leap_day_starts_in_one_millisecond() -> None:
    _, simulation = run(load("leap-day-dawn").with_size(clusters=1, servers=50, vms=5))
    at_midnight = [fact for fact in simulation.ledger.facts("started-1", "start") if fact.at_ms == MIDNIGHT_MS]

    assert 13 == len({fact.server for fact in at_midnight})
    assert 65 <= len(at_midnight)


def test_faults_compose_a_repeated_record_of_a_skewed_clock_is_both() -> None:
    found, _ = run(
        small(
            """
[[fault]]
kind = "clock_skew"
scope = { servers = 3 }
skew_s = 3600
[[fault]]
kind = "duplicates"
fraction = 1.0
feeds = ["host-agent"]
"""
        )
    )
    sent = defaultdict(list)
    for at_ms, report in reports(found):
        sent[report.server, report.run, report.seq].append((at_ms, report))
    skewed = {report.server for at_ms, report in reports(found) if report.sent_ms > at_ms + 3_000_000}

    assert 3 == len(skewed)
    whole = [copies for copies in sent.values() if copies[0][0] < moment_ms("2012-03-01T01:50:00Z", 0)]
    assert {2} == {len(copies) for copies in whole}
    assert all(copies[0][1] == copies[1][1] for copies in whole)


def test_a_bug_of_a_combination_strikes_only_where_all_of_it_runs() -> None:
    found, _ = run(
        small(
            """
versions = { ha = "1.6", netplugin = "1.7" }
[[cluster]]
name = "south"
versions = { ha = "1.7", netplugin = "1.7" }
[[fault]]
kind = "bug"
versions = { ha = "1.6", netplugin = "1.7" }
effect = "network_down"
at = "30m"
for = "30m"
"""
        )
    )
    down = {
        report.cluster for _, report in reports(found) if report.vms and any(vm.network == "DOWN" for vm in report.vms)
    }
    last = {report.server: report.vms for _, report in reports(found) if report.vms}

    assert {"north-1"} == down
    assert all(vm.network == "UP" for vms in last.values() for vm in vms)


def test_a_collector_outage_loses_host_reports_while_guests_speak() -> None:
    scenario = load("collector-outage").with_size(clusters=1, servers=10, vms=3)
    found, _ = run(scenario)
    from_ms, until_ms = scenario.start_ms + 31 * MINUTE_MS, scenario.start_ms + 60 * MINUTE_MS
    inside = [one for one in found if from_ms <= one.at_ms < until_ms]
    spoken = [one.at_ms for one in inside if one.feed == "guest-agent"]

    assert [] == [one for one in inside if one.feed == "host-agent"]
    assert max(later - earlier for earlier, later in pairwise(spoken)) < 30_000


def test_power_loss_silences_the_whole_cluster_and_boots_it_again() -> None:
    scenario = load("power-loss").with_size(clusters=1, servers=10, vms=3)
    found, _ = run(scenario)
    dark = [
        one for one in found if scenario.start_ms + 31 * MINUTE_MS <= one.at_ms < scenario.start_ms + 70 * MINUTE_MS
    ]
    boots = {report.boot_id for at_ms, report in reports(found) if at_ms > scenario.start_ms + 75 * MINUTE_MS}

    assert [] == dark
    assert 10 == len(boots)
    assert all(boot.endswith("boot-1") for boot in boots)


def test_late_reports_come_in_order_and_in_a_burst_at_the_end() -> None:
    scenario = load("lag").with_size(clusters=2, servers=10, vms=1)
    found, _ = run(scenario)
    late = [
        (at_ms, report)
        for at_ms, report in reports(found)
        if report.cluster == "south-1"
        and scenario.start_ms + 60 * MINUTE_MS <= report.sent_ms < scenario.start_ms + 79 * MINUTE_MS
    ]

    assert 9 * MINUTE_MS < max(at_ms - report.sent_ms for at_ms, report in late) <= 10 * MINUTE_MS + 1000
    assert all(at_ms <= scenario.start_ms + 81 * MINUTE_MS for at_ms, _ in late)
    last: dict[str, int] = {}
    for _, report in late:
        assert report.seq == last.get(report.server, report.seq - 1) + 1
        last[report.server] = report.seq


def test_planned_and_unplanned_reboots_are_counted_as_they_are_sent() -> None:
    found, simulation = run(load("healthy-week").with_size(clusters=1, servers=300, vms=2, days=1))
    sent = [event.planned for event in events(found, "NODE_REBOOT_STARTED") if isinstance(event, MaintenanceEvent)]

    assert simulation.ledger.count("reboot_planned") == sent.count(True) > 0
    assert simulation.ledger.count("reboot_unplanned") == sent.count(False)


def test_a_rollout_goes_by_update_domains_and_completes() -> None:
    found, _ = run(
        small(
            """
[[rollout]]
name = "ga-2"
versions = { ga = "2.0" }
at = "10m"
lead = "2m"
gap = "1m"
""",
            servers=30,
        )
    )
    kinds = [event.kind for event in events(found, "UD_STARTED") + events(found, "UD_COMPLETED")]
    last = {report.server: report.vms for _, report in reports(found) if report.vms}

    assert 3 == kinds.count("UD_STARTED") == kinds.count("UD_COMPLETED")
    assert 1 == len(events(found, "ROLLOUT_STARTED")) == len(events(found, "ROLLOUT_COMPLETED"))
    assert 30 == len(events(found, "SERVER_UPDATE_STARTED")) == len(events(found, "SERVER_UPDATE_COMPLETED"))
    assert {"2.0"} == {vm.ga_version for vms in last.values() for vm in vms}


FAULTS = {
    "agent_dies": 'agent = "host"\nfor = "10m"',
    "agent_hangs": 'agent = "guest"\nfor = "20m"',
    "agent_error": "for = '5m'",
    "agent_restart": "",
    "bug": 'effect = "silent"',
    "bad_hardware": "",
    "network_down": 'for = "9m"',
    "server_lost": "",
    "corrupted": "",
    "rack_lost": 'for = "15m"',
    "power_lost": 'for = "20m"',
    "collector_outage": 'for = "20m"',
    "lag": 'delay = "3m"\nfor = "7m"',
    "clock_skew": "skew_s = [-100, 5000]",
    "duplicates": "fraction = 0.3\nfor = '40m'",
    "loss": "fraction = 0.2",
    "healing_off": 'for = "30m"',
    "reboot": "planned = true",
    "management_disabled": "",
    "pulse_outage": 'for = "3m"',
}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Return small scenarios with up to four faults of any kind, and sometimes a rollout."""
    kinds = draw(st.lists(st.sampled_from(sorted(FAULTS)), max_size=4))
    text = ["create_every_s = 200", 'heartbeat = "5m"' if draw(st.booleans()) else "", 'notice = "8m"']
    if draw(st.booleans()):
        text.append('[[rollout]]\nname = "r"\nversions = { ga = "2", ha = "2" }\nat = "5m"\nlead = "2m"\ngap = "1m"')
    if draw(st.booleans()):
        text.append('[[repair]]\nat = "20m"\ntakes = "3m"\nrestart = "all"')
    if draw(st.booleans()):
        text.append('[[rollout]]\nname = "b"\nversions = { netplugin = "2" }\nat = "15m"\nlead = 0\nmode = "blast"')
        text.append('by_hand = true\nspread = "15s"\nservers = "50%"')
    for place, kind in enumerate(kinds):
        at_m, servers = draw(st.integers(0, 70)), draw(st.integers(1, 4))
        scope = "racks = 1" if kind == "rack_lost" else "" if kind in {"power_lost", "bug"} else f"servers = {servers}"
        text.append(
            f'[[fault]]\nname = "f{place}"\nkind = "{kind}"\nat = "{at_m}m"\nscope = {{ {scope} }}\n{FAULTS[kind]}'
        )
    servers, vms = draw(st.integers(1, 8)), draw(st.integers(0, 3))
    seed = draw(st.integers(0, 1000))
    return small("\n".join(text), servers=servers, vms=vms, duration="100m", seed=seed)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(scenarios())
def test_laws_hold_for_any_composition_of_faults(scenario: Scenario) -> None:
    found, _ = run(scenario)
    kinds = {fault.kind for fault in scenario.faults}
    assert found == run(scenario)[0]
    stamps = [one.at_ms for one in found]
    assert stamps == sorted(stamps)
    assert all(scenario.start_ms <= at_ms < scenario.end_ms for at_ms in stamps)
    seqs: dict[tuple[str, str], int] = {}
    incarnations: dict[str, int] = {}
    ids: set[str] = set()
    for _, report in reports(found):
        key = (report.server, report.run)
        if "duplicates" not in kinds:
            if "loss" in kinds or "collector_outage" in kinds:
                assert report.seq > seqs.get(key, -1)
            elif key in seqs:
                assert report.seq == seqs[key] + 1
            for vm in report.vms or ():
                assert vm.incarnation >= incarnations.get(vm.vm, 0) or "lag" in kinds
                incarnations[vm.vm] = vm.incarnation
            assert report.seq == report.full_seq or report.vms is None
        seqs[key] = report.seq
    for one in found:
        if isinstance(one.record, GuestEvent | MaintenanceEvent):
            assert one.record.event_id not in ids or "duplicates" in kinds
            ids.add(one.record.event_id)


def day() -> Simulation:
    """Return the whole leap day of the first cluster, small."""
    _, simulation = run(load("leap-day").with_size(clusters=1, servers=30, vms=4))
    return simulation


def test_the_leap_day_takes_each_of_its_turns_and_ends_well() -> None:
    ledger = day().ledger
    cluster = "started-1"
    blast_ms, fix_ms = (moment_ms(f"2012-02-29T{clock}:00Z", 0) for clock in ("10:47", "13:40"))
    tested = [fact for fact in ledger.facts(cluster, "blasted") if fact.at_ms < blast_ms]
    lost = {fact.vm for fact in ledger.facts(cluster, "blasted")}
    up = {fact.vm for fact in ledger.facts(cluster, "restored")}
    repaired = ledger.facts(cluster, "repaired")

    assert 1 == len({fact.server for fact in tested})
    assert 3 <= len(tested)
    assert 120 <= len(lost)
    assert lost == up
    assert 1 == len({fact.server for fact in ledger.facts(cluster, "restored") if fact.at_ms < fix_ms})
    assert ledger.facts(cluster, "restored")[-1].at_ms <= fix_ms + 15_000
    assert {fact.server for fact in ledger.facts(cluster, "hi")} | ledger.hit("corrupted", "server") == {
        fact.server for fact in repaired
    }
    assert repaired[-1].at_ms < moment_ms("2012-03-01T10:15:00Z", 0)
    assert "by-hand" == repaired[-1].detail


def test_of_the_leap_day_only_starts_of_fixed_agents_succeed_before_it_is_over() -> None:
    ledger = day().ledger
    failed = ledger.facts("started-1", "start_failed")

    assert MIDNIGHT_MS <= failed[0].at_ms
    assert failed[-1].at_ms < moment_ms("2012-02-29T10:48:00Z", 0)
