"""A need under any order of answers, silence, questions, commands and withdrawal.

Referral decides in memory, without a database; a small partner keeps the truth of the offers and
answers as it pleases. What must hold: at most one helper has the need in hand, nobody is asked by
itself who is excluded or not known well enough, it ends, and wherever it rests somebody sees it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from event_schemas import offers as said
from event_schemas.codes import (
    DECLINE_REASONS,
    HOLD_REASONS,
    NEED_SETTLED,
    OFFER_TERMINAL,
    NeedCategory,
    NeedStatus,
    OfferStatus,
    Outcome,
    Reason,
    TargetKind,
    Verdict,
)
from event_schemas.referrals import NeedSettled, OfferCancelRequested, OfferMade
from handoff_kit.cities import city_folder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from referral_svc.domain.directory import Organization, Service
from referral_svc.handlers import clocks
from referral_svc.handlers.answers import answered
from referral_svc.handlers.commands import (
    Approve,
    Hold,
    MakeOffer,
    Reopen,
    Resume,
    Withdraw,
)
from referral_svc.handlers.consents import consent_ended
from referral_svc.handlers.obey import _one
from referral_svc.handlers.requested import need_requested
from referral_svc.handlers.work import Work
from referral_svc.handlers.world import World
from referral_svc.settings.policy import load_policy

AGENCY = "test-city"
POLICY = load_policy(city_folder("demo"))
HUB = POLICY.case_management[0]
DIRECTLY = (NeedCategory.FOOD_INSECURITY, NeedCategory.LEGAL_HELP)


@dataclass
class Told:
    """A partner's own offer: the truth that referral follows."""

    made: OfferMade
    status: OfferStatus = OfferStatus.REQUESTED
    silent: bool = False  # ended by silence: may be revived
    asked: bool = False  # in hand, and asked to end


def _offers(*statuses: OfferStatus) -> Any:
    """Only while some offer is in one of these states: idle steps find nothing."""
    return precondition(lambda self: any(told.status in statuses for told in self.told.values()))


def _status(*statuses: NeedStatus) -> Any:
    return precondition(lambda self: self.need.status in statuses)


