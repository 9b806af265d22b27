"""Clients, people and sessions as rows, and what is decided about them."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from event_schemas.codes import Role

from portal_svc.domain.devices import TRIES_BEFORE_BACKOFF

# Residents come by link, services by the deployment's own credentials: neither is given out.
CLIENT_ROLES: Final = frozenset(Role) - {Role.RESIDENT, Role.SERVICE, Role.SYSTEM}
LANGUAGES: Final = ("en", "es")

SESSION_LIFETIME: Final = timedelta(hours=12)  # one working day, then a new sign-in
FIRST_BACKOFF: Final = timedelta(seconds=30)
LONGEST_BACKOFF: Final = timedelta(minutes=15)
FAILURES_FORGOTTEN_AFTER: Final = timedelta(hours=24)
SHORTEST_PASSWORD: Final = 12  # NIST SP 800-63B, 3.1.1.2, asks for 8 at least, 15 alone
LONGEST_PASSWORD: Final = 256
LONGEST_OVERLAP: Final = timedelta(days=7)  # of a client's old and new secret

# One @ with something around it: the mail itself is the only proof of an address.
_EMAIL: Final = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}")


@dataclass(slots=True)
class Client:
    """A machine's credentials. ``subject`` is whom its tokens speak for: itself, or a person."""

    agency_id: str
    id: UUID
    client_id: str
    name: str
    roles: list[str]
    organization_id: UUID | None
    person_id: UUID | None
    secret_hash: bytes | None
    public_jwk: dict[str, Any] | None
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    # The secret before the last rotation, and until when it is good beside the new one.
    old_secret_hash: bytes | None = None
    old_secret_ends_at: datetime | None = None

    @property
    def subject(self) -> str:
        return str(self.person_id) if self.person_id else self.client_id

    def rotate(self, secret: str, now: datetime, keep_old: timedelta) -> None:
        """Take *secret*; the one before is good for *keep_old* longer, one before that no more."""
        self.old_secret_hash = self.secret_hash if keep_old else None
        self.old_secret_ends_at = now + keep_old if keep_old else None
        self.secret_hash, self.rotated_at = secret_hash(secret), now

    def secrets_at(self, now: datetime) -> list[bytes | None]:
        """Hashes of the secrets that are good: the client's, and the one before while it lasts."""
        old = self.old_secret_ends_at is not None and now < self.old_secret_ends_at
        return [self.secret_hash, self.old_secret_hash if old else None]


@dataclass(slots=True)
class Person:
    agency_id: str
    id: UUID
    email: str
    password_hash: str
    roles: list[str]
    organization_id: UUID | None
    language: str | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(slots=True)
class Session:
    agency_id: str
    token_hash: bytes
    person_id: UUID
    created_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class SignInFailure:
    """Failed tries for one e-mail address, known or not: both are treated alike.

    ``email_hash`` is the key of a `devices.Counter`: of the address, by whom it was tried.
    """

    agency_id: str
    email_hash: bytes
    failures: int
    last_at: datetime


def new_secret() -> str:
    """A secret of 256 random bits, for a client or a session."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    """SHA-256: enough for a secret that is random itself; a password needs Argon2."""
    return hashlib.sha256(secret.encode()).digest()


def secret_fits(secret: str, *stored: bytes | None) -> bool:
    """Whether *secret* is one of those whose hashes are stored, in time that tells nothing."""
    given = secret_hash(secret)
    fits = [hmac.compare_digest(given, one or b"\0" * 32) and one is not None for one in stored]
    return any(fits)


def new_password() -> str:
    """A password for a first sign-in: 20 characters in groups, none easily misread."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def normal_email(email: str) -> str | None:
    """The address as it is compared and stored; None for what is no address."""
    stripped = email.strip().lower()
    # Two addresses that differ by what nobody sees would be two people who look the same.
    return stripped if stripped.isprintable() and _EMAIL.fullmatch(stripped) else None


def form_token(secret: str) -> str:
    """What a form has to bring along to prove that it came from a page of ours.

    An HMAC under the cookie's secret: whoever cannot read the cookie cannot make it.
    """
    digest = hmac.digest(secret.encode(), b"handoff form", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def form_token_fits(secret: str | None, given: str) -> bool:
    return secret is not None and hmac.compare_digest(form_token(secret).encode(), given.encode())


def locked_until(
    failure: SignInFailure | None, free: int = TRIES_BEFORE_BACKOFF
) -> datetime | None:
    """Until when no password is looked at; None when it may be tried.

    *free* tries, then 30 s, doubling with each failure up to 15 minutes.
    """
    if failure is None or failure.failures < free:
        return None
    doublings = min(failure.failures - free, 16)
    return failure.last_at + min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)


def failures_after(failure: SignInFailure | None, now: datetime) -> int:
    """How many failures stand once another one is added at *now*."""
    if failure is None or now - failure.last_at > FAILURES_FORGOTTEN_AFTER:
        return 1
    return failure.failures + 1


def unknown_roles(roles: Iterable[str]) -> list[str]:
    """Those of *roles* that nobody can be given."""
    return [role for role in roles if role not in CLIENT_ROLES]
