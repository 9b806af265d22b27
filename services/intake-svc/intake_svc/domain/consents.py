"""What a consent lets out, to whom, until when; and what may become of it.

States after ISO/IEC TS 27560 and FHIR Consent.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from event_schemas.codes import PROPERTY_ONLY, RESTRICTED

from intake_svc.domain.rows import Consent


class State(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ENTERED_IN_ERROR = "entered-in-error"


ENDED = frozenset({State.WITHDRAWN, State.EXPIRED, State.ENTERED_IN_ERROR})
# What may be done with a consent, by its state. Withdrawing twice is no error: it stays withdrawn.
ALLOWED: dict[State, frozenset[str]] = {
    State.PROPOSED: frozenset({"grant", "withdraw"}),
    State.ACTIVE: frozenset({"renew", "withdraw", "expire"}),
    State.EXPIRED: frozenset({"renew", "withdraw"}),
    State.WITHDRAWN: frozenset(),
    State.ENTERED_IN_ERROR: frozenset(),
}

NOTES = "notes"
ADDRESS = "address"
FIELDS = (
    "role",
    "name",
    "phone",
    "email",
    "languages",
    "safe_contact",
    "household",
    "tenure",
    ADDRESS,
    NOTES,
)


class Denial(StrEnum):
    """Why nothing is let out. Counted; the caller reads only that there is nothing."""

    NO_CONSENT = "no-consent"
    ENDED = "ended"
    EXPIRED = "expired"
    RECIPIENT = "recipient"
    CATEGORY = "category"
    PURPOSE = "purpose"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants which facts for what. ``fields`` None: all that the consent covers."""

    organization_id: UUID
    purpose: str
    category: str | None = None
    fields: Sequence[str] | None = None


def judge(consent: Consent | None, ask: Ask, now: datetime) -> Denial | list[str]:
    """The fields that may leave at *now* (the database's clock, read under the consent's lock)."""
    if consent is None:
        return Denial.NO_CONSENT
    if consent.status != State.ACTIVE:
        return Denial.ENDED
    if consent.expires_at <= now:
        return Denial.EXPIRED
    if str(ask.organization_id) not in consent.recipients:
        return Denial.RECIPIENT
    if ask.category is not None and ask.category not in consent.categories:
        return Denial.CATEGORY
    if ask.purpose not in consent.purposes:
        return Denial.PURPOSE
    covered = [name for name in consent.fields if ask.fields is None or name in ask.fields]
    return covered or Denial.FIELDS


def facts_of(sealed: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Of what is known of the resident, the covered fields that were given."""
    return {name: sealed[name] for name in FIELDS if name in fields and name in sealed}


def split_by_slot(categories: Iterable[str]) -> dict[str, list[str]]:
    """Categories by the case that they belong to: ``general``, or a restricted kind for itself.

    Kinds of a property alone need no consent and are left out.
    """
    slots: dict[str, list[str]] = {}
    for category in dict.fromkeys(categories):
        if category not in PROPERTY_ONLY:
            slots.setdefault(slot_of(category), []).append(str(category))
    return slots


def slot_of(category: str) -> str:
    """The slot of a case: one for all usual kinds, one for each restricted kind."""
    return str(category) if category in RESTRICTED else "general"


def resolve_recipients(named: Sequence[str], case_management: Sequence[str]) -> list[str]:
    """Organizations by id; ``case-management`` is the city's list as of now."""
    found: dict[str, None] = {}
    for name in named:
        found.update(dict.fromkeys(case_management if name == "case-management" else (name,)))
    return list(found)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a consent was given, as the form says it."""

    method: str
    witness: str | None
    interpreter: str | None
    given_by: str | None
    expires_at: datetime | None
    fields: Sequence[str] | None


Fault = tuple[str, str, str]  # field, code, message


def faults_of_terms(terms: Terms, role: str, now: datetime) -> list[Fault]:
    """What has to be mended in a consent, with fields relative to it."""
    faults: list[Fault] = []
    if terms.method == "spoken" and not (terms.witness or terms.interpreter):
        faults.append(
            ("witness", "required", "A spoken consent needs a witness or an interpreter.")
        )
    if role == "representative" and not terms.given_by:
        faults.append(("given_by", "required", "A representative's consent says who gave it."))
    if terms.expires_at is not None and terms.expires_at <= now:
        faults.append(("expires_at", "in-the-past", "A consent has to end in the future."))
    return faults


def expiry(terms: Terms, now: datetime, default_days: int) -> datetime:
    return terms.expires_at or now + timedelta(days=default_days)
