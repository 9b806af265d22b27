"""Commands from outside, gathered into sets: what arrives while one commits shares the next.

Every command is answered after the commit of its set. When a set fails as a whole, each of its
commands is run alone, so that one cannot fail its neighbours. The same handler that takes a
consumer's set takes the doorway's.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import asyncpg
import orjson

from handoff_kit.db import DATABASE_AWAY, Connection, Database
from handoff_kit.errors import Conflict, HandoffError, IdempotencyMismatch, Unavailable
from handoff_kit.faults import async_fault
from handoff_kit.sets import Part
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)
C = TypeVar("C")
KEPT_DAYS = 7
_TURNS = 3
_LEAST = 8  # A smaller set is not divided.
_ANSWERS = """answered AS (
    INSERT INTO {schema}.idempotency
        (agency_id, client, route, key, request_hash, status, headers, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::int[],
        $7::text[], $8::bytea[])
)"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command is answered with: status, body (an object or JSON bytes), headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else orjson.dumps(self.body, default=str)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One use of an Idempotency-Key: scoped to agency, client and route; *body* as received."""

    agency: str
    client: str
    route: str
    key: str
    body: bytes

    @property
    def scope(self) -> tuple[str, str, str, str]:
        return (self.agency, self.client, self.route, self.key)


@dataclass(slots=True)
class _Waiting(Generic[C]):
    command: C
    idempotency: Idempotency | None
    answer: "asyncio.Future[Answer]"


Apply = Callable[[Tx, Sequence[C]], Awaitable[Sequence[Answer | HandoffError]]]


