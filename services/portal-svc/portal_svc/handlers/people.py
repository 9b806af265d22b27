"""People with local accounts: create, list, disable. Called by the API and the command."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from event_schemas.access import PersonDisabled
from handoff_kit import sets
from handoff_kit.db import Connection
from handoff_kit.errors import Conflict, FieldError, Invalid, NotVisible
from handoff_kit.tx import Tx

from portal_svc.domain.people import (
    LANGUAGES,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    Person,
    new_password,
    normal_email,
    unknown_roles,
)
from portal_svc.handlers.passwords import hash_password
from portal_svc.tables import PersonRow
from portal_svc.tables.people import end_sessions_of, people_of, person_by_email, person_of


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A person with the password of the first sign-in, which is shown this once."""

    person: Person
    password: str


async def create_person(
    tx: Tx,
    *,
    agency: str,
    email: str,
    role: str,
    actor: str,
    organization_id: UUID | None = None,
    password: str | None = None,
    language: str | None = None,
) -> Welcomed:
    """Give a person a local account; without ``password`` one is made.

    Raises: Invalid for an address, role, language or password that cannot be; Conflict
    ``email-taken``.
    """
    address = normal_email(email)
    if address is None:
        raise _invalid("email", "invalid-email", "This is no e-mail address.")
    if unknown_roles([role]):
        raise _invalid("role", "unknown-role", "There is no such role to give out.")
    if language is not None and language not in LANGUAGES:
        raise _invalid("language", "unknown-language", f"One of: {', '.join(LANGUAGES)}.")
    given = password if password is not None else new_password()
    if not SHORTEST_PASSWORD <= len(given) <= LONGEST_PASSWORD:
        raise _invalid(
            "password",
            "password-length",
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.",
        )
    person = Person(
        agency_id=agency,
        id=uuid4(),
        email=address,
        password_hash=await hash_password(given),
        roles=[role],
        organization_id=organization_id,
        language=language,
        created_at=tx.now,
        disabled_at=None,
    )
    if not await sets.insert(tx.conn, PersonRow, [person], on_conflict="nothing"):
        raise Conflict("somebody signs in with this e-mail address already", code="email-taken")
    facts = {"role": role, "organization_id": organization_id}
    tx.audit(agency, "person.created", actor=actor, subject=person.id, facts=facts)
    return Welcomed(person, given)


async def list_people(
    connection: Connection,
    agency: str,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 10_000,
) -> list[Person]:
    """People of *agency*, oldest first, after the one with this (created_at, id)."""
    return await people_of(connection, agency, after, limit)


async def find_person(connection: Connection, agency: str, email: str) -> Person | None:
    """A person of *agency* by e-mail address."""
    address = normal_email(email)
    person = await person_by_email(connection, address) if address else None
    return person if person is not None and person.agency_id == agency else None


async def disable_person(tx: Tx, *, agency: str, id_: UUID, actor: str) -> Person:
    """End a person's account and sessions at once, and say so on the log. Again is the same.

    Raises: NotVisible.
    """
    person = await person_of(tx.conn, agency, id_, lock=True)
    if person is None:
        raise NotVisible
    if person.disabled_at is None:
        person.disabled_at = tx.now
        await sets.update(tx.conn, PersonRow, [person], columns=("disabled_at",))
        await end_sessions_of(tx.conn, agency, id_)
        tx.audit(agency, "person.disabled", actor=actor, subject=person.id)
        tx.emit(PersonDisabled(person_id=person.id, at=tx.now), agency=agency)
    return person


def _invalid(field: str, code: str, message: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, code, message)])
