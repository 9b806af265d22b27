"""Clients, people, sessions, and what guards their doors."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from handoff_kit import sets
from handoff_kit.cursor import cursor_id
from handoff_kit.db import Connection
from sqlalchemy import Index
from sqlmodel import Field

from portal_svc.domain.people import Client, Person, SignInFailure
from portal_svc.tables.base import SCHEMA, Base, binary, json, text, time

T = TypeVar("T")


class ClientRow(Base, table=True):
    __tablename__ = "client"
    __table_args__ = (
        Index("client_client_id", "client_id", unique=True),
        Index("client_list", "created_at", "id", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    client_id: str = text()
    name: str = text()
    roles: list[str] = json()
    organization_id: UUID | None
    person_id: UUID | None
    secret_hash: bytes | None = binary(null=True)
    public_jwk: dict[str, Any] | None = json(null=True)
    created_at: datetime = time()
    rotated_at: datetime | None = time(null=True)
    revoked_at: datetime | None = time(null=True)
    old_secret_hash: bytes | None = binary(null=True)
    old_secret_ends_at: datetime | None = time(null=True)


class PersonRow(Base, table=True):
    __tablename__ = "person"
    __table_args__ = (
        Index("person_email", "email", unique=True),
        Index("person_list", "created_at", "id", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    email: str = text()
    password_hash: str = text()
    roles: list[str] = json()
    organization_id: UUID | None
    language: str | None = text(null=True)
    created_at: datetime = time()
    disabled_at: datetime | None = time(null=True)


class SessionRow(Base, table=True):
    __tablename__ = "session"
    __table_args__ = (
        Index("session_token", "token_hash", unique=True),
        Index("session_person", "person_id"),
        Index("session_age", "expires_at"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    token_hash: bytes = binary(key=True)
    person_id: UUID
    created_at: datetime = time()
    expires_at: datetime = time()


class SignInFailureRow(Base, table=True):
    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("sign_in_failure_age", "last_at"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    email_hash: bytes = binary(key=True)
    failures: int
    last_at: datetime = time()


class AssertionRow(Base, table=True):
    """Ids of client assertions that were used, until they would have expired anyway."""

    __tablename__ = "assertion"
    __table_args__ = (Index("assertion_age", "expires_at"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    client_id: str = text(key=True)
    jti_hash: bytes = binary(key=True)
    expires_at: datetime = time()


async def client_by_client_id(connection: Connection, client_id: str) -> Client | None:
    """The client, of whatever agency: who asks for a token has none yet."""
    return _one(Client, await sets.fetch(connection, ClientRow, "WHERE client_id = $1", client_id))


async def client_of(
    connection: Connection, agency: str, id_: UUID, *, lock: bool = False
) -> Client | None:
    tail = "WHERE agency_id = $1 AND id = $2" + (" FOR NO KEY UPDATE" if lock else "")
    return _one(Client, await sets.fetch(connection, ClientRow, tail, agency, id_))


async def clients_of(
    connection: Connection, agency: str, after: tuple[datetime, str] | None, limit: int
) -> list[Client]:
    """Oldest first; revoked ones too."""
    rows = await sets.fetch(
        connection,
        ClientRow,
        "WHERE agency_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))"
        " ORDER BY created_at, id LIMIT $4",
        agency,
        *_after(after),
        limit,
    )
    return _all(Client, rows)


async def person_by_email(connection: Connection, email: str) -> Person | None:
    """The person, of whatever agency: who signs in has none yet. *email* is normalised."""
    return _one(Person, await sets.fetch(connection, PersonRow, "WHERE email = $1", email))


async def person_of(
    connection: Connection, agency: str, id_: UUID, *, lock: bool = False
) -> Person | None:
    tail = "WHERE agency_id = $1 AND id = $2" + (" FOR NO KEY UPDATE" if lock else "")
    return _one(Person, await sets.fetch(connection, PersonRow, tail, agency, id_))


async def people_of(
    connection: Connection, agency: str, after: tuple[datetime, str] | None, limit: int
) -> list[Person]:
    rows = await sets.fetch(
        connection,
        PersonRow,
        "WHERE agency_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))"
        " ORDER BY created_at, id LIMIT $4",
        agency,
        *_after(after),
        limit,
    )
    return _all(Person, rows)


async def person_of_session(connection: Connection, token_hash: bytes) -> Person | None:
    """Who holds this session; None when it has ended, or the person is disabled."""
    rows = await sets.fetch(
        connection,
        PersonRow,
        f"p WHERE disabled_at IS NULL AND (agency_id, id) IN (SELECT agency_id, person_id"
        f" FROM {SCHEMA}.session WHERE token_hash = $1 AND expires_at > clock_timestamp())",
        token_hash,
    )
    return _one(Person, rows)


async def sessions_that_stand(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of *hashes* whose session goes on; who is disabled has none."""
    rows = await connection.fetch(
        f"SELECT token_hash FROM {SCHEMA}.session"
        " WHERE token_hash = ANY($1::bytea[]) AND expires_at > clock_timestamp()",
        list(hashes),
    )
    return {row["token_hash"] for row in rows}


async def failures_of(
    connection: Connection, agency: str, keys: Sequence[bytes]
) -> dict[bytes, SignInFailure]:
    """What stands against each of *keys* (`devices.Counter`), where anything does."""
    rows = await sets.fetch(
        connection,
        SignInFailureRow,
        "WHERE agency_id = $1 AND email_hash = ANY($2::bytea[])",
        agency,
        list(keys),
    )
    return {found.email_hash: found for found in _all(SignInFailure, rows)}


async def end_session(connection: Connection, token_hash: bytes) -> None:
    await connection.execute(f"DELETE FROM {SCHEMA}.session WHERE token_hash = $1", token_hash)


async def end_sessions_of(connection: Connection, agency: str, person_id: UUID) -> None:
    await connection.execute(
        f"DELETE FROM {SCHEMA}.session WHERE agency_id = $1 AND person_id = $2", agency, person_id
    )


async def forget_failures(connection: Connection, agency: str, keys: Sequence[bytes]) -> None:
    await connection.execute(
        f"DELETE FROM {SCHEMA}.sign_in_failure"
        " WHERE agency_id = $1 AND email_hash = ANY($2::bytea[])",
        agency,
        list(keys),
    )


async def forget_expired(connection: Connection, now: datetime, failures_before: datetime) -> None:
    """Drop sessions, used assertions and failures that no longer count."""
    for table in ("session", "assertion"):
        await connection.execute(f"DELETE FROM {SCHEMA}.{table} WHERE expires_at < $1", now)
    await connection.execute(
        f"DELETE FROM {SCHEMA}.sign_in_failure WHERE last_at < $1", failures_before
    )


def _after(after: tuple[datetime, str] | None) -> tuple[datetime | None, UUID | None]:
    return (after[0], cursor_id(after[1])) if after else (None, None)


def _one(kind: type[T], rows: list[Any]) -> T | None:
    return kind(**dict(rows[0])) if rows else None


def _all(kind: type[T], rows: Iterable[Any]) -> list[T]:
    return [kind(**dict(row)) for row in rows]
