"""The whole tables of need and case: each step from each status, taken or refused."""

from itertools import product

import pytest
from event_schemas.codes import NEED_OPEN, NEED_SETTLED, CaseStatus, NeedStatus, Outcome
from referral_svc.domain.states import (
    CASE,
    NEED,
    SETTLEMENT,
    CaseStep,
    NeedStep,
    NotPossible,
    case_after,
    need_after,
)

# Written out by hand, so that a change of the machine is a change of this table.
NEED_TABLE = """
requested          ask-approval  approval-pending
requested          match         matching
requested          give-up       unmet
requested          withdraw      withdrawn
approval-pending   approve       matching
approval-pending   give-up       unmet
approval-pending   withdraw      withdrawn
matching           offer         offered
matching           accept        in-service
matching           free          matching
matching           hold          on-hold
matching           meet          met
matching           meet-partly   partly-met
matching           give-up       unmet
matching           withdraw      withdrawn
offered            offer         offered
offered            accept        in-service
offered            free          matching
offered            hold          on-hold
offered            meet          met
offered            meet-partly   partly-met
offered            give-up       unmet
offered            withdraw      withdrawn
in-service         offer         in-service
in-service         accept        in-service
in-service         free          matching
in-service         hold          on-hold
in-service         meet          met
in-service         meet-partly   partly-met
in-service         give-up       unmet
in-service         withdraw      withdrawn
on-hold            accept        in-service
on-hold            free          on-hold
on-hold            hold          on-hold
on-hold            resume        matching
on-hold            meet          met
on-hold            meet-partly   partly-met
on-hold            give-up       unmet
on-hold            withdraw      withdrawn
met                reopen        matching
partly-met         reopen        matching
partly-met         correct       met
unmet              reopen        matching
unmet              revive        in-service
unmet              correct       met
unmet              correct-partly partly-met
withdrawn          reopen        matching
withdrawn          correct       met
withdrawn          correct-partly partly-met
"""
CASE_TABLE = """
open       contact  contacted
open       start    active
open       close    closed
contacted  contact  contacted
contacted  start    active
contacted  close    closed
active     contact  active
active     start    active
active     close    closed
closed     reopen   open
"""


def _read(table: str) -> dict[tuple[str, str], str]:
    rows = [line.split() for line in table.strip().splitlines()]
    return {(status, step): to for status, step, to in rows}


@pytest.mark.parametrize(("status", "step"), list(product(NeedStatus, NeedStep)))
def test_need(status: NeedStatus, step: NeedStep) -> None:
    to = _read(NEED_TABLE).get((status, step))
    if to is None:
        with pytest.raises(NotPossible) as refused:
            need_after(status, step)
        assert refused.value.allowed == frozenset(NEED[status])
    else:
        assert need_after(status, step) == to


@pytest.mark.parametrize(("status", "step"), list(product(CaseStatus, CaseStep)))
def test_case(status: CaseStatus, step: CaseStep) -> None:
    to = _read(CASE_TABLE).get((status, step))
    if to is None:
        with pytest.raises(NotPossible) as refused:
            case_after(status, step)
        assert refused.value.allowed == frozenset(CASE[status])
    else:
        assert case_after(status, step) == to


def test_every_status_of_a_need_can_be_reached_and_left() -> None:
    reached = {to for steps in NEED.values() for to in steps.values()}
    assert reached | {NeedStatus.REQUESTED} == set(NeedStatus)
    assert all(NEED[status] for status in NeedStatus)


def test_every_open_need_can_be_withdrawn_and_given_up() -> None:
    for status in NEED_OPEN:
        assert need_after(status, NeedStep.WITHDRAW) is NeedStatus.WITHDRAWN
        assert need_after(status, NeedStep.GIVE_UP) is NeedStatus.UNMET


def test_a_settled_need_only_opens_again_by_a_step_that_says_so() -> None:
    allowed = {NeedStep.REOPEN, NeedStep.REVIVE, NeedStep.CORRECT, NeedStep.CORRECT_PARTLY}
    for status in NEED_SETTLED:
        assert set(NEED[status]) <= allowed


def test_every_outcome_has_a_consequence() -> None:
    assert set(SETTLEMENT) == set(Outcome)
