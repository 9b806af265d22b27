"""Credentials of machines: create, list, rotate, revoke. Called by the API and the command."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
from event_schemas.access import ClientRevoked
from event_schemas.codes import Role
from handoff_kit import sets
from handoff_kit.auth.jwks import ALGORITHMS
from handoff_kit.db import Connection
from handoff_kit.errors import Conflict, FieldError, Invalid, NotVisible
from handoff_kit.text import plain
from handoff_kit.tx import Tx

from portal_svc.domain.people import (
    LONGEST_OVERLAP,
    Client,
    new_secret,
    secret_hash,
    unknown_roles,
)
from portal_svc.tables import ClientRow
from portal_svc.tables.people import client_by_client_id, client_of, clients_of, person_of

_SECRET_COLUMNS = ("secret_hash", "rotated_at", "old_secret_hash", "old_secret_ends_at")
_PUBLIC_MEMBERS = frozenset({"kty", "crv", "x", "y", "kid", "alg", "use"})


@dataclass(frozen=True, slots=True)
class Issued:
    """A client with its secret, which is shown this once; None for one with a key of its own."""

    client: Client
    secret: str | None


async def create_client(
    tx: Tx,
    *,
    agency: str,
    name: str,
    role: str,
    actor: str,
    organization_id: UUID | None = None,
    person_id: UUID | None = None,
    public_jwk: Mapping[str, Any] | None = None,
    secret: str | None = None,
) -> Issued:
    """Give out credentials of one role.

    With ``person_id`` the client's tokens speak for that person (``sub``), as a tablet does; with
    ``public_jwk`` it proves itself by ``private_key_jwt`` and has no secret. ``secret`` is made
    unless given. Raises: Invalid for a name with characters that nobody sees, an unknown role, a
    key that is not a public Ed25519 or P-256 key, or a person who is not there.
    """
    _check_role(role)
    try:
        plain(name)
    except ValueError as error:
        raise _invalid("name", "unseen-characters", str(error)) from None
    key = public_key_of(public_jwk) if public_jwk is not None else None
    if person_id is not None:
        person = await person_of(tx.conn, agency, person_id)
        if person is None or person.disabled_at is not None:
            raise _invalid("person_id", "unknown", "There is no such person.")
    given = None if key is not None else secret or new_secret()
    client = Client(
        agency_id=agency,
        id=uuid4(),
        client_id=str(uuid4()),
        name=name,
        roles=[role],
        organization_id=organization_id,
        person_id=person_id,
        secret_hash=secret_hash(given) if given is not None else None,
        public_jwk=key,
        created_at=tx.now,
        rotated_at=None,
        revoked_at=None,
    )
    await sets.insert(tx.conn, ClientRow, [client])
    facts = {"role": role, "client_id": client.client_id, "organization_id": organization_id}
    tx.audit(agency, "client.created", actor=actor, subject=client.id, facts=facts)
    return Issued(client, given)


async def list_clients(
    connection: Connection,
    agency: str,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 10_000,
) -> list[Client]:
    """Clients of *agency*, oldest first, after the one with this (created_at, id)."""
    return await clients_of(connection, agency, after, limit)


async def rotate_client(
    tx: Tx,
    *,
    agency: str,
    id_: UUID,
    actor: str,
    secret: str | None = None,
    keep_old: timedelta = timedelta(0),
) -> Issued:
    """Replace a client's secret; the old one ends after *keep_old*, tokens within ten minutes.

    Raises: NotVisible; Conflict for one that is revoked or has a key instead of a secret; Invalid
    for more than seven days.
    """
    if not timedelta(0) <= keep_old <= LONGEST_OVERLAP:
        raise _invalid("keep_old_hours", "too-long", "An old secret is kept for 168 hours at most.")
    client = await client_of(tx.conn, agency, id_, lock=True)
    if client is None:
        raise NotVisible
    if client.revoked_at is not None:
        raise Conflict("this client is revoked; create another", code="revoked")
    if client.public_jwk is not None:
        raise Conflict("this client proves itself by a key; create another", code="has-key")
    given = secret or new_secret()
    client.rotate(given, tx.now, keep_old)
    await sets.update(tx.conn, ClientRow, [client], columns=_SECRET_COLUMNS)
    facts = {"client_id": client.client_id, "old_secret_ends_at": client.old_secret_ends_at}
    tx.audit(agency, "client.rotated", actor=actor, subject=client.id, facts=facts)
    return Issued(client, given)


async def revoke_client(tx: Tx, *, agency: str, id_: UUID, actor: str) -> Client:
    """End a client for good; tokens within ten minutes. Again is the same.

    It is said on the log, so that what the client was told, it is told no more.
    Raises: NotVisible.
    """
    client = await client_of(tx.conn, agency, id_, lock=True)
    if client is None:
        raise NotVisible
    if client.revoked_at is None:
        client.revoked_at = tx.now
        await sets.update(tx.conn, ClientRow, [client], columns=("revoked_at",))
        facts = {"client_id": client.client_id}
        tx.audit(agency, "client.revoked", actor=actor, subject=client.id, facts=facts)
        tx.emit(ClientRevoked(client_id=client.client_id, at=tx.now), agency=agency)
    return client


async def ensure_service_client(tx: Tx, *, agency: str, client_id: str, secret: str) -> None:
    """Have the client of the services themselves, with these credentials; again is the same.

    Raises: Conflict when another kind of client has this id.
    """
    digest = secret_hash(secret)
    made = Client(
        agency_id=agency,
        id=uuid4(),
        client_id=client_id,
        name="services",
        roles=[Role.SERVICE],
        organization_id=None,
        person_id=None,
        secret_hash=digest,
        public_jwk=None,
        created_at=tx.now,
        rotated_at=None,
        revoked_at=None,
    )
    if await sets.insert(tx.conn, ClientRow, [made], on_conflict="nothing"):
        tx.audit(
            agency, "client.created", actor="system", subject=made.id, facts={"role": "service"}
        )
        return
    known = await client_by_client_id(tx.conn, client_id)
    if known is None or known.roles != [Role.SERVICE] or known.agency_id != agency:
        raise Conflict("HANDOFF_SERVICE_CLIENT_ID names a client of another kind")
    if known.secret_hash != digest or known.revoked_at is not None:
        known.rotate(secret, tx.now, timedelta(0))
        known.revoked_at = None
        columns = (*_SECRET_COLUMNS, "revoked_at")
        await sets.update(tx.conn, ClientRow, [known], columns=columns)
        tx.audit(agency, "client.rotated", actor="system", subject=known.id)


def public_key_of(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The public members of a JWK that can verify a client's assertions.

    Raises: Invalid for a private key, and for what is no Ed25519 or P-256 key.
    """
    if "d" in jwk:
        raise _invalid("public_jwk", "private-key", "This is a private key; give its public half.")
    public = {name: value for name, value in jwk.items() if name in _PUBLIC_MEMBERS}
    try:
        algorithm = jwt.PyJWK(public).algorithm_name
    except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
        algorithm = None
    if algorithm not in ALGORITHMS:
        raise _invalid("public_jwk", "unusable-key", "A public Ed25519 or P-256 JWK is needed.")
    return public


def _check_role(role: str) -> None:
    if unknown_roles([role]):
        raise _invalid("role", "unknown-role", "There is no such role to give out.")


def _invalid(field: str, code: str, message: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, code, message)])
