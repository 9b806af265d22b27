"""What bounds B3: the commits and the round trips to the log that a referral cannot do without,
one after another on bare connections, without any logic.

Embedded log: intake's rows and outbox row (commit), outbox to log (commit), read the log,
referral's (commit), outbox to log (commit), read the log, partner's (commit). To the webhook the
last one is notify's, then a claim that need not be durable, and one exchange by HTTP. On Kafka, in
place of a move and a read: read the outbox, send with acknowledgement, fetch.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import asyncpg

from bench.latency.arrivals import percentile
from bench.latency.lines import Endpoint, Lines
from bench.stand import free_port

_ROW = b"x" * 1500
"""About what a step writes in rows."""
_TABLES = """
CREATE TABLE effect (id bigserial PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE outbox (id bigserial PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE log (log_offset bigserial PRIMARY KEY, body bytea NOT NULL);
"""
_STEP = "WITH e AS (INSERT INTO effect (body) VALUES ($1)) INSERT INTO outbox (body) VALUES ($2)"
_MOVE = """
WITH taken AS (DELETE FROM outbox RETURNING body) INSERT INTO log (body) SELECT body FROM taken
"""
_READ = "SELECT log_offset, body FROM log WHERE log_offset > $1 ORDER BY log_offset"
_LAST = "INSERT INTO effect (body) VALUES ($1)"
_CLAIM = """
UPDATE effect SET body = $2 WHERE id = (SELECT max(id) FROM effect WHERE id > $1) RETURNING id
"""
_POST = b"POST /hook HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 500\r\n\r\n" + b"x" * 500


async def bare(*, url: str, number: int, bootstrap: str | None = None) -> dict[str, Any]:
    """Median and 99th percentile, in ms, of *number* chains one after another."""
    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(4):  # intake, relay, reader, notify
            connections.append(await asyncpg.connect(url))
            stack.push_async_callback(connections[-1].close)
        await connections[0].execute(_TABLES)
        await connections[3].execute("SET synchronous_commit = off")
        log = (
            await stack.enter_async_context(_Kafka(bootstrap))
            if bootstrap
            else _Embedded(*connections[1:3])
        )
        endpoint = Endpoint(free_port(), lambda *_: None)
        await endpoint.start()
        stack.callback(endpoint.close)
        lines = Lines(endpoint.port)
        await lines.open(1)
        stack.callback(lines.close)
        visible, hooked = [], []
        for _ in range(number):
            began = time.perf_counter()
            for _ in range(2):
                await connections[0].execute(_STEP, _ROW, _ROW[:800])
                await log.pass_on(connections[1])
            await connections[0].execute(_LAST, _ROW)
            visible.append((time.perf_counter() - began) * 1e3)
            await connections[3].fetchval(_CLAIM, 0, _ROW)
            await lines.ask(_POST)
            hooked.append((time.perf_counter() - began) * 1e3)
    return {
        "visible": {"p50": percentile(visible, 0.5), "p99": percentile(visible, 0.99)},
        "hooked": {"p50": percentile(hooked, 0.5), "p99": percentile(hooked, 0.99)},
    }


class _Embedded:
    def __init__(self, relay: Any, reader: Any) -> None:
        self._relay, self._reader, self._at = relay, reader, 0

    async def pass_on(self, _connection: Any) -> None:
        await self._relay.execute(_MOVE)
        rows = await self._reader.fetch(_READ, self._at)
        self._at = rows[-1]["log_offset"]


class _Kafka:
    """A topic of its own with one partition, acknowledged by the broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._topic = f"bench-limit-{uuid4().hex[:8]}"
        self._producer: Any = None
        self._consumer: Any = None

    async def __aenter__(self) -> "_Kafka":
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
        from handoff_kit.bus.kafka import KafkaLog
        from handoff_kit.bus.kafka_settings import KafkaSettings

        log = KafkaLog(KafkaSettings(self._bootstrap))
        await log.create_topics({self._topic: (1, None)})
        await log.close()
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all")
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, fetch_max_wait_ms=500, auto_offset_reset="earliest"
        )
        await self._consumer.start()
        self._consumer.assign([TopicPartition(self._topic, 0)])
        return self

    async def pass_on(self, connection: Any) -> None:
        rows = await connection.fetch("SELECT id, body FROM outbox")
        fetching = asyncio.ensure_future(self._consumer.getone())
        await self._producer.send_and_wait(self._topic, rows[0]["body"])
        await fetching
        # Its rows go when nobody waits for them any more; here they would be seen again.
        await connection.execute("DELETE FROM outbox")

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._producer.stop()
