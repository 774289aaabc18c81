"""Small logs of rollouts: servers, their starts, and what the detector says of them."""

from __future__ import annotations

from schemas.outputs import Finding
from streams.engine.runner import Runner
from tests.kit import Log, run

ONLY = ["rollout_regression"]
HOUR_S = 3600


class Rolling:
    """A cluster whose servers beat every hour, whose VMs start, and through which changes go."""

    def __init__(self, servers: int = 40, racks: int = 8, *, complete: bool = True) -> None:
        self.log = Log().inventory(servers, racks=racks, complete=complete)
        self.servers = [f"s{n + 1}" for n in range(servers)]
        self.versions = {name: {"ga": "1.0", "ha": "1.0"} for name in self.servers}
        self.incarnations: dict[str, int] = {}
        for n, name in enumerate(self.servers):
            self.log.host(n * 0.01, name, vms=[], versions=self.versions[name], interval_s=HOUR_S)

    def beats(self, from_h: float, until_h: float) -> Rolling:
        """Let all servers beat each hour, with a turn of the clocks behind."""
        hour = from_h
        while hour < until_h:
            for n, name in enumerate(self.servers):
                self.log.host(hour * HOUR_S + n * 0.01, name, interval_s=HOUR_S)
            self.log.clocks(hour * HOUR_S + 1)
            hour += 1
        return self

    def start(self, at_s: float, server: str, vm: str, error: str = "", *, silent: bool = False) -> Rolling:
        """Start a VM anew: it makes contact after 30 s, or fails after 5."""
        number = self.incarnations[vm] = self.incarnations.get(vm, 0) + 1
        self.log.guest(at_s, vm, "START", server=server, incarnation=number)
        if error:
            self.log.guest(
                at_s + 5, vm, "START_FAILED", server=server, incarnation=number, step="boot", error_code=error
            )
        elif not silent:
            self.log.guest(at_s + 30, vm, "READY", server=server, incarnation=number)
        return self

    def starts(self, at_h: float, servers: list[str], each: int = 3, error: str = "", failing: int = 0) -> Rolling:
        """Start some VMs of each of these servers; the first `failing` of each fail."""
        for n, server in enumerate(servers):
            for k in range(each):
                at_s = at_h * HOUR_S + n * 2 + k * 0.3
                self.start(at_s, server, f"v{server}-{k}", error if k < failing else "")
        self.log.clocks(at_h * HOUR_S + len(servers) * 2 + 200)
        return self

    def update(self, at_h: float, servers: list[str], rollout: str = "r", component: str = "ga") -> Rolling:
        """Let an announced rollout reach servers."""
        at_s = at_h * HOUR_S
        fields = {"rollout": rollout, "component": component}
        self.log.maintenance(at_s - 60, "ROLLOUT_STARTED", from_version="1.0", to_version="2.0", mode="ud", **fields)
        for n, server in enumerate(servers):
            self.log.maintenance(at_s - 30 + n * 0.01, "SERVER_UPDATE_STARTED", rollout=rollout, server=server)
        return self

    def shown(self, at_h: float, servers: list[str], **versions: str) -> Rolling:
        """Let servers report other versions, unannounced or not."""
        for n, server in enumerate(servers):
            self.versions[server] = {**self.versions[server], **versions}
            self.log.host(at_h * HOUR_S + n * 0.01, server, vms=[], versions=self.versions[server], interval_s=HOUR_S)
        return self

    def said(self, runner: Runner | None = None) -> list[Finding]:
        """Return the findings."""
        return run(self.log.frames, only=ONLY, runner=runner)


def innocent() -> Rolling:
    """Return a rollout under which all starts fail, as they do without it: the leap day in small."""
    world = Rolling()
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    world.update(25, world.servers[:20])
    for hour in (25, 26):
        for n in range(20):
            world.start(hour * HOUR_S + n, world.servers[n], f"x{n}", "E_DATE")
            world.start(hour * HOUR_S + n + 0.5, world.servers[20 + n], f"y{n}", "E_DATE")
        world.beats(hour + 0.5, hour + 1)
    return world.beats(27, 28)


def guilty(*, servers: int = 40, racks: int = 8, failing: int = 2, past_h: int = 24) -> Rolling:
    """Return a rollout in two steps, whose starts fail while those beside it go well."""
    world = Rolling(servers, racks)
    half = servers // 2
    for hour in range(1, past_h, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    for step, hour in enumerate((past_h + 1, past_h + 9)):
        reached = world.servers[step * half // 2 : (step + 1) * half // 2]
        world.beats(hour - 1, hour).update(hour, reached)
        world.starts(hour + 0.01, reached, each=4, error="E_NEW", failing=failing)
        world.starts(hour + 0.2, world.servers[half:], each=1).beats(hour + 1, hour + 7)
    return world
