"""Apache Kafka as a log that groups read, by aiokafka."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from handoff_kit.bus.kafka_publisher import told_at
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Lookup, Place, Record, tell_of_lost
from handoff_kit.errors import Transient

log = logging.getLogger(__name__)
_TELL_SECONDS = 1.0
# While the group's coordinator is away aiokafka tries a commit for ever; nothing may wait for that.
_TELL_PATIENCE = 2.0
# While the group is joined anew aiokafka answers nothing, be it for minutes; a stop must get by.
_JOIN_PATIENCE = 5.0
_REJOIN_PATIENCE = 0.5
_STOP_PATIENCE = 3.0
_ENDS_PATIENCE = 2.0
_ENDS_UNKNOWN_SECONDS = 60.0
_ASK_PATIENCE = 10.0


class KafkaLog:
    """Opens readers. ``instance`` makes static members: one name for each replica and group."""

    def __init__(self, settings: KafkaSettings, *, instance: str | None = None) -> None:
        self._settings = settings
        self._instance = instance

    async def reader(self, group: str, topics: Sequence[str], lookup: Lookup) -> "KafkaReader":
        reader = KafkaReader(self._settings, group, topics, lookup, self._instance)
        await reader.start()
        return reader

    async def create_topics(self, topics: Mapping[str, tuple[int, float | None]]) -> None:
        """Make missing topics: replication 3 where there are brokers for it, else what there is."""
        admin = AIOKafkaAdminClient(**self._settings.client())
        await admin.start()
        try:
            brokers = len((await admin.describe_cluster())["brokers"])
            replication = min(3, brokers)
            existing = set(await admin.list_topics())
            new = [
                NewTopic(
                    name=name,
                    num_partitions=partitions,
                    replication_factor=replication,
                    topic_configs={
                        "cleanup.policy": "delete",
                        "retention.ms": "-1" if kept is None else str(int(kept * 1000)),
                        "min.insync.replicas": "2" if replication >= 3 else "1",
                        "unclean.leader.election.enable": "false",
                    },
                )
                for name, (partitions, kept) in topics.items()
                if name not in existing
            ]
            if new:
                with contextlib.suppress(TopicAlreadyExistsError):
                    await admin.create_topics(new)
        except KafkaError as error:
            raise Transient("the topics cannot be made now") from error
        finally:
            await admin.close()

    async def starts(self, places: Sequence[Place]) -> dict[Place, int]:
        """The earliest record that there still is, of each place. Raises: Transient."""
        return await self._ask(AIOKafkaConsumer.beginning_offsets, places)

    async def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """The offset of the next record, of each place. Raises: Transient."""
        return await self._ask(AIOKafkaConsumer.end_offsets, places)

    async def since(self, places: Sequence[Place], time: datetime) -> dict[Place, int]:
        """The first record of *time* or later, of each place; where there is none, the end.

        Raises: Transient.
        """

        async def question(
            consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
        ) -> dict[TopicPartition, int]:
            ends = await consumer.end_offsets(partitions)
            found = await consumer.offsets_for_times(
                {p: told_at(p.topic, time.timestamp()) for p in partitions}
            )
            return {p: at.offset if (at := found.get(p)) else ends[p] for p in partitions}

        return await self._ask(question, places)

    async def _ask(
        self,
        question: Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[dict[Any, int]]],
        places: Sequence[Place],
    ) -> dict[Place, int]:
        """One question to each broker for all the partitions that it leads."""
        consumer = AIOKafkaConsumer(**self._settings.client())
        try:
            async with asyncio.timeout(_ASK_PATIENCE):
                await consumer.start()
                found = await question(consumer, [TopicPartition(*place) for place in places])
        except (KafkaError, TimeoutError) as error:
            raise Transient("the brokers do not say where the log begins and ends") from error
        finally:
            await consumer.stop()
        return {(p.topic, p.partition): offset for p, offset in found.items()}

    async def close(self) -> None:
        """Readers close themselves."""


class KafkaReader:
    """One member of a group. Positions are the database's, sought at each assignment.

    Kafka's committed offsets are written for lag tools only and never read.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        lookup: Lookup,
        instance: str | None,
    ) -> None:
        self._topics = list(topics)
        self._lookup = lookup
        self._group = group
        self._told_at = 0.0
        # Whether the partitions that are ours now were sought; None while that is under way.
        self._sought: bool | None = True
        self._starting: asyncio.Task[None] | None = None
        self._seeks = 0  # Grows when a seek begins and when it ends.
        self._reading: asyncio.Task[tuple[int, dict[TopicPartition, list[Any]]]] | None = None
        self._behind: dict[Place, int] = {}
        self._measured_at = time.monotonic()
        self._consumer = AIOKafkaConsumer(
            **settings.client(),
            group_id=group,
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            max_poll_interval_ms=300_000,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
            retry_backoff_ms=200,
        )

    async def start(self) -> None:
        """Join the group. If the others let it wait, it goes on to join while it is read from."""
        self._consumer.subscribe(topics=self._topics, listener=_Seeker(self))
        self._starting = asyncio.create_task(self._consumer.start())
        try:
            await asyncio.wait({self._starting}, timeout=_JOIN_PATIENCE)
            self._check_started()
        except BaseException:
            await self.close()
            raise

    def _check_started(self) -> None:
        """Raises: Transient when the brokers were not reached or refused the start."""
        starting = self._starting
        if starting is None:
            return
        if not starting.done():
            if self._consumer._coordinator is None:
                raise Transient("the log cannot be reached now")
            return
        self._starting = None
        error = starting.exception()
        if isinstance(error, KafkaError):
            raise Transient("the log cannot be joined now") from error
        starting.result()

    async def seek(self, places: Sequence[Place]) -> None:
        """Go to where the database stands on *places*, loudly if the log has lost that place."""
        self._seeks += 1
        offsets = await self._lookup(sorted(places))
        partitions = [TopicPartition(t, p) for t, p in places]
        first = await self._consumer.beginning_offsets(partitions) if partitions else {}
        for partition in partitions:
            offset = offsets.get((partition.topic, partition.partition), 0)
            if first.get(partition, 0) > offset:
                tell_of_lost(
                    partition.topic, partition.partition, first[partition], self._group, offset
                )
            self._consumer.seek(partition, offset)
        self._seeks += 1

    def assigned(self) -> frozenset[Place]:
        return frozenset((p.topic, p.partition) for p in self._consumer.assignment())

    async def fetch(self, limit: int, wait: float, linger: float = 0.0) -> list[Record]:
        self._check_alive()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(limit, wait, linger))
        # Not cancelled when it takes longer: aiokafka would lose count of its fetches.
        done, _ = await asyncio.wait({self._reading}, timeout=wait + linger + _REJOIN_PATIENCE)
        if not done:
            return []
        reading, self._reading = self._reading, None
        try:
            seeks, batches = reading.result()
        except KafkaError as error:
            raise Transient(f"the log cannot be read now ({type(error).__name__})") from error
        if self._sought is not True:
            # Read from where Kafka thinks we stand; the seek brings them back if they are due.
            return []
        if batches and seeks != self._seeks:
            # A seek came in between: nobody knows from which side of it they are.
            await self.rewind()
            return []
        return [_record(message) for batch in batches.values() for message in batch]

    async def _read(
        self, limit: int, wait: float, linger: float
    ) -> tuple[int, dict[TopicPartition, list[Any]]]:
        seeks = self._seeks
        timeout = int(wait * 1000)
        batches = await self._consumer.getmany(timeout_ms=timeout, max_records=limit)
        left = limit - sum(map(len, batches.values()))
        if batches and left and linger:
            await asyncio.sleep(linger)
            more = await self._consumer.getmany(timeout_ms=0, max_records=left)
            for partition, records in more.items():
                batches.setdefault(partition, []).extend(records)
        return seeks, batches

    def _check_alive(self) -> None:
        """Raises: Transient when this consumer would answer nothing, or wrongly, for ever.

        aiokafka tells of a failed coordinator in ``getmany``, but not of a task that was
        cancelled, nor of a fetcher that ended, nor of a seek that failed in its listener.
        """
        self._check_started()
        if self._sought is False:
            raise Transient("the database's offsets could not be sought")
        coordination = self._consumer._coordinator._coordination_task
        if coordination.cancelled() or self._consumer._fetcher.error_future.done():
            raise Transient("the consumer's background tasks have ended")

    async def rewind(self) -> None:
        try:
            await self.seek(sorted(self.assigned()))
        except KafkaError as error:
            raise Transient("the log cannot be read now") from error

    async def told(self, committed: Mapping[Place, int]) -> None:
        now = time.monotonic()
        if now - self._told_at < _TELL_SECONDS:
            return
        self._told_at = now
        owned = self._consumer.assignment()
        offsets = {
            partition: committed[partition.topic, partition.partition]
            for partition in owned
            if (partition.topic, partition.partition) in committed
        }
        if not offsets:
            return
        try:
            await asyncio.wait_for(self._consumer.commit(offsets), _TELL_PATIENCE)
        except (KafkaError, TimeoutError) as error:
            # Only lag tools read it; the next one will say more.
            log.info(
                "the log did not note the offsets of %s: %s", self._group, type(error).__name__
            )

    async def lag(self) -> dict[Place, int]:
        """The ends are asked of the brokers: those that come with fetches stand still with them.

        Raises: Transient when they have not been known for a minute.
        """
        try:
            async with asyncio.timeout(_ENDS_PATIENCE):
                self._behind = await self._measure()
        except (KafkaError, TimeoutError) as error:
            # A leader may be moving: for a while, what was measured last is good enough.
            if time.monotonic() - self._measured_at > _ENDS_UNKNOWN_SECONDS:
                raise Transient("the log does not say where it ends") from error
            owned = self.assigned()
            return {place: behind for place, behind in self._behind.items() if place in owned}
        self._measured_at = time.monotonic()
        return self._behind

    async def _measure(self) -> dict[Place, int]:
        behind = {}
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions) if partitions else {}
        for partition, end in ends.items():
            position = await self._consumer.position(partition)
            behind[partition.topic, partition.partition] = max(0, end - position)
        return behind

    async def close(self) -> None:
        """Stop within seconds, also while the group is joined anew."""
        for task in (self._starting, self._reading):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if not await _ends_well(self._consumer.stop(), _STOP_PATIENCE):
            await _ends_well(self._abandon(), _STOP_PATIENCE)

    async def _abandon(self) -> None:
        """What ``stop`` would have done after it had waited for the group, or had broken off."""
        consumer = self._consumer
        if consumer._coordinator is not None:
            await consumer._coordinator._stop_heartbeat_task()
            await consumer._coordinator._stop_commit_offsets_refresh_task()
        if consumer._fetcher is not None:
            # Those that wait after a failed fetch end as cancelled, which its close lets out.
            fetching = [consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks]
            for task in fetching:
                task.cancel()
            await asyncio.gather(*fetching, return_exceptions=True)
            consumer._fetcher._pending_tasks.clear()
            await consumer._fetcher.close()
        await consumer._client.close()


