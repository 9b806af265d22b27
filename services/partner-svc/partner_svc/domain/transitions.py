"""Every transition of an offer as data, and the conditions beside it.

Sources: HL7 SDOH Clinical Care guide 3.0.0 (Task status), BSeR (business status). Where the two
differ, the Task's status governs; business status 5.2 (cancel asked) alone closes what is not said
to be open in it.
"""

from dataclasses import dataclass
from enum import StrEnum

from event_schemas.codes import (
    DECLINE_REASONS,
    OFFER_IN_HAND,
    OFFER_OPEN,
    BusinessStatus,
    OfferStatus,
    Outcome,
    Party,
    Reason,
)


class Command(StrEnum):
    """What may be asked of an offer; the first group by its target, the second by the system."""

    ACCEPT = "accept"
    DECLINE = "decline"
    UNDO_ACCEPT = "undo-accept"
    ASK = "ask"
    SCHEDULE = "schedule"
    NO_SHOW = "no-show"
    CANCEL_APPOINTMENT = "cancel-appointment"
    PROGRESS = "progress"
    HOLD = "hold"
    RESUME = "resume"
    CONFIRM_CANCEL = "confirm-cancel"
    COMPLETE = "complete"
    FAIL = "fail"

    SILENCE = "silence"
    REQUEST_CANCEL = "request-cancel"
    FORCE_CANCEL = "force-cancel"
    ENTER_IN_ERROR = "enter-in-error"
    RECEIVE = "receive"
    SETTLE = "settle"


BY_SYSTEM = frozenset(
    {
        Command.SILENCE,
        Command.REQUEST_CANCEL,
        Command.FORCE_CANCEL,
        Command.ENTER_IN_ERROR,
        Command.RECEIVE,
        Command.SETTLE,
    }
)
BY_TARGET = frozenset(Command) - BY_SYSTEM


class Kind(StrEnum):
    """What happened; each is the middle of an event's type, ``handoff.offer.<kind>.v1``."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    QUESTION_ASKED = "question-asked"
    SCHEDULED = "scheduled"
    NO_SHOW = "no-show"
    APPOINTMENT_CANCELLED = "appointment-cancelled"
    PROGRESSED = "progressed"
    HELD = "held"
    RESUMED = "resumed"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Who is behind a reason when the command does not say.
PARTY_OF: dict[Reason, Party] = {
    **dict.fromkeys(DECLINE_REASONS, Party.TARGET),
    Reason.RESIDENT_DECLINED: Party.RESIDENT,
    Reason.CANNOT_REACH_RESIDENT: Party.RESIDENT,
    Reason.ALREADY_SERVED: Party.RESIDENT,
    Reason.RESIDENT_MOVED: Party.RESIDENT,
    Reason.CONSENT_WITHDRAWN: Party.RESIDENT,
    Reason.WAITING_ON_RESIDENT: Party.RESIDENT,
    Reason.NO_RESPONSE: Party.TARGET,
    Reason.ACCEPTED_IN_ERROR: Party.TARGET,
    Reason.WAITING_FOR_DOCUMENT: Party.RESIDENT,
    Reason.WAITING_FOR_CAPACITY: Party.TARGET,
    Reason.NEED_ENDED: Party.SYSTEM,
    Reason.ENTERED_IN_ERROR: Party.SYSTEM,
    Reason.DUPLICATE: Party.SYSTEM,
    Reason.SUPERSEDED: Party.SYSTEM,
}

FAIL_REASONS = DECLINE_REASONS | {Reason.RESIDENT_MOVED}

# Outcomes after which the need goes back to matching: they place it with nobody.
WITHOUT_HELP = frozenset(
    {Outcome.COULD_NOT_REACH, Outcome.NOT_ELIGIBLE, Outcome.NO_FUNDS, Outcome.NO_CAPACITY}
)


class Guard(StrEnum):
    """A condition beside the state; its value is the code of the refusal."""

    CONSENT_STANDS = "consent-ended"
    NOT_PLACED = "already-placed"
    NO_FACT_READ = "facts-read"
    WAS_SILENCE = "illegal-transition"
    IS_RESTRICTED = "not-restricted"
    IS_CASE_MANAGERS = "not-case-manager"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. ``to`` None: the status stays; ``business`` None: that stays."""

    of: frozenset[OfferStatus]
    within: frozenset[BusinessStatus]
    to: OfferStatus | None
    business: BusinessStatus | None
    kind: Kind | None
    guards: tuple[Guard, ...] = ()
    reason: Reason | None = None
    outcome: Outcome | None = None


