"""Verdicts and their reasons, the order of candidates, and what a match remembers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from event_schemas.codes import TargetKind, Verdict
from hypothesis import given
from hypothesis import strategies as st
from referral_svc.domain.directory import Directory, Organization, Service
from referral_svc.domain.matching import (
    ask_first,
    inputs_as_json,
    inputs_from_json,
    judge,
    pick,
)
from referral_svc.domain.routing import Matching
from referral_svc.domain.verdicts import EXCLUDING, UNKNOWN, Inputs

NOW = datetime(2026, 3, 3, 15, tzinfo=UTC)
RULES = Matching(
    ranking=("specific", "capacity", "language"),
    capacity_fresh_seconds=30 * 86_400,
    spoken=frozenset({"en"}),
    older_adult_from=60,
)
PANTRY = Organization(UUID(int=100), "pantry", "partner", True, frozenset(), 1)
FITS = Service(
    id=UUID(int=1),
    organization_id=PANTRY.id,
    name="groceries",
    status="active",
    needs=frozenset({"food-insecurity"}),
    areas=frozenset({"city:demo"}),
    areas_partly=frozenset(),
    area_unknown=False,
    minimum_age=None,
    maximum_age=None,
    languages=frozenset({"en", "es"}),
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
NEED = Inputs(
    category="food-insecurity",
    serves=("food-insecurity",),
    target=TargetKind.PARTNER,
    organizations=(),
    area=("city:demo",),
    languages=("es",),
    age_bands=("adult",),
    tenure="renter",
    recipients=(PANTRY.id,),
)


def town(*services: Service, organizations: tuple[Organization, ...] = (PANTRY,)) -> Directory:
    made = Directory()
    for organization in organizations:
        made.put_organization(organization)
    for service in services:
        made.put_service(service)
    return made


def verdict(service: Service, need: Inputs = NEED, organization: Organization = PANTRY):
    match = judge(need, town(service, organizations=(organization,)), RULES, "p1", NOW)
    (found,) = match.candidates
    return found.verdict, {code for code, _ in found.reasons}


FULL = {"capacity": "no-capacity", "capacity_said_at": NOW - timedelta(days=1)}
STALE = {"capacity": "no-capacity", "capacity_said_at": NOW - timedelta(days=31)}


@pytest.mark.parametrize(
    ("service", "need", "expected", "reasons"),
    [
        ({}, {}, "eligible", set()),
        ({"status": "inactive"}, {}, "excluded", {"service-inactive"}),
        ({"status": "temporarily closed"}, {}, "excluded", {"service-inactive"}),
        ({"areas": frozenset({"city:other"})}, {}, "excluded", {"outside-area"}),
        (
            {"areas": frozenset(), "areas_partly": frozenset({"city:demo"})},
            {},
            "ask-first",
            {"area-partly"},
        ),
        ({"areas": frozenset(), "area_unknown": True}, {}, "ask-first", {"area-unknown"}),
        ({"minimum_age": 60}, {}, "excluded", {"age-outside-range"}),
        ({"minimum_age": 60}, {"age_bands": ("older-adult",)}, "eligible", set()),
        ({"minimum_age": 18}, {}, "eligible", set()),
        ({"minimum_age": 18, "maximum_age": 24}, {}, "ask-first", {"age-unknown"}),
        ({"maximum_age": 17}, {"age_bands": ("adult", "minor")}, "eligible", set()),
        ({"minimum_age": 0, "maximum_age": None}, {"age_bands": ()}, "eligible", set()),
        ({"minimum_age": 18}, {"age_bands": ()}, "ask-first", {"age-unknown"}),
        ({"tenures": frozenset({"owner"})}, {}, "excluded", {"not-eligible"}),
        ({"tenures": frozenset({"renter"})}, {}, "eligible", set()),
        (
            {"tenures": frozenset({"owner"})},
            {"tenure": None},
            "ask-first",
            {"eligibility-unknown"},
        ),
        ({"age_bands": frozenset({"minor"})}, {}, "excluded", {"not-eligible"}),
        ({"rules_in_words": True}, {}, "ask-first", {"eligibility-unknown"}),
        (FULL, {}, "excluded", {"no-capacity"}),
        (STALE, {}, "eligible", set()),
        ({**FULL, "capacity": "waitlist"}, {}, "eligible", set()),
        (
            {**FULL, "capacity": "capacity", "capacity_available": 0},
            {},
            "excluded",
            {"no-capacity"},
        ),
        ({"languages": frozenset({"en"})}, {}, "ask-first", {"interpretation-unknown"}),
        (
            {"languages": frozenset({"en"}), "interpretation": False},
            {},
            "excluded",
            {"language-not-available"},
        ),
        ({"languages": frozenset({"en"}), "interpretation": True}, {}, "eligible", set()),
        (
            {"languages": frozenset(), "languages_unknown": True},
            {},
            "ask-first",
            {"language-unknown"},
        ),
        (
            {"languages": frozenset(), "languages_unknown": True},
            {"languages": ("en",)},
            "eligible",
            set(),
        ),
        (
            {"languages": frozenset({"pt"}), "interpretation": False},
            {"languages": ()},
            "eligible",
            set(),
        ),
        ({}, {"recipients": ()}, "excluded", {"consent-does-not-cover"}),
        (
            {"status": "defunct", "area_unknown": True, "areas": frozenset()},
            {},
            "excluded",
            {"service-inactive", "area-unknown"},
        ),
    ],
)
def test_verdict(service, need, expected, reasons) -> None:
    assert verdict(replace(FITS, **service), replace(NEED, **need)) == (expected, reasons)
    assert reasons <= EXCLUDING | UNKNOWN


def test_without_an_agreement_no_residents_need() -> None:
    without = replace(PANTRY, agreement_active=False)
    assert verdict(FITS, organization=without) == (Verdict.EXCLUDED, {"no-agreement"})
    nobody = replace(NEED, recipients=None)
    assert verdict(FITS, nobody, without) == (Verdict.ELIGIBLE, set())


def test_a_fact_is_the_services_rule_and_never_the_residents_value() -> None:
    picky = replace(
        FITS,
        tenures=frozenset({"owner"}),
        minimum_age=60,
        languages=frozenset({"pt"}),
        interpretation=False,
        areas=frozenset({"city:other"}),
    )
    match = judge(NEED, town(picky), RULES, "p1", NOW)
    facts = " ".join(fact for _, fact in match.candidates[0].reasons)
    for value in ("renter", "adult", "es,", "city:demo"):
        assert value not in facts.replace("others", "").replace("services", "")
    assert "owner" in facts
    assert "60" in facts


def test_specific_goes_over_general_then_capacity_then_language() -> None:
    general = replace(
        FITS, id=UUID(int=2), needs=frozenset({"food-insecurity", "stress", "x", "y"})
    )
    free = replace(
        FITS, id=UUID(int=3), capacity="capacity", capacity_said_at=NOW - timedelta(days=1)
    )
    interpreted = replace(FITS, id=UUID(int=4), languages=frozenset({"en"}), interpretation=True)
    refused = replace(FITS, id=UUID(int=5), declined_at=NOW)
    match = judge(NEED, town(general, FITS, interpreted, refused, free), RULES, "p1", NOW)
    order = [candidate.key.int for tier in match.tiers for candidate in tier]
    assert order == [3, 1, 4, 5, 2]


def test_who_waited_longest_among_equals_is_next() -> None:
    equals = [replace(FITS, id=UUID(int=n)) for n in (1, 2, 3)]
    match = judge(NEED, town(*equals), RULES, "p1", NOW)
    assert [len(tier) for tier in match.tiers] == [3]
    turns: dict[UUID, int] = {}
    asked = []
    for moment in range(1, 7):
        found = pick(match, (), turns)
        turns[found.key] = moment
        asked.append(found.key.int)
    assert asked == [1, 2, 3, 1, 2, 3]


def test_barred_services_and_organizations_are_passed_over() -> None:
    other = Organization(UUID(int=101), "kitchen", "partner", True, frozenset(), 1)
    second = replace(FITS, id=UUID(int=2), organization_id=other.id)
    need = replace(NEED, recipients=(PANTRY.id, other.id))
    match = judge(need, town(FITS, second, organizations=(PANTRY, other)), RULES, "p1", NOW)
    assert pick(match, {FITS.id}, {}).key == second.id
    assert pick(match, {PANTRY.id}, {}).key == second.id
    assert pick(match, {FITS.id, other.id}, {}) is None


def test_ask_first_is_never_picked() -> None:
    unknown = replace(FITS, area_unknown=True, areas=frozenset())
    match = judge(NEED, town(unknown), RULES, "p1", NOW)
    assert pick(match, (), {}) is None
    assert ask_first(match, ())
    assert not ask_first(match, {unknown.id})


def test_the_same_input_gives_the_same_match_and_any_change_another() -> None:
    one, again = (judge(NEED, town(FITS), RULES, "p1", NOW) for _ in range(2))
    assert one == again
    assert judge(NEED, town(FITS), RULES, "p2", NOW).id != one.id
    assert judge(replace(NEED, tenure="owner"), town(FITS), RULES, "p1", NOW).id != one.id
    closed = replace(FITS, status="inactive")
    assert judge(NEED, town(closed), RULES, "p1", NOW).id != one.id


def test_a_match_holds_until_a_figure_of_capacity_is_too_old() -> None:
    said = NOW - timedelta(days=29)
    full = replace(FITS, capacity="no-capacity", capacity_said_at=said)
    match = judge(NEED, town(full), RULES, "p1", NOW)
    assert match.eligible == 0
    assert match.valid_until == said + timedelta(days=30)
    later = judge(NEED, town(full), RULES, "p1", match.valid_until + timedelta(seconds=1))
    assert later.eligible == 1


def test_inputs_are_read_back_as_they_were_stored() -> None:
    for inputs in (NEED, replace(NEED, recipients=None, organizations=(PANTRY.id,))):
        assert inputs_from_json(inputs_as_json(inputs)) == inputs


def test_only_changes_that_a_match_looks_at_count() -> None:
    directory = town(FITS)
    before = directory.revision_of(("food-insecurity", "*"))
    directory.put_service(replace(FITS, id=UUID(int=9), needs=frozenset({"legal-help"})))
    assert directory.revision_of(("food-insecurity", "*")) == before
    directory.put_organization(replace(PANTRY, agreement_active=False))
    assert directory.revision_of(("food-insecurity", "*")) > before


def test_a_service_that_changes_its_kind_of_need_leaves_the_old_one() -> None:
    directory = town(FITS)
    directory.put_service(replace(FITS, needs=frozenset({"legal-help"}), version=2))
    assert not directory.serving("food-insecurity")
    assert set(directory.serving("legal-help")) == {FITS.id}
    directory.drop_service(FITS.id, 3)
    assert not directory.serving("legal-help")
    assert directory.version == 3


BANDS = st.lists(st.sampled_from(["minor", "adult", "older-adult"]), unique=True)


@given(low=st.integers(0, 90), span=st.integers(0, 100), bands=BANDS)
def test_ages_pass_only_where_a_whole_band_lies_inside(low, span, bands) -> None:
    """Against the ages themselves: a band is a set of years."""
    years = {"minor": range(18), "adult": range(18, 60), "older-adult": range(60, 100)}
    high = low + span
    service = replace(FITS, minimum_age=low, maximum_age=high)
    found, _ = verdict(service, replace(NEED, age_bands=tuple(bands)))
    inside = [all(low <= y <= high for y in years[band]) for band in bands]
    touched = [any(low <= y <= high for y in years[band]) for band in bands]
    if low == 0 and high >= 99:  # no limit
        assert found is Verdict.ELIGIBLE
    elif not bands:
        assert found is Verdict.ASK_FIRST
    elif any(inside):
        assert found is Verdict.ELIGIBLE
    elif any(touched):
        assert found is Verdict.ASK_FIRST
    else:
        assert found is Verdict.EXCLUDED