async def _ends_well(work: Coroutine[Any, Any, None], seconds: float) -> bool:
    """Whether *work*, done in a task of its own, comes to its end within so many seconds.

    Of its own, since aiokafka lets the cancellation of its tasks out to whoever awaits it, as
    when a broker is away: to a group's task that would be its end, of which nobody hears.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=seconds)
    if not task.done() or task.cancelled():
        return False
    error = task.exception()
    if error is not None and not isinstance(error, KafkaError):
        log.error("a reader was not closed in order", exc_info=error)
    return error is None


class _Seeker(ConsumerRebalanceListener):  # type: ignore[misc]
    """Seeks on assignment. It holds no lock, so it cannot wait for a fetch that waits for it."""

    def __init__(self, reader: KafkaReader) -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Nothing: what is in hand is fenced by the database's offset."""

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """What is raised here aiokafka only logs, so the reader remembers it and stops reading."""
        self._reader._sought = None
        try:
            await self._reader.seek([(p.topic, p.partition) for p in assigned])
        except BaseException:
            self._reader._sought = False
            raise
        self._reader._sought = True


def _record(message: Any) -> Record:
    headers = {
        name: value.decode("utf-8", "replace") if value is not None else ""
        for name, value in message.headers
    }
    key = message.key.decode("utf-8", "replace") if message.key is not None else ""
    return Record(
        message.topic, message.partition, message.offset, key, headers, message.value or b""
    )
