"""How each event changes the read models: (row or none, agency, event) -> row, or None for nothing.

Every rule may be applied again, and in any order between writers, with the same result: what one
writer says of a thing carries a version or a time, and the later one stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from event_schemas.codes import BusinessStatus, CaseStatus, NeedStatus, OfferStatus

from portal_svc.domain.rows import (
    CaseView,
    ConsentView,
    DeliveryView,
    NeedView,
    OfferView,
    OrganizationView,
    ParkedView,
)

Apply = Callable[[Any, str, Any], Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which row an event is about (``view``, and the field with its id), and what becomes of it."""

    view: type
    id_field: str
    apply: Apply


def _case(row: CaseView | None, agency: str, event: Any) -> CaseView | None:
    if row is not None and event.version < row.version:
        return None
    if row is None:
        row = CaseView(
            agency_id=agency,
            id=event.case_id,
            restricted=event.restricted,
            status=event.status,
            area=[],
            property_id=None,
            organization_id=None,
            assignee=None,
            attempt_ids=[],
            last_attempt_at=None,
            last_attempt_result=None,
            opened_at=event.at,
            closed_reason=None,
            version=event.version,
            updated_at=event.at,
        )
    row.status, row.version, row.updated_at = event.status, event.version, event.at
    if event.status != CaseStatus.CLOSED:
        row.closed_reason = None
    return row


def _case_opened(row: CaseView | None, agency: str, event: Any) -> CaseView | None:
    case = _case(row, agency, event)
    if case is not None:
        case.area, case.property_id, case.opened_at = list(event.area), event.property_id, event.at
    return case


def _case_assigned(row: CaseView | None, agency: str, event: Any) -> CaseView | None:
    case = _case(row, agency, event)
    if case is not None:
        case.organization_id, case.assignee = event.organization_id, event.assignee
    return case


def _case_attempt(row: CaseView | None, agency: str, event: Any) -> CaseView | None:
    case = _case(row, agency, event)
    if case is None or str(event.attempt_id) in case.attempt_ids:
        return case
    case.attempt_ids = [*case.attempt_ids, str(event.attempt_id)]
    if case.last_attempt_at is None or event.attempted_at >= case.last_attempt_at:
        case.last_attempt_at, case.last_attempt_result = event.attempted_at, event.result
    return case


def _case_closed(row: CaseView | None, agency: str, event: Any) -> CaseView | None:
    case = _case(row, agency, event)
    if case is not None:
        case.closed_reason = event.reason
    return case


def _need(row: NeedView | None, agency: str, event: Any, status: str) -> NeedView:
    """The need with this status, unless a later one stands already."""
    if row is None:
        row = NeedView(
            agency_id=agency,
            id=event.need_id,
            case_id=event.case_id,
            restricted=event.restricted,
            category=event.category,
            urgency=getattr(event, "urgency", ""),
            status=status,
            status_at=event.at,
            outcome=None,
            of_property=False,
            referrer=None,
            referrer_organization_id=None,
            consent_id=None,
            area=[],
            requested_at=event.at,
            settled_at=None,
        )
    elif event.at >= row.status_at:
        row.status, row.status_at = status, event.at
    return row


def _need_requested(row: NeedView | None, agency: str, event: Any) -> NeedView:
    need = _need(row, agency, event, NeedStatus.REQUESTED)
    need.urgency, need.area = event.urgency, list(event.area)
    need.of_property = event.property_id is not None
    need.consent_id, need.requested_at = event.consent_id, event.at
    return _referred(need, event)


def _need_added(row: NeedView | None, agency: str, event: Any) -> NeedView:
    need = _need(row, agency, event, event.need_status)
    need.urgency = event.urgency
    return _referred(need, event)


def _referred(need: NeedView, event: Any) -> NeedView:
    if event.referrer is not None:
        need.referrer = event.referrer
        need.referrer_organization_id = event.referrer_organization_id
    return need


def _need_matched(row: NeedView | None, agency: str, event: Any) -> NeedView:
    need = _need(row, agency, event, event.status)
    if need.status_at == event.at:
        need.outcome = need.settled_at = None
    return need


def _need_approval(row: NeedView | None, agency: str, event: Any) -> NeedView:
    return _need(row, agency, event, NeedStatus.APPROVAL_PENDING)


def _need_settled(row: NeedView | None, agency: str, event: Any) -> NeedView:
    need = _need(row, agency, event, event.status)
    if need.status_at == event.at:
        need.outcome, need.settled_at = event.outcome, event.at
    return need


def _consent_granted(row: ConsentView | None, agency: str, event: Any) -> ConsentView | None:
    if row is not None and (not row.active or event.version < row.version):
        return None  # A consent that has ended stays so; another one has another id.
    return ConsentView(
        agency_id=agency,
        id=event.consent_id,
        case_id=event.case_id,
        restricted=event.restricted,
        active=True,
        feedback=event.feedback,
        expires_at=event.expires_at,
        version=event.version,
    )


def _consent_ended(row: ConsentView | None, agency: str, event: Any) -> ConsentView:
    if row is not None:
        row.active = False
        return row
    return ConsentView(
        agency_id=agency,
        id=event.consent_id,
        case_id=event.case_id,
        restricted=event.restricted,
        active=False,
        feedback=False,
        expires_at=None,
        version=0,
    )


