"""What granting a consent makes: its row, its receipt, and what the log hears of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from event_schemas.consents import ConsentGranted
from handoff_kit.crypto import BlindIndex, seal_json
from handoff_kit.errors import ConsentRequired, FieldError, Invalid
from handoff_kit.tx import Cause, Tx

from intake_svc.domain.consents import (
    Fault,
    State,
    Terms,
    expiry,
    faults_of_terms,
    resolve_recipients,
)
from intake_svc.domain.rows import Consent
from intake_svc.handlers.city import ConsentPolicy
from intake_svc.handlers.requests import ConsentTerms

_RECEIPT_BYTES = 20


def receipt_of(index: BlindIndex, agency: str, consent_id: UUID) -> str:
    """The receipt of a grant, by the id of its first consent: 160 bits that nobody can guess.

    It is a keyed hash of a random id, so that it need not be kept: tables hold its hash alone, and
    a repeated request gets the same receipt although no stored answer contains it.
    """
    return index(agency, "receipt", consent_id.bytes)[:_RECEIPT_BYTES].hex()


def receipt_hash(receipt: str) -> bytes:
    return hashlib.sha256(receipt.lower().encode()).digest()


def terms_of(given: ConsentTerms) -> Terms:
    return Terms(
        given.method,
        given.witness,
        given.interpreter,
        given.given_by,
        given.expires_at,
        given.fields,
    )


def faults_of_grant(
    given: ConsentTerms, role: str, policy: ConsentPolicy, now: datetime
) -> list[Fault]:
    """What has to be mended in a consent. An electronic one was read on a notice of the city."""
    faults = faults_of_terms(terms_of(given), role, now)
    if given.method == "electronic" and not policy.knows(given.notice_version, given.language):
        faults.append(
            ("notice_version", "unknown-notice", "There is no such notice in this language.")
        )
    return faults


def refuse(faults: Sequence[Fault], prefix: str = "") -> None:
    """Raises: Invalid with *faults*, if there are any."""
    if faults:
        raise Invalid(errors=[FieldError(prefix + field, *rest) for field, *rest in faults])


def refuse_uncovered(faults: Sequence[Fault]) -> None:
    """Raises: ConsentRequired with *faults*, if there are any."""
    if faults:
        raise ConsentRequired(errors=[FieldError(*fault) for fault in faults])


@dataclass(frozen=True, slots=True)
class Recipients:
    """Organizations that a consent names, resolved; as ids and as texts."""

    ids: list[UUID]
    texts: list[str]

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(named: tuple[str, ...], case_management: tuple[str, ...]) -> "Recipients":
        """*named* as the form says it; *case_management*: who that stands for, as of now."""
        texts = resolve_recipients(named, case_management)
        return Recipients([UUID(text) for text in texts], texts)


@dataclass(frozen=True, slots=True)
class Grant:
    """One yes of one resident, before it is split by cases."""

    given: ConsentTerms
    fields: list[str]
    recipients: Recipients
    secret: dict[str, Any]
    granted_by: str

    @staticmethod
    def of(given: ConsentTerms, fields: list[str], policy: ConsentPolicy, by: str) -> "Grant":
        return Grant(
            given,
            fields,
            Recipients.of(tuple(map(str, given.recipients)), policy.recipients()),
            {
                name: value
                for name in ("witness", "interpreter", "given_by", "discloser")
                if (value := getattr(given, name)) is not None
            },
            by,
        )

    def row(
        self,
        *,
        agency: str,
        id_: UUID,
        case_id: UUID,
        resident_id: UUID,
        categories: list[str],
        restricted: bool,
        receipt: bytes,
        key: bytes,
        default_days: int,
        now: datetime,
        version: int = 1,
    ) -> Consent:
        """The consent of one case. There is no feedback on restricted kinds."""
        given = self.given
        return Consent(
            agency,
            id_,
            case_id,
            resident_id,
            receipt,
            State.ACTIVE.value,
            version,
            now,
            expiry(terms_of(given), now, default_days),
            None,
            {
                "method": given.method,
                "language": given.language,
                "notice_version": given.notice_version,
                "recipients": self.recipients.texts,
                "categories": categories,
                "purposes": list(given.purposes),
                "fields": self.fields,
                "feedback": given.feedback and not restricted,
                "restricted": restricted,
                "granted_by": self.granted_by,
            },
            seal_json(key, resident_id, self.secret) if self.secret else b"",
        )


def say_granted(tx: Tx, row: Consent, recipients: Recipients, cause: Cause | None = None) -> None:
    """Tell the log what the consent covers now, and put the grant on the audit chain."""
    terms = row.terms
    tx.audit(
        row.agency_id,
        "consent.granted" if row.version == 1 else "consent.renewed",
        actor=terms["granted_by"],
        subject=row.id,
        facts={"version": row.version, "method": terms["method"]},
    )
    tx.emit(
        ConsentGranted(
            consent_id=row.id,
            case_id=row.case_id,
            restricted=row.restricted,
            at=moment(tx.now, restricted=row.restricted),
            version=row.version,
            recipients=recipients.ids,
            categories=row.categories,
            purposes=row.purposes,
            feedback=row.feedback,
            method=terms["method"],
            language=terms["language"],
            notice_version=terms["notice_version"],
            expires_at=row.expires_at,
        ),
        agency=row.agency_id,
        cause=None if row.restricted else cause,
    )


def moment(now: datetime, *, restricted: bool) -> datetime:
    """When something happened; of a restricted case only the minute.

    Equal microseconds on two topics would join what must not be joined.
    """
    return now.replace(second=0, microsecond=0) if restricted else now
