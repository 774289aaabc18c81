"""The kinds of fault: what each does, and which keys it takes beside `kind`, `name`, `scope`, `at` and `for`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SYSTEMS = ("fc", "host-os", "guest-os", "guest-agent", "nmagent", "storage")

RESULTS = ("MaintenanceCompleted", "MaintenanceAborted", "RetryLater")
"""Result codes of a maintenance redeploy (the public document: these, and None)."""

_FAILURE = ("effect", "step", "error_code", "message")
_FAILURE_DEFAULTS = {"step": "start", "error_code": "E_START", "message": "the guest agent could not start"}


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a kind of fault does, its own keys, those it cannot do without, and defaults that are its own."""

    doc: str
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)


KINDS: dict[str, FaultKind] = {
    "agent_dies": FaultKind(
        "an agent ends without a word: a guest agent is SILENT from 60 s later on until its host agent restarts the VM"
        " after 25 min; a host agent says nothing more, and starts as a new run when `for` is over",
        ("agent",),
    ),
    "agent_hangs": FaultKind(
        "an agent says nothing for a time and then goes on where it stood (same run, next seq)", ("agent",)
    ),
    "agent_error": FaultKind(
        "starts of the VMs in scope report START_FAILED with step, error_code and message;"
        " with `restart` (default) the VMs are restarted at `at`",
        ("step", "error_code", "message", "restart"),
        (),
        _FAILURE_DEFAULTS,
    ),
    "agent_restart": FaultKind(
        "the host agent restarts: a new run, seq from 0, a full report; its VMs go on", ("per_day",)
    ),
    "bug": FaultKind(
        "every start in scope to which all given conditions apply fails: `dates` (UTC days by the server's own clock),"
        " `versions` (component to pattern: one component, or a combination);"
        " effect `error`, `silent`, `network_down` (which also strikes when a running VM's versions change to it), or"
        " `reboot` (the servers reboot by themselves); `rate`: the share of starts that it strikes (of VMs, for the"
        " network; a server and hour, for reboots); `after`: how long after the change to `versions` it sleeps",
        ("dates", "versions", "rate", "after", "down_s", "reason", "cause", "workflow", *_FAILURE),
        (),
        _FAILURE_DEFAULTS,
    ),
    "bad_hardware": FaultKind(
        "starts on the servers or racks in scope fail, and only there; with `restart` (default) their VMs are"
        " restarted at `at`",
        (*_FAILURE, "restart"),
        (),
        _FAILURE_DEFAULTS,
    ),
    "network_down": FaultKind("VMs in scope have network DOWN while their agents report well"),
    "server_lost": FaultKind("servers in scope never report again, their VMs stop; the FC notices and heals"),
    "corrupted": FaultKind(
        "servers in scope are left in a corrupted state: their guest agents fall silent, no VM starts on them, the FC"
        " moves them to HI, until a `[[repair]]` that names the fault puts them right"
    ),
    "rack_lost": FaultKind(
        "whole racks are gone; with `for` their servers boot again when it is over, unless the FC has given up on them"
    ),
    "power_lost": FaultKind(
        "everything in the cluster is silent, its FC too; after `for` all of it boots, spread over 2 min"
    ),
    "collector_outage": FaultKind(
        "records of `feeds` (default host-agent) are lost on the way; the senders notice nothing",
        ("feeds",),
        (),
        {"feeds": ("host-agent",)},
    ),
    "lag": FaultKind(
        "records of `feeds` (default host-agent) are `delay` late: mode `stamped`, they reach their broker late and are"
        " stamped late (a backlog before it), in order and in a burst at the end; mode `read`, they are stamped in time"
        " and the intake reads those lanes late (a backlog behind it)",
        ("feeds", "mode", "delay"),
        ("delay",),
        {"feeds": ("host-agent",)},
    ),
    "pulse_outage": FaultKind(
        "no pulses are written into the clusters' lanes of `feeds`: nobody watched",
        ("feeds",),
        (),
        {"feeds": ("host-agent",)},
    ),
    "clock_skew": FaultKind(
        "the clocks of the servers in scope are wrong by `skew_s` (drawn between two numbers): sent_ms, since_ms, and"
        " what day a bug believes it is",
        ("skew_s",),
        ("skew_s",),
    ),
    "duplicates": FaultKind(
        "a fraction of the records of `feeds` (default all) is sent again, `copies` times, within `delay`"
        " (default 5 s)",
        ("fraction", "copies", "feeds", "delay"),
        (),
        {"feeds": ("host-agent", "guest-agent", "maintenance"), "delay_ms": 5000},
    ),
    "loss": FaultKind(
        "a fraction of the records of `feeds` (default host-agent) is lost on the way",
        ("fraction", "feeds"),
        ("fraction",),
        {"feeds": ("host-agent",)},
    ),
    "healing_off": FaultKind("the FC heals nothing while it lasts"),
    "reboot": FaultKind(
        "servers reboot: planned (announced, 15 to 20 min) or not (the FC says so within 20 s, 4 to 8 min)",
        ("planned", "down_s", "reason", "cause", "workflow", "per_day"),
    ),
    "task_fails_twice": FaultKind(
        "start-up tasks of the VMs in scope fail when they run again on the same image: from the next start on that is"
        " not from a fresh image the role instance is recycled, until `for` is over",
        ("message",),
        (),
        {"message": "start-up task failed: cannot add duplicate collection entry"},
    ),
    "task_fails_reimaged": FaultKind(
        "start-up code of the VMs in scope fails after a reimage, which took away what it once installed: from then on"
        " the role instance is recycled, until `for` is over",
        ("message",),
        (),
        {"message": "start-up task failed: the program it installed once is not there"},
    ),
    "slow_startup": FaultKind(
        "start-up tasks of the VMs in scope take `startup_s` seconds `[least, most]`, in which they are BUSY",
        ("startup_s",),
        ("startup_s",),
    ),
    "stuck_startup": FaultKind(
        "start-up code of the VMs in scope hangs: WAITING_FOR_HOST with network UP from their next start on, until"
        " `for` is over"
    ),
    "os_not_back": FaultKind(
        "the platform fails to start the VMs in scope again: WAITING_FOR_HOST with network DOWN from their next start"
        " on, until `for` is over"
    ),
    "slow_stop": FaultKind(
        "OnStop of the VMs in scope takes `onstop_s` seconds `[least, most]`", ("onstop_s",), ("onstop_s",)
    ),
    "guest_restart": FaultKind(
        "a process of the customer restarts the VMs in scope (event 1074 with `initiator` and `reason`); they are back"
        " after `down_s` seconds (default 60 to 180) and their start",
        ("initiator", "reason", "down_s"),
        (),
        {"initiator": "C:\\Windows\\System32\\shutdown.exe", "reason": "Other (Planned)", "down_ms": (60_000, 180_000)},
    ),
    "blob_cache_race": FaultKind(
        "a VM of each server in scope is deallocated, and `delay` later (default 40 s) the server reboots: unplanned,"
        " workflow WORKFLOW_TIMEOUT, cause BLOB_CACHE_RACE; away for `down_s` (default 4 to 8 min)",
        ("delay", "down_s"),
        (),
        {"delay_ms": 40_000, "down_ms": (240_000, 480_000)},
    ),
    "owner_redeploy": FaultKind(
        "owners redeploy the VMs in scope in a `wave`, `times` times, `spacing` apart (default 1 h): `to` a server that"
        " is `updated` (default) or an `old` one; with the `result` MaintenanceAborted it fails, and with RetryLater it"
        " is refused, with `message`",
        ("wave", "to", "result", "message", "times", "spacing"),
        ("wave",),
        {"spacing_ms": 3_600_000},
    ),
    "maintenance_restart": FaultKind(
        "servers in scope are rebooted for the maintenance of a `wave` at `at`, whatever its windows say",
        ("wave",),
        ("wave",),
    ),
    "management_disabled": FaultKind("service management is off: no VM is created, healing goes on"),
}
