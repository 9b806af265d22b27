"""A case as its reader may know it: one projection a role, and one place for all of them.

Nothing here is a resident's fact: ids, codes, times and templates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from event_schemas.codes import NEED_SETTLED, CaseStatus, NeedStatus, Role

from referral_svc.domain.records import Bundle, Need, Offer
from referral_svc.domain.timeline import COARSE, Entry, sentence


class Coarse(StrEnum):
    """All that who referred may know of a need, and only with the person's yes to feedback."""

    RECEIVED = "received"
    IN_HAND = "in-hand"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: as a worker (all but restricted), a referrer (``subject``), a target."""

    subject: str
    organization: UUID | None
    works: bool
    manages: bool
    refers: bool
    targets: bool


WORKERS = frozenset({Role.CASE_MANAGER, Role.COORDINATOR})
REFERRERS = frozenset({Role.INSPECTOR, Role.SENIOR_INSPECTOR, Role.AMBASSADOR, Role.DEPARTMENT})
TARGETS = frozenset({Role.PARTNER, Role.DEPARTMENT})


def works_with(viewer: Viewer, bundle: Bundle) -> bool:
    """Whether the whole case is the viewer's to see: a worker's, unless it is restricted.

    A restricted case belongs to the case-management organization that has it or was asked.
    """
    if not bundle.case.restricted:
        return viewer.works
    return (
        viewer.manages
        and viewer.organization is not None
        and (
            bundle.case.organization_id == viewer.organization
            or any(o.organization_id == viewer.organization for o in bundle.offers.values())
        )
    )


def visible(viewer: Viewer, bundle: Bundle) -> bool:
    return works_with(viewer, bundle) or bool(
        _own_offers(viewer, bundle) or _own_needs(viewer, bundle)
    )


def _own_offers(viewer: Viewer, bundle: Bundle) -> list[Offer]:
    if not viewer.targets or viewer.organization is None:
        return []
    return [o for o in bundle.offers.values() if o.organization_id == viewer.organization]


def _own_needs(viewer: Viewer, bundle: Bundle) -> list[Need]:
    """What the viewer referred itself. Nobody follows a restricted need that it referred."""
    if not viewer.refers or bundle.case.restricted:
        return []
    return [need for need in bundle.needs.values() if need.referrer == viewer.subject]


def case_view(viewer: Viewer, bundle: Bundle, property_id: UUID | None = None) -> dict[str, Any]:
    """The case for this viewer; *property_id* where intake has said it for a resident's case."""
    case = bundle.case
    if works_with(viewer, bundle):
        view = {
            **_head(bundle, case.status),
            "assigned_to": case.organization_id,
            "assignee": case.assignee,
            "closed_at": case.closed_at,
            "close_reason": case.close_reason,
            "contact_attempts": case.attempts,
            "needs": [need_view(need) for need in _by_age(bundle.needs.values())],
            "offers": [offer_view(offer) for offer in bundle.offers.values()],
        }
    elif own := _own_offers(viewer, bundle):
        asked = {offer.need_id for offer in own}
        needs = [need for id_, need in bundle.needs.items() if id_ in asked]
        view = {
            **_head(bundle, case.status),
            "needs": [_target_need(need) for need in _by_age(needs)],
            "offers": [offer_view(offer) for offer in own],
        }
    else:
        needs = _own_needs(viewer, bundle)
        view = {
            **_head(bundle, _coarse_case(needs)),
            # Grows with what this viewer may see, and with nothing else.
            "version": sum(list(Coarse).index(coarse(need)) + 1 for need in needs),
            "needs": [_coarse_need(need) for need in _by_age(needs)],
        }
    known = case.property_id or property_id
    if known is not None:
        view["property_id"] = known
    return view


def _by_age(needs: Iterable[Need]) -> list[Need]:
    return sorted(needs, key=lambda need: (need.requested_at, need.id.int))


def _head(bundle: Bundle, status: str) -> dict[str, Any]:
    case = bundle.case
    return {
        "id": case.id,
        "status": status,
        "area": case.area,
        "opened_at": case.opened_at,
        "version": case.version,
        "restricted": case.restricted,
        "assigned_to": None,
        "assignee": None,
        "closed_at": None,
        "close_reason": None,
        "contact_attempts": [],
        "offers": [],
    }


