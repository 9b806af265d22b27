"""The table of contents: what notify hears, and the one function that takes it."""

from collections.abc import Callable

from event_schemas import cases, consents, directory, offers, referrals
from event_schemas.base import Event
from handoff_kit.consumer import Group

from notify_svc.handlers.tell import Teller

# Learnt and never told by themselves.
LEARNT: frozenset[type[Event]] = frozenset(
    {
        consents.ConsentGranted,
        consents.ConsentWithdrawn,
        consents.ConsentExpired,
        directory.OrganizationChanged,
    }
)

# Told by the city's policy; some teach as well (a need its referrer, an assignment its case).
TOLD: frozenset[type[Event]] = frozenset(
    {
        referrals.NeedRequested,
        referrals.NeedApprovalRequested,
        referrals.NeedSettled,
        referrals.OfferMade,
        referrals.OfferCancelRequested,
        referrals.ClockDue,
        cases.CaseOpened,
        cases.CaseNeedAdded,
        cases.CaseAssigned,
        cases.CaseContactAttempted,
        cases.CaseClosed,
        cases.CaseReopened,
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
    }
)


def groups(teller: Teller, after: Callable[[], None]) -> list[Group]:
    """The consumer groups of notify; *after* is called after each commit."""
    return [Group(name="notify", events=LEARNT | TOLD, apply=teller.apply, after=after)]
