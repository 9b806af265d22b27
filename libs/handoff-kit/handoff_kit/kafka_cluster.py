"""Apache Kafka on loopback for development and tests, from Maven's jars; no Docker needed.

    cluster = KafkaCluster(Path("var/kafka"), brokers=3)
    bootstrap_servers = cluster.start()
    ...
    cluster.stop()

`python -m handoff_kit.kafka_cluster --brokers 3` does the same until Ctrl-C. The jars are pinned by
`deploy/kafka/pom.xml` and copied once into `var/kafka/libs`. Every node is broker and controller
(KRaft). Not for production: no encryption, no authentication, three nodes on one machine.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROJECT = Path(__file__).resolve().parents[3]
_DEPLOY = _PROJECT / "deploy" / "kafka"
_LIBS = _PROJECT / "var" / "kafka" / "libs"

_JAVA_MAJOR = 17
_START_SECONDS = 90.0
_STOP_SECONDS = 15.0
_POLL = 0.05
_STARTED = "Kafka Server started"
"""Logged once the broker is registered with the controller and no longer fenced."""

Say = Callable[[str], None]


class KafkaClusterError(Exception):
    """Apache Kafka could not be fetched or started here; the message tells why."""


def missing() -> str | None:
    """Why Apache Kafka cannot run here, in plain words, or None when it can."""
    major = _java_major()
    if major is None:
        return f"Java is not installed (Java {_JAVA_MAJOR} or newer is needed)"
    if major < _JAVA_MAJOR:
        return f"Java {major} is too old (Java {_JAVA_MAJOR} or newer is needed)"
    if not _DEPLOY.exists():
        return f"{_DEPLOY} is not there (run from a clone of the project)"
    if not _libs_are_current() and shutil.which("mvn") is None:
        return "Maven (mvn) is not installed; it fetches Apache Kafka's jars"
    return None


def _java_major() -> int | None:
    java = shutil.which("java")
    if java is None:
        return None
    result = subprocess.run(  # noqa: S603
        [java, "-version"], capture_output=True, text=True, check=False
    )
    found = re.search(r'version "(\d+)', result.stderr)
    return int(found.group(1)) if result.returncode == 0 and found else None


# The jars


def _pom_digest() -> str:
    return hashlib.sha256((_DEPLOY / "pom.xml").read_bytes()).hexdigest()


def _libs_are_current() -> bool:
    stamp = _LIBS / "pom.sha256"
    return stamp.exists() and stamp.read_text() == _pom_digest()


def fetch_libs(say: Say) -> Path:
    """The folder of jars, fetched by Maven unless they are there for the present pom.xml."""
    _LIBS.parent.mkdir(parents=True, exist_ok=True)
    with (_LIBS.parent / "libs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _libs_are_current():
            return _LIBS
        maven = shutil.which("mvn")
        if maven is None:
            raise KafkaClusterError("Maven (mvn) is not installed; it fetches Apache Kafka's jars")
        say("Fetching Apache Kafka by Maven (some 55 MB, once) ...")
        draft = _LIBS.with_name("libs.new")
        shutil.rmtree(draft, ignore_errors=True)
        result = subprocess.run(  # noqa: S603
            [
                *(maven, "-q", "-B", "-f", str(_DEPLOY / "pom.xml")),
                *("dependency:copy-dependencies", f"-DoutputDirectory={draft}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0 or not any(draft.glob("kafka_*.jar")):
            raise KafkaClusterError(f"Maven failed:\n{result.stdout.strip()[-2000:]}")
        (draft / "pom.sha256").write_text(_pom_digest())
        shutil.rmtree(_LIBS, ignore_errors=True)
        draft.rename(_LIBS)
    return _LIBS


# Configuration


@dataclass(frozen=True)
class Plan:
    """What makes one cluster: its id and, for each node from 1, (broker port, controller port)."""

    cluster_id: str
    ports: tuple[tuple[int, int], ...]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"127.0.0.1:{broker}" for broker, _ in self.ports)


def server_properties(plan: Plan, node: int, folder: Path) -> str:
    """The configuration of `node` (from 1); with three nodes one may be lost without loss."""
    brokers = len(plan.ports)
    replication, in_sync = (3, 2) if brokers >= 3 else (brokers, 1)
    port, controller_port = plan.ports[node - 1]
    voters = ",".join(f"{n}@127.0.0.1:{p}" for n, (_, p) in enumerate(plan.ports, start=1))
    properties = {
        "node.id": node,
        "process.roles": "broker,controller",
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "data",
        # Topics are made on purpose, with their partition count: adding some later breaks order.
        "auto.create.topics.enable": "false",
        "num.partitions": 12,
        "default.replication.factor": replication,
        "min.insync.replicas": in_sync,
        "unclean.leader.election.enable": "false",
        "message.max.bytes": 1024 * 1024,
        "offsets.topic.replication.factor": replication,
        "offsets.topic.num.partitions": 12,
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replication,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Of a lost node the others know after five seconds, not nine.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 1000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "controlled.shutdown.enable": "true",
        # Several nodes share one small machine.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _make_plan(path: Path, brokers: int) -> Plan:
    """The plan of the last start; ports that somebody else took meanwhile are replaced."""
    cluster_id, ports = _new_cluster_id(), [(0, 0)] * brokers
    if path.exists():
        stored = json.loads(path.read_text())
        cluster_id = stored["cluster_id"]
        ports = [(broker, controller) for broker, controller in stored["ports"]]
    with contextlib.ExitStack() as held:
        plan = Plan(
            cluster_id,
            tuple((_claim(held, broker), _claim(held, other)) for broker, other in ports),
        )
    path.write_text(json.dumps({"cluster_id": plan.cluster_id, "ports": plan.ports}))
    return plan


def _new_cluster_id() -> str:
    """As `StorageTool random-uuid` makes it, which takes a second of Java."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _claim(held: contextlib.ExitStack, preferred: int) -> int:
    """A free port of 127.0.0.1, bound until `held` is left so that no two are the same."""
    for port in (preferred, 0):
        probe = held.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            number: int = probe.getsockname()[1]
            return number
    raise KafkaClusterError("no free port on 127.0.0.1")