def _offer_made(row: OfferView | None, agency: str, event: Any) -> OfferView:
    offer = row or _new_offer(agency, event, OfferStatus.REQUESTED, BusinessStatus.CREATED)
    offer.urgency, offer.area = event.urgency, list(event.area)
    offer.answer_due_at, offer.made_at = event.answer_due_at, event.at
    return offer


def _offer(row: OfferView | None, agency: str, event: Any) -> OfferView | None:
    """The offer as partner, the only writer of its state, says it is."""
    if row is not None and event.version < row.version:
        return None
    offer = row or _new_offer(agency, event, event.status, event.business_status)
    offer.status, offer.business_status = event.status, event.business_status
    offer.version, offer.updated_at = event.version, event.at
    offer.reason = getattr(event, "reason", None)
    offer.outcome = getattr(event, "outcome", None)
    offer.question_open = event.TYPE == "handoff.offer.question-asked.v1"
    if hasattr(event, "appointment_at"):
        offer.appointment_at = event.appointment_at
    elif event.business_status in _NO_APPOINTMENT:
        offer.appointment_at = None
    return offer


_NO_APPOINTMENT: Final = frozenset(BusinessStatus) - {
    BusinessStatus.SCHEDULED,
    BusinessStatus.CANCEL_REQUESTED,
}


def _new_offer(agency: str, event: Any, status: str, business_status: str) -> OfferView:
    return OfferView(
        agency_id=agency,
        id=event.offer_id,
        case_id=event.case_id,
        need_id=event.need_id,
        restricted=event.restricted,
        organization_id=event.organization_id,
        target_kind=event.target_kind,
        category=event.category,
        urgency=None,
        area=[],
        status=status,
        business_status=business_status,
        reason=None,
        outcome=None,
        question_open=False,
        answer_due_at=None,
        appointment_at=None,
        made_at=event.at,
        version=0,
        updated_at=event.at,
    )


def _organization(row: OrganizationView | None, agency: str, event: Any) -> OrganizationView | None:
    if row is not None and event.version < row.version:
        return None
    return OrganizationView(agency, event.organization_id, event.name, event.version)


def _delivery(row: DeliveryView | None, agency: str, event: Any) -> DeliveryView | None:
    if row is not None and event.at < row.at:
        return None
    reason: str | None = getattr(event, "reason", None)
    return DeliveryView(
        agency_id=agency,
        id=event.delivery_id,
        channel=event.channel,
        succeeded=reason is None,
        reason=reason,
        attempts=event.attempts,
        at=event.at,
    )


def _parked(_row: ParkedView | None, agency: str, event: Any) -> ParkedView:
    return ParkedView(
        agency_id=agency,
        id=event.parked_id,
        group_name=event.group,
        topic=event.topic,
        event_type=event.event_type,
        reason=event.reason,
        attempts=event.attempts,
        at=event.at,
    )


# Every type that the pages live on, and whom it is about.
RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "handoff.case.opened.v1": (Rule(CaseView, "case_id", _case_opened),),
    "handoff.case.need-added.v1": (
        Rule(CaseView, "case_id", _case),
        Rule(NeedView, "need_id", _need_added),
    ),
    "handoff.case.assigned.v1": (Rule(CaseView, "case_id", _case_assigned),),
    "handoff.case.contact-attempted.v1": (Rule(CaseView, "case_id", _case_attempt),),
    "handoff.case.closed.v1": (Rule(CaseView, "case_id", _case_closed),),
    "handoff.case.reopened.v1": (Rule(CaseView, "case_id", _case),),
    "handoff.need.requested.v1": (Rule(NeedView, "need_id", _need_requested),),
    "handoff.need.matched.v1": (Rule(NeedView, "need_id", _need_matched),),
    "handoff.need.approval-requested.v1": (Rule(NeedView, "need_id", _need_approval),),
    "handoff.need.settled.v1": (Rule(NeedView, "need_id", _need_settled),),
    "handoff.consent.granted.v1": (Rule(ConsentView, "consent_id", _consent_granted),),
    "handoff.consent.withdrawn.v1": (Rule(ConsentView, "consent_id", _consent_ended),),
    "handoff.consent.expired.v1": (Rule(ConsentView, "consent_id", _consent_ended),),
    "handoff.offer.made.v1": (Rule(OfferView, "offer_id", _offer_made),),
    "handoff.offer.accepted.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.rejected.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.question-asked.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.scheduled.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.no-show.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.appointment-cancelled.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.progressed.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.held.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.resumed.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.completed.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.failed.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.offer.cancelled.v1": (Rule(OfferView, "offer_id", _offer),),
    "handoff.organization.changed.v1": (Rule(OrganizationView, "organization_id", _organization),),
    "handoff.delivery.succeeded.v1": (Rule(DeliveryView, "delivery_id", _delivery),),
    "handoff.delivery.failed.v1": (Rule(DeliveryView, "delivery_id", _delivery),),
    "handoff.event.parked.v1": (Rule(ParkedView, "parked_id", _parked),),
}
