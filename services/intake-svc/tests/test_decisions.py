from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from event_schemas.base import Code
from event_schemas.codes import PROPERTY_ONLY, RESTRICTED, NeedCategory, Severity, Urgency
from hypothesis import given
from hypothesis import strategies as st
from intake_svc.domain import consents, referrals
from intake_svc.domain.consents import ALLOWED, Ask, Denial, State
from intake_svc.domain.inspections import (
    Assessed,
    Change,
    as_code,
    change,
    property_needs,
    time_faults,
)
from intake_svc.domain.rows import Consent
from pydantic import TypeAdapter

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PANTRY = uuid4()


def a_consent(**changes: Any) -> Consent:
    terms = {
        "method": "spoken",
        "language": "es",
        "notice_version": "2026-01",
        "recipients": [str(PANTRY)],
        "categories": ["food-insecurity"],
        "purposes": ["referral-and-service"],
        "fields": ["name", "phone"],
        "feedback": False,
        "restricted": False,
        "granted_by": "inspector-1",
    }
    row = Consent(
        "test-city",
        uuid4(),
        uuid4(),
        uuid4(),
        b"",
        State.ACTIVE,
        1,
        NOW,
        NOW + timedelta(days=1),
        None,
        terms,
        b"",
    )
    for name, value in changes.items():
        if name in terms:
            terms[name] = value
        else:
            setattr(row, name, value)
    return row


def ask(**changes: Any) -> Ask:
    asked: dict[str, Any] = {
        "organization_id": PANTRY,
        "purpose": "referral-and-service",
        "category": "food-insecurity",
        "fields": None,
    }
    return Ask(**asked | changes)


@pytest.mark.parametrize(
    ("consent", "asked", "verdict"),
    [
        (None, ask(), Denial.NO_CONSENT),
        (a_consent(), ask(), ["name", "phone"]),
        (a_consent(), ask(fields=["phone", "email"]), ["phone"]),
        (a_consent(), ask(fields=["email"]), Denial.FIELDS),
        (a_consent(), ask(organization_id=uuid4()), Denial.RECIPIENT),
        (a_consent(), ask(category="stress"), Denial.CATEGORY),
        (a_consent(), ask(category=None), ["name", "phone"]),
        (a_consent(), ask(purpose="research"), Denial.PURPOSE),
        (a_consent(expires_at=NOW), ask(), Denial.EXPIRED),
        (a_consent(expires_at=NOW + timedelta(microseconds=1)), ask(), ["name", "phone"]),
        *[
            (a_consent(status=state), ask(), Denial.ENDED)
            for state in State
            if state is not State.ACTIVE
        ],
    ],
)
def test_what_a_consent_lets_out(
    consent: Consent | None, asked: Ask, verdict: Denial | list[str]
) -> None:
    assert consents.judge(consent, asked, NOW) == verdict


def test_every_state_says_what_may_be_done() -> None:
    assert set(ALLOWED) == set(State)
    assert {state for state in State if "withdraw" in ALLOWED[state]} == {
        State.PROPOSED,
        State.ACTIVE,
        State.EXPIRED,
    }


def test_recipients_are_resolved_once_each() -> None:
    assert consents.resolve_recipients(["case-management", "b", "x"], ["a", "b"]) == ["a", "b", "x"]


def test_a_restricted_kind_has_a_slot_of_its_own() -> None:
    slots = consents.split_by_slot(NeedCategory)
    assert set(slots) == {"general", *RESTRICTED}
    assert not set(slots["general"]) & (RESTRICTED | PROPERTY_ONLY)


def test_which_kinds_need_what() -> None:
    """The whole table: every kind, with and without a resident, an owner, a consent."""
    for kind, role in product(NeedCategory, [None, "resident", "owner", "owner-occupant"]):
        for covers in (None, [], [kind]):
            if role is None and covers is not None:
                continue
            verdict = referrals.judge([kind], role, covers)
            refused = bool(verdict.faults or verdict.uncovered)
            if role is None:
                allowed = kind in referrals.WITHOUT_RESIDENT
            elif covers is None:
                allowed = False  # A person is never referred without a consent.
            else:
                allowed = (kind in PROPERTY_ONLY or kind in covers) and (
                    kind not in referrals.OWNER_KINDS or role in referrals.OWNER_ROLES
                )
            assert refused is not allowed, (kind, role, covers)


