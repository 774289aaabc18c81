"""Folds of maintenance events and of the inventory."""

from schemas.inventory import Removed
from tests.detectors.pictured import pictured
from tests.kit import Log


def test_a_removed_server_is_forgotten_and_news() -> None:
    picture = pictured(Log().inventory(2).host(0, "s1").batch("inventory", [(1.0, Removed("server", "s1"))]))

    assert ["s1"] == picture.news.removed_servers
    assert ["s2"] == list(picture.servers)


def test_a_second_delivery_of_an_event_is_no_second_failure() -> None:
    log = Log().guest(0, "v1", "START_FAILED", event_id="e").guest(1, "v1", "START_FAILED", event_id="e")

    assert [] == pictured(log).news.failures


def test_upkeep_lasts_from_its_start_to_its_end_with_its_impact() -> None:
    log = Log().maintenance(0, "COMPONENT_UPDATE_STARTED", server="s1", component="fc", impact="none")
    log.maintenance(9, "COMPONENT_UPDATE_COMPLETED", server="s1", component="fc")
    upkeep = pictured(log).servers["s1"].upkeep

    assert [("component", log.ms(0), log.ms(9), "none")] == [
        (known.what, known.from_ms, known.until_ms, known.impact) for known in upkeep
    ]
