"""An offer's state, and the decision of what a command makes of it.

Pure: the time is passed in, and nothing is changed in place. The table is in `transitions`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from event_schemas.codes import (
    OFFER_IN_HAND,
    OFFER_OPEN,
    BusinessStatus,
    NeedCategory,
    OfferStatus,
    Outcome,
    Party,
    Reason,
    Role,
    Severity,
    TargetKind,
    Urgency,
)

from partner_svc.domain.transitions import (
    BY_TARGET,
    PARTY_OF,
    TABLE,
    WITHOUT_HELP,
    Command,
    Guard,
    Kind,
    Rule,
)


@dataclass(slots=True)
class Offer:
    """One try at meeting a need. Field names are the columns of ``partner.offer``.

    ``reason`` says why it ended or is on hold; ``cancel_reason`` why its end was asked for while
    it is in hand. ``facts_read_at``: first time that the target read a fact of the resident.
    ``trace``: traceparent of what made it, so that the answer ends the doorway's own trace.
    """

    agency_id: str
    id: UUID
    case_id: UUID
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: TargetKind
    category: NeedCategory
    urgency: Urgency
    restricted: bool
    area: list[str]
    consent_id: UUID | None
    property_id: UUID | None
    inspection_id: UUID | None
    severity: Severity | None
    deadline: datetime | None
    deadline_basis: str | None
    answer_due_at: datetime | None
    trace: str
    created_at: datetime
    updated_at: datetime
    status: OfferStatus = OfferStatus.REQUESTED
    business_status: BusinessStatus = BusinessStatus.CREATED
    reason: Reason | None = None
    party: Party | None = None
    cancel_reason: Reason | None = None
    outcome: Outcome | None = None
    appointment_at: datetime | None = None
    facts_read_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Ask:
    """A command with what it says. ``role`` is the actor's; ``note_id`` a note sealed in intake."""

    command: Command
    role: Role = Role.SYSTEM
    reason: Reason | None = None
    outcome: Outcome | None = None
    appointment_at: datetime | None = None
    note_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """What to say about the offer as it is now; reason and party where the kind has them."""

    kind: Kind
    role: Role
    reason: Reason | None = None
    party: Party | None = None
    note_id: UUID | None = None
    revived: bool = False


class Refused(Exception):
    """This command is not possible now. ``code`` says why, ``allowed`` what is possible."""

    def __init__(self, code: str, allowed: frozenset[Command]) -> None:
        super().__init__(code)
        self.code = code
        self.allowed = allowed


def rivals(offer: Offer, others: Iterable[Offer]) -> list[Offer]:
    """Other offers of the need that only one of may be in hand.

    A case manager's offer stands above those that it makes, so only offers below the same parent
    and of the same kind of hand (case manager or not) compete.
    """
    desk = offer.target_kind is TargetKind.CASE_MANAGER
    return [
        other
        for other in others
        if other.id != offer.id
        and other.agency_id == offer.agency_id
        and other.need_id == offer.need_id
        and other.parent_offer_id == offer.parent_offer_id
        and (other.target_kind is TargetKind.CASE_MANAGER) == desk
    ]


def placed_with_another(offer: Offer, others: Iterable[Offer]) -> bool:
    """Has somebody else the need in hand, or met it since this offer was cancelled by silence?

    A need that was met and opened again is offered anew, so what is over does not bar an offer
    that is still asked for.
    """
    late = offer.status is not OfferStatus.REQUESTED
    return any(
        rival.status in OFFER_IN_HAND
        or (late and rival.status is OfferStatus.COMPLETED and rival.outcome not in WITHOUT_HELP)
        for rival in rivals(offer, others)
    )


def _holds(guard: Guard, offer: Offer, others: Iterable[Offer], *, consent_ended: bool) -> bool:
    match guard:
        case Guard.CONSENT_STANDS:
            return not consent_ended
        case Guard.NOT_PLACED:
            return not placed_with_another(offer, others)
        case Guard.NO_FACT_READ:
            return offer.facts_read_at is None
        case Guard.WAS_SILENCE:
            return offer.reason is Reason.NO_RESPONSE
        case Guard.IS_RESTRICTED:
            return offer.restricted
        case Guard.IS_CASE_MANAGERS:
            return offer.target_kind is TargetKind.CASE_MANAGER


