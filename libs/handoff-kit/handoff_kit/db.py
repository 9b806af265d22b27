"""Connections of one service to PostgreSQL.

Two pools, two roles, neither of which owns a table or can bypass row-level security:

* ``handoff_<svc>`` reads for one caller: every row is filtered by the caller's agency, a second
  wall behind the query's own predicate;
* ``handoff_<svc>_sets`` runs the sets of the doorway and of the consumers, which may hold several
  agencies and join on ``(agency_id, id)``.

Both take their role by the ``role`` start-up parameter; the tenant is transaction-local.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncpg
import orjson

from handoff_kit.errors import Transient, Unavailable

Connection: TypeAlias = Any  # asyncpg.Connection or its pool proxy; asyncpg ships no types.

# What a lost, restarting or overloaded database raises: retried, never parked.
DATABASE_AWAY: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    TimeoutError,
)

# A process that was stopped in the midst of a set holds the set's rows: of its group's offsets, of
# cases. After this long the database ends the set, and whoever took over goes on. It is shorter
# than the wait for a lock, so that who waits gets it; nobody decides a set for as long as this.
IDLE_SET_SECONDS = 8
LOCK_SECONDS = 10
_IDLE_READ_SECONDS = 60

# The same and our own word for it: pause, then try again.
AWAY: tuple[type[Exception], ...] = (Transient, *DATABASE_AWAY)


class Record(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns are attributes too."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class RoleTooPowerful(RuntimeError):
    """The role of a pool owns tables or can bypass row-level security: refuse to start."""


async def prepare(connection: Connection) -> None:
    """Teach a new connection to take and give JSONB as Python objects."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: orjson.dumps(value, default=str).decode(),
        decoder=orjson.loads,
        format="text",
    )


class _Pooled(asyncpg.Connection):  # type: ignore[misc]
    """A connection of a pool. Whoever has it runs one transaction in which all is local: settings,
    locks, cursors. So nothing is left to reset, which would be a round trip after each set.
    """

    def get_reset_query(self) -> str:
        return ""


async def connect(
    dsn: str, role: str | None = None, *, name: str = "handoff", idle_seconds: int = 0
) -> Connection:
    """One connection outside any pool, for locks and notifications.

    *idle_seconds*: the database ends it, and its locks, when it is silent for so long; 0: never.
    """
    settings = {"application_name": name, "idle_session_timeout": f"{idle_seconds}s"}
    if role:
        settings["role"] = role
    connection = await asyncpg.connect(
        dsn, server_settings=settings, timeout=10, record_class=Record
    )
    await prepare(connection)
    return connection


def role_made(role: str) -> str:
    """The statement that makes a role without any power of its own, where it is missing.

    Roles belong to the cluster: another database of it may have made them already.
    """
    return (
        "DO $$ BEGIN"
        f" CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


class Pool:
    """Connections of one role, made when needed and closed when idle."""

    def __init__(
        self,
        dsn: str,
        role: str,
        *,
        name: str,
        max_size: int,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._made = partial(
            asyncpg.create_pool,
            dsn,
            min_size=0,
            max_size=max_size,
            max_inactive_connection_lifetime=30,
            init=prepare,
            timeout=10,
            server_settings={"application_name": name, "role": role, **settings},
            record_class=Record,
            connection_class=_Pooled,
        )
        self._pool: asyncpg.Pool | None = None
        self._lock = asyncio.Lock()

    async def _ready(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._lock:
                if self._pool is None:
                    self._pool = await self._made()
        return self._pool

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Raises: Unavailable when no connection is to be had in five seconds."""
        try:
            pool = await self._ready()
            connection = await pool.acquire(timeout=5)
        except DATABASE_AWAY as error:
            raise Unavailable("the database cannot be reached now; try again") from error
        try:
            yield connection
        except (asyncpg.InternalClientError, asyncpg.InterfaceError):
            connection.terminate()  # Its protocol is out of step: nobody may get it again.
            raise
        finally:
            await pool.release(connection, timeout=5)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()


class Database:
    """The pools of one service."""

    def __init__(self, dsn: str, service: str, *, max_size: int = 6) -> None:
        self.dsn = dsn
        self.service = service
        self._tenant = self._pool(self.tenant_role, max_size, _IDLE_READ_SECONDS, seqscan="on")
        # A plan made while a table was empty must not stay when it has grown.
        self._sets = self._pool(self.sets_role, max_size, IDLE_SET_SECONDS, seqscan="off")

    def _pool(self, role: str, max_size: int, idle: int, seqscan: str) -> Pool:
        return Pool(
            self.dsn,
            role,
            name=f"handoff-{self.service}",
            max_size=max_size,
            settings={
                "search_path": f"{self.service},pg_catalog",
                "lock_timeout": f"{LOCK_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{idle}s",
                "enable_seqscan": seqscan,
                "jit": "off",
            },
        )

    @property
    def tenant_role(self) -> str:
        return f"handoff_{self.service}"

    @property
    def sets_role(self) -> str:
        return f"handoff_{self.service}_sets"

    @asynccontextmanager
    async def sets(self, *, snapshot: bool = False) -> AsyncIterator[Connection]:
        """A transaction that may hold several agencies. Commits unless the block raises.

        With *snapshot* every statement sees the moment of the first one.
        """
        isolation = "repeatable_read" if snapshot else "read_committed"
        async with (
            self._sets.acquire() as connection,
            connection.transaction(isolation=isolation),
        ):
            yield connection

    @asynccontextmanager
    async def tenant(self, agency: str) -> AsyncIterator[Connection]:
        """A read-only transaction that sees the rows of *agency* alone."""
        async with (
            self._tenant.acquire() as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute("SELECT set_config('handoff.agency', $1, true)", agency)
            yield connection

    async def check_roles(self) -> None:
        """Refuse to run with a role that could see past its tenant.

        Raises: RoleTooPowerful, naming the role.
        """
        for role, pool in ((self.tenant_role, self._tenant), (self.sets_role, self._sets)):
            async with pool.acquire() as connection:
                row = await connection.fetchrow(
                    "SELECT current_user AS name, rolsuper OR rolbypassrls AS powerful,"
                    " EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                    "  WHERE nspname = $1 AND relowner = r.oid) AS owner"
                    " FROM pg_roles r WHERE rolname = current_user",
                    self.service,
                )
            if row["name"] != role or row["powerful"] or row["owner"]:
                raise RoleTooPowerful(
                    f"role {row['name']} may see past its tenant; expected {role} without"
                    " SUPERUSER, BYPASSRLS or ownership of tables"
                )

    async def ready(self) -> bool:
        """Whether a statement can be run now."""
        try:
            async with self._sets.acquire() as connection:
                await connection.fetchval("SELECT 1")
        except Unavailable:
            return False
        except DATABASE_AWAY:
            return False
        return True

    async def close(self) -> None:
        await self._tenant.close()
        await self._sets.close()


__all__ = [
    "AWAY",
    "DATABASE_AWAY",
    "Connection",
    "Database",
    "Pool",
    "Record",
    "RoleTooPowerful",
    "connect",
    "prepare",
    "role_made",
]
