"""Random logs of `fleet` in which every detector of the fleet has something to say: clusters, each in its own order."""

from __future__ import annotations

import random
from collections.abc import Callable

from schemas.fleet import ServiceCount
from schemas.inventory import Region, Service
from schemas.outputs import Severity
from streams.engine.runner import LogFrame
from tests.detectors.fleet.stories import FleetLog

HOUR_S = 3600
Step = tuple[float, Callable[[FleetLog, float], object]]
"""(second, what happens then)."""


class FleetStory:
    """Six clusters of two paired regions over some hours."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clusters = [f"c{n}" for n in range(6)]
        self.steps = {cluster: sorted(self._of(cluster), key=lambda step: step[0]) for cluster in self.clusters}

    def _of(self, cluster: str) -> list[Step]:
        """Return what happens in one cluster: facts all the time, a fault, a rollout, a wave, an upgrade, by chance."""
        steps: list[Step] = []
        region = "north" if cluster in self.clusters[:3] else "south"
        faulty_s, back_s = sorted(self.chance.uniform(0, 6 * HOUR_S) for _ in range(2))
        version = self.chance.choice(["1", "2"])
        pushed_s = self.chance.uniform(2 * HOUR_S, 3 * HOUR_S)
        for minute in range(0, 8 * 60, 10):
            at_s = minute * 60 + self.chance.uniform(0, 30)
            ready = 100 if not faulty_s < at_s < back_s else self.chance.randrange(0, 60)
            ha = "9" if at_s > pushed_s else version
            steps.append((at_s, self._facts(cluster, region, ready, ha)))
        steps += self._fault(cluster, faulty_s, back_s)
        steps += self._events(cluster, region, pushed_s)
        return steps

    @staticmethod
    def _facts(cluster: str, region: str, ready: int, ha: str) -> Callable[[FleetLog, float], object]:
        facts = {
            "region": region,
            "datacenter": f"{region}-1",
            "servers": 10,
            "vms": 100,
            "vms_ready": ready,
            "versions": {f"ha={ha}": 10, "ga=1": 100},
            "services": (ServiceCount("acs", 50, ready // 2), ServiceCount("web", 50, ready // 2)),
        }
        return lambda log, at_s: log.facts(at_s, cluster, **facts)

    def _fault(self, cluster: str, from_s: float, to_s: float) -> list[Step]:
        detector = self.chance.choice(["start_failure", "start_failure", "network_loss", "cluster_dark"])
        subject = {"signature": "cert:E"} if detector == "start_failure" else {}
        loud = Severity.CRITICAL if self.chance.random() < 0.9 else Severity.INFO

        def open_(log: FleetLog, at_s: float) -> object:
            return log.finding(at_s, f"f-{cluster}", detector, cluster, severity=loud, subject=subject)

        def decide(log: FleetLog, at_s: float) -> object:
            return log.decision(at_s, f"d-{cluster}", "stop-updates", cluster, f"f-{cluster}")

        def release(log: FleetLog, at_s: float) -> object:
            return log.decision(
                at_s, f"d-{cluster}", "stop-updates", cluster, f"f-{cluster}", state="RELEASED", by="ann"
            )

        def close(log: FleetLog, at_s: float) -> object:
            return log.closed(at_s, f"f-{cluster}", detector, cluster, severity=loud, subject=subject)

        return [(from_s, open_), (from_s, decide), (to_s, close), (to_s + 60, release)]

    def _events(self, cluster: str, region: str, pushed_s: float) -> list[Step]:
        """Return a push of a new host agent, an OS upgrade and a wave; their order is right or wrong by chance."""

        def event(at_s: float, kind: str, **fields: object) -> Step:
            name = f"{cluster}-{kind}-{fields.get('rollout', fields.get('wave'))}"
            return (at_s, lambda log, at: log.event(at, cluster, kind, event_id=name, **fields))

        host_s, guest_s = (self.chance.uniform(0, 5 * HOUR_S) for _ in range(2))
        wave_s = self.chance.uniform(0, 6 * HOUR_S)
        push = {"rollout": "push", "component": "ha", "to_version": "9", "mode": "blast"}
        host = {"rollout": "os-1", "component": "host_os", "to_version": "8", "mode": "ud", "system": "host-os"}
        guest = {"rollout": "guest-1", "component": "guest_os", "to_version": "8", "mode": "ud", "system": "guest-os"}
        wave = {"wave": "w", "region": region}
        return [
            event(pushed_s, "ROLLOUT_STARTED", **push),
            event(pushed_s + 900, "ROLLOUT_COMPLETED", **push),
            event(host_s, "ROLLOUT_STARTED", **host),
            event(host_s + HOUR_S, "ROLLOUT_COMPLETED", **host),
            event(guest_s, "ROLLOUT_STARTED", **guest),
            event(guest_s + HOUR_S, "ROLLOUT_COMPLETED", **guest),
            event(wave_s, "WAVE_STARTED", **wave),
            event(wave_s + HOUR_S, "WAVE_COMPLETED", **wave),
        ]

    def frames(self, order: int | None = None) -> list[LogFrame]:
        """Return the log: by time, or each cluster up to an hour behind another by the chance of `order`."""
        log = FleetLog().told(0, Region("north", "south"), Region("south", "north"), Service("web", 1, ("acs",)))
        chance = random.Random(order)
        behind = {cluster: 0.0 if order is None else chance.uniform(0, HOUR_S) for cluster in self.clusters}
        ends_s = 12 * HOUR_S
        queue: list[tuple[float, int, str, Step | None]] = []
        for lane, cluster in enumerate(self.clusters):
            queue += [(step[0] + behind[cluster], lane, cluster, step) for step in self.steps[cluster]]
            queue += [(float(at_s) + behind[cluster], lane, cluster, None) for at_s in range(0, ends_s, 600)]
        for at_s, lane, cluster, step in sorted(queue, key=lambda entry: entry[:2]):
            if step is None:
                log.clocks(at_s - behind[cluster], (lane,))
            else:
                step[1](log, step[0])
        return log.frames
