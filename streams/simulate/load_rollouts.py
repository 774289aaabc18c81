"""Reading the rollouts of a scenario file."""

from __future__ import annotations

from typing import Any

from streams.simulate import reading as read
from streams.simulate.kinds import SYSTEMS
from streams.simulate.load_fleet import NO_VERSIONS, matches_some, pick_of, versions_of
from streams.simulate.quantity import MINUTE_MS, Clock, duration_ms, size_names, whole
from streams.simulate.reading import Table
from streams.simulate.scenario import ClusterPlan, Rollout

_NONE_DONE: float | str = 0


def load_rollout(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...]) -> Rollout:
    """Return one `[[rollout]]`; what is wrong in it is noted."""
    versions = table.take("versions", versions_of, NO_VERSIONS)
    down = table.take("down_s", read.span, (900.0, 1200.0))
    rollout = Rollout(
        name=table.take("name", read.text, ""),
        clusters=table.take("clusters", read.texts, ("*",)),
        system=table.take("system", read.one_of(*SYSTEMS), "guest-agent"),
        versions=versions,
        component=table.take("component", read.text, next(iter(versions), "")),
        mode=table.take("mode", read.one_of("ud", "blast"), "ud"),
        at_ms=table.take("at", clock.moment, 0),
        lead_ms=table.take("lead", duration_ms, 10 * MINUTE_MS),
        gap_ms=table.take("gap", duration_ms, 10 * MINUTE_MS),
        spread_ms=table.take("spread", duration_ms, 0),
        reboot=table.take("reboot", read.flag, False),
        down_ms=(round(down[0] * 1000), round(down[1] * 1000)),
        done=table.take("done", _domains_done, _NONE_DONE),
        ready_wait_ms=table.take("ready_wait", duration_ms, 30 * MINUTE_MS),
        servers=table.take("servers", pick_of, None),
        origin=table.take("from", versions_of, NO_VERSIONS),
        announced=table.take("announced", read.flag, True),
        by_hand=table.take("by_hand", read.flag, False),
        repairs=table.take("repairs", read.flag, False),
        restart=table.take("restart", read.one_of("all", "failed", "none"), "all"),
        abort_ms=table.take("abort_at", clock.moment, None),
    )
    for key in ("name", "at", "versions"):
        if key not in table:
            table.error(key, "is missing")
    if versions and rollout.component not in versions:
        table.error("component", f"{rollout.component!r} is none of versions: {', '.join(versions)}")
    if "restart" in table and "ga" not in versions:
        table.error("restart", "needs a new ga in versions; other components restart the host agent, or the server")
    if rollout.repairs and not rollout.by_hand:
        table.error("repairs", "needs by_hand; nothing else reaches servers in HI")
    if rollout.abort_ms is not None and rollout.abort_ms <= rollout.at_ms:
        table.error("abort_at", "must be later than at")
    matches_some(table, "clusters", rollout.clusters, clusters)
    table.close()
    return rollout


def _domains_done(value: Any) -> float | str:
    """Return a number of update domains; its formula may also use `uds`, how many the cluster has."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"is {read.shown(value)}; must be a whole number or a formula")
    if whole(value, {**size_names(1000, 20), "uds": 20}) < 0:
        raise ValueError(f"is {read.shown(value)}; must not be negative")
    return value
