"""How records are sent to Apache Kafka: as batches, and where other clients would put them."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Outgoing

pytestmark = pytest.mark.kafka
TOPIC = "handoff.cases"


@pytest.fixture
async def settings(kafka_bootstrap):
    settings = KafkaSettings(kafka_bootstrap)
    await KafkaLog(settings).create_topics({TOPIC: (12, None)})
    return settings


@pytest.fixture
async def publisher(settings):
    publisher = KafkaPublisher(settings)
    yield publisher
    await publisher.close()


@pytest.fixture
async def read_on(settings):
    """Starts where the topic ends now; reads that many records of a key, with their partitions."""
    consumer = AIOKafkaConsumer(**settings.client(), max_partition_fetch_bytes=4_000_000)
    await consumer.start()
    consumer.assign([TopicPartition(TOPIC, n) for n in range(12)])
    await consumer.seek_to_end()

    async def read(keys: set[str], number: int):
        found = []
        async with asyncio.timeout(30):
            while len(found) < number:
                record = await consumer.getone()
                if record.key.decode() in keys:
                    found.append(record)
        return found

    yield read
    await consumer.stop()


def record(key: str, value: bytes) -> Outgoing:
    return Outgoing(TOPIC, key, {"ce_id": str(uuid4())}, value)


async def test_what_does_not_fit_one_batch_is_sent_in_order(publisher, read_on):
    key, other = str(uuid4()), str(uuid4())
    sizes = [300_000, 300_000, 10, 990_000, 20, 400_000, 400_000, 30]
    sent = [record(key, b"x" * size) for size in sizes]
    sent[3:3] = [record(other, b"y")]
    assert await publisher.send(sent) == [None] * len(sent)
    found = await read_on({key}, len(sizes))
    assert [len(r.value) for r in found] == sizes


async def test_a_key_is_put_where_another_client_puts_it(settings, publisher, read_on):
    """A department's own client and ours agree, so that a key has one partition."""
    keys = [str(uuid4()) for _ in range(30)] + ["x", "ключ", "a" * 300]
    assert await publisher.send([record(key, b"ours") for key in keys]) == [None] * len(keys)
    plain = AIOKafkaProducer(**settings.client())
    await plain.start()
    for key in keys:
        await plain.send_and_wait(TOPIC, b"theirs", key=key.encode())
    await plain.stop()
    partitions: dict[bytes, set[int]] = {}
    for found in await read_on(set(keys), 2 * len(keys)):
        partitions.setdefault(found.key, set()).add(found.partition)
    assert len(partitions) == len(keys)
    assert all(len(where) == 1 for where in partitions.values())
    assert len(set().union(*partitions.values())) > 6


async def test_after_a_failure_the_rest_of_a_key_counts_as_failed(publisher):
    key, other = str(uuid4()), str(uuid4())
    sent = [
        record(key, b"1"),
        record(key, b"2" * 2_000_000),
        record(key, b"3"),
        record(other, b"1"),
    ]
    first, large, after, elsewhere = await publisher.send(sent)
    assert first is None
    assert elsewhere is None
    assert "larger" in str(large)
    assert after is large
