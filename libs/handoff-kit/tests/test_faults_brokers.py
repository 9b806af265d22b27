"""Three brokers of Apache Kafka, one of which is lost for twenty seconds."""

import asyncio
import time
from collections import Counter
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.errors import Transient
from handoff_kit.groups import GroupRunner
from handoff_kit.outbox import Relay, Sender
from handoff_kit.wakes import Wakes

DOWN_SECONDS = 20


async def leaders(settings: KafkaSettings) -> Counter[int]:
    """How many partitions of the topic each broker leads."""
    consumer = AIOKafkaConsumer(**settings.client())
    await consumer.start()
    try:
        await consumer.end_offsets([TopicPartition("handoff.cases", 0)])
        cluster = consumer._client.cluster
        return Counter(
            cluster.leader_for_partition(TopicPartition("handoff.cases", p)) for p in range(12)
        )
    finally:
        await consumer.stop()


async def create(log: KafkaLog) -> None:
    for _ in range(20):
        try:
            await log.create_topics({"handoff.cases": (12, None), "handoff.parked": (12, None)})
            return
        except Transient:
            await asyncio.sleep(0.5)
    raise AssertionError("the topics could not be made")


@pytest.mark.kafka
@pytest.mark.slow
async def test_f16_a_broker_down_for_twenty_seconds_loses_doubles_and_swaps_nothing(
    three_brokers, db, database, admin, group, closed, emit, whole, until
):
    cluster = three_brokers
    settings = KafkaSettings(cluster.bootstrap_servers)
    wakes, stop = Wakes(), asyncio.Event()
    publisher = KafkaPublisher(settings)
    cases = [uuid4() for _ in range(20)]
    try:
        await create(KafkaLog(settings))
        relay = Relay(database.url, "toy", Sender("toy", publisher), wakes)
        runner = GroupRunner(db, group, KafkaLog(settings), wakes)
        running = [asyncio.create_task(relay.run(stop)), asyncio.create_task(runner.run(stop))]
        said = 0

        async def say(seconds: float) -> None:
            nonlocal said
            until_ = time.monotonic() + seconds
            while time.monotonic() < until_:
                said += 1
                await emit(db, [closed(c, said) for c in cases])
                await asyncio.sleep(0.1)

        await say(2)
        await whole(cases, said)
        victim = (await leaders(settings)).most_common(1)[0][0]
        assert victim in (1, 2, 3)
        await asyncio.to_thread(cluster.kill, victim)
        await say(DOWN_SECONDS)
        # Two of three brokers are enough: what was said meanwhile has gone through.
        await whole(cases, said)
        assert victim not in await leaders(settings)
        await asyncio.to_thread(cluster.start_node, victim)
        await say(2)
        await whole(cases, said, 60)

        async def deleted() -> bool:
            return not await admin.fetchval("SELECT count(*) FROM toy.outbox")

        await until(deleted)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*running), 30)
    finally:
        stop.set()
        await publisher.close()
