"""Who sees a consent, and what of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from intake_svc.domain.rows import CaseLink, Consent, Disclosure


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts on a consent: a case manager of an organization, or the resident by its receipt."""

    subject: str
    organization_id: UUID | None = None
    receipt: bytes | None = None


def may_see(case: CaseLink | None, consents: Sequence[Consent], actor: Actor) -> bool:
    """A case manager sees consents that name its organization, or of cases that it has in hand.

    Of a restricted case, only the person assigned to it, once somebody is.
    """
    if case is None or case.resident_id is None or actor.organization_id is None:
        return False
    if case.restricted and case.assignee not in (None, actor.subject):
        return False
    mine = str(actor.organization_id)
    return case.assigned_organization_id == actor.organization_id or any(
        mine in consent.recipients for consent in consents
    )


def shown(row: Consent) -> dict[str, Any]:
    """A consent as its readers see it: what it lets out, never who gave it."""
    return {
        "consent_id": str(row.id),
        "case_id": str(row.case_id),
        "status": str(row.status),
        "version": row.version,
        "method": row.terms["method"],
        "language": row.terms["language"],
        "notice_version": row.terms["notice_version"],
        "recipients": row.recipients,
        "covers": row.categories,
        "purposes": row.purposes,
        "fields": row.fields,
        "feedback": row.feedback,
        "granted_at": row.granted_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }


def shown_disclosure(row: Disclosure) -> dict[str, Any]:
    return {
        "disclosure_id": str(row.id),
        "consent_id": str(row.consent_id),
        "at": row.at.isoformat() if row.at else None,
        "organization_id": str(row.organization_id),
        "offer_id": str(row.offer_id) if row.offer_id else None,
        "category": row.category,
        "purpose": row.purpose,
        "fields": row.fields,
        "route": row.route,
    }


def withdrawal(rows: Sequence[Consent], told: dict[UUID, list[Disclosure]]) -> dict[str, Any]:
    """The answer of a withdrawal and of a receipt: consents, and what left under them."""
    ordered = sorted(rows, key=lambda row: (row.restricted, row.granted_at, row.id))
    return {
        "consents": [shown(row) for row in ordered],
        "disclosures": [shown_disclosure(d) for row in ordered for d in told.get(row.id, ())],
    }