def need_view(need: Need) -> dict[str, Any]:
    """A need for who works on it."""
    return {
        "id": need.id,
        "case_id": need.case_id,
        "category": need.category,
        "status": need.status,
        "outcome": need.outcome,
        "reason": need.reason,
        "attention": need.attention,
        "urgency": need.urgency,
        "severity": need.severity,
        "deadline": need.deadline,
        "deadline_basis": need.deadline_basis,
        "target_kind": need.target_kind,
        "requested_at": need.requested_at,
        "settled_at": need.settled_at,
        "version": need.version,
    }


def _target_need(need: Need) -> dict[str, Any]:
    """A need for a target: it knows its own offer, not how others fared."""
    return {
        "id": need.id,
        "category": need.category,
        "status": Coarse.CLOSED if need.status in NEED_SETTLED else Coarse.IN_HAND,
        "outcome": None,
        "urgency": need.urgency,
        "version": need.version,
    }


def coarse(need: Need) -> Coarse:
    """What who referred may know: "received", unless the person said yes to feedback.

    A property's need has no person who could be asked.
    """
    if need.consent_id is not None and not need.feedback:
        return Coarse.RECEIVED
    if need.status in NEED_SETTLED:
        return Coarse.CLOSED
    return Coarse.IN_HAND if need.status == NeedStatus.IN_SERVICE else Coarse.RECEIVED


def _coarse_need(need: Need) -> dict[str, Any]:
    return {
        "id": need.id,
        "category": need.category,
        "status": coarse(need),
        "outcome": None,
        "urgency": need.urgency,
        "version": 0,
    }


def _coarse_case(needs: Iterable[Need]) -> str:
    """The case's status as far as the own needs say it."""
    seen = {coarse(need) for need in needs}
    if seen == {Coarse.CLOSED}:
        return CaseStatus.CLOSED
    return CaseStatus.OPEN if seen == {Coarse.RECEIVED} else CaseStatus.ACTIVE


def offer_view(offer: Offer) -> dict[str, Any]:
    """An offer as referral follows it; partner has the whole of it."""
    return {
        "id": offer.id,
        "case_id": offer.case_id,
        "need_id": offer.need_id,
        "parent_offer_id": offer.parent_offer_id,
        "organization_id": offer.organization_id,
        "service_id": offer.service_id,
        "target_kind": offer.target_kind,
        "status": offer.status,
        "reason": offer.reason,
        "outcome": offer.outcome,
        "answer_due_at": offer.answer_due_at,
        "created_at": offer.made_at,
    }


def timeline_view(
    viewer: Viewer, bundle: Bundle, entries: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Entries (with their ``at``) that this viewer may read, in words that it may read."""
    if works_with(viewer, bundle):
        return [_entry(entry, sentence(entry["type"], entry.get("facts", {}))) for entry in entries]
    offers = {str(offer.id) for offer in _own_offers(viewer, bundle)}
    if offers:
        return [
            _entry(entry, sentence(entry["type"], entry.get("facts", {})))
            for entry in entries
            if entry.get("offer_id") in offers
        ]
    return [
        _entry(entry, text) for entry in entries if (text := _coarse_text(viewer, bundle, entry))
    ]


def _coarse_text(viewer: Viewer, bundle: Bundle, entry: Mapping[str, Any]) -> str | None:
    """The sentence for who referred; None: not for it."""
    own = {str(need.id): need for need in _own_needs(viewer, bundle)}
    kind = entry["type"]
    text = COARSE.get(kind)
    told = {id_ for id_, need in own.items() if need.consent_id is None or need.feedback}
    if kind == Entry.NEED_REQUESTED:
        return text if entry.get("need_id") in own else None
    if kind == Entry.CONTACT_ATTEMPTED:
        reached = entry.get("facts", {}).get("result") == "reached"
        return text if reached and told else None
    return text if entry.get("need_id") in told else None


def _entry(entry: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {
        "at": entry["at"],
        "type": entry["type"],
        "text": text,
        "actor_role": entry["actor_role"],
        "need_id": entry.get("need_id"),
        "offer_id": entry.get("offer_id"),
    }
