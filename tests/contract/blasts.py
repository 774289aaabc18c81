"""What happens in stories of rollouts: blasts, announced or not, networks lost, update domains at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.source import Network

if TYPE_CHECKING:
    from tests.contract.story import Host, Machine, Story

FIRST_OF_BLASTS = 100
"""Stories of this seed and greater ones are of rollouts that go wrong."""


def group(story: Story) -> None:
    """Put the VMs into groups of two, in two update domains."""
    of = len(story.hosts)
    for n, vm in enumerate(story.vms.values()):
        vm.group, vm.update_domain = f"group-{n % of}", n // of
    for host in story.hosts.values():
        host.versions["netplugin"] = "np-1"


def network_lost(story: Story) -> None:
    """Take the network of all VMs of some servers away, and leave them healthy."""
    for server in story.some(5):
        vms = [vm for vm in story.vms.values() if vm.server == server]
        for vm in vms:
            vm.network = Network.DOWN
        story.report(story.hosts[server], full=True)
        story.at(story.random.uniform(20, 3000), _network_back, story, vms)


def _network_back(story: Story, vms: list[Machine]) -> None:
    """Give VMs their network back, wherever they are."""
    for vm in vms:
        vm.network = Network.UP
    for server in sorted({vm.server for vm in vms}):
        story.report(story.hosts[server], full=True)


def blast(story: Story) -> None:
    """Put another version on all servers within seconds, announced or not; now and then one that takes the network."""
    announced, broken = story.random.random() < 0.5, story.random.random() < 0.5
    version = f"np-{next(story.numbers)}"
    if announced:
        story.tell("ROLLOUT_STARTED", rollout=version, component="netplugin", to_version=version, mode="blast")
    for host in story.hosts.values():
        story.at(story.random.uniform(1, 15), _put, story, host, version, announced, broken)
    if announced:
        story.at(60, lambda: story.tell("ROLLOUT_COMPLETED", rollout=version))
    if broken and story.random.random() < 0.7:
        for host in story.hosts.values():
            story.at(story.random.uniform(1200, 1215), _put, story, host, "np-1", False, False)


def _put(story: Story, host: Host, version: str, announced: bool, broken: bool) -> None:
    """Put a version of the network plugin on a server."""
    if announced:
        story.tell("SERVER_UPDATE_STARTED", rollout=version, server=host.name)
    host.versions["netplugin"] = version
    for vm in story.vms.values():
        if vm.server == host.name:
            vm.network = Network.DOWN if broken else Network.UP
    story.report(host, full=True)
    if announced:
        story.at(30, lambda: story.tell("SERVER_UPDATE_COMPLETED", rollout=version, server=host.name))


def domains_cross(story: Story) -> None:
    """Update all VMs of some groups, one update domain after the other, the second sometimes before its time."""
    rollout, gap_s = f"guests-{next(story.numbers)}", story.random.choice((-200, -0.2, 0.2, 60))
    for n, vm in enumerate(story.vms.values()):
        start_s = (300 + gap_s) * (n // len(story.hosts))
        story.at(max(0, start_s), lambda vm=vm: story.tell("VM_UPDATE_STARTED", rollout=rollout, vm=vm.name))
        story.at(start_s + 300, lambda vm=vm: story.tell("VM_UPDATE_COMPLETED", rollout=rollout, vm=vm.name))


BLASTS: dict[str, Callable[[Story], None]] = {what.__name__: what for what in (network_lost, blast, domains_cross)}