def test_codes_travel_as_far_as_the_fields() -> None:
    facts = {
        "name": "Resident One",
        "languages": ["es-MX", "es", "en"],
        "household": {"adults": 1, "minors": 0, "older_adults": 2},
        "tenure": "renter",
    }
    areas = ["city:x", "tract:1"]
    full = referrals.matching_codes(facts, consents.FIELDS, areas)
    assert full.area == areas
    assert full.languages == ["es", "en"]
    assert full.age_bands == ["adult", "older-adult"]
    assert full.tenure == "renter"
    bare = referrals.matching_codes(facts, ["name"], areas)
    assert bare == referrals.Matching(["city:x"], [], [], None)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("0001-01-01T00:00:00+00:00", "too-early"),
        ("1753-01-01T00:00:00+00:00", "too-early"),
        # Midnight of the sentinel's day, as each city's clock shows it.
        ("1900-01-01T23:59:59-05:00", "too-early"),
        ("1900-01-01T00:00:00+14:00", "too-early"),
        ("1900-01-02T00:00:00+14:00", None),
        ("2026-03-02T15:00:00+00:00", None),
        ("2026-03-03T15:00:00+00:00", None),
        ("2026-03-03T15:00:01+00:00", "in-the-future"),
        ("9999-12-31T23:59:59-12:00", "in-the-future"),
    ],
)
def test_what_has_happened_lies_between_1900_and_tomorrow(at: str, code: str | None) -> None:
    inspected = time_faults(datetime.fromisoformat(at), [], NOW)
    issued = time_faults(NOW, [(None, None), (datetime.fromisoformat(at), None)], NOW)
    found = [(fault.field, fault.code) for fault in (*inspected, *issued)]
    assert found == ([("inspected_at", code), ("findings.1.issued_at", code)] if code else [])


def test_a_deadline_lies_within_ten_years() -> None:
    due = [(None, NOW + timedelta(days=days)) for days in (-3000, 3653, 3654)]
    due.append((None, datetime(1900, 1, 1, tzinfo=UTC)))
    assert [(fault.field, fault.code) for fault in time_faults(NOW, due, NOW)] == [
        ("findings.2.deadline", "too-late"),
        ("findings.3.deadline", "too-early"),
    ]


def test_change() -> None:
    assert change(None, "open", same_content=False) is Change.NEW
    assert change("open", "open", same_content=True) is Change.UNCHANGED
    assert change("open", "open", same_content=False) is Change.CORRECTED
    assert change("open", "closed", same_content=False) is Change.CLOSED
    assert change("closed", "closed", same_content=False) is Change.CORRECTED
    assert change("closed", "open", same_content=False) is Change.CORRECTED


def a_finding(severity: Severity | None, *kinds: NeedCategory, days: int | None = None) -> Assessed:
    due = NOW + timedelta(days=days) if days is not None else None
    return Assessed(severity, due, "basis" if due else None, kinds)


PESTS, HEAT, OTHER = NeedCategory.PESTS, NeedCategory.HEAT_OFF, NeedCategory.OTHER_HAZARD


def test_grave_findings_open_needs() -> None:
    (need,) = property_needs([a_finding(Severity.SEVERE)], ())
    assert (need.category, need.urgency) == (OTHER, Urgency.URGENT)
    assert property_needs([a_finding(Severity.MODERATE), a_finding(None)], ()) == []
    (mapped,) = property_needs([a_finding(Severity.LOW, PESTS)], ())
    assert (mapped.category, mapped.urgency) == (PESTS, Urgency.ROUTINE)


def test_a_kind_opens_once_with_the_gravest_severity_and_the_earliest_deadline() -> None:
    (need,) = property_needs(
        [
            a_finding(Severity.LOW, HEAT, days=1),
            a_finding(Severity.LIFE_THREATENING, HEAT, days=2),
            a_finding(None, HEAT),
        ],
        (),
    )
    assert need.severity is Severity.LIFE_THREATENING
    assert need.urgency is Urgency.EMERGENCY
    assert need.deadline == NOW + timedelta(days=1)
    assert property_needs([a_finding(None, HEAT)], {"heat-off"}) == []


@given(st.one_of(st.none(), st.text(max_size=100)))
def test_a_code_is_a_code_or_nothing(text: str | None) -> None:
    code = as_code(text)
    if code is not None:
        TypeAdapter(Code).validate_python(code)
        assert as_code(code) == code


def test_facts_are_only_the_covered_ones() -> None:
    sealed = {"name": "Resident One", "phone": "1", "safe_contact": "x"}
    assert consents.facts_of(sealed, ["name", "email"]) == {"name": "Resident One"}
    assert isinstance(PANTRY, UUID)