def _find(
    offer: Offer, others: Iterable[Offer], command: Command, *, consent_ended: bool
) -> Rule | str:
    """The rule that decides, or the code of the refusal."""
    code = Guard.WAS_SILENCE.value
    for rule in TABLE[command]:
        if offer.status not in rule.of or offer.business_status not in rule.within:
            continue
        for guard in rule.guards:
            if not _holds(guard, offer, others, consent_ended=consent_ended):
                # A rule for other offers than this one (restricted) says nothing of why not.
                if guard is not Guard.IS_RESTRICTED:
                    code = guard.value
                break
        else:
            return rule
    return code


def allowed(
    offer: Offer, others: Iterable[Offer] = (), *, consent_ended: bool = False
) -> frozenset[Command]:
    """What the target may do now."""
    others = list(others)
    return frozenset(
        command
        for command in BY_TARGET
        if isinstance(_find(offer, others, command, consent_ended=consent_ended), Rule)
    )


def decide(
    offer: Offer,
    others: Iterable[Offer],
    ask: Ask,
    now: datetime,
    *,
    consent_ended: bool = False,
) -> tuple[Offer, Happened | None]:
    """The offer after *ask* and what happened, None where nothing is to be said.

    *others*: the offers of the same need. *consent_ended*: the offer's consent was withdrawn or
    has expired. Raises `Refused`.
    """
    others = list(others)
    rule = _find(offer, others, ask.command, consent_ended=consent_ended)
    if isinstance(rule, str):
        raise Refused(rule, allowed(offer, others, consent_ended=consent_ended))
    reason = rule.reason or ask.reason
    if ask.command is Command.CONFIRM_CANCEL:
        reason = offer.cancel_reason or Reason.NEED_ENDED
    party = PARTY_OF[reason] if reason else None
    status = rule.to or offer.status
    changed = replace(
        offer,
        status=status,
        business_status=rule.business or offer.business_status,
        version=offer.version + 1,
        updated_at=now,
    )
    _keep_why(changed, ask, rule, reason, party)
    if ask.command is Command.SCHEDULE:
        changed.appointment_at = ask.appointment_at
    elif ask.command is Command.CANCEL_APPOINTMENT:
        changed.appointment_at = None
    if rule.kind is None:
        return changed, None
    return changed, Happened(
        kind=rule.kind,
        role=ask.role,
        reason=reason,
        party=party,
        note_id=ask.note_id,
        revived=offer.status is OfferStatus.CANCELLED and status is OfferStatus.ACCEPTED,
    )


def _keep_why(
    changed: Offer, ask: Ask, rule: Rule, reason: Reason | None, party: Party | None
) -> None:
    """Set reason, party and outcome of the fresh copy; they belong to the state that it is in."""
    if ask.command is Command.REQUEST_CANCEL and rule.kind is None:
        changed.cancel_reason = reason
    elif rule.to is not None:
        changed.reason, changed.party = reason, party
        changed.outcome = rule.outcome or ask.outcome


def ask_of_cancel(reason: Reason, *, forced: bool) -> Command:
    """The command that a request to cancel amounts to.

    Silence ends an offer that nobody took and no other; a withdrawn consent ends any open one.
    """
    if reason is Reason.ENTERED_IN_ERROR:
        return Command.ENTER_IN_ERROR
    if reason is Reason.NO_RESPONSE:
        return Command.SILENCE
    if forced or reason is Reason.CONSENT_WITHDRAWN:
        return Command.FORCE_CANCEL
    return Command.REQUEST_CANCEL


def may_read_resident(offer: Offer) -> bool:
    """In hand, or restricted and handed over; a consent is asked for besides."""
    handed_over = offer.restricted and offer.outcome is Outcome.HANDED_OVER
    return offer.consent_id is not None and (offer.status in OFFER_IN_HAND or handed_over)


def may_read_property(offer: Offer) -> bool:
    """A property's offer: its target, while it is open or was completed. A resident's: in hand."""
    if offer.property_id is not None:
        return offer.status in OFFER_OPEN or offer.status is OfferStatus.COMPLETED
    return may_read_resident(offer)
