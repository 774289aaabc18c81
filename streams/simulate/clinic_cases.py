"""What happens to the servers of a clinic: each cause in its own ways, and beside it what is not the cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.rca import Cause
from schemas.source import GaState, Network
from schemas.source import MaintenanceKind as Kind
from streams.simulate.clinic import OWNERS, Clinic, Host, Machine

Story = Callable[[Clinic, Host], None]


def one_of(clinic: Clinic, host: Host) -> Machine:
    """Return a VM of a server."""
    return clinic.random.choice(clinic.on(host))


# -- what goes on beside it --------------------------------------------------------------------------------------------


def agent_update(clinic: Clinic, host: Host, for_s: float = 0.0, impact: str = "none") -> None:
    """Update the network agent of a server, for so long or a while."""
    named: dict[str, Any] = {"server": host.name, "component": "nmagent", "impact": impact}
    clinic.tell(Kind.COMPONENT_UPDATE_STARTED, "nmagent", **named)
    takes_s = for_s or clinic.between(120, 900)
    clinic.at(takes_s, lambda: clinic.tell(Kind.COMPONENT_UPDATE_COMPLETED, "nmagent", **named))


def update_over(clinic: Clinic, host: Host) -> None:
    """End an update of the server's OS, long begun, a while before anything else happens."""
    clinic.tell(Kind.SERVER_UPDATE_STARTED, "host-os", server=host.name, rollout="os-1")
    clinic.at(clinic.between(1, 20), lambda: clinic.tell(Kind.SERVER_UPDATE_COMPLETED, "host-os", server=host.name))


def deallocation(clinic: Clinic, host: Host) -> None:
    """Deallocate a VM that nobody heard of."""
    clinic.tell(Kind.VM_DEALLOCATED, "storage", vm=f"{host.name}-old", server=host.name)


def plugin_changed(clinic: Clinic, host: Host) -> None:
    """Change the network plugin; nothing comes of it."""
    host.versions = {**host.versions, "netplugin": f"1.{clinic.random.randint(1, 9)}"}
    clinic.changed(host)


def elsewhere(clinic: Clinic, host: Host) -> None:
    """Reboot and heal what has nothing to do with this server."""
    other = clinic.spare().name
    clinic.tell(Kind.NODE_REBOOT_STARTED, server=f"{other}-not-here", planned=False, cause="HARDWARE")
    clinic.tell(Kind.VM_HEALED, vm=f"{host.name}-v9", from_server=host.name, to_server=other)


def given_up(clinic: Clinic, host: Host) -> None:
    """Let the FC give the server up and take it back."""
    clinic.tell(Kind.SERVER_STATE, server=host.name, state="HI")
    clinic.at(clinic.between(5, 60), lambda: clinic.tell(Kind.SERVER_STATE, server=host.name, state="READY"))


BESIDE: tuple[Callable[[Clinic, Host], None], ...] = (
    agent_update,
    update_over,
    deallocation,
    plugin_changed,
    elsewhere,
    given_up,
)


def with_others(clinic: Clinic, host: Host, story: Story, *, never: tuple[Story, ...] = ()) -> None:
    """Let a story happen, and before it, as often as not, one to three things that are not its cause."""
    lead_s = 0.0
    for _ in range(clinic.random.randint(1, 3) if clinic.chance(0.6) else 0):
        beside = clinic.random.choice([known for known in BESIDE if known not in never])
        early_s = clinic.between(0, 60) if beside is agent_update else clinic.between(90, 200)
        lead_s = max(lead_s, early_s)
        clinic.at(max(0.0, 200 - early_s), beside, clinic, host)
    clinic.at(200 + lead_s - lead_s, story, clinic, host)


# -- causes ------------------------------------------------------------------------------------------------------------


def _all_down(clinic: Clinic, host: Host, cause: str, story: str, *, planned: bool = False) -> None:
    for vm in clinic.on(host):
        clinic.note(vm, cause, story, planned=planned)


