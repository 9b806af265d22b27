"""What happened to an offer, as the event that says it."""

from datetime import datetime
from typing import Any

from event_schemas import offers
from event_schemas.base import Event
from handoff_kit.tx import Cause, Tx

from partner_svc.domain.offers import Happened, Offer
from partner_svc.domain.transitions import Kind

EVENT_OF: dict[Kind, type[Event]] = {
    Kind.ACCEPTED: offers.OfferAccepted,
    Kind.REJECTED: offers.OfferRejected,
    Kind.QUESTION_ASKED: offers.OfferQuestionAsked,
    Kind.SCHEDULED: offers.OfferScheduled,
    Kind.NO_SHOW: offers.OfferNoShow,
    Kind.APPOINTMENT_CANCELLED: offers.OfferAppointmentCancelled,
    Kind.PROGRESSED: offers.OfferProgressed,
    Kind.HELD: offers.OfferHeld,
    Kind.RESUMED: offers.OfferResumed,
    Kind.COMPLETED: offers.OfferCompleted,
    Kind.FAILED: offers.OfferFailed,
    Kind.CANCELLED: offers.OfferCancelled,
}


def event_of(offer: Offer, happened: Happened, at: datetime) -> Event:
    """The event about *offer*, as it is after what *happened*."""
    fields: dict[str, Any] = {
        "offer_id": offer.id,
        "case_id": offer.case_id,
        "need_id": offer.need_id,
        "restricted": offer.restricted,
        "organization_id": offer.organization_id,
        "service_id": offer.service_id,
        "target_kind": offer.target_kind,
        "category": offer.category,
        "status": offer.status,
        "business_status": offer.business_status,
        "version": offer.version,
        "actor_role": happened.role,
        "at": at,
        "note_id": happened.note_id,
        # Only those of the kind's own fields that it has are kept.
        "reason": happened.reason,
        "party": happened.party,
        "outcome": offer.outcome,
        "appointment_at": offer.appointment_at,
        "revived": happened.revived,
    }
    return EVENT_OF[happened.kind].model_validate(fields)


def say(tx: Tx, offer: Offer, happened: Happened | None, cause: Cause) -> None:
    """Add the event to the set's outbox, where there is anything to say."""
    if happened is not None:
        tx.emit(event_of(offer, happened, tx.now), agency=offer.agency_id, cause=cause)
