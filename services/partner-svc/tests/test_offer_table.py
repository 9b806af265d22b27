"""The whole table: every status, business status and command, against the rules in words."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest
from event_schemas.codes import (
    DECLINE_REASONS,
    OFFER_IN_HAND,
    OFFER_OPEN,
    OFFER_TERMINAL,
    BusinessStatus,
    NeedCategory,
    OfferStatus,
    Outcome,
    Party,
    Reason,
    TargetKind,
    Urgency,
)
from partner_svc.domain.offers import (
    Ask,
    Offer,
    Refused,
    allowed,
    ask_of_cancel,
    decide,
)
from partner_svc.domain.transitions import BY_TARGET, PARTY_OF, Command, Kind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 13, tzinfo=UTC)

# command | from: status, business status | to: status, business status | event
# "work" is accepted and in-progress, "hand" those and on-hold, "open" those and requested;
# "=" stays as it is, "-5.2" is any but that one.
CONTRACT = """
accept             | requested           | -5.2        | accepted    | 3.0   | accepted
decline            | requested           | -5.2        | rejected    | 4.0   | rejected
decline            | accepted            | -5.2        | cancelled   | 4.0   | cancelled
decline            | in-progress on-hold | -5.2        | failed      | 4.0   | failed
undo-accept        | accepted            | -5.2        | cancelled   | 6.0   | cancelled
ask                | requested           | -5.2        | =           | =     | question-asked
schedule           | work                | -5.2        | =           | 5.1.1 | scheduled
no-show            | hand                | 5.1.1       | =           | 5.1.2 | no-show
cancel-appointment | hand                | 5.1.1 5.1.2 | =           | 5.1.3 | appointment-cancelled
progress           | work                | -5.2        | in-progress | 5.1.4 | progressed
hold               | work                | -5.2        | on-hold     | =     | held
resume             | on-hold             | -5.2        | in-progress | =     | resumed
confirm-cancel     | hand                | 5.2         | cancelled   | 6.0   | cancelled
complete           | hand                | any         | completed   | 7.0   | completed
fail               | hand                | -5.2        | failed      | 7.0   | failed
silence            | requested           | any         | cancelled   | 6.0   | cancelled
request-cancel     | requested           | any         | cancelled   | 6.0   | cancelled
request-cancel     | hand                | -5.2        | =           | 5.2   | -
force-cancel       | open                | any         | cancelled   | 6.0   | cancelled
"""
GROUPS = {
    "work": {OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS},
    "hand": OFFER_IN_HAND,
    "open": OFFER_OPEN,
}


def statuses(words: str) -> set[OfferStatus]:
    found: set[OfferStatus] = set()
    for word in words.split():
        found |= GROUPS.get(word) or {OfferStatus(word)}
    return found


def businesses(words: str) -> set[BusinessStatus]:
    if words.strip() == "any":
        return set(BusinessStatus)
    if words.strip() == "-5.2":
        return set(BusinessStatus) - {BusinessStatus.CANCEL_REQUESTED}
    return {BusinessStatus(word) for word in words.split()}


def expected() -> dict[tuple[str, str, str], tuple[str, str, str]]:
    table = {}
    for line in CONTRACT.strip().splitlines():
        command, of, within, to, business, kind = (cell.strip() for cell in line.split("|"))
        for status, now in product(statuses(of), businesses(within)):
            key = (command, status.value, now.value)
            assert key not in table
            table[key] = (
                status.value if to == "=" else to,
                now.value if business == "=" else business,
                kind,
            )
    return table


def an_offer(**given: object) -> Offer:
    offer = Offer(
        agency_id="demo",
        id=UUID(int=1),
        case_id=UUID(int=2),
        need_id=UUID(int=3),
        parent_offer_id=None,
        organization_id=UUID(int=4),
        service_id=UUID(int=5),
        target_kind=TargetKind.PARTNER,
        category=NeedCategory.FOOD_INSECURITY,
        urgency=Urgency.ROUTINE,
        restricted=False,
        area=["city:demo"],
        consent_id=UUID(int=6),
        property_id=None,
        inspection_id=None,
        severity=None,
        deadline=None,
        deadline_basis=None,
        answer_due_at=None,
        trace="00-1-2-01",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(offer, **given)  # type: ignore[arg-type]


def a_restricted_offer(**given: object) -> Offer:
    return an_offer(restricted=True, category=NeedCategory.MENTAL_HEALTH, **given)


def test_every_status_business_status_and_command() -> None:
    """1,710 combinations: what the contract names goes through as it says, all else is refused."""
    table = expected()
    for status, business, command in product(OfferStatus, BusinessStatus, Command):
        if command in {Command.ENTER_IN_ERROR, Command.RECEIVE, Command.SETTLE}:
            continue
        offer = an_offer(status=status, business_status=business)
        key = (command.value, status.value, business.value)
        ask = Ask(command, reason=Reason.OTHER, outcome=Outcome.GOT_HELP, appointment_at=LATER)
        if key not in table:
            with pytest.raises(Refused) as refused:
                decide(offer, [], ask, LATER)
            assert command not in refused.value.allowed
            continue
        changed, happened = decide(offer, [], ask, LATER)
        to, to_business, kind = table[key]
        assert (changed.status, changed.business_status) == (to, to_business), key
        assert (happened.kind.value if happened else "-") == kind, key
        assert (changed.version, changed.updated_at) == (offer.version + 1, LATER)
        assert (offer.status, offer.version) == (status, 1)


def test_allowed_is_what_the_table_allows() -> None:
    table = expected()
    for status, business in product(OfferStatus, BusinessStatus):
        offer = an_offer(status=status, business_status=business)
        assert allowed(offer) == {
            command for command in BY_TARGET if (command.value, status, business) in table
        }


def test_entered_in_error_from_any_state_but_itself() -> None:
    for status, business in product(OfferStatus, BusinessStatus):
        offer = an_offer(status=status, business_status=business)
        ask = Ask(Command.ENTER_IN_ERROR, reason=Reason.ENTERED_IN_ERROR)
        if status is OfferStatus.ENTERED_IN_ERROR:
            with pytest.raises(Refused):
                decide(offer, [], ask, LATER)
            continue
        changed, happened = decide(offer, [], ask, LATER)
        assert changed.status is OfferStatus.ENTERED_IN_ERROR
        assert happened and happened.kind is Kind.CANCELLED
        assert happened.reason is Reason.ENTERED_IN_ERROR


@pytest.mark.parametrize("status", sorted(OFFER_TERMINAL))
def test_a_late_cancel_changes_nothing(status: OfferStatus) -> None:
    for command in (Command.SILENCE, Command.REQUEST_CANCEL, Command.FORCE_CANCEL):
        with pytest.raises(Refused):
            decide(an_offer(status=status), [], Ask(command, reason=Reason.NEED_ENDED), LATER)


def a_silent_offer(**given: object) -> Offer:
    offer, _ = decide(an_offer(**given), [], Ask(Command.SILENCE, reason=Reason.NO_RESPONSE), NOW)
    return offer


def test_silence_is_cancelled_with_its_reason_and_never_rejected() -> None:
    offer = a_silent_offer()
    assert (offer.status, offer.reason) == (OfferStatus.CANCELLED, Reason.NO_RESPONSE)
    assert offer.party is Party.TARGET


def test_a_late_accept_revives_what_silence_cancelled() -> None:
    changed, happened = decide(a_silent_offer(), [], Ask(Command.ACCEPT), LATER)
    assert (changed.status, changed.business_status) == ("accepted", "3.0")
    assert (changed.reason, changed.party) == (None, None)
    assert happened and happened.revived


@pytest.mark.parametrize(
    "reason", [Reason.NEED_ENDED, Reason.CONSENT_WITHDRAWN, Reason.SUPERSEDED, Reason.DUPLICATE]
)
def test_no_other_cancellation_is_revived(reason: Reason) -> None:
    offer = an_offer(
        status=OfferStatus.CANCELLED,
        business_status=BusinessStatus.FULFILMENT_CANCELLED,
        reason=reason,
    )
    with pytest.raises(Refused) as refused:
        decide(offer, [], Ask(Command.ACCEPT), LATER)
    assert refused.value.code == "illegal-transition"


@pytest.mark.parametrize("status", sorted(OFFER_IN_HAND))
@pytest.mark.parametrize("make", [an_offer, a_silent_offer])
def test_two_offers_of_one_need_are_never_in_hand(make, status: OfferStatus) -> None:
    rival = an_offer(id=UUID(int=9), organization_id=UUID(int=8), status=status)
    with pytest.raises(Refused) as refused:
        decide(make(), [rival], Ask(Command.ACCEPT), LATER)
    assert refused.value.code == "already-placed"
    assert Command.ACCEPT not in refused.value.allowed


@pytest.mark.parametrize(
    ("outcome", "bars"),
    [(Outcome.GOT_HELP, True), (Outcome.WAITLISTED, True), (Outcome.NO_CAPACITY, False)],
)
def test_a_met_need_bars_a_late_accept_and_not_a_fresh_offer(outcome, bars: bool) -> None:
    rival = an_offer(id=UUID(int=9), status=OfferStatus.COMPLETED, outcome=outcome)
    assert decide(an_offer(), [rival], Ask(Command.ACCEPT), LATER)[0].status == "accepted"
    if bars:
        with pytest.raises(Refused):
            decide(a_silent_offer(), [rival], Ask(Command.ACCEPT), LATER)
    else:
        assert decide(a_silent_offer(), [rival], Ask(Command.ACCEPT), LATER)[0].status == "accepted"


def test_a_case_managers_own_offer_is_no_rival_of_those_below_it() -> None:
    desk = an_offer(
        id=UUID(int=9), target_kind=TargetKind.CASE_MANAGER, status=OfferStatus.ACCEPTED
    )
    below = an_offer(parent_offer_id=desk.id)
    assert decide(below, [desk], Ask(Command.ACCEPT), LATER)[0].status == "accepted"
    beside = an_offer()
    assert decide(beside, [desk], Ask(Command.ACCEPT), LATER)[0].status == "accepted"


def test_undo_accept_only_before_a_fact_was_read() -> None:
    accepted = an_offer(
        status=OfferStatus.ACCEPTED, business_status=BusinessStatus.ACCEPTED, facts_read_at=None
    )
    changed, happened = decide(accepted, [], Ask(Command.UNDO_ACCEPT), LATER)
    assert (changed.status, changed.reason) == ("cancelled", "accepted-in-error")
    assert happened and happened.reason is Reason.ACCEPTED_IN_ERROR
    with pytest.raises(Refused) as refused:
        decide(replace(accepted, facts_read_at=NOW), [], Ask(Command.UNDO_ACCEPT), LATER)
    assert refused.value.code == "facts-read"
    assert Command.DECLINE in refused.value.allowed


def test_cancel_is_two_step_once_accepted_and_a_race_ends_completed() -> None:
    accepted = an_offer(status=OfferStatus.ACCEPTED, business_status=BusinessStatus.ACCEPTED)
    asked, said = decide(accepted, [], Ask(Command.REQUEST_CANCEL, reason=Reason.NEED_ENDED), LATER)
    assert (asked.status, asked.business_status, asked.cancel_reason) == (
        "accepted",
        "5.2",
        "need-ended",
    )
    assert said is None
    assert allowed(asked) == {Command.CONFIRM_CANCEL, Command.COMPLETE}
    confirmed, said = decide(asked, [], Ask(Command.CONFIRM_CANCEL), LATER)
    assert (confirmed.status, confirmed.reason) == ("cancelled", "need-ended")
    assert said and said.reason is Reason.NEED_ENDED
    won, said = decide(asked, [], Ask(Command.COMPLETE, outcome=Outcome.GOT_HELP), LATER)
    assert (won.status, won.business_status, won.outcome) == ("completed", "7.0", "got-help")


@pytest.mark.parametrize("forced", [True, False])
def test_which_command_a_request_to_cancel_is(forced: bool) -> None:
    assert ask_of_cancel(Reason.NO_RESPONSE, forced=forced) is Command.SILENCE
    assert ask_of_cancel(Reason.CONSENT_WITHDRAWN, forced=forced) is Command.FORCE_CANCEL
    assert ask_of_cancel(Reason.ENTERED_IN_ERROR, forced=forced) is Command.ENTER_IN_ERROR
    assert ask_of_cancel(Reason.NEED_ENDED, forced=forced) is (
        Command.FORCE_CANCEL if forced else Command.REQUEST_CANCEL
    )


@pytest.mark.parametrize("command", [Command.RECEIVE, Command.ACCEPT])
def test_a_restricted_offer_ends_handed_over_when_its_receipt_is_known(command: Command) -> None:
    changed, happened = decide(a_restricted_offer(), [], Ask(command), LATER)
    assert (changed.status, changed.business_status) == ("completed", "7.0")
    assert changed.outcome is Outcome.HANDED_OVER
    assert happened and happened.kind is Kind.COMPLETED


def test_a_restricted_offer_that_silence_cancelled_is_handed_over_late() -> None:
    changed, _ = decide(replace(a_silent_offer(), restricted=True), [], Ask(Command.ACCEPT), LATER)
    assert (changed.status, changed.outcome) == ("completed", "handed-over")


def test_receipt_of_an_open_kind_of_need_is_no_transition() -> None:
    with pytest.raises(Refused):
        decide(an_offer(), [], Ask(Command.RECEIVE), LATER)


@pytest.mark.parametrize("make", [an_offer, a_restricted_offer, a_silent_offer])
def test_nothing_is_accepted_under_an_ended_consent(make) -> None:
    with pytest.raises(Refused) as refused:
        decide(make(), [], Ask(Command.ACCEPT), LATER, consent_ended=True)
    assert refused.value.code == "consent-ended"
    assert Command.ACCEPT not in refused.value.allowed


def test_settling_completes_a_case_managers_offer_alone() -> None:
    ask = Ask(Command.SETTLE, outcome=Outcome.ENROLLED)
    for status in OFFER_IN_HAND:
        desk = an_offer(target_kind=TargetKind.CASE_MANAGER, status=status)
        changed, happened = decide(desk, [], ask, LATER)
        assert (changed.status, changed.outcome) == ("completed", "enrolled")
        assert happened and happened.kind is Kind.COMPLETED
        with pytest.raises(Refused):
            decide(an_offer(status=status), [], ask, LATER)


def test_every_reason_has_a_party() -> None:
    assert set(PARTY_OF) == set(Reason)
    assert {PARTY_OF[reason] for reason in DECLINE_REASONS} == {Party.TARGET, Party.RESIDENT}
