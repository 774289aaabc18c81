"""Upgrades, waves and updates of components in a file, and every way to get one wrong."""

from __future__ import annotations

import pytest

from streams.simulate.load import loads
from streams.simulate.reading import ScenarioError
from streams.simulate.scenario import Scenario

GOOD = 'name = "s"\nstart = 2012-03-01T00:00:00Z\nduration = "1h"\n[[cluster]]\nname = "north"\nservers = 4\nvms = 1\n'
UPGRADE = '[[upgrade]]\nname = "u"\nat = "1m"\nhost_os = "2"\nhost_at = "2h"\n'
WAVE = '[[wave]]\nname = "w"\nhost_os = "2"\nannounced = "1m"\nself_service = ["1h", "2h"]\nscheduled = ["3h", "4h"]\n'
UPDATE = '[[component_update]]\nname = "c"\nat = "1m"\nversion = "2"\n'


def loaded(text: str) -> Scenario:
    return loads(GOOD + text, "file")


def test_what_is_not_given_has_its_default() -> None:
    scenario = loaded(UPGRADE + WAVE + UPDATE)
    (upgrade,), (wave,), (update,) = scenario.upgrades, scenario.waves, scenario.component_updates

    assert (3_660_000, 1, 1_800_000) == (upgrade.copied_ms - scenario.start_ms, upgrade.parallel, upgrade.ready_wait_ms)
    assert (900_000, 1_200_000) == upgrade.down_ms == wave.down_ms
    assert (900_000, None, 0.2) == (wave.lead_ms, wave.abort_after, wave.redeploys)
    assert ("nmagent", "nmagent", "network") == (update.system, update.component, update.impact)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (UPGRADE.replace("host_os", "hst_os"), "upgrade[0].hst_os"),
        (UPGRADE.replace('host_at = "2h"\n', ""), "upgrade[0].host_at"),
        (UPGRADE.replace('host_os = "2"\n', ""), "upgrade[0].host_os"),
        (UPGRADE + 'guest_os = "g"\n', "upgrade[0].guest_at"),
        (UPGRADE + 'agent_at = "3h"\n', "upgrade[0].ga"),
        (UPGRADE + "parallel = 0\n", "upgrade[0].parallel"),
        (UPGRADE + 'clusters = "south-*"\n', "upgrade[0].clusters"),
        (UPGRADE.replace('name = "u"\n', ""), "upgrade[0].name"),
        (UPGRADE + UPGRADE, "upgrade"),
        (WAVE.replace('announced = "1m"\n', ""), "wave[0].announced"),
        (WAVE.replace('"1h", "2h"', '"2h", "1h"'), "wave[0].self_service"),
        (WAVE.replace('["1h", "2h"]', '"1h"'), "wave[0].self_service"),
        (WAVE.replace('"1h", "2h"', '"1h", "200m"'), "wave[0].self_service"),
        (WAVE.replace('"1m"', '"61m"'), "wave[0].announced"),
        (WAVE + "redeploys = 2\n", "wave[0].redeploys"),
        (WAVE + 'remaining_of = "v"\n', "wave[0].remaining_of"),
        (WAVE + 'remaining_of = "w"\n', "wave[0].remaining_of"),
        (WAVE + 'scope = { clusters = "south-*" }\n', "wave[0].scope.clusters"),
        (WAVE + WAVE, "wave"),
        (UPDATE + 'component = "kernel"\n', "component_update[0].component"),
        (UPDATE + 'impact = "none at all"\n', "component_update[0].impact"),
        (UPDATE + "network_s = [5, 60]\n", "component_update[0].network_s"),
        (UPDATE.replace('version = "2"\n', ""), "component_update[0].version"),
        ('[[fault]]\nkind = "maintenance_restart"\nwave = "w"\n', "fault[0].wave"),
        ('[[fault]]\nkind = "owner_redeploy"\n', "fault[0].wave"),
        (WAVE + '[[fault]]\nkind = "owner_redeploy"\nwave = "w"\nresult = "None"\n', "fault[0].result"),
        (WAVE + '[[fault]]\nkind = "owner_redeploy"\nwave = "w"\nto = "new"\n', "fault[0].to"),
        ('[[fault]]\nkind = "slow_startup"\n', "fault[0].startup_s"),
        ('[[truth.intervals]]\ncause = "SUNSPOTS"\n', "truth.intervals[0].cause"),
        ('[[truth.intervals]]\nvm = "@nobody"\n', "truth.intervals[0].vm"),
        ("[[truth.intervals]]\nwithn = 3\n", "truth.intervals[0].withn"),
    ],
)
def test_each_error_names_its_place(lines: str, place: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded(lines)

    assert any(error.startswith(f"{place}: ") for error in caught.value.errors), caught.value.errors
