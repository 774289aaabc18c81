"""What happens in stories of OS upgrades: passes by update domains, and VMs that do not take them well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.source import GaState, GuestKind, Network

if TYPE_CHECKING:
    from tests.contract.story import Machine, Story

FIRST_OF_UPGRADES = 200
"""Stories of this seed and greater ones are of OS upgrades."""


def furnish(story: Story) -> None:
    """Give the VMs services, groups and update domains: two services over all servers, and one with one instance."""
    for number, vm in enumerate(story.vms.values()):
        domain = sorted(story.hosts).index(vm.server) % 3
        service = "single" if number == 0 else ("web", "jobs")[number // len(story.hosts) % 2]
        vm.service, vm.group, vm.update_domain = service, f"g-{service}", domain


def guest_pass(story: Story) -> None:
    """Reimage the VMs of two update domains, the second whatever became of the first."""
    rollout = f"os-{next(story.numbers)}"
    story.tell("ROLLOUT_STARTED", rollout=rollout, component="guest_os", mode="ud")
    after_s = 1.0
    for domain in range(2):
        story.at(after_s, _domain, story, rollout, domain)
        after_s += story.random.uniform(300, 2500)


def _domain(story: Story, rollout: str, domain: int) -> None:
    story.tell("UD_STARTED", rollout=rollout, update_domain=domain, group="g-web")
    for vm in story.vms.values():
        if (vm.update_domain, vm.group) == (domain, "g-web"):
            if story.random.random() < 0.3:
                vm.fails, vm.says = story.random.randint(1, 2), story.random.random() < 0.5
            story.at(story.random.uniform(1, 20), _update, story, rollout, vm)


def _update(story: Story, rollout: str, vm: Machine) -> None:
    story.tell("VM_UPDATE_STARTED", rollout=rollout, vm=vm.name, server=vm.server)
    if vm.ga == GaState.READY:
        story.say(vm, GuestKind.STOPPING)
        vm.ga = GaState.STOPPING
        story.report(story.hosts[vm.server], full=True)
    stops_s = story.random.choice((20.0, 250.0, 400.0, 700.0))
    story.at(stops_s, _stopped, story, vm, vm.incarnation)
    story.at(stops_s + 30, story.start, vm)
    # One whose VM does not start is told to be complete late.
    ends_s = stops_s + (3000 if vm.fails else 200)
    story.at(ends_s, lambda: story.tell("VM_UPDATE_COMPLETED", rollout=rollout, vm=vm.name, server=vm.server))


def _stopped(story: Story, vm: Machine, incarnation: int) -> None:
    if vm.incarnation == incarnation and story.hosts[vm.server].up and story.random.random() < 0.8:
        story.say(vm, GuestKind.STOPPED)


def recycles(story: Story) -> None:
    """Let a VM start again and again, in new incarnations and within one, and run well at last."""
    vm = story.random.choice(sorted(story.vms.values(), key=lambda known: known.name))
    if story.random.random() < 0.5:
        story.tell("VM_UPDATE_STARTED", rollout="os-once", vm=vm.name, server=vm.server)
    after_s = 0.0
    for _ in range(story.random.randint(2, 5)):
        story.at(after_s, _recycle, story, vm)
        after_s += story.random.uniform(100, 400)


def _recycle(story: Story, vm: Machine) -> None:
    if not story.hosts[vm.server].up:
        return
    if story.random.random() < 0.5:
        story.say(vm, GuestKind.RECYCLED)
        vm.ga = GaState.STARTING
        story.report(story.hosts[vm.server], full=True)
        story.at(story.random.uniform(10, 90), story.ready, vm, vm.incarnation)
    else:
        story.start(vm)


def waits_for_host(story: Story) -> None:
    """Let a VM wait for its host, its network up or down, until it starts anew."""
    vm = story.random.choice(sorted(story.vms.values(), key=lambda known: known.name))
    if not story.hosts[vm.server].up:
        return
    vm.incarnation += 1
    vm.ga, vm.network = GaState.WAITING_FOR_HOST, story.random.choice((Network.UP, Network.DOWN))
    story.report(story.hosts[vm.server], full=True)
    story.at(story.random.uniform(1500, 3000), _host_back, story, vm)


def _host_back(story: Story, vm: Machine) -> None:
    vm.network = Network.UP
    story.start(vm)


def instances_stop(story: Story) -> None:
    """Stop instances of a service for a while, and say nothing of why."""
    service = story.random.choice(("web", "jobs"))
    of = sorted((vm for vm in story.vms.values() if vm.service == service), key=lambda known: known.name)
    for vm in story.random.sample(of, story.random.randint(2, len(of))):
        if vm.ga == GaState.READY:
            vm.ga = GaState.SILENT
            story.report(story.hosts[vm.server], full=True)
            story.at(story.random.uniform(100, 1200), story.ready, vm, vm.incarnation)


UPGRADES: dict[str, Callable[[Story], None]] = {
    what.__name__: what for what in (guest_pass, recycles, waits_for_host, instances_stop)
}