def blob_cache_reboot(clinic: Clinic, host: Host) -> None:
    """Deallocate a VM, and lose the server to the race in the cleanup (seed 000)."""
    clinic.tell(Kind.VM_DEALLOCATED, "storage", vm=f"{host.name}-gone", server=host.name)

    def crash() -> None:
        _all_down(clinic, host, Cause.HOST_REBOOT, "blob cache race")
        for_s = clinic.between(200, 600)
        named: dict[str, Any] = {
            "server": host.name,
            "planned": False,
            "workflow": "WORKFLOW_TIMEOUT",
            "cause": "BLOB_CACHE_RACE",
        }
        clinic.down(host, for_s)
        clinic.at(clinic.between(2, 25), lambda: clinic.tell(Kind.NODE_REBOOT_STARTED, **named))
        clinic.at(for_s, lambda: clinic.tell(Kind.NODE_REBOOT_COMPLETED, late_s=clinic.between(0, 20), **named))

    clinic.at(clinic.between(5, 1200), crash)


def crash_reboot(clinic: Clinic, host: Host) -> None:
    """Reboot a server without notice; why is told with the start, with the end, late, or not at all."""
    _all_down(clinic, host, Cause.HOST_REBOOT, "crash")
    for_s = clinic.between(150, 600)
    cause = clinic.random.choice(["HOST_AGENT_FAULT", "WORKFLOW_TIMEOUT", "KERNEL_PANIC", None])
    clinic.down(host, for_s)
    if clinic.chance(0.9):
        late_s = clinic.between(2, 25) if clinic.chance(0.8) else clinic.between(25, 55)
        told = cause if clinic.chance(0.6) else None
        clinic.at(late_s, lambda: clinic.tell(Kind.NODE_REBOOT_STARTED, server=host.name, planned=False, cause=told))
        clinic.at(for_s, lambda: clinic.tell(Kind.NODE_REBOOT_COMPLETED, server=host.name, planned=False, cause=cause))


def broken_hardware(clinic: Clinic, host: Host) -> None:
    """Reboot a server for its hardware, or lose it for good and heal its VMs."""
    _all_down(clinic, host, Cause.HARDWARE, "hardware")
    if clinic.chance(0.5):
        named: dict[str, Any] = {"server": host.name, "planned": False, "cause": "HARDWARE", "reason": "memory"}
        clinic.down(host, clinic.between(400, 900))
        clinic.at(clinic.between(2, 30), lambda: clinic.tell(Kind.NODE_REBOOT_STARTED, **named))
        return
    clinic.down(host, None)
    clinic.at(clinic.between(300, 500), lambda: clinic.tell(Kind.SERVER_STATE, server=host.name, state="HI"))
    clinic.at(
        clinic.between(501, 560), lambda: clinic.tell(Kind.SERVER_STATE, server=host.name, state="OUT_FOR_REPAIR")
    )
    clinic.at(clinic.between(561, 800), _heal, clinic, host)


def _heal(clinic: Clinic, host: Host) -> None:
    for vm in clinic.on(host):
        target = clinic.move(vm)
        clinic.tell(Kind.VM_HEALED, vm=vm.name, from_server=host.name, to_server=target.name)


def lost_and_healed(clinic: Clinic, host: Host) -> None:
    """Lose a server for good, nobody knows why, and heal its VMs."""
    _all_down(clinic, host, Cause.SERVICE_HEALING, "lost server")
    clinic.down(host, None)
    clinic.at(clinic.between(300, 500), lambda: clinic.tell(Kind.SERVER_STATE, server=host.name, state="HI"))
    clinic.at(clinic.between(510, 800), _heal, clinic, host)


def healed_away(clinic: Clinic, host: Host) -> None:
    """Give a server up that still runs, and heal its VMs."""
    clinic.tell(Kind.SERVER_STATE, server=host.name, state="HI")

    def heal() -> None:
        _all_down(clinic, host, Cause.SERVICE_HEALING, "healed away")
        _heal(clinic, host)

    clinic.at(clinic.between(5, 60), heal)


def host_os_update(clinic: Clinic, host: Host) -> None:
    """Update the OS of a server within an update domain: its VMs are shut down, it reboots (seed 002)."""
    clinic.tell(Kind.SERVER_UPDATE_STARTED, "host-os", server=host.name, rollout="os-2")
    told = clinic.chance(0.9)
    system = "host-os" if clinic.chance(0.5) else "fc"

    def shut_down() -> None:
        _all_down(clinic, host, Cause.HOST_OS_UPDATE, "host OS update", planned=True)
        if told:
            clinic.tell(Kind.NODE_REBOOT_STARTED, system, server=host.name, planned=True, reason="os-2")
        for vm in clinic.on(host):
            clinic.stop(vm)
        clinic.at(clinic.between(30, 240), clinic.down, host, clinic.between(600, 1000))
        clinic.at(1300, lambda: clinic.tell(Kind.SERVER_UPDATE_COMPLETED, "host-os", server=host.name, rollout="os-2"))

    clinic.at(clinic.between(5, 600), shut_down)


