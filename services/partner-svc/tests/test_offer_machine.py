"""Random walks over several offers of one need, with a clock that only goes on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from event_schemas.codes import (
    DECLINE_REASONS,
    HOLD_REASONS,
    OFFER_IN_HAND,
    OFFER_TERMINAL,
    NeedCategory,
    OfferStatus,
    Outcome,
    Reason,
    TargetKind,
    Urgency,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from partner_svc.domain.offers import (
    Ask,
    Offer,
    Refused,
    allowed,
    ask_of_cancel,
    decide,
)
from partner_svc.domain.transitions import BY_TARGET, FAIL_REASONS, Command, Kind

REASONS = {
    Command.DECLINE: sorted(DECLINE_REASONS),
    Command.FAIL: sorted(FAIL_REASONS),
    Command.HOLD: sorted(HOLD_REASONS),
}
REVIVABLE = {(OfferStatus.CANCELLED, Reason.NO_RESPONSE)}


class OffersOfOneNeed(RuleBasedStateMachine):
    """Partner's offers below one parent. `facts` are offers whose resident was read."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.offers: list[Offer] = []
        self.consent_ended = False

    @initialize(restricted=st.booleans())
    def start(self, restricted: bool) -> None:
        self.restricted = restricted
        self.make()

    @rule()
    def make(self) -> None:
        number = len(self.offers) + 1
        self.offers.append(
            Offer(
                agency_id="demo",
                id=UUID(int=number),
                case_id=UUID(int=100),
                need_id=UUID(int=101),
                parent_offer_id=None,
                organization_id=UUID(int=200 + number),
                service_id=None,
                target_kind=TargetKind.PARTNER,
                category=NeedCategory.STRESS,
                urgency=Urgency.URGENT,
                restricted=self.restricted,
                area=[],
                consent_id=UUID(int=300),
                property_id=None,
                inspection_id=None,
                severity=None,
                deadline=None,
                deadline_basis=None,
                answer_due_at=None,
                trace="00-1-2-01",
                created_at=self.now,
                updated_at=self.now,
            )
        )

    def run(self, index: int, ask: Ask) -> None:
        self.now += timedelta(minutes=1)
        index %= len(self.offers)
        before = self.offers[index]
        can = allowed(before, self.offers, consent_ended=self.consent_ended)
        try:
            after, happened = decide(
                before, self.offers, ask, self.now, consent_ended=self.consent_ended
            )
        except Refused as refused:
            assert ask.command not in can
            assert refused.allowed == can
            return
        assert ask.command in can or ask.command not in BY_TARGET
        assert after.version == before.version + 1
        assert after.id == before.id
        if before.status in OFFER_TERMINAL:
            assert ask.command is Command.ENTER_IN_ERROR or (
                ask.command is Command.ACCEPT and (before.status, before.reason) in REVIVABLE
            )
        if happened and happened.kind in {Kind.REJECTED, Kind.FAILED, Kind.HELD, Kind.CANCELLED}:
            assert happened.reason is not None
            assert happened.party is not None
            assert after.reason is happened.reason
        if happened and happened.kind is Kind.COMPLETED:
            assert after.outcome is not None
        self.offers[index] = after

    @rule(
        index=st.integers(0, 9),
        command=st.sampled_from(sorted(BY_TARGET)),
        pick=st.integers(0, 20),
        outcome=st.sampled_from(Outcome),
    )
    def target(self, index: int, command: Command, pick: int, outcome: Outcome) -> None:
        reasons = REASONS.get(command)
        self.run(
            index,
            Ask(
                command,
                reason=reasons[pick % len(reasons)] if reasons else None,
                outcome=outcome if command is Command.COMPLETE else None,
                appointment_at=self.now if command is Command.SCHEDULE else None,
            ),
        )

    @rule(index=st.integers(0, 9), reason=st.sampled_from(Reason), forced=st.booleans())
    def cancel(self, index: int, reason: Reason, forced: bool) -> None:
        self.run(index, Ask(ask_of_cancel(reason, forced=forced), reason=reason))

    @rule(index=st.integers(0, 9))
    def receive(self, index: int) -> None:
        self.run(index, Ask(Command.RECEIVE))

    @rule(ended=st.booleans())
    def consent(self, ended: bool) -> None:
        self.consent_ended = ended

    @invariant()
    def one_in_hand(self) -> None:
        assert sum(offer.status in OFFER_IN_HAND for offer in self.offers) <= 1

    @invariant()
    def restricted_offers_are_never_in_hand(self) -> None:
        if self.offers and self.restricted:
            assert not any(offer.status in OFFER_IN_HAND for offer in self.offers)

    @invariant()
    def an_end_says_why(self) -> None:
        for offer in self.offers:
            if offer.status in {OfferStatus.REJECTED, OfferStatus.CANCELLED, OfferStatus.FAILED}:
                assert offer.reason
            if offer.status is OfferStatus.ON_HOLD:
                assert offer.reason
            if offer.status is OfferStatus.COMPLETED:
                assert offer.outcome


TestOffersOfOneNeed = OffersOfOneNeed.TestCase
TestOffersOfOneNeed.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
