"""Signing in with a local account, and the session that follows."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway
from handoff_kit.tx import Tx

from portal_svc.domain.limits import FailureLimit
from portal_svc.domain.people import (
    FAILURES_FORGOTTEN_AFTER,
    SESSION_LIFETIME,
    Person,
    Session,
    SignInFailure,
    failures_after,
    locked_until,
    new_secret,
    normal_email,
    secret_hash,
)
from portal_svc.handlers.passwords import PasswordCheck
from portal_svc.tables import SessionRow, SignInFailureRow
from portal_svc.tables.people import (
    end_session,
    failure_of,
    forget_expired,
    forget_failures,
    person_by_email,
    person_of,
    person_of_session,
)

# Failures in ten minutes from one address, over all e-mail addresses.
_OF_ADDRESS: Final = 50
_WINDOW: Final = 600.0


class SignInRefused(Exception):
    """No session. ``wait``: seconds until a password is looked at again; 0 when it was wrong."""

    def __init__(self, wait: float = 0) -> None:
        super().__init__("sign-in refused")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class BeginTry:
    """Count a try before the password is looked at, so that no race gives more of them."""

    agency: str
    email_hash: bytes


@dataclass(frozen=True, slots=True)
class StartSession:
    agency: str
    person_id: UUID
    token_hash: bytes
    failures_agency: str
    email_hash: bytes


@dataclass(frozen=True, slots=True)
class EndSession:
    token_hash: bytes
    agency: str
    person_id: UUID


async def begin_try(tx: Tx, command: BeginTry) -> Answer:
    """200 when the password may be looked at, 429 with the seconds to wait."""
    await tx.conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 11))", command.email_hash
    )
    failure = await failure_of(tx.conn, command.agency, command.email_hash)
    until = locked_until(failure)
    if until is not None and until > tx.now:
        return Answer(429, {"wait": (until - tx.now).total_seconds()})
    failures = failures_after(failure, tx.now)
    row = SignInFailure(command.agency, command.email_hash, failures, tx.now)
    await sets.upsert(tx.conn, SignInFailureRow, [row])
    return Answer(200, {})


async def start_session(tx: Tx, command: StartSession) -> Answer:
    """201, or 401 when the person was disabled meanwhile."""
    person = await person_of(tx.conn, command.agency, command.person_id, lock=True)
    if person is None or person.disabled_at is not None:
        return Answer(401, {})
    session = Session(
        agency_id=command.agency,
        token_hash=command.token_hash,
        person_id=command.person_id,
        created_at=tx.now,
        expires_at=tx.now + SESSION_LIFETIME,
    )
    await sets.insert(tx.conn, SessionRow, [session])
    await forget_failures(tx.conn, command.failures_agency, command.email_hash)
    tx.audit(
        command.agency,
        "session.started",
        actor=str(command.person_id),
        subject=command.person_id,
    )
    return Answer(201, {})


async def stop_session(tx: Tx, command: EndSession) -> Answer:
    await end_session(tx.conn, command.token_hash)
    actor = str(command.person_id)
    tx.audit(command.agency, "session.ended", actor=actor, subject=command.person_id)
    return Answer(204)


async def tidy(tx: Tx) -> int:
    """Forget what has expired."""
    await forget_expired(tx.conn, tx.now, tx.now - FAILURES_FORGOTTEN_AFTER)
    return 0


class SignIn:
    """Checks passwords and gives out sessions.

    ``agency`` is where failed tries are counted: who fails belongs to no agency yet.
    """

    def __init__(
        self,
        db: Database,
        doorway: "Doorway[object]",
        agency: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._doorway = doorway
        self._agency = agency
        self._check = PasswordCheck()
        self._monotonic = monotonic
        self._of_address = FailureLimit(_OF_ADDRESS, _WINDOW)

    async def sign_in(self, email: str, password: str, address: str) -> tuple[str, Person]:
        """A session's token and whose it is.

        An unknown address, a wrong password and a disabled account are refused alike, after the
        same work. Raises: SignInRefused; Unavailable when the database is away.
        """
        now = self._monotonic()
        if wait := self._of_address.wait(address, now):
            raise SignInRefused(wait)
        known_as = normal_email(email) or ""
        email_hash = hashlib.sha256((known_as or email).encode()).digest()
        try_ = await self._doorway.submit(BeginTry(self._agency, email_hash))
        if try_.status != 200:
            raise SignInRefused(try_.body["wait"])
        async with self._db.sets() as connection:
            person = await person_by_email(connection, known_as)
        active = person is not None and person.disabled_at is None
        stored = person.password_hash if person is not None and active else None
        if not await self._check.fits(password, stored) or person is None:
            self._of_address.failed(address, now)
            raise SignInRefused
        token = new_secret()
        started = await self._doorway.submit(
            StartSession(person.agency_id, person.id, secret_hash(token), self._agency, email_hash)
        )
        if started.status != 201:
            raise SignInRefused
        return token, person

    async def who(self, token: str | None) -> Person | None:
        """Whose session this is; None when it is nobody's, or not any more."""
        if not token:
            return None
        async with self._db.sets() as connection:
            return await person_of_session(connection, secret_hash(token))

    async def sign_out(self, token: str, person: Person) -> None:
        await self._doorway.submit(EndSession(secret_hash(token), person.agency_id, person.id))