def planned_reboot(clinic: Clinic, host: Host) -> None:
    """Reboot a server as planned, for another reason than an update."""
    _all_down(clinic, host, Cause.HOST_REBOOT, "planned reboot", planned=True)
    named: dict[str, Any] = {"server": host.name, "planned": True, "reason": "network card firmware"}
    clinic.tell(Kind.NODE_REBOOT_STARTED, **named)
    for vm in clinic.on(host):
        clinic.stop(vm)
    clinic.at(clinic.between(20, 60), clinic.down, host, clinic.between(200, 700))


def guest_os_update(clinic: Clinic, host: Host) -> None:
    """Reimage a VM with a new OS (seed 002)."""
    vm = one_of(clinic, host)
    named: dict[str, Any] = {"vm": vm.name, "rollout": "guest-3"}
    clinic.tell(Kind.VM_UPDATE_STARTED, "guest-os", **named)

    def shut_down() -> None:
        clinic.note(vm, Cause.GUEST_OS_UPDATE, "guest OS update", planned=True)
        clinic.stop(vm)
        clinic.at(clinic.between(20, 200), clinic.start, vm)
        clinic.at(clinic.between(400, 500), lambda: clinic.tell(Kind.VM_UPDATE_COMPLETED, "guest-os", **named))

    clinic.at(clinic.between(0, 120), shut_down)


def guest_agent_update(clinic: Clinic, host: Host) -> None:
    """Update a guest agent where it runs: no new incarnation (seed 002)."""
    vm = one_of(clinic, host)
    named: dict[str, Any] = {"vm": vm.name, "rollout": "ga-3"}
    clinic.tell(Kind.VM_UPDATE_STARTED, "guest-agent", **named)

    def update() -> None:
        clinic.note(vm, Cause.GUEST_AGENT_UPDATE, "guest agent update", planned=True)
        vm.ga = GaState.STOPPING
        clinic.say(vm, "STOPPING", initiator="StopContainer()", reason="guest agent update")
        clinic.changed(host)

        def back() -> None:
            vm.ga, vm.ga_version = GaState.READY, "1.1"
            clinic.say(vm, "READY")
            clinic.changed(host)
            clinic.tell(Kind.VM_UPDATE_COMPLETED, "guest-agent", late_s=clinic.between(0, 30), **named)

        clinic.at(clinic.between(10, 90), back)

    clinic.at(clinic.between(0, 60), update)


def owners_restart(clinic: Clinic, host: Host) -> None:
    """Let an owner restart a VM; sometimes while an update of it waits its turn."""
    vm = one_of(clinic, host)
    vm.quiet = False
    if clinic.chance(0.4):
        clinic.tell(Kind.VM_UPDATE_STARTED, "guest-os", vm=vm.name, rollout="guest-4")

    def restart() -> None:
        clinic.note(vm, Cause.GUEST_INITIATED, "owner")
        clinic.stop(vm, clinic.random.choice(OWNERS), "Other (Planned)")
        clinic.at(clinic.between(20, 240), clinic.start, vm)

    clinic.at(clinic.between(0, 300), restart)


def redeploy(clinic: Clinic, host: Host) -> None:
    """Let an owner redeploy a VM in its window."""
    vm = one_of(clinic, host)
    clinic.note(vm, Cause.SELF_SERVICE_REDEPLOY, "redeploy", planned=True)
    clinic.stop(vm)

    def moved() -> None:
        target = clinic.move(vm)
        clinic.tell(
            Kind.VM_REDEPLOYED,
            "customer",
            late_s=clinic.between(0, 40),
            vm=vm.name,
            to_server=target.name,
            result_code="MaintenanceCompleted",
        )

    clinic.at(clinic.between(20, 120), moved)


