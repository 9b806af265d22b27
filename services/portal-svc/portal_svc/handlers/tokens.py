"""The token endpoint's decisions (RFC 6749, 4.4; RFC 7523 for ``private_key_jwt``)."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from handoff_kit import sets
from handoff_kit.auth import SCOPES, Signer, scopes_of
from handoff_kit.auth.signer import LIFETIME
from handoff_kit.clock import Clock
from handoff_kit.db import Database

from portal_svc.domain.limits import FailureLimit
from portal_svc.domain.people import Client, secret_fits
from portal_svc.tables import AssertionRow
from portal_svc.tables.people import client_by_client_id, person_of

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_ASSERTION: Final = timedelta(minutes=10)
_SKEW: Final = timedelta(seconds=30)
_LONGEST_JTI: Final = 256
# Failures a minute: of one client from one origin, and of one origin in all.
_OF_CLIENT: Final = 10
_OF_ORIGIN: Final = 100
_WINDOW: Final = 60.0


class TokenRefused(Exception):
    """No token: ``error`` is RFC 6749's code (5.2), ``detail`` a sentence without any value."""

    def __init__(self, error: str, detail: str, *, status: int = 400, wait: float = 0) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.status = status
        self.wait = wait


@dataclass(frozen=True, slots=True)
class BySecret:
    """``client_secret_basic``."""

    client_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class ByAssertion:
    """``private_key_jwt``; ``client_id`` is what the assertion says of itself, not yet proven."""

    client_id: str
    assertion: str


@dataclass(frozen=True, slots=True)
class Token:
    access_token: str
    scope: str
    expires_in: int = LIFETIME


def unproven(detail: str = "The client could not be authenticated.") -> TokenRefused:
    return TokenRefused("invalid_client", detail, status=401)


def assertion_of(assertion: str) -> ByAssertion:
    """Read whose assertion this says it is. Raises: TokenRefused."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise unproven() from None
    subject = claims.get("sub")
    if not isinstance(subject, str) or claims.get("iss") != subject:
        raise unproven()
    return ByAssertion(subject, assertion)


class TokenIssuer:
    """Turns proven clients into access tokens."""

    def __init__(
        self,
        db: Database,
        signer: Signer,
        clock: Clock,
        *,
        token_url: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._signer = signer
        self._clock = clock
        self._audiences = [token_url, signer.issuer]
        self._monotonic = monotonic
        self._of_client = FailureLimit(_OF_CLIENT, _WINDOW)
        self._of_origin = FailureLimit(_OF_ORIGIN, _WINDOW)

    async def issue(
        self, proof: BySecret | ByAssertion, *, scope: str | None, origin: str
    ) -> Token:
        """A token of ten minutes for who *proof* proves, with at most the scopes asked for.

        Raises: TokenRefused; Unavailable when the database is away.
        """
        client = await self._prove(proof, origin)
        scopes = granted(client, scope)
        token = self._signer.issue(
            subject=client.subject,
            agency=client.agency_id,
            roles=client.roles,
            client_id=client.client_id,
            organization=str(client.organization_id) if client.organization_id else None,
            scopes=scopes,
        )
        return Token(token, " ".join(sorted(scopes)))

    async def _prove(self, proof: BySecret | ByAssertion, origin: str) -> Client:
        if not proof.client_id.isprintable():
            raise unproven()
        now = self._monotonic()
        of_client = (origin, hashlib.sha256(proof.client_id.encode()).digest())
        # The proof is looked at all the same: nobody is shut out by what others fail at, who may
        # share the address of a proxy, nor are the services themselves.
        client = await self._proven(proof)
        if client is not None:
            return client
        wait = max(self._of_client.wait(of_client, now), self._of_origin.wait(origin, now))
        if wait:
            raise TokenRefused(
                "invalid_client", "Too many failed tries; wait.", status=429, wait=wait
            )
        self._of_client.failed(of_client, now)
        self._of_origin.failed(origin, now)
        raise unproven()

    async def _proven(self, proof: BySecret | ByAssertion) -> Client | None:
        async with self._db.sets() as connection:
            client = await client_by_client_id(connection, proof.client_id)
            if isinstance(proof, BySecret):
                good = client.secrets_at(self._clock.now()) if client else [None, None]
                if not secret_fits(proof.secret, *good):
                    return None
            if client is None or client.revoked_at is not None:
                return None
            if client.person_id is not None:
                person = await person_of(connection, client.agency_id, client.person_id)
                if person is None or person.disabled_at is not None:
                    return None
            if isinstance(proof, BySecret):
                return client
            used = self._assertion_row(client, proof.assertion)
            if used is None:
                return None
            # The row is the proof of first use: a second one finds it there.
            fresh = await sets.insert(connection, AssertionRow, [used], on_conflict="nothing")
            return client if fresh else None

    def _assertion_row(self, client: Client, assertion: str) -> dict[str, Any] | None:
        """What is remembered of a good assertion; None for one that is not good."""
        if client.public_jwk is None:
            return None
        key = jwt.PyJWK(client.public_jwk)
        now = self._clock.now()
        try:
            claims = jwt.decode(
                assertion,
                key.key,
                algorithms=[key.algorithm_name],
                audience=self._audiences,
                issuer=client.client_id,
                options={
                    "require": ["iss", "sub", "aud", "exp", "jti"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            expires_at = datetime.fromtimestamp(float(claims["exp"]), UTC)
            not_before = datetime.fromtimestamp(float(claims.get("nbf", 0)), UTC)
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, OSError):
            return None
        jti = claims["jti"]
        if (
            claims["sub"] != client.client_id
            or not now - _SKEW < expires_at <= now + _LONGEST_ASSERTION + _SKEW
            or not_before > now + _SKEW
            or not isinstance(jti, str)
            or not 0 < len(jti) <= _LONGEST_JTI
            or not jti.isprintable()
        ):
            return None
        return {
            "agency_id": client.agency_id,
            "client_id": client.client_id,
            "jti_hash": hashlib.sha256(jti.encode()).digest(),
            "expires_at": expires_at + _SKEW,
        }


def granted(client: Client, asked: str | None) -> frozenset[str]:
    """The scopes of the client's roles, narrowed to those *asked* for.

    Raises: TokenRefused ``invalid_scope`` for a scope that does not exist, or when none is left.
    """
    have = scopes_of(client.roles)
    if asked is None:
        return have
    wanted = frozenset(asked.split())
    if not wanted <= SCOPES.keys():
        raise TokenRefused("invalid_scope", "There is no such scope.")
    if not wanted & have:
        raise TokenRefused("invalid_scope", "None of these scopes is this client's.")
    return wanted & have
