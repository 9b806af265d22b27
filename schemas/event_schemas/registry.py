"""Every event by (topic, type), and the topics with how long they are kept."""

from dataclasses import dataclass
from datetime import timedelta

from event_schemas import (
    access,
    cases,
    consents,
    deliveries,
    directory,
    inbound,
    inspections,
    offers,
)
from event_schemas import referrals as referrals_
from event_schemas.base import RESTRICTED, Event

EVENTS: tuple[type[Event], ...] = (
    inbound.InspectionReported,
    inspections.InspectionRecorded,
    inspections.InspectionCorrected,
    inspections.InspectionClosed,
    consents.ConsentGranted,
    consents.ConsentWithdrawn,
    consents.ConsentExpired,
    cases.CaseOpened,
    cases.CaseAssigned,
    cases.CaseContactAttempted,
    cases.CaseNeedAdded,
    cases.CaseClosed,
    cases.CaseReopened,
    referrals_.NeedRequested,
    referrals_.NeedMatched,
    referrals_.NeedApprovalRequested,
    referrals_.OfferMade,
    referrals_.OfferCancelRequested,
    referrals_.ClockDue,
    referrals_.NeedSettled,
    offers.OfferAccepted,
    offers.OfferRejected,
    offers.OfferQuestionAsked,
    offers.OfferScheduled,
    offers.OfferNoShow,
    offers.OfferAppointmentCancelled,
    offers.OfferProgressed,
    offers.OfferHeld,
    offers.OfferResumed,
    offers.OfferCompleted,
    offers.OfferFailed,
    offers.OfferCancelled,
    directory.OrganizationChanged,
    directory.ServiceChanged,
    directory.ServiceCapacityChanged,
    deliveries.DeliverySucceeded,
    deliveries.DeliveryFailed,
    deliveries.EndpointDisabled,
    deliveries.EventParked,
    access.ClientRevoked,
    access.PersonDisabled,
)


@dataclass(frozen=True)
class Topic:
    """A topic; ``retention`` None is for ever. Never compacted."""

    name: str
    retention: timedelta | None = None
    partitions: int = 12


_KEPT = {"inbound.inspections": timedelta(days=7), "deliveries": timedelta(days=30)}
_KEPT |= {"parked": timedelta(days=30)}


def _topics() -> dict[str, Topic]:
    names: dict[str, Topic] = {}
    for event in EVENTS:
        twins = ["", "restricted."] if event.MAY_BE_RESTRICTED else [""]
        for twin in twins:
            name = f"handoff.{twin}{event.TOPIC}"
            names[name] = Topic(name, _KEPT.get(event.TOPIC))
    return names


TOPICS: dict[str, Topic] = _topics()

BY_TOPIC_AND_TYPE: dict[tuple[str, str], type[Event]] = {
    (f"handoff.{twin}{event.TOPIC}", event.TYPE): event
    for event in EVENTS
    for twin in (("", "restricted.") if event.MAY_BE_RESTRICTED else ("",))
}


def both(topic: str) -> tuple[str, str]:
    """A case topic and its restricted twin, by the name without prefix: ``both("offers")``."""
    return f"handoff.{topic}", f"{RESTRICTED}{topic}"


def is_restricted(topic: str) -> bool:
    """Whether *topic*, a full name, is of restricted kinds.

    Of its events only the minute may be told, anywhere: a time to the millisecond on two topics
    would join two cases of one household.
    """
    return topic.startswith(RESTRICTED)
