"""Every command that the portal's doorway takes, and the function that does it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError
from handoff_kit.tx import Tx

from portal_svc.domain.people import Client, Person
from portal_svc.handlers.clients import create_client, revoke_client, rotate_client
from portal_svc.handlers.people import create_person, disable_person
from portal_svc.handlers.signin import (
    BeginTry,
    EndSession,
    StartSession,
    begin_try,
    start_session,
    stop_session,
)

# Header of an answer that says which try it was made for. A repetition under an Idempotency-Key
# gets the stored answer, whose mark is another: so it is known that its secret is not the one of
# this try, and no stored answer ever holds a secret.
MADE_FOR: Final = "handoff-made-for"


@dataclass(frozen=True, slots=True)
class CreateClient:
    """``secret`` is made before, at the edge; ``mark`` goes into the answer's `MADE_FOR`."""

    agency: str
    actor: str
    name: str
    role: str
    organization_id: UUID | None
    person_id: UUID | None
    public_jwk: Mapping[str, Any] | None
    secret: str
    mark: str


@dataclass(frozen=True, slots=True)
class RotateClient:
    agency: str
    actor: str
    id: UUID
    secret: str
    mark: str
    keep_old: timedelta


@dataclass(frozen=True, slots=True)
class RevokeClient:
    agency: str
    actor: str
    id: UUID


@dataclass(frozen=True, slots=True)
class CreatePerson:
    """``password`` is made or given before, at the edge, like a client's secret."""

    agency: str
    actor: str
    email: str
    role: str
    organization_id: UUID | None
    language: str | None
    password: str
    mark: str


@dataclass(frozen=True, slots=True)
class DisablePerson:
    agency: str
    actor: str
    id: UUID


async def _create_client(tx: Tx, c: CreateClient) -> Answer:
    issued = await create_client(
        tx,
        agency=c.agency,
        name=c.name,
        role=c.role,
        actor=c.actor,
        organization_id=c.organization_id,
        person_id=c.person_id,
        public_jwk=c.public_jwk,
        secret=c.secret,
    )
    return Answer(201, client_json(issued.client), {MADE_FOR: c.mark})


async def _rotate_client(tx: Tx, c: RotateClient) -> Answer:
    issued = await rotate_client(
        tx, agency=c.agency, id_=c.id, actor=c.actor, secret=c.secret, keep_old=c.keep_old
    )
    return Answer(200, client_json(issued.client), {MADE_FOR: c.mark})


async def _revoke_client(tx: Tx, c: RevokeClient) -> Answer:
    client = await revoke_client(tx, agency=c.agency, id_=c.id, actor=c.actor)
    return Answer(200, client_json(client))


async def _create_person(tx: Tx, c: CreatePerson) -> Answer:
    welcomed = await create_person(
        tx,
        agency=c.agency,
        email=c.email,
        role=c.role,
        actor=c.actor,
        organization_id=c.organization_id,
        password=c.password,
        language=c.language,
    )
    return Answer(201, person_json(welcomed.person), {MADE_FOR: c.mark})


async def _disable_person(tx: Tx, c: DisablePerson) -> Answer:
    person = await disable_person(tx, agency=c.agency, id_=c.id, actor=c.actor)
    return Answer(200, person_json(person))


_HANDLERS: Final[dict[type, Callable[[Tx, Any], Awaitable[Answer]]]] = {
    CreateClient: _create_client,
    RotateClient: _rotate_client,
    RevokeClient: _revoke_client,
    CreatePerson: _create_person,
    DisablePerson: _disable_person,
    BeginTry: begin_try,
    StartSession: start_session,
    EndSession: stop_session,
}


async def apply_commands(tx: Tx, commands: Sequence[object]) -> list[Answer | HandoffError]:
    """Commands are few and independent: one after the other, in one transaction."""
    results: list[Answer | HandoffError] = []
    for command in commands:
        try:
            results.append(await _HANDLERS[type(command)](tx, command))
        except HandoffError as refused:
            results.append(refused)
    return results


def client_json(client: Client) -> dict[str, Any]:
    """A client as the API shows it, without its secret."""
    return {
        "id": client.id,
        "client_id": client.client_id,
        "name": client.name,
        "roles": client.roles,
        "organization_id": client.organization_id,
        "person_id": client.person_id,
        "method": "private_key_jwt" if client.public_jwk else "client_secret_basic",
        "created_at": client.created_at,
        "rotated_at": client.rotated_at,
        "revoked_at": client.revoked_at,
        "old_secret_ends_at": client.old_secret_ends_at,
    }


def person_json(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "roles": person.roles,
        "organization_id": person.organization_id,
        "language": person.language,
        "created_at": person.created_at,
        "disabled_at": person.disabled_at,
    }
