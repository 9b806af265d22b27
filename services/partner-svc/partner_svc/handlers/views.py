"""An offer as those who may see it read it."""

from collections.abc import Iterable
from typing import Any

from partner_svc.domain.offers import Offer
from partner_svc.domain.transitions import Command

_ALWAYS = (
    "id",
    "case_id",
    "need_id",
    "parent_offer_id",
    "organization_id",
    "service_id",
    "target_kind",
    "category",
    "urgency",
    "area",
    "status",
    "business_status",
    "reason",
    "cancel_reason",
    "outcome",
    "severity",
    "deadline",
    "deadline_basis",
    "answer_due_at",
    "appointment_at",
    "created_at",
    "updated_at",
    "version",
)
_OF_A_PROPERTY = ("property_id", "inspection_id")


def offer_view(offer: Offer) -> dict[str, Any]:
    """The fields of an offer; property and inspection only where the offer is a property's."""
    view = {name: getattr(offer, name) for name in _ALWAYS}
    if offer.property_id is not None:
        view |= {name: getattr(offer, name) for name in _OF_A_PROPERTY}
    return view


def full_view(offer: Offer, allowed: Iterable[Command]) -> dict[str, Any]:
    """One offer, and what its target may do with it now."""
    return offer_view(offer) | {"allowed": sorted(allowed)}
