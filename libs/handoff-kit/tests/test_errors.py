"""Each failure: a status, a code, a fate, and a message that is its docstring."""

import inspect

import pytest
from handoff_kit import crypto, errors, faults
from handoff_kit.errors import Fate, HandoffError

KINDS = {
    kind
    for module in (errors, crypto, faults)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, HandoffError) and kind is not errors.IllegalTransition
}

CONTRACT = {
    errors.Unauthenticated: (401, "unauthenticated", Fate.REFUSE),
    errors.ScopeMissing: (403, "scope-missing", Fate.REFUSE),
    errors.NotVisible: (404, "not-found", Fate.REFUSE),
    errors.Conflict: (409, "conflict", Fate.REFUSE),
    errors.PreconditionRequired: (428, "precondition-required", Fate.REFUSE),
    errors.StaleVersion: (412, "stale-version", Fate.REFUSE),
    errors.Invalid: (422, "invalid", Fate.REFUSE),
    errors.ConsentRequired: (422, "consent-required", Fate.REFUSE),
    errors.IdempotencyMismatch: (422, "idempotency-mismatch", Fate.REFUSE),
    errors.TooLarge: (413, "too-large", Fate.REFUSE),
    errors.WrongContentType: (415, "wrong-content-type", Fate.REFUSE),
    errors.Unavailable: (503, "unavailable", Fate.RETRY),
    errors.Transient: (503, "unavailable", Fate.RETRY),
    errors.Waiting: (503, "waiting", Fate.WAIT),
    errors.Permanent: (500, "permanent", Fate.PARK),
    crypto.Erased: (410, "erased", Fate.REFUSE),
    crypto.KeyServiceAway: (503, "key-service-away", Fate.RETRY),
    crypto.Tampered: (500, "tampered", Fate.PARK),
    faults.InjectedFault: (503, "injected-fault", Fate.RETRY),
    HandoffError: (500, "internal", Fate.PARK),
}


def test_the_table_is_complete() -> None:
    assert set(CONTRACT) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__))
def test_a_failure_knows_status_code_fate_and_says_its_docstring(kind: type[HandoffError]) -> None:
    error = kind()
    assert (error.status, error.code, error.fate) == CONTRACT[kind]
    assert error.detail == (kind.__doc__ or "").strip().split("\n")[0]
    assert str(error) == error.detail


def test_an_illegal_transition_names_what_is_allowed() -> None:
    error = errors.IllegalTransition(allowed={"decline", "accept"})
    assert (error.status, error.code) == (409, "illegal-transition")
    assert error.extra == {"allowed": ["accept", "decline"]}


def test_a_conflict_may_carry_a_code_of_its_own() -> None:
    error = errors.Conflict(code="already-placed")
    assert (error.status, error.code) == (409, "already-placed")
    assert errors.Conflict().code == "conflict"
