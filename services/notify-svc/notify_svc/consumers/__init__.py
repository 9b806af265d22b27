"""The table of contents: what notify hears, and the one function that takes it."""

from collections.abc import Callable, Sequence

from event_schemas import access, cases, consents, directory, offers, referrals
from event_schemas.base import Event
from handoff_kit.consumer import Group, Received
from handoff_kit.tx import Tx

from notify_svc.handlers.doors import shut_out
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

# Who may no longer come in is told nothing more.
ENDED: frozenset[type[Event]] = frozenset((access.ClientRevoked, access.PersonDisabled))

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


# Seconds: the offer itself goes first, and what it leads to here comes in one set.
LINGER = 0.005


def groups(teller: Teller, after: Callable[[], None]) -> list[Group]:
    """The consumer groups of notify; *after* is called after each commit."""

    async def apply(tx: Tx, events: Sequence[Received]) -> None:
        await shut_out(tx, events)
        await teller.apply(tx, events)

    events = LEARNT | TOLD | ENDED
    return [Group(name="notify", events=events, apply=apply, after=after, linger=LINGER)]
