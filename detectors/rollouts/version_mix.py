"""Versions of components that do not go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from detectors.contract import UPDATE_EVERY_MS, Detector, State
from detectors.failfast.words import counted, listed
from detectors.frames import BatchFrame, Frame, source_name
from detectors.picture import Picture
from detectors.rollouts.combinations import Book, Fares
from detectors.rollouts.control import onset_ms, others
from detectors.rollouts.difference import NETWORK_FAR, START_FAR, difference, matches, named_first, parse, words
from schemas.outputs import Action, Evidence, Finding, Severity, Subject

LOOK_EVERY_MS = 10_000
"""Starts of a whole cluster are compared at most so often: a look at 20,000 VMs costs tens of milliseconds."""
FAR = {"network": NETWORK_FAR, "start": START_FAR}
SIGNATURES = {"network": "network DOWN", "start": "starts fail"}
EVIDENCE_SERVERS = 16


@dataclass(frozen=True, slots=True)
class Config:
    """Which combinations are known to be bad, and when a new one is found to be."""

    deny: tuple[str, ...] = ()
    """Combinations that must not run, such as "ha=1.6,netplugin=1.7"; a version may end in `*`. Source: the operator;
    the one named here took seven clusters off the network on the leap day (seed 004)."""
    components: tuple[str, ...] = ("fc", "ha", "netplugin", "host_os", "nmagent", "ga")
    """Components whose versions make a combination. Source: DESIGN, Records (HostReport.versions), and the VM's ga."""
    vms: int = field(default=5, metadata={"least": 1, "most": 10_000})
    """VMs of a combination below which it is not judged. Source: CATALOGUE, version_mix."""
    failing_share: float = field(default=0.5, metadata={"least": 0, "most": 1})
    """Share of its VMs with the failure, this included, from which on it is suspect. Source: CATALOGUE, version_mix."""
    others_share: float = field(default=0.05, metadata={"least": 0, "most": 1})
    """Share of the others' VMs with the same failure that these must stay below. Source: CATALOGUE, version_mix."""
    new_s: float = field(default=86_400.0, metadata={"least": 60, "most": 2_592_000})
    """Seconds for which a combination is new. Source: a mix fails when it meets; what fails after a day of service has
    another trigger, and is rollout_regression's, whose memory is 30 days."""
    learn_s: float = field(default=600.0, metadata={"least": 0, "most": 86_400})
    """Seconds from the first report on in which what servers run is learned as not new, unless they changed to it
    before our eyes. Source: twice the 5 min after which every server reports in full (DESIGN, Records)."""
    proven_s: float = field(default=600.0, metadata={"least": 0, "most": 86_400})
    """Seconds without the failure after which a new combination is known to be well. Source: as `learn_s`: two full
    reports, so that one whose failure is told a report later is never taken for a healthy one."""
    expected_s: float = field(default=300.0, metadata={"least": 0, "most": 3600})
    """Seconds from the start of an announced update for which a loss of network is expected. Source: network_loss."""

    def __post_init__(self) -> None:
        """Refuse a pattern that cannot be read."""
        for pattern in self.deny:
            parse(pattern)


@dataclass(slots=True)
class Blame:
    """What an open finding names."""

    what: str
    """`network`, `start` or `deny`."""
    found: dict[str, str]
    """The versions that tell its combinations from the healthy ones, or the pattern."""
    order: list[str]
    """Their components, the one named first before the others."""
    combinations: list[str]


@dataclass(slots=True)
class MixState(State):
    """What runs, and what is blamed."""

    book: Book = field(default_factory=Book)
    guilty: dict[str, list[str]] = field(default_factory=dict)
    """`network` and `start` to the combinations found guilty of it."""
    blames: dict[str, Blame] = field(default_factory=dict)
    """By key of the open finding."""
    looked_ms: int = -1
    """Stamp of the frame in which starts were compared last."""
    due: bool = False
    """They are to be compared again."""
    untold: dict[str, None] = field(default_factory=dict)
    """Keys of findings whose numbers may have changed."""


