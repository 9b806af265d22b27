"""Signing in with a local account, and the session that follows."""

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway
from handoff_kit.tx import Tx

from portal_svc.domain.devices import Counter, counters, device_mark, known_device
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
    failures_of,
    forget_expired,
    forget_failures,
    person_by_email,
    person_of,
    person_of_session,
    sessions_that_stand,
)

# Failures in ten minutes from one origin, over all e-mail addresses.
_OF_ORIGIN: Final = 50
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
    counters: tuple[Counter, ...]


@dataclass(frozen=True, slots=True)
class StartSession:
    agency: str
    person_id: UUID
    token_hash: bytes
    tried: BeginTry


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
    keys = [counter.key for counter in command.counters]
    failed = await failures_of(tx.conn, command.agency, keys)
    untils = [locked_until(failed.get(c.key), c.free) for c in command.counters]
    until = max((time for time in untils if time is not None), default=tx.now)
    if until > tx.now:
        return Answer(429, {"wait": (until - tx.now).total_seconds()})
    rows = [
        SignInFailure(command.agency, key, failures_after(failed.get(key), tx.now), tx.now)
        for key in keys
    ]
    await sets.upsert(tx.conn, SignInFailureRow, rows)
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
    tried = command.tried
    await forget_failures(tx.conn, tried.agency, [counter.key for counter in tried.counters])
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


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session's ``token``, whose it is, and the ``device`` mark for the browser to keep."""

    token: str
    person: Person
    device: str


class SignIn:
    """Checks passwords and gives out sessions.

    ``agency`` is where failed tries are counted: who fails belongs to no agency yet.
    ``device_key`` proves the marks of known browsers.
    """

    def __init__(
        self,
        db: Database,
        doorway: "Doorway[object]",
        agency: str,
        *,
        device_key: bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._doorway = doorway
        self._agency = agency
        self._check = PasswordCheck()
        self._monotonic = monotonic
        self._device_key = device_key
        self._of_origin = FailureLimit(_OF_ORIGIN, _WINDOW)

    async def sign_in(
        self, email: str, password: str, origin: str, mark: str | None = None
    ) -> SignedIn:
        """A session for whom *email* and *password* fit.

        *origin*: where the request comes from; *mark*: what the browser kept of an earlier
        sign-in. An unknown address, a wrong password and a disabled account are refused alike,
        after the same work. Raises: SignInRefused; Unavailable when the database is away.
        """
        now = self._monotonic()
        known_as = normal_email(email) or ""
        email_hash = hashlib.sha256((known_as or email).encode()).digest()
        device = known_device(self._device_key, email_hash, mark)
        if device is None and (wait := self._of_origin.wait(origin, now)):
            raise SignInRefused(wait)
        try_ = BeginTry(self._agency, email_hash, counters(email_hash, origin, device))
        begun = await self._doorway.submit(try_)
        if begun.status != 200:
            raise SignInRefused(begun.body["wait"])
        async with self._db.sets() as connection:
            person = await person_by_email(connection, known_as)
        active = person is not None and person.disabled_at is None
        stored = person.password_hash if person is not None and active else None
        if not await self._check.fits(password, stored) or person is None:
            if device is None:
                self._of_origin.failed(origin, now)
            raise SignInRefused
        token = new_secret()
        started = await self._doorway.submit(
            StartSession(person.agency_id, person.id, secret_hash(token), try_)
        )
        if started.status != 201:
            raise SignInRefused
        kept = mark if device is not None and mark else device_mark(self._device_key, email_hash)
        return SignedIn(token, person, kept)

    async def who(self, token: str | None) -> Person | None:
        """Whose session this is; None when it is nobody's, or not any more."""
        if not token:
            return None
        async with self._db.sets() as connection:
            return await person_of_session(connection, secret_hash(token))

    async def standing(self, tokens: Collection[str]) -> set[str]:
        """Those of *tokens* whose session goes on."""
        hashes = {secret_hash(token): token for token in tokens}
        async with self._db.sets() as connection:
            found = await sessions_that_stand(connection, list(hashes))
        return {hashes[one] for one in found}

    async def sign_out(self, token: str, person: Person) -> None:
        await self._doorway.submit(EndSession(secret_hash(token), person.agency_id, person.id))
