"""Apache Kafka from Maven's jars: what is acknowledged survives the loss of a broker."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError
from handoff_kit import kafka_cluster
from handoff_kit.kafka_cluster import KafkaCluster, KafkaClusterError, Plan, server_properties

needs_kafka = pytest.mark.skipif(
    kafka_cluster.missing() is not None, reason=str(kafka_cluster.missing())
)


@pytest.fixture
def cluster_of(tmp_path: Path) -> Iterator[Callable[[int], KafkaCluster]]:
    made: list[KafkaCluster] = []

    def make(brokers: int) -> KafkaCluster:
        made.append(KafkaCluster(tmp_path / "kafka", brokers))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()
        assert list(kafka_cluster._running_in(cluster.folder)) == []


async def create_topic(servers: str, name: str, replication: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 3, replication)])
    finally:
        await admin.close()


async def topics(servers: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        return await admin.list_topics()
    finally:
        await admin.close()


async def read(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    values: list[bytes] = []
    try:
        async with asyncio.timeout(60):
            while len(values) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    values += [record.value for record in records]
    finally:
        await consumer.stop()
    return values


def idempotent_producer(servers: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=servers,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=10_000,
        max_request_size=4 * 1024 * 1024,
    )


def properties_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_three_brokers_may_lose_one_and_one_broker_has_no_other(tmp_path):
    three = properties_of(
        server_properties(Plan("id", ((1, 2), (3, 4), (5, 6))), node=2, folder=tmp_path)
    )
    assert three["default.replication.factor"] == "3"
    assert three["offsets.topic.replication.factor"] == "3"
    assert three["min.insync.replicas"] == "2"
    assert three["unclean.leader.election.enable"] == "false"
    assert three["auto.create.topics.enable"] == "false"
    assert three["controller.quorum.voters"] == "1@127.0.0.1:2,2@127.0.0.1:4,3@127.0.0.1:6"
    assert three["listeners"] == "PLAINTEXT://127.0.0.1:3,CONTROLLER://127.0.0.1:4"
    one = properties_of(server_properties(Plan("id", ((1, 2),)), node=1, folder=tmp_path))
    assert one["default.replication.factor"] == one["min.insync.replicas"] == "1"


@pytest.mark.parametrize(
    ("major", "maven", "message"),
    [(None, True, "Java is not installed"), (11, True, "too old"), (21, False, "Maven")],
)
def test_what_is_missing_is_said_in_plain_words(monkeypatch, tmp_path, major, maven, message):
    monkeypatch.setattr(kafka_cluster, "_java_major", lambda: major)
    monkeypatch.setattr(kafka_cluster, "_libs_are_current", lambda: maven)
    monkeypatch.setenv("PATH", "")
    assert message in kafka_cluster.missing()
    with pytest.raises(KafkaClusterError, match=message.split()[0]):
        KafkaCluster(tmp_path).start()


@pytest.mark.kafka
@needs_kafka
async def test_one_broker_keeps_its_records_over_a_restart(cluster_of):
    cluster = cluster_of(1)
    servers = cluster.start()
    await create_topic(servers, "made", replication=1)
    async with idempotent_producer(servers) as producer:
        for number in range(20):
            await producer.send_and_wait("made", str(number).encode(), key=b"one")
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait("made", bytes(2 * 1024 * 1024))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await producer.send_and_wait("nobody-made-it", b"x")
    assert await topics(servers) == ["made"]
    cluster.stop()
    assert not cluster.is_running(1)
    assert cluster.start() == servers
    assert await read(servers, "made", 20) == [str(number).encode() for number in range(20)]


@pytest.mark.kafka
@needs_kafka
def test_the_command_runs_until_it_is_told_to_end(tmp_path):
    command = [sys.executable, "-m", "handoff_kit.kafka_cluster", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert any("HANDOFF_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:" in line for line in lines)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.strip() == "Kafka has ended."
    assert list(kafka_cluster._running_in(tmp_path)) == []


@pytest.mark.kafka
@pytest.mark.slow
@needs_kafka
async def test_three_brokers_lose_nothing_when_one_is_killed(three_brokers):
    cluster = three_brokers
    servers = cluster.bootstrap_servers
    await create_topic(servers, "made", replication=3)
    acknowledged: list[bytes] = []

    async def write() -> None:
        async with idempotent_producer(servers) as producer:
            for number in range(400):
                value = str(number).encode()
                await producer.send_and_wait("made", value, key=value)
                acknowledged.append(value)
                await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    while len(acknowledged) < 100 and not writing.done():
        await asyncio.sleep(0.05)
    await asyncio.to_thread(cluster.kill, 2)
    assert not cluster.is_running(2)
    await asyncio.wait_for(writing, timeout=120)
    assert len(acknowledged) == 400
    assert sorted(await read(servers, "made", 400)) == sorted(acknowledged)
    await asyncio.to_thread(cluster.start_node, 2)
    await asyncio.to_thread(cluster.stop_node, 1)
    assert sorted(await read(servers, "made", 400)) == sorted(acknowledged)


@pytest.mark.kafka
@pytest.mark.slow
@needs_kafka
def test_brokers_of_a_killed_starter_are_replaced(tmp_path, cluster_of):
    script = (
        "import sys, os, signal; from pathlib import Path;"
        "from handoff_kit.kafka_cluster import KafkaCluster;"
        "KafkaCluster(Path(sys.argv[1])).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "kafka")], check=False)
    cluster = cluster_of(1)
    (left_behind,) = kafka_cluster._running_in(cluster.folder)
    cluster.start()
    (running,) = kafka_cluster._running_in(cluster.folder)
    assert running.pid != left_behind.pid
    assert os.getpid() in [parent.pid for parent in psutil.Process(running.pid).parents()]