class VersionMix(Detector[Config, MixState]):
    """Finds combinations of component versions that fail where their parts alone do not.

    Rule: a combination (the versions of a server's components, with the guest agent's of each VM) matches a pattern of
    `deny`; or it is new to the cluster, and at least `failing_share` of at least `vms` VMs that run it show a
    failure, while fewer than `others_share` of those on other combinations do. Failures: network DOWN though the
    agents report well; or the start failed (START_FAILED, or given up without contact). Starts are compared with
    starts of others since the first that failed; where there are too few, with the last starts before (the same VMs
    before the change), unless a calendar edge lies between: then the clock may be at fault, as on the leap day,
    where new and old versions failed alike. Of a network that nobody else has left, the same VMs before they came
    to the combination are the others.

    It names the fewest versions that all failing combinations have and no healthy one: on the leap day "netplugin 1.7
    with ha 1.6" (seed 004, "the two were incompatible"). Combinations are learned as reports bring them. A finding ends
    when the failure does (below `others_share`), when nothing runs the combination any more, or when the others have
    come to fail alike.
    """

    Config = Config
    State = MixState
    memory_s = 86_400

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what changes of versions, networks and starts bring."""
        if not isinstance(frame, BatchFrame):
            return []
        touched = self._count(frame, picture)
        at_ms = max(frame.batch.at_ms, default=frame.at_ms)
        if touched:
            config = self.config
            self.state.book.judge(touched, at_ms, config.others_share, round(config.proven_s * 1000))
        findings: list[Finding] = []
        if touched or self.state.due:
            self._accuse(touched, at_ms, frame, picture)
            findings += self._settle(at_ms, frame, picture)
            self.state.untold |= dict.fromkeys(self.state.blames)
        return findings + self._tell(frame, picture)

    # -- counting ------------------------------------------------------------------------------------------------

    def _count(self, frame: BatchFrame, picture: Picture) -> dict[str, None]:
        """Count the servers anew that the frame concerns; return the combinations touched."""
        news, book, config = picture.news, self.state.book, self.config
        changed = dict.fromkeys(server for server, _ in news.changes)
        servers = dict(changed)
        for vm, _ in chain(news.network_changes, news.ga_changes):
            if (view := picture.vms.get(vm)) is not None:
                servers[view.server] = None
        for vm, start in chain(news.starts, news.contacts, news.ended):
            servers[start.server] = None
            if (view := picture.vms.get(vm)) is not None:
                servers[view.server] = None
        servers |= dict.fromkeys(event.server for _, event in news.failures)
        for name in news.heard:
            if name not in book.parts or name in book.expected:
                servers[name] = None
        for _, event in news.maintenance:
            if event.server is not None and event.server in book.parts:
                servers[event.server] = None
        servers |= dict.fromkeys(news.removed_servers)
        longest_ms, learn_ms = round(config.expected_s * 1000), round(config.learn_s * 1000)
        touched: dict[str, None] = {}
        for name in servers:
            touched |= book.count(
                picture, name, config.components, longest_ms, learn_ms=learn_ms, changed=name in changed
            )
        return touched

    # -- who is guilty -------------------------------------------------------------------------------------------

    def _accuse(self, touched: dict[str, None], at_ms: int, frame: BatchFrame, picture: Picture) -> None:
        """Find the combinations touched that are guilty now, and acquit those that are so no more."""
        self.state.due = False
        for what in ("network", "start"):
            guilty = self.state.guilty.setdefault(what, [])
            suspects = [key for key in self.state.book.known if self._suspect(key, what, at_ms)]
            fresh = [key for key in suspects if key not in guilty]
            if not (fresh or guilty):
                continue
            if what == "start" and not self._may_look(frame):
                continue
            rest = self._others(what, {*suspects, *guilty}, at_ms, picture)
            failing, total = (
                (0, 0) if rest is None else rest.of(what) if what == "network" else (rest.failed, rest.starts)
            )
            well = rest is not None and bool(total) and failing < self.config.others_share * total
            alike = bool(total) and failing >= self.config.failing_share * total
            kept = [key for key in guilty if not alike and self._still(key, what)]
            self.state.guilty[what] = [*kept, *fresh] if well else kept

    def _suspect(self, key: str, what: str, at_ms: int, least: int | None = None) -> bool:
        """Tell whether a combination is new and fails often enough, on `least` VMs or more (by rule `vms`)."""
        combination = self.state.book.known[key]
        if not combination.new or at_ms - combination.first_ms > self.config.new_s * 1000:
            return False
        failing, total = combination.now.of(what)
        return total >= (least or self.config.vms) and failing >= self.config.failing_share * total

    def _still(self, key: str, what: str) -> bool:
        combination = self.state.book.known.get(key)
        failing, total = (0, 0) if combination is None else combination.now.of(what)
        return total > 0 and failing > 0 and failing >= self.config.others_share * total

    def _may_look(self, frame: BatchFrame) -> bool:
        """Tell whether starts may be compared in this frame; if not, they are to be in a later one."""
        self.state.due = 0 <= frame.at_ms - self.state.looked_ms < LOOK_EVERY_MS and self.state.looked_ms >= 0
        if not self.state.due:
            self.state.looked_ms = frame.at_ms
        return not self.state.due

    def _others(self, what: str, accused: set[str], at_ms: int, picture: Picture) -> Fares | None:
        """Return how the others fare, or the same VMs before; None: nothing is known to compare with."""
        book = self.state.book
        if what == "start":
            suspects = {server: None for server, part in book.parts.items() if not accused.isdisjoint(part)}
            began_ms = onset_ms(picture, suspects)
            return None if began_ms is None else others(picture, suspects, began_ms, self.config.vms)
        rest, before = Fares(), Fares()
        for key, combination in book.known.items():
            if key in accused:
                before.add(combination.before)
            elif not self._suspect(key, what, at_ms, 1):
                # Too small to be judged, a combination that comes with the same blast is no measure either.
                rest.add(combination.now)
        if rest.vms:
            return rest
        return before if before.vms >= self.config.vms else None

    # -- what is blamed ------------------------------------------------------------------------------------------

    def _settle(self, at_ms: int, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Open what is blamed now, and close what is no more."""
        wanted = {key: blame for what in ("network", "start") for key, blame in self._blamed(what, at_ms).items()}
        wanted |= self._denied()
        findings: list[Finding] = []
        for key in [key for key in self.state.blames if key not in wanted]:
            blame = self.state.blames.pop(key)
            self.state.untold.pop(key, None)
            findings += self.state.openings.end(key, frame, self._why_over(blame))
        for key, blame in wanted.items():
            self.state.blames[key] = blame
            findings += self._begin(key, blame, at_ms, frame, picture)
        return findings

    def _blamed(self, what: str, at_ms: int) -> dict[str, Blame]:
        """Return what the guilty of one failure have in common; what is named stays while it tells them apart."""
        known, guilty = self.state.book.known, self.state.guilty.get(what, [])
        if not guilty:
            return {}
        names = self.state.book.healthy(what, guilty, at_ms, round(self.config.proven_s * 1000))
        healthy = [known[name].versions for name in names]
        named = [blame for blame in self.state.blames.values() if blame.what == what]
        named = [blame for blame in named if not any(matches(blame.found, versions) for versions in healthy)]
        told = next((blame.found for blame in named if self._all_have(blame.found, guilty)), None)
        told = told or difference([known[key].versions for key in guilty], healthy, FAR[what])
        if told is not None:
            return self._as_blame(what, told, guilty)
        found: dict[str, Blame] = {}
        for key in guilty:
            versions = known[key].versions
            told = next((blame.found for blame in named if matches(blame.found, versions)), None)
            told = told or difference([versions], healthy, FAR[what]) or versions
            for name, blame in self._as_blame(what, told, [key]).items():
                if name in found:
                    found[name].combinations.append(key)
                else:
                    found[name] = blame
        return found

    def _all_have(self, found: dict[str, str], keys: list[str]) -> bool:
        return all(matches(found, self.state.book.known[key].versions) for key in keys)

    def _as_blame(self, what: str, told: dict[str, str], keys: list[str]) -> dict[str, Blame]:
        """Return the blame under its key; how it is named stays as it was first."""
        for name, blame in self.state.blames.items():
            if (blame.what, blame.found) == (what, told):
                return {name: Blame(what, told, blame.order, list(keys))}
        order = named_first(told, self._rarity(told, keys))
        return {f"{what} {words(told, order)}": Blame(what, told, order, list(keys))}

    def _rarity(self, found: dict[str, str], group: list[str]) -> dict[str, int]:
        """Return how many VMs of other combinations ran each of these versions at most."""
        rest = [known for key, known in self.state.book.known.items() if key not in group]
        return {
            name: sum(known.most_vms for known in rest if known.versions.get(name) == version)
            for name, version in found.items()
        }

    def _denied(self) -> dict[str, Blame]:
        found: dict[str, Blame] = {}
        for text in self.config.deny:
            pattern = parse(text)
            of = [
                key
                for key, known in self.state.book.known.items()
                if known.servers and matches(pattern, known.versions)
            ]
            if of:
                order = named_first(pattern, self._rarity(pattern, of))
                found[f"deny {text}"] = Blame("deny", pattern, order, of)
        return found

    def _why_over(self, blame: Blame) -> str:
        known = self.state.book.known
        if not any(key in known and known[key].servers for key in blame.combinations):
            return "no server runs the combination any more"
        if blame.what == "deny":
            return "the combination is no longer denied"
        failing = [key for key in blame.combinations if key in known and self._still(key, blame.what)]
        if not failing:
            return "its VMs are well again"
        if any(key in self.state.guilty[blame.what] for key in failing):
            return "the difference lies elsewhere: see the finding that names it"
        return "other combinations have come to fail alike"

    # -- what is said --------------------------------------------------------------------------------------------

    def _begin(self, key: str, blame: Blame, at_ms: int, frame: BatchFrame, picture: Picture) -> list[Finding]:
        if key in self.state.openings.open:
            return []
        first = blame.order[0]
        version, signature = blame.found[first], SIGNATURES.get(blame.what)
        subject = Subject(cluster=picture.cluster, component=first, version=version, signature=signature)
        return self._open(
            key,
            frame,
            subject,
            f"{source_name(frame.batch.rows[-1], picture.cluster)} {key}",
            opened_ms=at_ms,
            severity=Severity.CRITICAL,
            evidence=self._evidence(blame, frame, picture),
            advised=(Action.HALT_ROLLOUT.value, Action.QUARANTINE_VERSION.value),
            **self._said(blame, at_ms, picture),
        )

    def _servers(self, blame: Blame) -> list[str]:
        return [name for name, part in self.state.book.parts.items() if any(key in part for key in blame.combinations)]

    def _evidence(self, blame: Blame, frame: BatchFrame, picture: Picture) -> tuple[Evidence, ...]:
        """Return the newest reports of servers that run the combination, and what completed it."""
        views = (picture.servers[name] for name in self._servers(blame)[:EVIDENCE_SERVERS])
        reports = (view.heard_evidence for view in views if view.heard_evidence is not None)
        cited = chain((frame.evidence(len(frame.batch.rows) - 1),), reports)
        return tuple({(known.offset, known.source_offset): known for known in cited}.values())

    def _said(self, blame: Blame, at_ms: int, picture: Picture) -> dict[str, Any]:
        """Return title, explanation, numbers and facts."""
        book, known = self.state.book, self.state.book.known
        here, rest = Fares(), Fares()
        for key, combination in known.items():
            (here if key in blame.combinations else rest).add(combination.now)
        servers = self._servers(blame)
        mix = words(blame.found, blame.order)
        failing, total = here.of(blame.what if blame.what != "deny" else "network")
        others_failing, others_total = rest.of(blame.what if blame.what != "deny" else "network")
        where = f"{counted(len(servers), 'server')} of {picture.cluster}"
        beside = {key: None for name in blame.combinations for key in name.split(",")}
        beside_text = listed(part.replace("=", " ") for part in beside if part.partition("=")[0] not in blame.found)
        if blame.what == "deny":
            title = f"{mix} runs on {where}, which the configuration denies"
            text = "It stands in the list of combinations that must not run (deny)."
        else:
            does = "has taken the network of" if blame.what == "network" else "fails the start of"
            title = f"{mix} {does} {failing} of {total} VMs on {where}"
            named = " and ".join(blame.order)
            text = (
                f"No combination known to be well has these versions together: {named} "
                f"{'differs' if len(blame.order) == 1 else 'do not go together'}. Of the VMs on other combinations "
                f"{others_failing} of {others_total} fail so. "
            )
            text += f"It ran with {beside_text}. " if beside_text else ""
            text += "The agents report well: nothing but the network shows it. " if blame.what == "network" else ""
            text += "It runs on one server only: its hardware is not ruled out. " if len(servers) == 1 else ""
        proven_ms = round(self.config.proven_s * 1000)
        healthy = book.healthy("network" if blame.what == "deny" else blame.what, blame.combinations, at_ms, proven_ms)
        return {
            "title": title,
            "explanation": f"{text.rstrip()} Halt what brings it, and let no server get {mix} before it is understood.",
            "numbers": {
                "servers": len(servers),
                "vms": here.vms,
                "failing": failing,
                "share": round(failing / total, 4) if total else 0.0,
                "others_vms": others_total,
                "others_failing": others_failing,
                "combinations_known": len(known),
            },
            "facts": {
                "combination": ",".join(f"{name}={blame.found[name]}" for name in blame.order),
                "differs": blame.order[0],
                "combinations": listed(blame.combinations, 3),
                "healthy": listed(healthy, 3),
                "servers": listed(servers),
            },
        }

    def _tell(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Tell the numbers that changed, 10 s after they were told last."""
        findings: list[Finding] = []
        for key in list(self.state.untold):
            known = self.state.openings.get(key)
            if known is not None and frame.at_ms < known.at_ms + UPDATE_EVERY_MS:
                continue
            del self.state.untold[key]
            if known is not None:
                said = self._said(self.state.blames[key], frame.at_ms, picture)
                findings += self.state.openings.update(key, frame, **said)
        return findings
