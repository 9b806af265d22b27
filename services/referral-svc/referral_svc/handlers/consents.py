"""Consents that ended or changed, as far as they decide what may be offered."""

from dataclasses import replace
from typing import Any

from event_schemas.codes import NEED_SETTLED, NeedStatus, Reason
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from handoff_kit.consumer import Received
from handoff_kit.errors import Waiting

from referral_svc import tables
from referral_svc.domain import course
from referral_svc.domain.records import WAITS_FOR_CANDIDATE, Bundle, Need
from referral_svc.domain.states import ON_ITS_WAY, NeedStep
from referral_svc.domain.timeline import Entry
from referral_svc.handlers import placing
from referral_svc.handlers.work import Work

_HELPED = frozenset({NeedStatus.MET, NeedStatus.PARTLY_MET})


def keep_consents(work: Work, events: list[Received]) -> None:
    """Write down the latest word on each consent, under the locks of their cases."""
    latest: dict[tables.Key, dict[str, Any]] = {}
    for received in events:
        event = received.data
        row = {
            "agency_id": received.agency,
            "id": event.consent_id,
            "case_id": event.case_id,
            "over": not isinstance(event, ConsentGranted),
            "at": event.at,
        }
        if isinstance(event, ConsentGranted):
            row["recipients"] = [str(id_) for id_ in event.recipients]
            row["categories"] = list(event.categories)
            row["feedback"] = event.feedback
        latest[received.agency, event.consent_id] = row
    ended = [row for row in latest.values() if row["over"]]
    granted = [row for row in latest.values() if not row["over"]]
    work.tx.insert(tables.ConsentRow, granted, "update")
    if ended:
        work.tx.write(tables.ending_consents(ended))


def consent_ended(work: Work, received: Received) -> None:
    """Withdrawal looks forward: open offers under the consent end, whatever their state.

    Raises Waiting while the case is not known: its need may be on the way.
    """
    event: ConsentWithdrawn | ConsentExpired = received.data
    bundle = work.find(received.agency, event.case_id)
    if bundle is None:
        raise Waiting("the case of the consent is not known yet")
    work.ended_consents.add((received.agency, event.consent_id))
    needs = [need for need in bundle.needs.values() if need.consent_id == event.consent_id]
    if not needs:
        return
    work.write(bundle, Entry.CONSENT_ENDED)
    reason = Reason.CONSENT_WITHDRAWN
    for need in needs:
        if need.status not in NEED_SETTLED:
            placing.settle(work, bundle, need, NeedStep.WITHDRAW, reason=reason, forced=True)
            continue
        if need.status not in _HELPED:
            # So that neither a late accept nor a person takes it up again without a new consent.
            need.reason = reason
            work.touch(bundle, need)
        for offer in bundle.offers_of(need):
            if offer.open:
                placing.end_offer(work, bundle, need, offer, reason, forced=True)


def consent_granted(work: Work, received: Received) -> None:
    """The latest grant counts: open needs that it covers follow it."""
    event: ConsentGranted = received.data
    work.ended_consents.discard((received.agency, event.consent_id))
    bundle = work.find(received.agency, event.case_id)
    if bundle is None:
        return
    for need in bundle.needs.values():
        if need.status not in NEED_SETTLED and need.category in event.categories:
            _cover(work, bundle, need, event)


def _cover(work: Work, bundle: Bundle, need: Need, event: ConsentGranted) -> None:
    if need.consent_id is None or need.match_id is None:
        return
    inputs = work.world.inputs_of(need.agency_id, need.match_id)
    recipients = tuple(event.recipients)
    if inputs.recipients == recipients and need.consent_id == event.consent_id:
        return
    need.consent_id = event.consent_id
    changed = replace(inputs, recipients=recipients)
    match = work.world.match(need.agency_id, changed, work.now)
    work.matches[need.agency_id, match.id] = match
    need.match_id = match.id
    work.touch(bundle, need)
    work.write(bundle, Entry.CONSENT_CHANGED, need)
    if need.status in ON_ITS_WAY and need.attention in WAITS_FOR_CANDIDATE:
        placing.place(work, bundle, need, course.manager_in_hand(bundle.offers_of(need)))
