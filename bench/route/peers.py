"""B1's peers: FastStream with SQLModel, and a plain aiokafka loop with SQLModel.

Written as their documentation shows it: one message, one session, one transaction; rows are added
as objects, the commit, then the events. They ask the same two questions of the database, decide by
the same code as ours, and write the same case, need, offer, timeline, match and turn, and the same
events. What they need not do: no outbox, no gate against duplicates, no sequences. Offsets are
committed by their libraries' own default, every five seconds, which is the fastest.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from event_schemas.base import Event
from event_schemas.referrals import NeedRequested
from event_schemas.registry import TOPICS
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from handoff_cli.demo_city.ids import AGENCY
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.cities import city_folder
from handoff_kit.consumer import Received
from handoff_kit.db import connect
from handoff_kit.tx import Cause, Tx
from referral_svc.handlers.requested import need_requested
from referral_svc.handlers.work import Work
from referral_svc.handlers.world import World
from referral_svc.settings.policy import load_policy
from referral_svc.tables import (
    CaseRow,
    ConsentRow,
    MatchRow,
    NeedRow,
    OfferRow,
    TimelineRow,
    TurnRow,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.route.limit import ROLE
from bench.route.needs import needs, outgoing

Publish = Callable[[str, bytes, bytes, Mapping[str, str]], Awaitable[Any]]


@dataclass
class Peer:
    """What both peers share: the engine, the decision, and how an event is said."""

    engine: AsyncEngine
    world: World
    number: int
    done: int = 0
    began: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(
        self, event: NeedRequested, headers: Mapping[str, str], publish: Publish
    ) -> None:
        """One message: its transaction, then its events."""
        now, agency = datetime.now(UTC), headers["ce_agency"]
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            if await session.get(CaseRow, (agency, event.case_id)) is not None:
                return
            ended = set()
            if event.consent_id is not None:
                consent = await session.get(ConsentRow, (agency, event.consent_id))
                if consent is not None and consent.over:
                    ended.add((agency, event.consent_id))
            work = self._decide(event, headers, now, ended)
            session.add_all(_rows(work, now))
            await _shared(session, work, now)
            await session.commit()
        await asyncio.gather(
            *(
                publish(
                    said.topic_name(),
                    said.key_value().encode(),
                    said.model_dump_json(exclude_none=True, by_alias=True).encode(),
                    _headers(said, owner, cause),
                )
                for said, owner, cause in work.said
            )
        )
        self.count()

    def _decide(
        self, event: NeedRequested, headers: Mapping[str, str], now: datetime, ended: set[Any]
    ) -> Work:
        work = Work(self.world, Tx(None, now, "referral"), {}, ended)
        work.cause = Cause(headers["traceparent"])
        received = Received(
            event,
            headers["ce_id"],
            headers["ce_source"],
            headers["ce_agency"],
            now,
            event.topic_name(),
            event.key_value(),
            None,
            work.cause,
        )
        need_requested(work, received)
        return work

    def count(self) -> None:
        self.done += 1
        if self.done == self.number:
            self.ended.set()

    def begin(self) -> None:
        if self.began is None:
            self.began = time.perf_counter()


def _row(model: type[SQLModel], record: Any) -> SQLModel:
    return model(**{f.name: getattr(record, f.name) for f in fields(record)})


def _rows(work: Work, now: datetime) -> list[SQLModel]:
    rows: list[SQLModel] = []
    for bundle in work.bundles.values():
        case = bundle.case
        rows.append(_row(CaseRow, case))
        rows += [_row(NeedRow, need) for need in bundle.needs.values()]
        rows += [_row(OfferRow, offer) for offer in bundle.offers.values()]
        page = TimelineRow(
            agency_id=case.agency_id,
            case_id=case.id,
            n=case.version,
            at=now,
            entries=bundle.written,
        )
        rows.append(page)
    return rows


async def _shared(session: AsyncSession, work: Work, now: datetime) -> None:
    """Rows that other messages write too: the turn of who was asked, and a match not yet stored."""
    from referral_svc.handlers.work import _match_row

    for (agency, id_), asked in work.turned.items():
        statement = insert(TurnRow).values(agency_id=agency, id=id_, asked=asked)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["agency_id", "id"], set_={"asked": statement.excluded.asked}
            )
        )
    for key, match in work.matches.items():
        if key not in work.world.stored:
            row = _match_row(key[0], match, now)
            await session.execute(insert(MatchRow).values(**row).on_conflict_do_nothing())
            work.world.stored.add(key)


def _headers(event: Event, agency: str, cause: Cause | None) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": "/handoff/referral",
        "ce_type": event.TYPE,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_subject": event.key_value(),
        "ce_agency": agency,
        "traceparent": (cause or Cause.new()).child(),
        "content-type": "application/json",
    }


async def _prepared(url: str, number: int, bootstrap: str) -> tuple[Peer, str]:
    """A peer, and the name of a topic of its own that holds its messages."""
    world = World(load_policy(city_folder("demo")))
    connection = await connect(url, ROLE)
    await world.sync(connection, {AGENCY})
    await connection.close()
    topic = f"bench.needs.{uuid4().hex[:12]}"
    kafka = KafkaSettings(bootstrap)
    kept = {t.name: (t.partitions, None) for t in TOPICS.values()}
    await KafkaLog(kafka).create_topics({topic: (12, None), **kept})
    publisher = KafkaPublisher(kafka)
    given = [record._replace(topic=topic) for record in outgoing(needs(number), "intake")]
    assert not any(await publisher.send(given))
    await publisher.close()
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        connect_args={"server_settings": {"role": ROLE}},
        json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
    )
    return Peer(engine, world, number), topic


async def faststream(*, url: str, number: int, bootstrap: str) -> dict[str, Any]:
    """Seconds from the first message until the last one's events are acknowledged."""
    peer, topic = await _prepared(url, number, bootstrap)
    broker = KafkaBroker(bootstrap, logger=None)

    async def publish(to: str, key: bytes, value: bytes, headers: Mapping[str, str]) -> Any:
        return await broker.publish(value, to, key=key, headers=dict(headers))

    @broker.subscriber(topic, group_id=topic, auto_offset_reset="earliest")
    async def referral(event: NeedRequested, message: KafkaMessage) -> None:
        peer.begin()
        await peer.handle(event, message.headers, publish)

    await broker.start()
    await peer.ended.wait()
    ended = time.perf_counter()
    await broker.stop()
    await peer.engine.dispose()
    assert peer.began is not None
    return {"seconds": ended - peer.began}


async def aiokafka(*, url: str, number: int, bootstrap: str) -> dict[str, Any]:
    """The same without a framework: a consumer, a producer and a loop."""
    peer, topic = await _prepared(url, number, bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=topic, auto_offset_reset="earliest"
    )
    await producer.start()
    await consumer.start()

    async def publish(to: str, key: bytes, value: bytes, headers: Mapping[str, str]) -> Any:
        pairs = [(name, text.encode()) for name, text in headers.items()]
        return await producer.send_and_wait(to, value, key, headers=pairs)

    async for message in consumer:
        peer.begin()
        event = NeedRequested.model_validate_json(message.value)
        headers = {name: value.decode() for name, value in message.headers}
        await peer.handle(event, headers, publish)
        if peer.ended.is_set():
            break
    ended = time.perf_counter()
    await consumer.stop()
    await producer.stop()
    await peer.engine.dispose()
    assert peer.began is not None
    return {"seconds": ended - peer.began}