def starts_fail(clinic: Clinic, host: Host) -> None:
    """Restart VMs for an update, and let their starts fail."""
    vm = one_of(clinic, host)
    clinic.tell(Kind.VM_UPDATE_STARTED, clinic.random.choice(["guest-os", "guest-agent"]), vm=vm.name, rollout="g-5")

    def shut_down() -> None:
        clinic.note(vm, Cause.START_FAILURE, "starts fail")
        clinic.stop(vm)
        clinic.at(clinic.between(10, 40), clinic.fail, vm, clinic.random.randint(1, 4))

    clinic.at(clinic.between(0, 60), shut_down)


def plugin_mismatch(clinic: Clinic, host: Host) -> None:
    """Put a component on a server that does not fit its network plugin, and take it back (seed 004)."""
    component = clinic.random.choice(["ha", "netplugin"])
    before = host.versions
    host.versions = {**before, component: "9.9"}
    clinic.changed(host)

    def down() -> None:
        _all_down(clinic, host, Cause.NETWORK_PLUGIN, "plugin")
        _network(clinic, host, Network.DOWN)

    def fixed() -> None:
        host.versions = before
        clinic.changed(host)
        clinic.at(clinic.between(0, 20), _network, clinic, host, Network.UP)

    clinic.at(clinic.between(1, 45), down)
    clinic.at(clinic.between(120, 2400), fixed)


def _network(clinic: Clinic, host: Host, state: str) -> None:
    for vm in clinic.on(host):
        vm.network = state
    clinic.changed(host)


def network_agent_update(clinic: Clinic, host: Host) -> None:
    """Update the network agent of a server; its VMs cannot be reached for a part of it (seed 001)."""
    for_s = clinic.between(60, 500)
    agent_update(clinic, host, for_s, "network")
    away_s = min(clinic.between(5, 200), for_s - 30)

    def down() -> None:
        _all_down(clinic, host, Cause.NMAGENT_UPDATE, "nmagent", planned=True)
        _network(clinic, host, Network.DOWN)
        clinic.at(away_s, _network, clinic, host, Network.UP)

    clinic.at(clinic.between(2, for_s - away_s - 5), down)


def nobody_knows(clinic: Clinic, host: Host) -> None:
    """Let something happen of which no record tells the reason."""
    vm = one_of(clinic, host)
    clinic.note(vm, Cause.UNKNOWN, "nobody knows")
    lot = clinic.random.randint(0, 2)
    if lot == 0:
        vm.network = Network.DOWN
        clinic.at(clinic.between(30, 900), lambda: clinic.show(vm, network=Network.UP))
    elif lot == 1:
        vm.ga = GaState.SILENT
        clinic.at(clinic.between(120, 900), lambda: clinic.show(vm, ga=GaState.READY))
    else:
        vm.quiet = True
        clinic.start(vm)
    clinic.changed(host)


def sticks_out(clinic: Clinic, host: Host) -> None:
    """Lose the network within an update of the network agent, and for longer: the update alone is not the reason."""
    agent_update(clinic, host, clinic.between(30, 120), "network")
    vm = one_of(clinic, host)

    def down() -> None:
        clinic.note(vm, Cause.UNKNOWN, "longer than the update")
        vm.network = Network.DOWN
        clinic.changed(host)
        clinic.at(clinic.between(330, 900), lambda: clinic.show(vm, network=Network.UP))

    clinic.at(clinic.between(2, 20), down)


STORIES: tuple[tuple[Story, tuple[Story, ...]], ...] = (
    (blob_cache_reboot, ()),
    (crash_reboot, ()),
    (broken_hardware, (given_up,)),
    (lost_and_healed, (given_up,)),
    (healed_away, (given_up,)),
    (host_os_update, (update_over,)),
    (planned_reboot, ()),
    (guest_os_update, ()),
    (guest_agent_update, ()),
    (owners_restart, ()),
    (redeploy, ()),
    (starts_fail, ()),
    (plugin_mismatch, (plugin_changed,)),
    (network_agent_update, (agent_update,)),
    (nobody_knows, (agent_update,)),
    (sticks_out, (agent_update,)),
)
"""Each with what would make another truth of it, were it to go on beside it."""


def happening(clinic: Clinic, host: Host) -> None:
    """Let one of the stories happen to a server."""
    story, never = clinic.random.choice(STORIES)
    with_others(clinic, host, story, never=never)
