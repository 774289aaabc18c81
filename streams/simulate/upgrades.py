"""OS upgrades as seed 002 tells them: images are copied, hosts updated by update domains, then guests, then agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.source import MaintenanceKind as Kind
from streams.simulate.guest_passes import GuestPass
from streams.simulate.host_updates import SYSTEM, HostUpdate, HostUpdates
from streams.simulate.scenario import Upgrade

if TYPE_CHECKING:
    from streams.simulate.world import World


class Upgrades:
    """All OS upgrades of one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world

    def add(self, upgrade: Upgrade) -> None:
        """Plan an upgrade: its copies and its passes, each at its own time, whether or not the one before is done."""
        world, plan = self.world, self.world.plan
        for what, system, at_ms in (
            (upgrade.host_os, "host", upgrade.host_at_ms),
            (upgrade.guest_os, "guest", upgrade.guest_at_ms),
        ):
            if what:
                world.at(upgrade.copied_ms, self._copied, f"{upgrade.name}-{system}", f"{system}-os")
                run = self._hosts if system == "host" else self._guests
                world.at(at_ms, run, upgrade)
        if upgrade.ga and plan.ga:
            world.at(upgrade.agent_at_ms, self._agents, upgrade)

    def _copied(self, rollout: str, system: str) -> None:
        self.world.controller.send(
            Kind.IMAGE_COPY_COMPLETED, system, rollout=rollout, datacenter=self.world.plan.datacenter
        )

    def _hosts(self, upgrade: Upgrade) -> None:
        HostPass(self.world, upgrade).begin()

    def _guests(self, upgrade: Upgrade) -> None:
        GuestPass(self.world, upgrade, "guest").begin()

    def _agents(self, upgrade: Upgrade) -> None:
        GuestPass(self.world, upgrade, "agent").begin()


class HostPass:
    """The pass through the servers of one cluster, an update domain after another."""

    def __init__(self, world: World, upgrade: Upgrade) -> None:
        self.world = world
        self.upgrade = upgrade
        self._rng = world.rng(f"hosts {upgrade.name}")
        rollout = f"{upgrade.name}-host"
        self._ids: dict[str, Any] = {"rollout": rollout, "component": "host_os"}
        self._how = HostUpdate(
            {"host_os": upgrade.host_os}, self._ids, upgrade.down_ms, upgrade.spread_ms, upgrade.ready_wait_ms
        )
        self._domains = list(range(world.plan.domain_count))
        self._under_way = 0

    def _send(self, kind: str, **fields: Any) -> None:
        self.world.controller.send(kind, SYSTEM, **self._ids, **fields)

    def begin(self) -> None:
        """Start it, unless the cluster is stopped."""
        if not self.world.controller.braked:
            plan, upgrade = self.world.plan, self.upgrade
            self.world.note("rollout_started", detail=self._ids["rollout"])
            self._send(
                Kind.ROLLOUT_STARTED, from_version=plan.versions["host_os"], to_version=upgrade.host_os, mode="ud",
                datacenter=plan.datacenter,
            )  # fmt: skip
            self._open()

    def _open(self) -> None:
        while self._domains and self._under_way < self.upgrade.parallel and not self.world.controller.braked:
            domain = self._domains.pop(0)
            self._under_way += 1
            self._send(Kind.UD_STARTED, update_domain=domain)
            hosts = [host for host in self.world.hosts if host.update_domain == domain]
            HostUpdates(self.world, hosts, self._how, self._rng, lambda domain=domain: self._completed(domain))  # type: ignore[misc]

    def _completed(self, domain: int) -> None:
        self._under_way -= 1
        self._send(Kind.UD_COMPLETED, update_domain=domain)
        if self._domains:
            self.world.at(self.world.now + self.upgrade.gap_ms, self._open)
        elif not self._under_way:
            self._send(Kind.ROLLOUT_COMPLETED, datacenter=self.world.plan.datacenter)
