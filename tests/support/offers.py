"""What others say of an offer, for partner's tests."""

from datetime import UTC, datetime

from event_schemas.codes import Reason
from event_schemas.referrals import OfferCancelRequested

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def cancel(offer, reason: Reason, *, forced: bool = False) -> OfferCancelRequested:
    return OfferCancelRequested(
        case_id=offer.case_id,
        need_id=offer.need_id,
        restricted=offer.restricted,
        at=AT,
        offer_id=offer.offer_id,
        organization_id=offer.organization_id,
        reason=reason,
        forced=forced,
    )


def consent_event(kind, offer, **more):
    return kind(
        consent_id=offer.consent_id,
        case_id=offer.case_id,
        restricted=offer.restricted,
        at=AT,
        **more,
    )