class Doorway(Generic[C]):
    """Takes commands one by one and runs them in sets.

    ``writers`` sets may be in flight at once; a set has at most ``most`` commands. More than
    ``queue`` waiting commands are refused with 503: better a clear no than a long silence.
    ``linger``: seconds in which a set may fill, where nobody waits for the answer.
    """

    def __init__(
        self,
        db: Database,
        apply: Apply[C],
        wakes: Wakes,
        *,
        hash_key: bytes,
        writers: int = 2,
        most: int = 128,
        queue: int = 2000,
        linger: float = 0.0,
    ) -> None:
        self._db = db
        self._apply = apply
        self._wakes = wakes
        self._hash_key = hash_key
        self._writers = writers
        self._most = most
        self._queue = queue
        self._linger = linger
        self._waiting: list[_Waiting[C]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._free = set(range(writers))
        self._starting = False  # A writer has not taken its set yet.
        self._in_hand = 0  # Commands of the sets under way.
        self._loop: asyncio.AbstractEventLoop | None = None

    async def submit(self, command: C, *, idempotency: Idempotency | None = None) -> Answer:
        """Run *command* durably and answer it.

        Raises: the HandoffError that refused it; Conflict ``in-flight`` while the same
        Idempotency-Key is being served; IdempotencyMismatch for another body under the same key;
        Unavailable when the database is away or too much waits.
        """
        if len(self._waiting) >= self._queue:
            raise Unavailable("too many requests wait; try again in a moment", retry_after=1)
        if self._loop is None:  # Kept: to ask which loop runs is a system call in Python 3.11.
            self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append(_Waiting(command, idempotency, answer))
        self._kick()
        # A client that goes away takes back its wait, not what it sent.
        return await answer

    async def close(self) -> None:
        """Wait for what is in flight."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    def _kick(self) -> None:
        if not self._free or not self._waiting or self._starting:
            return
        # While a set is under way, a few commands wait for more: a transaction of their own would
        # take as long as that of many.
        if self._in_hand and 2 * len(self._waiting) < self._share():
            return
        self._starting = True
        writer = self._free.pop()
        # A set is of many requests: it must not stand in the trace of the one that began it.
        task = asyncio.create_task(self._serve(writer), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _share(self) -> int:
        """A writer's fair part of all that is under way. With one that takes all and one that gets
        the rest, nothing is decided while the large set waits for the database.
        """
        return -(-(self._in_hand + len(self._waiting)) // self._writers)

    async def _serve(self, writer: int) -> None:
        # Requests that are being read at this moment hand in their commands first: fuller sets
        # cost less each, and three turns of the loop cost next to nothing.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._linger:
            await asyncio.sleep(self._linger)
        count = min(max(self._share(), _LEAST), self._most)
        members, self._waiting = self._waiting[:count], self._waiting[count:]
        self._starting = False
        self._in_hand += len(members)
        self._kick()
        try:
            await self._run(members, writer)
        finally:
            self._in_hand -= len(members)
            self._free.add(writer)
            self._kick()

    async def _run(self, members: list[_Waiting[C]], writer: int) -> None:
        try:
            results, emitted = await self._commit(members, writer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours go through
            if len(members) > 1:
                for member in members:
                    await self._run([member], writer)
                return
            _refuse(members[0], error)
            return
        if emitted:
            self._wakes.wake(f"outbox:{self._db.service}")
        await async_fault("doorway.before_answer")
        for member, result in zip(members, results, strict=True):
            if member.answer.done():
                continue
            if isinstance(result, HandoffError):
                member.answer.set_exception(result)
            else:
                member.answer.set_result(result)

    async def _commit(
        self, members: list[_Waiting[C]], writer: int
    ) -> tuple[list[Answer | HandoffError], bool]:
        results: list[Answer | HandoffError | None] = [None] * len(members)
        async with self._db.sets() as connection:
            keyed = [i for i, m in enumerate(members) if m.idempotency is not None]
            if keyed:
                now = await self._claim(connection, members, keyed, results)
            else:
                now = await connection.fetchval("SELECT clock_timestamp()")
            open_ = [i for i, result in enumerate(results) if result is None]
            tx = Tx(connection, now, self._db.service, writer)
            if open_:
                answers = await self._apply(tx, [members[i].command for i in open_])
                for i, answer in zip(open_, answers, strict=True):
                    results[i] = answer
            self._store(tx, members, open_, results)
            await tx.save()
            await async_fault("doorway.before_commit")
        await async_fault("doorway.after_commit")
        return [r for r in results if r is not None], bool(tx.emitted)

    def _hash(self, request: Idempotency) -> bytes:
        """Keyed, so that a stored hash does not let anybody guess what a body said."""
        return hmac.digest(self._hash_key, request.body, hashlib.sha256)

    async def _claim(
        self,
        connection: Connection,
        members: Sequence[_Waiting[C]],
        keyed: Sequence[int],
        results: list[Answer | HandoffError | None],
    ) -> Any:
        """Claim the keys of a set, answer what was answered before; returns the database's time."""
        first: dict[tuple[str, str, str, str], int] = {}
        for i in keyed:
            request = members[i].idempotency
            assert request is not None
            if request.scope in first:
                results[i] = Conflict("this Idempotency-Key is in flight", code="in-flight")
            else:
                first[request.scope] = i
        scopes = list(first)
        columns = [[s[n] for s in scopes] for n in range(4)]
        # The lock first, in a statement of its own: the look-up must see what its holder committed.
        locks = await connection.fetch(
            "SELECT n, pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\\x1f', a, c, r, k),"
            " 7)) AS got, clock_timestamp() AS now FROM unnest($1::text[], $2::text[],"
            " $3::text[], $4::text[]) WITH ORDINALITY AS v(a, c, r, k, n)",
            *columns,
        )
        stored = await connection.fetch(
            "SELECT v.n, i.request_hash, i.status, i.headers, i.body FROM unnest($1::text[],"
            " $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS v(a, c, r, k, n),"
            f" LATERAL (SELECT * FROM {self._db.service}.idempotency i WHERE i.agency_id = v.a"
            " AND i.client = v.c AND i.route = v.r AND i.key = v.k LIMIT 1) i",
            *columns,
        )
        known = {row["n"]: row for row in stored}
        for lock in locks:
            i = first[scopes[lock["n"] - 1]]
            row = known.get(lock["n"])
            request = members[i].idempotency
            assert request is not None
            if row is not None:
                if hmac.compare_digest(row["request_hash"], self._hash(request)):
                    results[i] = Answer(row["status"], row["body"], orjson.loads(row["headers"]))
                else:
                    results[i] = IdempotencyMismatch(
                        "this Idempotency-Key was used with another body; take a new key"
                    )
            elif not lock["got"]:
                results[i] = Conflict("this Idempotency-Key is in flight", code="in-flight")
        return locks[0]["now"]

    def _store(
        self,
        tx: Tx,
        members: Sequence[_Waiting[C]],
        open_: Sequence[int],
        results: Sequence[Answer | HandoffError | None],
    ) -> None:
        """Keep the answers given under a key; a refusal wrote nothing and is not kept."""
        rows = []
        for i in open_:
            request, result = members[i].idempotency, results[i]
            if request is not None and isinstance(result, Answer):
                rows.append(
                    (
                        *request.scope,
                        self._hash(request),
                        result.status,
                        orjson.dumps(dict(result.headers)).decode(),
                        result.content(),
                    )
                )
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            tx.write(Part(_ANSWERS.format(schema=self._db.service), columns))


def _refuse(member: _Waiting[Any], error: BaseException) -> None:
    if member.answer.done():
        return
    if isinstance(error, HandoffError):
        member.answer.set_exception(error)
    elif isinstance(error, (*DATABASE_AWAY, asyncpg.UniqueViolationError)):
        # A unique violation here is a race that a second try decides.
        member.answer.set_exception(
            Unavailable("this could not be stored now; try again", retry_after=1)
        )
    else:
        log.error("a command failed", exc_info=error)
        member.answer.set_exception(error)


async def forget_old_answers(connection: Connection, schema: str) -> int:
    """Drop stored answers older than seven days; how many went."""
    status = await connection.execute(
        f"DELETE FROM {schema}.idempotency WHERE created_at < now() - make_interval(days => $1)",
        KEPT_DAYS,
    )
    return int(status.rsplit(" ", 1)[-1])
