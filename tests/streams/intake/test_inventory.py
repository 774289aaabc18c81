"""Imports of the inventory: the difference and nothing else, in an order that never counts a server twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inventory import InventoryComplete, Region, Server, Service, Vm
from streams.intake.inventory import (
    Change,
    InventoryError,
    Item,
    Plan,
    cluster_of,
    difference,
    key_of,
    present_of,
    read_lines,
)

Present = dict[tuple[str, str | None], Item]


def applied(present: Present, plan: Plan) -> Present:
    after = dict(present)
    for change in plan.changes:
        if change.record is None:
            del after[change.key, change.cluster]
        else:
            after[change.key, change.cluster] = change.record
    return after


def imported(*records: Item) -> Present:
    return applied({}, difference({}, records))


def problems(text: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        read_lines(text.encode().split(b"\n"))
    return caught.value.problems


def test_a_first_import_writes_all_and_ends_each_cluster() -> None:
    plan = difference({}, [Vm("v1", "a", "s1"), Server("a", "s1"), Server("b", "s2"), Region("north", "south")])

    assert [
        Change("region:north", None, Region("north", "south")),
        Change("server:s1", "a", Server("a", "s1")),
        Change("vm:v1", "a", Vm("v1", "a", "s1")),
        Change("complete:a", "a", InventoryComplete("a", 1, 1)),
        Change("server:s2", "b", Server("b", "s2")),
        Change("complete:b", "b", InventoryComplete("b", 1, 0)),
    ] == plan.changes


def test_the_same_import_again_writes_nothing() -> None:
    records: list[Item] = [Server("a", "s1"), Vm("v1", "a", "s1"), Service("web")]

    assert [] == difference(imported(*records), records).changes


def test_only_what_changed_is_written_and_its_cluster_ended() -> None:
    present = imported(Server("a", "s1"), Server("a", "s2"), Server("b", "s3"))
    plan = difference(present, [Server("a", "s1", rack="r9"), Server("a", "s2"), Server("b", "s3")])

    assert [
        Change("server:s1", "a", Server("a", "s1", rack="r9")),
        Change("complete:a", "a", InventoryComplete("a", 2, 0)),
    ] == plan.changes


def test_a_server_that_moves_is_first_removed_where_it_was() -> None:
    present = imported(Server("a", "s1"), Server("a", "s2"))
    plan = difference(present, [Server("b", "s1")])

    assert Change("server:s1", "a", None) == plan.changes[0]
    assert 1 == plan.moves
    assert [
        Change("complete:a", "a", InventoryComplete("a", 1, 0)),
        Change("server:s1", "b", Server("b", "s1")),
        Change("complete:b", "b", InventoryComplete("b", 1, 0)),
    ] == plan.changes[1:]


def test_a_cluster_that_the_file_does_not_name_stays() -> None:
    present = imported(Server("a", "s1"), Server("b", "s2"))

    assert [] == difference(present, [Server("a", "s1")]).changes


def test_a_cluster_is_emptied_by_its_end_alone() -> None:
    plan = difference(imported(Server("a", "s1")), read_lines([b'{"type": "InventoryComplete", "cluster": "a"}']))

    assert [Change("server:s1", "a", None), Change("complete:a", "a", InventoryComplete("a", 0, 0))] == plan.changes


@pytest.mark.parametrize(("lost", "told"), [(1, []), (2, ["cluster a loses 2 of its 10 servers"])])
def test_losing_more_than_a_tenth_of_a_cluster_is_told(lost: int, told: list[str]) -> None:
    servers = [Server("a", f"s{number}") for number in range(10)]

    assert told == difference(imported(*servers), servers[lost:]).shrunk


def test_what_belongs_into_every_lane_is_written_again_where_one_lane_lacks_it() -> None:
    web = Service("web")
    held: dict[tuple[int, str], Item] = {(0, "service:web"): web, (1, "service:web"): web}

    assert {("service:web", None): web} == present_of(held, 2)
    assert {} == present_of(held, 3)


def test_every_wrong_line_is_told_with_its_number() -> None:
    text = """{"type": "Server", "cluster": "a", "server": "s1"}
{"type": "Server", "cluster": "a"}

{"type": "Host", "cluster": "a"}
{"type": "Server", "cluster": "a", "server": "s1", "ga": "non"}
not json
{"type": "Vm", "vm": "v1", "cluster": "a", "server": "s9"}
{"type": "Vm", "vm": "v2", "cluster": "b", "server": "s1"}
{"type": "Server", "cluster": "*", "server": "s3", "update_domain": -1}
{"type": "InventoryComplete", "cluster": "a", "servers": 5}"""
    found = problems(text)

    assert [2, 4, 5, 5, 6, 9, 9, 7, 8, 10] == [int(problem.split(":")[0].removeprefix("line ")) for problem in found]
    assert "line 5: Server.ga is `non`; it can be present or none" in found
    assert "line 5: server:s1 stands in line 1 already" in found
    assert "line 8: vm v2 of cluster b: its server s1 is in cluster a" in found
    assert "line 10: says 5 servers and 0 VMs of cluster a, the file has 2 and 1" in found


def test_an_empty_file_is_refused() -> None:
    assert 1 == len(problems("\n\n"))


FLEETS = st.dictionaries(
    st.sampled_from(["s1", "s2", "s3", "s4", "s5"]),
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2), st.integers(0, 2)),
    min_size=1,
)


def fleet(drawn: dict[str, tuple[str, int, int]]) -> list[Item]:
    records: list[Item] = []
    for server, (cluster, domain, vms) in drawn.items():
        records.append(Server(cluster, server, update_domain=domain))
        records += [Vm(f"{server}-{number}", cluster, server) for number in range(vms)]
    return records


def without_ends(present: Present) -> Present:
    return {place: record for place, record in present.items() if not isinstance(record, InventoryComplete)}


@given(st.lists(FLEETS, min_size=1, max_size=4))
def test_imports_one_after_another_leave_what_the_last_word_on_each_cluster_was(
    drawn: list[dict[str, tuple[str, int, int]]],
) -> None:
    present: Present = {}
    expected: Present = {}
    for each in drawn:
        records = fleet(each)
        named = {cluster_of(record) for record in records}
        keys = {key_of(record) for record in records}
        expected = {place: old for place, old in expected.items() if place[1] not in named and place[0] not in keys}
        expected |= {(key_of(record), cluster_of(record)): record for record in records}
        plan = difference(present, records)
        seen = dict(present)
        for change in plan.changes:  # at no moment is anything in two clusters
            seen = applied(seen, Plan(changes=[change]))
            assert len({key for key, _ in without_ends(seen)}) == len(without_ends(seen))
        present = seen
        assert [] == difference(present, records).changes

    assert expected == without_ends(present)
    for record in present.values():
        if isinstance(record, InventoryComplete):
            mine = [other for other in present.values() if cluster_of(other) == record.cluster]
            counts = sum(isinstance(other, Server) for other in mine), sum(isinstance(other, Vm) for other in mine)
            assert counts == (record.servers, record.vms)


@given(FLEETS)
def test_the_order_of_the_file_changes_nothing(drawn: dict[str, tuple[str, int, int]]) -> None:
    records = fleet(drawn)

    assert difference({}, records).changes == difference({}, records[::-1]).changes
