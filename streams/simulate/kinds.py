"""The kinds of fault: what each does, and which keys it takes beside `kind`, `name`, `scope`, `at` and `for`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SYSTEMS = ("fc", "host-os", "guest-os", "guest-agent", "nmagent", "storage")

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
    "management_disabled": FaultKind("service management is off: no VM is created, healing goes on"),
}
