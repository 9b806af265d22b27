"""Which events partner takes, and what each leads to: the table of contents."""

from collections.abc import Awaitable, Callable, Sequence

from event_schemas.base import Event
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from event_schemas.referrals import NeedSettled, OfferCancelRequested, OfferMade
from handoff_kit.consumer import Group, Received
from handoff_kit.tx import Tx

from partner_svc.handlers.follow import follow_consents, follow_referrals

Handler = Callable[[Tx, Sequence[Received]], Awaitable[None]]

HANDLERS: dict[type[Event], Handler] = {
    OfferMade: follow_referrals,
    OfferCancelRequested: follow_referrals,
    NeedSettled: follow_referrals,
    ConsentGranted: follow_consents,
    ConsentWithdrawn: follow_consents,
    ConsentExpired: follow_consents,
}


async def apply(tx: Tx, events: Sequence[Received]) -> None:
    """Give each handler its part of the set, in order."""
    for handler in dict.fromkeys(HANDLERS.values()):
        its = [event for event in events if HANDLERS[type(event.data)] is handler]
        if its:
            await handler(tx, its)


def needless(event: Event) -> bool:
    """A first grant has nothing to take back. It comes with each referral."""
    return isinstance(event, ConsentGranted) and event.version == 1


GROUPS = (Group("partner", frozenset(HANDLERS), apply, needless=needless),)
