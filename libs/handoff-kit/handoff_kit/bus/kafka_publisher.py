"""Records on their way to Apache Kafka, by aiokafka, as one batch a partition."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from event_schemas.registry import is_restricted

from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import MAX_RECORD_BYTES, Outgoing, Rejected
from handoff_kit.errors import Transient

# Half of what a broker takes as one batch by its defaults; a larger record goes alone.
_BATCH_BYTES = 512 * 1024
_TIMEOUT_SECONDS = 20


class KafkaPublisher:
    """An idempotent producer, made anew after any failure: a producer that failed may stay so.

    ``producer.send`` costs some ten times what a record costs in a batch: a look at the metadata,
    a hash of the key in Python, two futures, and a wait for the broker every 16 KB of a partition.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._settings.client(),
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=_TIMEOUT_SECONDS * 1000,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
            except KafkaError as error:
                await _stop(producer)
                raise Transient("the log cannot be reached now") from error
            self._producer = producer
        return self._producer

    async def send(self, records: Sequence[Outgoing]) -> list[BaseException | None]:
        producer = await self._ready()
        results: list[BaseException | None] = [None] * len(records)
        placed = await self._place(producer, records, results)
        sending: list[tuple[list[int], asyncio.Future[Any]]] = []
        for partition, members in placed.items():
            for batch, among in _batches(producer, partition.topic, records, members):
                try:
                    done = await producer.send_batch(
                        batch, partition.topic, partition=partition.partition
                    )
                except KafkaError as error:
                    _fail(results, among, error)
                else:
                    sending.append((among, done))
        outcomes = await asyncio.gather(*(done for _, done in sending), return_exceptions=True)
        for (among, _), outcome in zip(sending, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                _fail(results, among, _reason(outcome))
        _skip_rest_of_failed_keys(records, results)
        if any(r is not None and not isinstance(r, Rejected) for r in results):
            await self.close()
        return results

    async def _place(
        self,
        producer: AIOKafkaProducer,
        records: Sequence[Outgoing],
        results: list[BaseException | None],
    ) -> dict[TopicPartition, list[int]]:
        """The partition of each record, as Kafka's own clients choose it by the key."""
        hashes: dict[str, int] = {}  # Of a key, which several topics share: a hash costs 5 µs.
        topics: dict[str, list[TopicPartition] | KafkaError] = {}
        placed: dict[TopicPartition, list[int]] = {}
        for i, (topic, key, _, value) in enumerate(records):
            if len(value) > MAX_RECORD_BYTES:
                results[i] = Rejected(
                    f"a record of {len(value)} bytes is larger than {MAX_RECORD_BYTES}"
                )
                continue
            partitions = topics.get(topic)
            if partitions is None:
                partitions = topics[topic] = await _partitions(producer, topic)
            if isinstance(partitions, KafkaError):
                results[i] = partitions
                continue
            number = hashes.get(key)
            if number is None:
                number = hashes[key] = murmur2(key.encode()) & 0x7FFFFFFF
            where = partitions[number % len(partitions)]
            placed.setdefault(where, []).append(i)
        return placed

    async def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _stop(producer)


async def _partitions(producer: AIOKafkaProducer, topic: str) -> list[TopicPartition] | KafkaError:
    try:
        return [TopicPartition(topic, n) for n in sorted(await producer.partitions_for(topic))]
    except KafkaError as error:
        return error


def _batches(
    producer: AIOKafkaProducer, topic: str, records: Sequence[Outgoing], members: Sequence[int]
) -> Iterator[tuple[BatchBuilder, list[int]]]:
    """Batches of one partition, in order, and which records each has."""
    timestamp = told_at(topic, time.time())
    batch, among = producer.create_batch(), list[int]()
    for i in members:
        record = records[i]
        key, headers = (
            record.key.encode(),
            [(n, text.encode()) for n, text in record.headers.items()],
        )
        if batch.append(timestamp=timestamp, key=key, value=record.value, headers=headers) is None:
            yield batch, among
            batch, among = producer.create_batch(), []
            batch.append(timestamp=timestamp, key=key, value=record.value, headers=headers)
        among.append(i)
    batch.close()
    yield batch, among


def told_at(topic: str, seconds: float) -> int:
    """The time that a record bears, ms: of a restricted topic only the minute."""
    return int(seconds // 60) * 60_000 if is_restricted(topic) else int(seconds * 1000)


def _reason(error: BaseException) -> BaseException:
    if isinstance(error, MessageSizeTooLargeError):
        return Rejected("the record is larger than the log takes")
    return error


def _fail(results: list[BaseException | None], among: Sequence[int], error: BaseException) -> None:
    for i in among:
        results[i] = error


def _skip_rest_of_failed_keys(
    records: Sequence[Outgoing], results: list[BaseException | None]
) -> None:
    if not any(results):
        return
    failed: dict[tuple[str, str], BaseException] = {}
    for i, record in enumerate(records):
        where, error = (record.topic, record.key), results[i]
        if error is not None:
            failed.setdefault(where, error)
        elif where in failed:
            results[i] = failed[where]


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, asyncio.TimeoutError):
        await asyncio.wait_for(producer.stop(), 10)