class NeedMachine(RuleBasedStateMachine):
    """`Told` is what partner knows; `work` is what referral knows."""

    tools: Any

    @initialize(
        category=st.sampled_from(DIRECTLY),
        verdicts=st.lists(
            st.sampled_from(["fits", "fits", "fits", "unknown", "outside"]), max_size=5
        ),
        approval=st.booleans(),
    )
    def start(self, category: NeedCategory, verdicts: list[str], approval: bool) -> None:
        policy = POLICY
        if approval:
            rules = tuple(replace(r, approval=("coordinator",)) for r in policy.rules)
            policy = replace(policy, rules=rules)
        self.world = World(policy)
        directory = self.world.directory(AGENCY)
        directory.put_organization(
            Organization(HUB, "hub", "case-management", True, frozenset(), 1)
        )
        recipients = [HUB]
        for n, verdict in enumerate(verdicts):
            id_, of = UUID(int=n + 1), UUID(int=n + 100)
            recipients.append(of)
            directory.put_organization(Organization(of, "p", "partner", True, frozenset(), 1))
            directory.put_service(_service(id_, of, category, verdict))
        self.now = datetime(2026, 3, 3, 15, tzinfo=UTC)
        tx: Any = SimpleNamespace(now=self.now, conn=None)
        self.work = Work(self.world, tx, {})
        self.told: dict[UUID, Told] = {}
        self.withdrawn = False
        self.need_event = self.tools.need(category=category, recipients=recipients)
        need_requested(self.work, self._received(self.need_event))
        self._hear()

    def _received(self, event: Any) -> Any:
        return SimpleNamespace(data=event, agency=AGENCY, cause=None)

    @property
    def bundle(self) -> Any:
        return self.work.bundles[AGENCY, self.need_event.case_id]

    @property
    def need(self) -> Any:
        return self.bundle.needs[self.need_event.need_id]

    def _hear(self) -> None:
        """Partner takes in what referral said, and answers at once what needs no person."""
        while self.work.said:
            event, _, _ = self.work.said.pop(0)
            if isinstance(event, OfferMade):
                assert event.offer_id not in self.told
                self.told[event.offer_id] = Told(event)
            elif isinstance(event, OfferCancelRequested):
                self._asked_to_end(event)
            elif isinstance(event, NeedSettled):
                self._end_desks(event)

    def _end_desks(self, event: NeedSettled) -> None:
        """A case manager's offer in hand ends with its need."""
        for told in list(self.told.values()):
            manager = told.made.target_kind is TargetKind.CASE_MANAGER
            if not manager or told.status in (*OFFER_TERMINAL, OfferStatus.REQUESTED):
                continue
            if event.outcome is None:
                reason = event.reason or Reason.NEED_ENDED
                self._answer(told, said.OfferCancelled, OfferStatus.CANCELLED, reason=reason)
            else:
                status = OfferStatus.COMPLETED
                self._answer(told, said.OfferCompleted, status, outcome=event.outcome)

    def _asked_to_end(self, event: OfferCancelRequested) -> None:
        told = self.told[event.offer_id]
        if told.status in OFFER_TERMINAL:
            return
        if told.status is OfferStatus.REQUESTED or event.forced:
            told.silent = event.reason is Reason.NO_RESPONSE
            self._answer(told, said.OfferCancelled, OfferStatus.CANCELLED, reason=event.reason)
        elif event.reason is not Reason.NO_RESPONSE:
            told.asked = True

    def _answer(self, told: Told, kind: Any, status: OfferStatus, **more: Any) -> None:
        told.status = status
        event = self.tools.answer(kind, told.made, status=status, **more)
        answered(self.work, self._received(event))
        self._hear()

    def _some(self, data: st.DataObject, *statuses: OfferStatus) -> Told | None:
        found = [told for told in self.told.values() if told.status in statuses]
        return data.draw(st.sampled_from(found)) if found else None

    @_offers(OfferStatus.REQUESTED)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        told = self._some(data, OfferStatus.REQUESTED)
        if told is not None and not self._placed(told):
            self._accept(told)

    def _accept(self, told: Told, **more: Any) -> None:
        """Accept it; where that stands, nobody else at its level is left waiting."""
        self._answer(told, said.OfferAccepted, OfferStatus.ACCEPTED, **more)
        manager = told.made.target_kind is TargetKind.CASE_MANAGER
        if not told.asked and told.status is OfferStatus.ACCEPTED:
            offers = self.bundle.offers.values()
            assert not [o for o in offers if o.waits and o.is_manager == manager]

    @precondition(lambda self: any(told.silent for told in self.told.values()))
    @rule(data=st.data())
    def accept_late(self, data: st.DataObject) -> None:
        silent = [t for t in self.told.values() if t.silent and t.status in OFFER_TERMINAL]
        if silent:
            told = data.draw(st.sampled_from(silent))
            if not self._placed(told):
                told.silent = False
                self._accept(told, revived=True)

    def _placed(self, told: Told) -> bool:
        """Partner refuses a second accept of a need at the same level (409 already-placed)."""
        manager = told.made.target_kind is TargetKind.CASE_MANAGER
        return any(
            other is not told
            and other.status in (OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS, OfferStatus.ON_HOLD)
            and (other.made.target_kind is TargetKind.CASE_MANAGER) == manager
            for other in self.told.values()
        )

    @_offers(OfferStatus.REQUESTED)
    @rule(data=st.data(), reason=st.sampled_from(sorted(DECLINE_REASONS)))
    def decline(self, data: st.DataObject, reason: Reason) -> None:
        told = self._some(data, OfferStatus.REQUESTED)
        if told is not None:
            self._answer(told, said.OfferRejected, OfferStatus.REJECTED, reason=reason)

    @_offers(OfferStatus.REQUESTED)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        told = self._some(data, OfferStatus.REQUESTED)
        if told is not None:
            self._answer(told, said.OfferQuestionAsked, OfferStatus.REQUESTED)

    @_offers(OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS)
    @rule(data=st.data(), reason=st.sampled_from(sorted(HOLD_REASONS)))
    def hold_offer(self, data: st.DataObject, reason: Reason) -> None:
        told = self._some(data, OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS)
        if told is not None:
            self._answer(told, said.OfferHeld, OfferStatus.ON_HOLD, reason=reason)

    @_offers(OfferStatus.ON_HOLD)
    @rule(data=st.data())
    def resume_offer(self, data: st.DataObject) -> None:
        told = self._some(data, OfferStatus.ON_HOLD)
        if told is not None:
            self._answer(told, said.OfferResumed, OfferStatus.IN_PROGRESS)

    @_offers(OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS, OfferStatus.ON_HOLD)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(set(Outcome) - {Outcome.HANDED_OVER})))
    def complete(self, data: st.DataObject, outcome: Outcome) -> None:
        told = self._some(data, OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS, OfferStatus.ON_HOLD)
        if told is not None:
            self._answer(told, said.OfferCompleted, OfferStatus.COMPLETED, outcome=outcome)

    @_offers(OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS)
    @rule(data=st.data(), reason=st.sampled_from(sorted(DECLINE_REASONS)))
    def fail(self, data: st.DataObject, reason: Reason) -> None:
        told = self._some(data, OfferStatus.ACCEPTED, OfferStatus.IN_PROGRESS)
        if told is not None:
            self._answer(told, said.OfferFailed, OfferStatus.FAILED, reason=reason)

    @_offers(OfferStatus.ACCEPTED)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        told = self._some(data, OfferStatus.ACCEPTED)
        if told is not None and not told.asked:
            reason = Reason.ACCEPTED_IN_ERROR
            self._answer(told, said.OfferCancelled, OfferStatus.CANCELLED, reason=reason)

    @precondition(lambda self: any(told.asked for told in self.told.values()))
    @rule(data=st.data())
    def confirm_end(self, data: st.DataObject) -> None:
        asked = [t for t in self.told.values() if t.asked and t.status not in OFFER_TERMINAL]
        if asked:
            told = data.draw(st.sampled_from(asked))
            reason = Reason.NEED_ENDED
            self._answer(told, said.OfferCancelled, OfferStatus.CANCELLED, reason=reason)

    @rule(hours=st.integers(1, 200))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.work.tx.now = self.now
        self.work._due.clear()
        for offer in list(self.bundle.offers.values()):
            if offer.clock_due_at is not None and offer.clock_due_at <= self.now:
                clocks._due(self.work, self.bundle, self.need, offer)
        self._hear()

    def _command(self, kind: Any, **more: Any) -> Any:
        command = kind(
            agency=AGENCY,
            subject="case-manager-1",
            role="case-manager",
            roles=frozenset({"case-manager", "coordinator"}),
            organization=HUB,
            if_match="*",
            **more,
        )
        homes = {(AGENCY, self.need.id): self.need.case_id}
        before = repr(self.bundle)
        result = _one(self.work, homes, {}, command)
        if isinstance(result, Exception):
            assert repr(self.bundle) == before, "a refused command left a trace"
            assert not self.work.said
        self._hear()
        return result

    @rule(reason=st.sampled_from(sorted(HOLD_REASONS)))
    def hold(self, reason: Reason) -> None:
        self._command(Hold, need_id=self.need.id, reason=reason)

    @_status(NeedStatus.ON_HOLD, NeedStatus.MATCHING, NeedStatus.IN_SERVICE)
    @rule()
    def resume(self) -> None:
        self._command(Resume, need_id=self.need.id)

    @_status(NeedStatus.APPROVAL_PENDING, NeedStatus.MATCHING)
    @rule()
    def approve(self) -> None:
        self._command(Approve, need_id=self.need.id)

    @rule(n=st.integers(0, 5))
    def offer_by_hand(self, n: int) -> None:
        service = UUID(int=n) if n else None
        self._command(
            MakeOffer,
            need_id=self.need.id,
            service_id=service,
            organization_id=None,
            parent_offer_id=None,
        )

    @precondition(lambda self: not self.withdrawn and self.need.status in NEED_SETTLED)
    @rule()
    def reopen(self) -> None:
        self._command(Reopen, case_id=self.need.case_id, needs=(self.need.id,))

    @precondition(lambda self: len(self.told) > 2)
    @rule()
    def withdraw_need(self) -> None:
        self._command(Withdraw, need_id=self.need.id, reason=Reason.NEED_ENDED)

    @precondition(lambda self: len(self.told) > 2)
    @rule()
    def withdraw_consent(self) -> None:
        self.withdrawn = True
        consent_ended(self.work, self._received(self.tools.withdrawn(self.need_event)))
        self._hear()

    @invariant()
    def referral_agrees_with_partner(self) -> None:
        if not hasattr(self, "told"):
            return
        for id_, told in self.told.items():
            assert self.bundle.offers[id_].status == told.status

    @invariant()
    def at_most_one_helper_has_it_in_hand(self) -> None:
        if not hasattr(self, "told"):
            return
        standing = [o for o in self.bundle.offers.values() if o.in_hand and o.asked is None]
        for manager in (True, False):
            assert sum(offer.is_manager == manager for offer in standing) <= 1

    @invariant()
    def one_is_asked_at_a_time(self) -> None:
        if not hasattr(self, "told"):
            return
        waiting = [o for o in self.bundle.offers.values() if o.waits and not o.by_hand]
        assert len(waiting) <= 1

    @invariant()
    def nobody_is_asked_by_itself_who_may_not_be(self) -> None:
        if not hasattr(self, "told"):
            return
        for offer in self.bundle.offers.values():
            if offer.by_hand or offer.service_id is None:
                continue
            match = next(m for (_, i), m in self.work.matches.items() if i == offer.match_id)
            judged = next(c for c in match.candidates if c.service_id == offer.service_id)
            assert judged.verdict is Verdict.ELIGIBLE

    @invariant()
    def somebody_sees_it(self) -> None:
        """Settled, or asked of somebody whose silence has a clock, or in a person's queue."""
        if not hasattr(self, "told"):
            return
        need = self.need
        if need.status in NEED_SETTLED or need.attention is not None:
            return
        if need.status == NeedStatus.ON_HOLD:
            assert need.reason is not None
            return
        assert any(offer.open for offer in self.bundle.offers.values()), need

    @invariant()
    def the_status_says_who_has_it(self) -> None:
        if not hasattr(self, "told"):
            return
        live = [o for o in self.bundle.offers.values() if o.open and o.asked is None]
        if self.need.status == NeedStatus.OFFERED:
            assert any(offer.waits for offer in live) or any(
                o.open and o.asked == Reason.NO_RESPONSE for o in self.bundle.offers.values()
            )
        if self.need.status == NeedStatus.MATCHING:
            assert not any(offer.in_hand for offer in live)

    @invariant()
    def no_consent_no_new_offer(self) -> None:
        if getattr(self, "withdrawn", False):
            assert self.need.status in NEED_SETTLED
            assert all(told.status in OFFER_TERMINAL for told in self.told.values())

    @invariant()
    def it_ends(self) -> None:
        """By itself nobody is asked twice but after an undone accept, so offers are bounded."""
        if not hasattr(self, "told"):
            return
        by_itself = [
            offer.target
            for offer in self.bundle.offers.values()
            if not offer.by_hand and offer.reason != Reason.ACCEPTED_IN_ERROR
        ]
        assert len(by_itself) == len(set(by_itself))


def _service(id_: UUID, of: UUID, category: NeedCategory, verdict: str) -> Service:
    return Service(
        id=id_,
        organization_id=of,
        name="s",
        status="active",
        needs=frozenset({category}),
        areas=frozenset({"city:demo"} if verdict == "fits" else {"city:elsewhere"}),
        areas_partly=frozenset(),
        area_unknown=verdict == "unknown",
        minimum_age=None,
        maximum_age=None,
        languages=frozenset({"es"}),
        languages_unknown=False,
        interpretation=None,
        tenures=frozenset(),
        age_bands=frozenset(),
        rules_in_words=False,
        capacity=None,
        capacity_available=None,
        capacity_said_at=None,
        declined_at=None,
        version=1,
    )


@pytest.fixture(autouse=True)
def _with_tools(tools: Any) -> None:
    NeedMachine.tools = tools


NeedMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


class TestNeed(NeedMachine.TestCase):
    pytestmark = pytest.mark.usefixtures("_with_tools")
