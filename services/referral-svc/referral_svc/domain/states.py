"""The machines of need and case: whole tables, and the only way a status changes.

Ours; see ``docs/glossary.md``. A need corresponds to a FHIR ServiceRequest.
"""

from enum import StrEnum

from event_schemas.codes import CaseStatus, NeedStatus, Outcome


class NotPossible(ValueError):
    """This step is not possible from the present state; ``allowed`` are those that are."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self.allowed = allowed
        super().__init__("not possible from the present state")


class NeedStep(StrEnum):
    ASK_APPROVAL = "ask-approval"
    APPROVE = "approve"
    MATCH = "match"
    OFFER = "offer"
    ACCEPT = "accept"
    FREE = "free"  # the last open offer ended and nothing is settled yet
    HOLD = "hold"
    RESUME = "resume"
    MEET = "meet"
    MEET_PARTLY = "meet-partly"
    GIVE_UP = "give-up"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    REVIVE = "revive"  # a late accept of what silence had ended
    CORRECT = "correct"  # an outcome that raced with the need's end
    CORRECT_PARTLY = "correct-partly"


class CaseStep(StrEnum):
    CONTACT = "contact"
    START = "start"
    CLOSE = "close"
    REOPEN = "reopen"


_N, _S = NeedStatus, NeedStep
_ENDS = {
    _S.MEET: _N.MET,
    _S.MEET_PARTLY: _N.PARTLY_MET,
    _S.GIVE_UP: _N.UNMET,
    _S.WITHDRAW: _N.WITHDRAWN,
}
_CORRECTED = {_S.CORRECT: _N.MET, _S.CORRECT_PARTLY: _N.PARTLY_MET}
_BEFORE_OFFER = {_S.GIVE_UP: _N.UNMET, _S.WITHDRAW: _N.WITHDRAWN}

NEED: dict[NeedStatus, dict[NeedStep, NeedStatus]] = {
    _N.REQUESTED: {
        _S.ASK_APPROVAL: _N.APPROVAL_PENDING,
        _S.MATCH: _N.MATCHING,
        **_BEFORE_OFFER,
    },
    _N.APPROVAL_PENDING: {_S.APPROVE: _N.MATCHING, **_BEFORE_OFFER},
    _N.MATCHING: {
        _S.OFFER: _N.OFFERED,
        _S.ACCEPT: _N.IN_SERVICE,
        _S.FREE: _N.MATCHING,
        _S.HOLD: _N.ON_HOLD,
        **_ENDS,
    },
    _N.OFFERED: {
        _S.OFFER: _N.OFFERED,
        _S.ACCEPT: _N.IN_SERVICE,
        _S.FREE: _N.MATCHING,
        _S.HOLD: _N.ON_HOLD,
        **_ENDS,
    },
    _N.IN_SERVICE: {
        _S.OFFER: _N.IN_SERVICE,
        _S.ACCEPT: _N.IN_SERVICE,
        _S.FREE: _N.MATCHING,
        _S.HOLD: _N.ON_HOLD,
        **_ENDS,
    },
    _N.ON_HOLD: {
        _S.ACCEPT: _N.IN_SERVICE,
        _S.FREE: _N.ON_HOLD,
        _S.HOLD: _N.ON_HOLD,
        _S.RESUME: _N.MATCHING,
        **_ENDS,
    },
    _N.MET: {_S.REOPEN: _N.MATCHING},
    _N.PARTLY_MET: {_S.REOPEN: _N.MATCHING, _S.CORRECT: _N.MET},
    _N.UNMET: {_S.REOPEN: _N.MATCHING, _S.REVIVE: _N.IN_SERVICE, **_CORRECTED},
    _N.WITHDRAWN: {_S.REOPEN: _N.MATCHING, **_CORRECTED},
}

_C, _T = CaseStatus, CaseStep
CASE: dict[CaseStatus, dict[CaseStep, CaseStatus]] = {
    _C.OPEN: {_T.CONTACT: _C.CONTACTED, _T.START: _C.ACTIVE, _T.CLOSE: _C.CLOSED},
    _C.CONTACTED: {_T.CONTACT: _C.CONTACTED, _T.START: _C.ACTIVE, _T.CLOSE: _C.CLOSED},
    _C.ACTIVE: {_T.CONTACT: _C.ACTIVE, _T.START: _C.ACTIVE, _T.CLOSE: _C.CLOSED},
    _C.CLOSED: {_T.REOPEN: _C.OPEN},
}

ON_ITS_WAY = frozenset({_N.MATCHING, _N.OFFERED, _N.IN_SERVICE})


def need_after(status: str, step: NeedStep) -> NeedStatus:
    """The need's next status. Raises `NotPossible`."""
    steps = NEED[NeedStatus(status)]
    if step not in steps:
        raise NotPossible(frozenset(steps))
    return steps[step]


def case_after(status: str, step: CaseStep) -> CaseStatus:
    """The case's next status. Raises `NotPossible`."""
    steps = CASE[CaseStatus(status)]
    if step not in steps:
        raise NotPossible(frozenset(steps))
    return steps[step]


SETTLEMENT: dict[Outcome, NeedStep | None] = {
    Outcome.GOT_HELP: NeedStep.MEET,
    Outcome.ENROLLED: NeedStep.MEET,
    Outcome.WAITLISTED: NeedStep.MEET_PARTLY,
    Outcome.INFORMATION_ONLY: NeedStep.MEET_PARTLY,
    Outcome.REFERRED_ELSEWHERE: NeedStep.MEET_PARTLY,
    Outcome.HANDED_OVER: NeedStep.MEET_PARTLY,
    Outcome.COULD_NOT_REACH: None,
    Outcome.NOT_ELIGIBLE: None,
    Outcome.NO_FUNDS: None,
    Outcome.NO_CAPACITY: None,
    Outcome.RESIDENT_DECLINED: NeedStep.WITHDRAW,
}
"""What an offer's outcome does to its need; None: back to matching while candidates remain."""
