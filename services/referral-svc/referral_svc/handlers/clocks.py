"""Clocks that ran out: reminders first, then the consequence. Set-wise, by the clock."""

from event_schemas.codes import NEED_SETTLED, ClockKind, Reason
from event_schemas.referrals import ClockDue
from handoff_kit.tx import Tx

from referral_svc import tables
from referral_svc.domain.records import Attention, Bundle, Need, Offer
from referral_svc.domain.timeline import Entry
from referral_svc.handlers import placing
from referral_svc.handlers.work import Work, open_set
from referral_svc.handlers.world import World

_MOST = 500  # cases in one set


async def run_clocks(world: World, tx: Tx) -> int:
    """Take what is due now; how many clocks that was. A skipped second is caught up with."""
    keys = await tables.due_cases(tx.conn, tx.now, _MOST)
    if not keys:
        return 0
    work = await open_set(world, tx, keys)
    done = 0
    for bundle in work.bundles.values():
        for offer in list(bundle.offers.values()):
            if offer.clock_due_at is not None and offer.clock_due_at <= tx.now:
                _due(work, bundle, bundle.needs[offer.need_id], offer)
                done += 1
    await work.save()
    return done


def _due(work: Work, bundle: Bundle, need: Need, offer: Offer) -> None:
    """One clock ran out: remind; after the last reminder, silence has its consequence."""
    clock = work.rule(need).clocks.get(ClockKind(offer.clock)) if offer.clock else None
    bundle.changed.add(offer.id)
    if clock is None or need.status in NEED_SETTLED or not offer.open:
        placing.stop_clock(offer)
        return
    offer.reminders += 1
    _say_due(work, bundle, need, offer, clock.source)
    if offer.reminders <= clock.reminders and clock.every is not None:
        offer.clock_due_at = work.due(clock.every)
    elif offer.clock == ClockKind.ANSWER_DUE:
        placing.end_offer(work, bundle, need, offer, Reason.NO_RESPONSE)
    else:
        placing.stop_clock(offer)
        placing.call_person(work, bundle, need, Attention.SILENT)


def _say_due(work: Work, bundle: Bundle, need: Need, offer: Offer, source: str) -> None:
    work.say(
        need.agency_id,
        ClockDue(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=work.now,
            offer_id=offer.id,
            organization_id=offer.organization_id,
            clock=offer.clock,
            due_at=offer.clock_due_at,
            reminder=offer.reminders,
            source=source,
        ),
    )
    facts = {"clock": offer.clock, "reminder": offer.reminders}
    work.write(bundle, Entry.CLOCK_DUE, need, offer, facts=facts)