# The cluster


class KafkaCluster:
    """`brokers` nodes, numbered from 1, with data in `home/brokers-N`; survives restarts.

    `say` hears of steps that take long. Not thread safe.
    """

    def __init__(self, home: Path, brokers: int = 1, *, say: Say = lambda _: None) -> None:
        if brokers < 1:
            raise ValueError("at least one broker")
        self.folder = home.absolute() / f"brokers-{brokers}"
        self.brokers = brokers
        self._say = say
        self._plan: Plan | None = None
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap_servers(self) -> str:
        if self._plan is None:
            raise KafkaClusterError("the cluster was not started")
        return self._plan.bootstrap_servers

    def start(self) -> str:
        """Start all nodes and return the bootstrap servers once every broker is registered.

        What a killed starter left running in the same home is ended first. Raises
        KafkaClusterError; nothing is left running then.
        """
        reason = missing()
        if reason is not None:
            raise KafkaClusterError(reason)
        fetch_libs(self._say)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._end_leftovers()
        plan = self._plan = _make_plan(self.folder / "cluster.json", self.brokers)
        try:
            self._format(plan)
            self._say(f"Starting {self.brokers} Kafka broker{'s'[: self.brokers - 1]} ...")
            for node in self._nodes():
                self._launch(node)
            for node in self._nodes():
                self._wait_until_started(node)
        except BaseException:
            self.stop()
            raise
        return plan.bootstrap_servers

    def stop(self) -> None:
        """End all nodes; idempotent. They stop together, so leaders are not moved first."""
        for process in self._processes.values():
            process.terminate()
        for node in list(self._processes):
            self._end(node)

    def kill(self, node: int) -> None:
        """kill -9."""
        self._processes[node].kill()
        self._end(node)

    def stop_node(self, node: int) -> None:
        """Controlled shutdown: the node's leaders move to others first."""
        self._processes[node].terminate()
        self._end(node)

    def start_node(self, node: int) -> None:
        """Start a node that was killed or stopped; returns once it is registered."""
        if self.is_running(node):
            return
        self._launch(node)
        self._wait_until_started(node)

    def is_running(self, node: int) -> bool:
        process = self._processes.get(node)
        return process is not None and process.poll() is None

    def log(self, node: int) -> Path:
        return self._node_folder(node) / "kafka.log"

    def _nodes(self) -> range:
        return range(1, self.brokers + 1)

    def _node_folder(self, node: int) -> Path:
        return self.folder / f"node-{node}"

    def _format(self, plan: Plan) -> None:
        formatting = []
        for node in self._nodes():
            folder = self._node_folder(node)
            folder.mkdir(exist_ok=True)
            properties = folder / "server.properties"
            properties.write_text(server_properties(plan, node, folder))
            if not (folder / "data" / "meta.properties").exists():
                command = _java(
                    # It runs for a second: compiled quickly, not well.
                    *("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
                    *("kafka.tools.StorageTool", "format", "--ignore-formatted"),
                    *("-t", plan.cluster_id, "-c", str(properties)),
                )
                formatting.append(
                    subprocess.Popen(  # noqa: S603
                        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                    )
                )
        said = [(process.communicate()[0], process.returncode) for process in formatting]
        for output, code in said:
            if code != 0:
                raise KafkaClusterError(f"formatting the storage failed:\n{output[-2000:]}")

    def _launch(self, node: int) -> None:
        heap = "-Xmx512m" if self.brokers == 1 else "-Xmx384m"
        properties = str(self._node_folder(node) / "server.properties")
        with self.log(node).open("wb") as log:
            self._processes[node] = subprocess.Popen(  # noqa: S603
                _java(heap, "kafka.Kafka", properties),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_started(self, node: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while _STARTED not in self.log(node).read_text(errors="replace"):
            if not self.is_running(node) or time.monotonic() > deadline:
                tail = self.log(node).read_text(errors="replace")[-3000:]
                raise KafkaClusterError(f"Kafka node {node} did not start; its log ends:\n{tail}")
            time.sleep(_POLL)

    def _end(self, node: int) -> None:
        process = self._processes.pop(node)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _end_leftovers(self) -> None:
        for process in _running_in(self.folder):
            self._say(f"Ending Kafka process {process.pid}, left by an earlier start ...")
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + _STOP_SECONDS
        while any(True for _ in _running_in(self.folder)):
            if time.monotonic() > deadline:
                raise KafkaClusterError(f"an old Kafka still runs in {self.folder}")
            time.sleep(_POLL)


def _java(*arguments: str) -> list[str]:
    java = shutil.which("java")
    if java is None:
        raise KafkaClusterError("Java is not installed")
    options = (
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={_DEPLOY}/log4j2.properties",
    )
    return [java, *options, "-cp", f"{_LIBS}/*", *arguments]


def _running_in(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "kafka.Kafka" in command and command[-1].startswith(f"{folder}{os.sep}"):
            yield process


# The command


def main(arguments: list[str] | None = None) -> int:
    """Run a cluster in the foreground until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m handoff_kit.kafka_cluster",
        description="Apache Kafka on loopback, for development. Ctrl-C ends it; data is kept.",
    )
    parser.add_argument("--brokers", type=int, default=1, choices=range(1, 6), metavar="N")
    parser.add_argument("--home", type=Path, default=Path("var/kafka"))
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = KafkaCluster(options.home, options.brokers, say=_print)
    try:
        bootstrap_servers = cluster.start()
        _print(
            f"\nApache Kafka is ready at {bootstrap_servers}\n\n"
            "Point Handoff at it:\n"
            "    export HANDOFF_BUS=kafka\n"
            f"    export HANDOFF_KAFKA_BOOTSTRAP_SERVERS={bootstrap_servers}\n\n"
            f"Logs and data: {cluster.folder}. Ctrl-C ends it; the data stays."
        )
        return _watch(cluster)
    except KafkaClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        # A second Ctrl-C must not leave brokers behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cluster.stop()
        _print("Kafka has ended.")


def _watch(cluster: KafkaCluster) -> int:
    """Return 1 when no node is left; a node that ends is told of once."""
    running = set(range(1, cluster.brokers + 1))
    while running:
        for node in sorted(running):
            if not cluster.is_running(node):
                running.remove(node)
                _print(f"Kafka node {node} has ended; see {cluster.log(node)}")
        time.sleep(0.5)
    return 1


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