S, B = OfferStatus, BusinessStatus
REQUESTED = frozenset({S.REQUESTED})
ENDED_AT_REQUEST = frozenset({S.CANCELLED})
ACCEPTED = frozenset({S.ACCEPTED})
AT_WORK = frozenset({S.ACCEPTED, S.IN_PROGRESS})
WORK_BEGAN = frozenset({S.IN_PROGRESS, S.ON_HOLD})
ANY_STATUS = frozenset(OfferStatus)
ANY_BUSINESS = frozenset(BusinessStatus)
CANCEL_ASKED = frozenset({B.CANCEL_REQUESTED})
NO_CANCEL_ASKED = ANY_BUSINESS - CANCEL_ASKED
APPOINTED = frozenset({B.SCHEDULED})
APPOINTED_OR_MISSED = frozenset({B.SCHEDULED, B.NO_SHOW})

_MAY_PLACE = (Guard.CONSENT_STANDS, Guard.NOT_PLACED)
_RESTRICTED_END = (Guard.IS_RESTRICTED, Guard.CONSENT_STANDS)

# The first rule that fits state and guards decides.
TABLE: dict[Command, tuple[Rule, ...]] = {
    Command.ACCEPT: (
        # Accepting is a receipt: a restricted offer ends there and no answer comes back.
        Rule(
            REQUESTED,
            NO_CANCEL_ASKED,
            S.COMPLETED,
            B.FULFILMENT_COMPLETED,
            Kind.COMPLETED,
            guards=_RESTRICTED_END,
            outcome=Outcome.HANDED_OVER,
        ),
        Rule(REQUESTED, NO_CANCEL_ASKED, S.ACCEPTED, B.ACCEPTED, Kind.ACCEPTED, _MAY_PLACE),
        Rule(
            ENDED_AT_REQUEST,
            NO_CANCEL_ASKED,
            S.COMPLETED,
            B.FULFILMENT_COMPLETED,
            Kind.COMPLETED,
            guards=(Guard.WAS_SILENCE, *_RESTRICTED_END, Guard.NOT_PLACED),
            outcome=Outcome.HANDED_OVER,
        ),
        Rule(
            ENDED_AT_REQUEST,
            NO_CANCEL_ASKED,
            S.ACCEPTED,
            B.ACCEPTED,
            Kind.ACCEPTED,
            guards=(Guard.WAS_SILENCE, *_MAY_PLACE),
        ),
    ),
    Command.DECLINE: (
        Rule(REQUESTED, NO_CANCEL_ASKED, S.REJECTED, B.DECLINED, Kind.REJECTED),
        Rule(ACCEPTED, NO_CANCEL_ASKED, S.CANCELLED, B.DECLINED, Kind.CANCELLED),
        Rule(WORK_BEGAN, NO_CANCEL_ASKED, S.FAILED, B.DECLINED, Kind.FAILED),
    ),
    Command.UNDO_ACCEPT: (
        Rule(
            ACCEPTED,
            NO_CANCEL_ASKED,
            S.CANCELLED,
            B.FULFILMENT_CANCELLED,
            Kind.CANCELLED,
            guards=(Guard.NO_FACT_READ,),
            reason=Reason.ACCEPTED_IN_ERROR,
        ),
    ),
    Command.ASK: (Rule(REQUESTED, NO_CANCEL_ASKED, None, None, Kind.QUESTION_ASKED),),
    Command.SCHEDULE: (Rule(AT_WORK, NO_CANCEL_ASKED, None, B.SCHEDULED, Kind.SCHEDULED),),
    Command.NO_SHOW: (Rule(OFFER_IN_HAND, APPOINTED, None, B.NO_SHOW, Kind.NO_SHOW),),
    Command.CANCEL_APPOINTMENT: (
        Rule(
            OFFER_IN_HAND,
            APPOINTED_OR_MISSED,
            None,
            B.APPOINTMENT_CANCELLED,
            Kind.APPOINTMENT_CANCELLED,
        ),
    ),
    Command.PROGRESS: (
        Rule(AT_WORK, NO_CANCEL_ASKED, S.IN_PROGRESS, B.EVENT_COMPLETED, Kind.PROGRESSED),
    ),
    Command.HOLD: (Rule(AT_WORK, NO_CANCEL_ASKED, S.ON_HOLD, None, Kind.HELD),),
    Command.RESUME: (
        Rule(frozenset({S.ON_HOLD}), NO_CANCEL_ASKED, S.IN_PROGRESS, None, Kind.RESUMED),
    ),
    Command.CONFIRM_CANCEL: (
        Rule(OFFER_IN_HAND, CANCEL_ASKED, S.CANCELLED, B.FULFILMENT_CANCELLED, Kind.CANCELLED),
    ),
    # A race between cancel and outcome ends completed, so 5.2 is open to it.
    Command.COMPLETE: (
        Rule(OFFER_IN_HAND, ANY_BUSINESS, S.COMPLETED, B.FULFILMENT_COMPLETED, Kind.COMPLETED),
    ),
    Command.FAIL: (
        Rule(OFFER_IN_HAND, NO_CANCEL_ASKED, S.FAILED, B.FULFILMENT_COMPLETED, Kind.FAILED),
    ),
    Command.SILENCE: (
        Rule(REQUESTED, ANY_BUSINESS, S.CANCELLED, B.FULFILMENT_CANCELLED, Kind.CANCELLED),
    ),
    Command.REQUEST_CANCEL: (
        Rule(REQUESTED, ANY_BUSINESS, S.CANCELLED, B.FULFILMENT_CANCELLED, Kind.CANCELLED),
        # Nothing is said: whoever asked has said it, and the target sees it in the offer.
        Rule(OFFER_IN_HAND, NO_CANCEL_ASKED, None, B.CANCEL_REQUESTED, None),
    ),
    Command.FORCE_CANCEL: (
        Rule(OFFER_OPEN, ANY_BUSINESS, S.CANCELLED, B.FULFILMENT_CANCELLED, Kind.CANCELLED),
    ),
    Command.ENTER_IN_ERROR: (
        Rule(
            ANY_STATUS - {S.ENTERED_IN_ERROR},
            ANY_BUSINESS,
            S.ENTERED_IN_ERROR,
            B.FULFILMENT_CANCELLED,
            Kind.CANCELLED,
        ),
    ),
    Command.RECEIVE: (
        Rule(
            REQUESTED,
            ANY_BUSINESS,
            S.COMPLETED,
            B.FULFILMENT_COMPLETED,
            Kind.COMPLETED,
            guards=_RESTRICTED_END,
            outcome=Outcome.HANDED_OVER,
        ),
    ),
    # A case manager's offer completes when the need settles with an outcome.
    Command.SETTLE: (
        Rule(
            OFFER_IN_HAND,
            ANY_BUSINESS,
            S.COMPLETED,
            B.FULFILMENT_COMPLETED,
            Kind.COMPLETED,
            guards=(Guard.IS_CASE_MANAGERS,),
        ),
    ),
}
