"""Runs a real Kafka on loopback (KRaft, one node or several), for integration tests and for developers.

A cluster is a folder: its ports, its properties, its data, a log and a pid file a node. So it can be stopped and
started again, by this process or another, on the same ports and with the same records.

Whether a node runs is told by a lock and not by its pid: the Java process inherits the locked pid file, and the lock
falls with the process, however it ends. A pid alone may by now be somebody else's.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from types import TracebackType
from typing import IO, Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.kafka.jars import ROOT, BrokerError, cache_dir, classpath, missing

__all__ = ["BrokerError", "RealBroker", "default_dir", "missing", "start", "stop"]

TEMPLATE: Final = ROOT / "deploy" / "kafka" / "server.properties"
DEVELOPER_PORT: Final = 9092

_START_LIMIT_S: Final = 60.0
_STOP_LIMIT_S: Final = 20.0
_FORMAT_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.05

_children: dict[Path, subprocess.Popen[bytes]] = {}
"""What this process started, by the node's folder, so that it is reaped whichever object ends it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One broker of a cluster: its id, from 1, and its two ports on loopback."""

    id: int
    port: int
    controller_port: int


class RealBroker:
    """A Kafka cluster in `directory`, or in a temporary folder that goes when the `with` block ends.

    `nodes`: 1 or 3; with 3, replication factor 3 and two in-sync replicas. `port`: of the first node, where it must be
    known before; free ones otherwise. `properties`: broker settings over those of the template. Ports and properties of
    a folder that was started once before stay as they were.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        nodes: int = 1,
        port: int | None = None,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        cache: Path | None = None,
    ) -> None:
        self._temporary = directory is None
        self.directory = directory.absolute() if directory else Path(tempfile.mkdtemp(prefix="leapwatch-kafka-"))
        self._heap_mb = heap_mb
        self._cache = cache
        self.nodes = self._prepare(nodes, port, properties or {})

    @property
    def bootstrap(self) -> str:
        """`host:port` of each node, separated by commas."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self, *, limit_s: float = _START_LIMIT_S) -> None:
        """Start the nodes that do not run, and return when all of them answer."""
        jars = classpath(self._cache)
        for node in self.nodes:
            if not self.running(node.id):
                self._format(node, jars)
                self._launch(node, jars)
        self._wait_until_ready(limit_s)

    def start_node(self, node_id: int, *, limit_s: float = _START_LIMIT_S) -> None:
        """Start one node, and return when the cluster counts it."""
        if not self.running(node_id):
            self._launch(self._node(node_id), classpath(self._cache))
        self._wait_until_ready(limit_s, least=sum(self.running(node.id) for node in self.nodes))

    def stop(self, node_id: int | None = None) -> bool:
        """Return whether anything ran: stop one node, or all, first politely and after 20 s not."""
        wanted = [self._node(node_id)] if node_id is not None else list(self.nodes)
        pids = {node.id: pid for node in wanted if (pid := self._pid(node.id)) is not None}
        for pid in pids.values():
            # A node that was paused cannot hear a request to stop.
            _signal(pid, signal.SIGCONT)
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_LIMIT_S
        for node in pids:
            if not self._gone(node, deadline):
                self.kill(node)
        return bool(pids)

    def kill(self, node_id: int = 1) -> None:
        """End a node as a power cut would (SIGKILL), and return when it is gone."""
        if (pid := self._pid(node_id)) is not None:
            _signal(pid, signal.SIGKILL)
            if not self._gone(node_id, time.monotonic() + _STOP_LIMIT_S):
                msg = f"broker {node_id} (pid {pid}) in {self.directory} outlives SIGKILL"
                raise BrokerError(msg)

    def pause(self, node_id: int = 1) -> None:
        """Freeze a node (SIGSTOP): its connections stay open and say nothing."""
        _signal(self._running_pid(node_id), signal.SIGSTOP)

    def resume(self, node_id: int = 1) -> None:
        """Let a frozen node go on (SIGCONT)."""
        _signal(self._running_pid(node_id), signal.SIGCONT)

    def running(self, node_id: int = 1) -> bool:
        """Return whether a node's process lives, paused or not, whoever started it."""
        return self._pid(node_id) is not None

    def _end(self) -> None:
        self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _node(self, node_id: int) -> Node:
        return next(node for node in self.nodes if node.id == node_id)

    def _folder(self, node_id: int) -> Path:
        return self.directory / f"node-{node_id}"

    def _prepare(self, count: int, port: int | None, properties: Mapping[str, str]) -> tuple[Node, ...]:
        """Return the nodes that the folder knows, or write down new ones."""
        known = self.directory / "cluster.json"
        if known.exists():
            nodes = tuple(Node(**node) for node in json.loads(known.read_text())["nodes"])
            if port is not None and nodes[0].port != port:
                msg = f"{self.directory} holds a broker of port {nodes[0].port}, not {port}; ask for that, or remove it"
                raise BrokerError(msg)
            return nodes
        free = iter(_free_ports(2 * count))
        nodes = tuple(Node(i, port if port and i == 1 else next(free), next(free)) for i in range(1, count + 1))
        template = Template(TEMPLATE.read_text())
        for node in nodes:
            folder = self._folder(node.id)
            folder.mkdir(parents=True, exist_ok=True)
            text = template.substitute(
                node=node.id,
                port=node.port,
                controller_port=node.controller_port,
                voters=",".join(f"{n.id}@127.0.0.1:{n.controller_port}" for n in nodes),
                data=folder / "data",
                replicas=count,
                insync=max(1, count - 1),
            )
            extra = "".join(f"{name}={value}\n" for name, value in properties.items())
            (folder / "server.properties").write_text(text + extra)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        known.write_text(json.dumps({"cluster_id": cluster_id, "nodes": [asdict(node) for node in nodes]}))
        return nodes

    def _format(self, node: Node, jars: str) -> None:
        """Give a node's data folder the cluster's id; one that has it is left alone."""
        folder = self._folder(node.id)
        cluster_id = json.loads((self.directory / "cluster.json").read_text())["cluster_id"]
        # One word, for an id may begin with a dash.
        named = f"--cluster-id={cluster_id}"
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", named, "-c", "server.properties"]
        if (folder / "data" / "meta.properties").exists():
            return
        command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars, *tool]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_FORMAT_LIMIT_S, check=False)
        if done.returncode:
            msg = (
                f"broker {node.id}: its data folder {folder / 'data'} cannot be formatted:\n{done.stdout}{done.stderr}"
            )
            raise BrokerError(msg)

    def _launch(self, node: Node, jars: str) -> None:
        folder = self._folder(node.id)
        heap = f"{self._heap_mb}m"
        options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        with (folder / "broker.pid").open("a+") as pid_file, (folder / "broker.log").open("ab") as log:
            if not _lock(pid_file):
                msg = f"broker {node.id} in {self.directory} is being started by another process"
                raise BrokerError(msg)
            child = subprocess.Popen(
                ["java", *options, "-cp", jars, "kafka.Kafka", "server.properties"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The lock on the pid file goes with the process, and Ctrl-C at our terminal is not for it.
                pass_fds=(pid_file.fileno(),),
                start_new_session=True,
            )
            pid_file.truncate(0)
            pid_file.write(str(child.pid))
        _children[folder] = child

    def _wait_until_ready(self, limit_s: float, *, least: int | None = None) -> None:
        wanted = least or len(self.nodes)
        deadline = time.monotonic() + limit_s
        admin: AdminClient | None = None
        while True:
            for node in self.nodes:
                if least is None and not self.running(node.id):
                    msg = f"broker {node.id} ended while starting; the end of its log:\n{self._log_end(node.id)}"
                    raise BrokerError(msg)
            if all(_answers(node.port) for node in self.nodes if self.running(node.id)):
                # Made only now: librdkafka doubles its wait after each refused connection.
                admin = admin or AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                with contextlib.suppress(KafkaException):
                    if len(admin.list_topics(timeout=2).brokers) >= wanted:
                        return
            if time.monotonic() > deadline:
                end = self._log_end(1)
                msg = f"Kafka in {self.directory} is not ready after {limit_s:.0f} s; the end of its log:\n{end}"
                raise BrokerError(msg)
            time.sleep(_POLL_S)

    def _log_end(self, node_id: int, lines: int = 15) -> str:
        return "\n".join((self._folder(node_id) / "broker.log").read_text(errors="replace").splitlines()[-lines:])

    def _pid(self, node_id: int) -> int | None:
        """Return the pid of a node that lives, whoever started it."""
        if (child := _children.get(self._folder(node_id))) is not None:
            child.poll()
        try:
            with (self._folder(node_id) / "broker.pid").open("r+") as pid_file:
                return None if _lock(pid_file) else int(pid_file.read())
        except FileNotFoundError:
            return None

    def _running_pid(self, node_id: int) -> int:
        if (pid := self._pid(node_id)) is None:
            msg = f"broker {node_id} in {self.directory} does not run"
            raise BrokerError(msg)
        return pid

    def _gone(self, node_id: int, deadline: float) -> bool:
        while self.running(node_id):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def default_dir() -> Path:
    """Return where a developer's broker lives unless told otherwise."""
    return cache_dir() / "broker"


def start(directory: Path, *, port: int | None = None, nodes: int = 1) -> str:
    """Return the bootstrap address of the broker in `directory`, after starting what of it does not run yet.

    `port`: of its first node; a folder that was used before keeps its own. It goes on when this process ends.
    """
    broker = RealBroker(directory, nodes=nodes, port=port)
    broker.start()
    return broker.bootstrap


def stop(directory: Path) -> bool:
    """Return whether a broker ran in `directory`, and stop it. Its data stays."""
    if not (directory / "cluster.json").exists():
        return False
    return RealBroker(directory).stop()


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    """Return ports free a moment ago, all different because all are held until the last is known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
