"""Connections of one service to PostgreSQL.

Two pools, two roles, neither of which owns a table or can bypass row-level security:

* ``handoff_<svc>`` reads for one caller: every row is filtered by the caller's agency, a second
  wall behind the query's own predicate;
* ``handoff_<svc>_sets`` runs the sets of the doorway and of the consumers, which may hold several
  agencies and join on ``(agency_id, id)``.

Both take their role by the ``role`` start-up parameter; the tenant is transaction-local.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


class Database:
    """The pools of one service. Connections are made when needed and closed when idle."""

    def __init__(self, dsn: str, service: str, *, max_size: int = 6) -> None:
        self.dsn = dsn
        self.service = service
        self._max_size = max_size
        self._pools: dict[str, asyncpg.Pool] = {}
        self._lock = asyncio.Lock()

    @property
    def tenant_role(self) -> str:
        return f"handoff_{self.service}"

    @property
    def sets_role(self) -> str:
        return f"handoff_{self.service}_sets"

    async def _pool(self, role: str) -> asyncpg.Pool:
        pool = self._pools.get(role)
        if pool is not None:
            return pool
        async with self._lock:
            if role not in self._pools:
                idle = IDLE_SET_SECONDS if role == self.sets_role else _IDLE_READ_SECONDS
                self._pools[role] = await asyncpg.create_pool(
                    self.dsn,
                    min_size=0,
                    max_size=self._max_size,
                    max_inactive_connection_lifetime=30,
                    init=prepare,
                    timeout=10,
                    server_settings={
                        "application_name": f"handoff-{self.service}",
                        "role": role,
                        "search_path": f"{self.service},pg_catalog",
                        "lock_timeout": f"{LOCK_SECONDS}s",
                        "idle_in_transaction_session_timeout": f"{idle}s",
                        # A plan made while a table was empty must not stay when it has grown.
                        "enable_seqscan": "off" if role == self.sets_role else "on",
                        "jit": "off",
                    },
                    record_class=Record,
                    connection_class=_Pooled,
                )
            return self._pools[role]

    @asynccontextmanager
    async def _acquire(self, role: str) -> AsyncIterator[Connection]:
        """Raises: Unavailable when no connection is to be had in five seconds."""
        try:
            pool = await self._pool(role)
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

    @asynccontextmanager
    async def sets(self, *, snapshot: bool = False) -> AsyncIterator[Connection]:
        """A transaction that may hold several agencies. Commits unless the block raises.

        With *snapshot* every statement sees the moment of the first one.
        """
        isolation = "repeatable_read" if snapshot else "read_committed"
        async with (
            self._acquire(self.sets_role) as connection,
            connection.transaction(isolation=isolation),
        ):
            yield connection

    @asynccontextmanager
    async def tenant(self, agency: str) -> AsyncIterator[Connection]:
        """A read-only transaction that sees the rows of *agency* alone."""
        async with (
            self._acquire(self.tenant_role) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute("SELECT set_config('handoff.agency', $1, true)", agency)
            yield connection

    async def check_roles(self) -> None:
        """Refuse to run with a role that could see past its tenant.

        Raises: RoleTooPowerful, naming the role.
        """
        for role in (self.tenant_role, self.sets_role):
            async with self._acquire(role) as connection:
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
            async with self._acquire(self.sets_role) as connection:
                await connection.fetchval("SELECT 1")
        except Unavailable:
            return False
        except DATABASE_AWAY:
            return False
        return True

    async def close(self) -> None:
        for pool in self._pools.values():
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()
        self._pools.clear()


__all__ = [
    "AWAY",
    "DATABASE_AWAY",
    "Connection",
    "Database",
    "Record",
    "RoleTooPowerful",
    "connect",
    "prepare",
]
