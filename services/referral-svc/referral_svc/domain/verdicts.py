"""The verdict on one candidate: eligible, ask-first or excluded, each with its reasons.

Missing data is unknown, and unknown is never a pass: such a service is *ask-first* and never
offered by itself. An organization that the policy names and the directory does not know is
*excluded* where a consent is asked, since nothing says that it has an agreement; for a property it
is asked all the same.
A reason's fact is the service's rule or figure, never the resident's value.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from uuid import UUID

from event_schemas.codes import AgeBand, CapacityStatus, OrganizationKind, TargetKind, Verdict

from referral_svc.domain.directory import Organization, Service
from referral_svc.domain.routing import Matching

_ADULT_FROM = 18
_NO_LIMIT = 99  # a directory that wants a number writes 99, 120 or 999 for "no upper age"
_SHOWN = 6  # codes of a rule that a fact names before "and n more"

Reason = tuple[str, str]  # code, fact

EXCLUDING = frozenset(
    {
        "service-inactive",
        "need-not-served",
        "outside-area",
        "age-outside-range",
        "not-eligible",
        "no-capacity",
        "language-not-available",
        "consent-does-not-cover",
        "no-agreement",
    }
)
UNKNOWN = frozenset(
    {
        "organization-unknown",
        "area-unknown",
        "area-partly",
        "age-unknown",
        "eligibility-unknown",
        "language-unknown",
        "interpretation-unknown",
    }
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a match depends on, beside policy and directory. ``recipients`` None: no consent asked.

    ``area`` holds only codes that some service for the need names, so that needs which differ in
    nothing that counts share one match.
    """

    category: str
    serves: tuple[str, ...]
    target: str
    organizations: tuple[UUID, ...]
    area: tuple[str, ...]
    languages: tuple[str, ...]
    age_bands: tuple[str, ...]
    tenure: str | None
    recipients: tuple[UUID, ...] | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """``rank`` compares; candidates of equal rank take fair turns."""

    service_id: UUID | None
    organization_id: UUID
    name: str
    target: str
    verdict: Verdict
    rank: tuple[int, ...]
    reasons: tuple[Reason, ...]

    @property
    def key(self) -> UUID:
        return self.service_id or self.organization_id


def judge_organization(
    id_: UUID, place: int, organization: Organization | None, inputs: Inputs
) -> Candidate:
    reasons: list[Reason] = []
    if organization is None:
        # A department or hub that the policy names is asked even before its record has come.
        name = ""
    else:
        name = organization.name
        if inputs.recipients is not None and not organization.agreement_active:
            reasons.append(("no-agreement", "no active data-sharing agreement"))
    if inputs.recipients is not None and id_ not in inputs.recipients:
        reasons.append(("consent-does-not-cover", "not among the consent's recipients"))
    if inputs.recipients is not None and organization is None:
        reasons.append(("organization-unknown", "not in the directory"))
    verdict = Verdict.EXCLUDED if reasons else Verdict.ELIGIBLE
    return Candidate(None, id_, name, inputs.target, verdict, (place,), tuple(reasons))


def judge_service(
    service: Service,
    organization: Organization | None,
    inputs: Inputs,
    rules: Matching,
    now: datetime,
) -> Candidate:
    reasons: list[Reason] = []
    if service.status != "active":
        reasons.append(("service-inactive", f"status {service.status}"))
    _judge_organization(reasons, organization, inputs)
    _judge_area(reasons, service, inputs)
    _judge_ages(reasons, service, inputs, rules)
    _judge_rules(reasons, service, inputs)
    fresh = _is_fresh(service, rules, now)
    if service.full and fresh:
        reasons.append(("no-capacity", "says that it has no capacity and no waitlist"))
    spoken = _judge_language(reasons, service, inputs, rules)
    if any(code in EXCLUDING for code, _ in reasons):
        verdict = Verdict.EXCLUDED
    else:
        verdict = Verdict.ASK_FIRST if reasons else Verdict.ELIGIBLE
    figures = {
        "specific": _generality(service),
        "capacity": _capacity_tier(service, fresh=fresh),
        "language": 0 if spoken else 1,
    }
    rank = tuple(figures[name] for name in rules.ranking)
    return Candidate(
        service.id,
        service.organization_id,
        service.name,
        TargetKind.PARTNER,
        verdict,
        rank,
        tuple(reasons),
    )


def _judge_organization(
    reasons: list[Reason], organization: Organization | None, inputs: Inputs
) -> None:
    if organization is None:
        reasons.append(("organization-unknown", "its organization is not in the directory"))
    elif inputs.recipients is not None:
        if not organization.agreement_active:
            reasons.append(("no-agreement", "no active data-sharing agreement"))
        if organization.id not in inputs.recipients:
            reasons.append(("consent-does-not-cover", "not among the consent's recipients"))
    elif organization.kind == OrganizationKind.CASE_MANAGEMENT:
        reasons.append(("need-not-served", "a case-management organization"))


def _judge_area(reasons: list[Reason], service: Service, inputs: Inputs) -> None:
    if not service.areas.isdisjoint(inputs.area):
        return
    if not service.areas_partly.isdisjoint(inputs.area):
        reasons.append(("area-partly", "serves part of " + _some(service.areas_partly)))
    elif service.area_unknown:
        reasons.append(("area-unknown", "says no area, or in words only"))
    else:
        reasons.append(("outside-area", "serves " + _some(service.areas | service.areas_partly)))


def _judge_ages(reasons: list[Reason], service: Service, inputs: Inputs, rules: Matching) -> None:
    low, high = service.minimum_age, service.maximum_age
    if not low and (high is None or high >= _NO_LIMIT):
        return
    low, high = low or 0.0, inf if high is None or high >= _NO_LIMIT else high
    fact = f"ages {low:g} to {high:g}" if high < inf else f"from age {low:g}"
    if not inputs.age_bands:
        reasons.append(("age-unknown", fact))
        return
    bands = [_years(band, rules) for band in inputs.age_bands]
    if any(low <= start and end <= high + 1 for start, end in bands):
        return
    if any(start <= high and low < end for start, end in bands):
        reasons.append(("age-unknown", fact))
    else:
        reasons.append(("age-outside-range", fact))


def _years(band: str, rules: Matching) -> tuple[float, float]:
    """The ages of a band: from, and up to but not including."""
    if band == AgeBand.MINOR:
        return 0, _ADULT_FROM
    if band == AgeBand.ADULT:
        return _ADULT_FROM, rules.older_adult_from
    return rules.older_adult_from, inf


def _judge_rules(reasons: list[Reason], service: Service, inputs: Inputs) -> None:
    if service.tenures:
        fact = "for " + _some(service.tenures)
        if inputs.tenure is None:
            reasons.append(("eligibility-unknown", fact))
        elif inputs.tenure not in service.tenures:
            reasons.append(("not-eligible", fact))
    if service.age_bands:
        fact = "for households with " + _some(service.age_bands)
        if not inputs.age_bands:
            reasons.append(("eligibility-unknown", fact))
        elif service.age_bands.isdisjoint(inputs.age_bands):
            reasons.append(("not-eligible", fact))
    if service.rules_in_words:
        reasons.append(("eligibility-unknown", "eligibility is stated in words"))


def _judge_language(
    reasons: list[Reason], service: Service, inputs: Inputs, rules: Matching
) -> bool:
    """Adds what speaks against it; whether a language of the resident is spoken there."""
    wanted = inputs.languages
    if not wanted or not rules.spoken.isdisjoint(wanted):
        return True
    if not service.languages.isdisjoint(wanted):
        return True
    if service.interpretation:
        return False
    spoken = "speaks " + _some(service.languages) if service.languages else "languages not said"
    if service.languages_unknown or not service.languages:
        reasons.append(("language-unknown", spoken))
    elif service.interpretation is None:
        reasons.append(("interpretation-unknown", spoken + "; interpreters not said"))
    else:
        reasons.append(("language-not-available", spoken + "; no interpreters"))
    return False


def _is_fresh(service: Service, rules: Matching, now: datetime) -> bool:
    said = service.capacity_said_at
    return said is not None and now - said <= timedelta(seconds=rules.capacity_fresh_seconds)


def _capacity_tier(service: Service, *, fresh: bool) -> int:
    """0 free by a fresh figure, 1 not known, 2 a waitlist or a further assessment, 3 said full."""
    if service.says_full:
        return 3
    if service.capacity is None or not fresh:
        return 1
    if service.capacity == CapacityStatus.CAPACITY:
        return 0
    return 2


def _generality(service: Service) -> int:
    """0 for one kind of need, 1 for up to three, 2 for more: specific goes over general."""
    count = len(service.needs)
    return 0 if count <= 1 else 1 if count <= 3 else 2


def _some(codes: Collection[str]) -> str:
    shown = sorted(codes)[:_SHOWN]
    more = len(codes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def not_served(service: Service) -> Candidate:
    """The verdict on a service that serves other kinds of need."""
    fact = "serves " + _some(service.needs) if service.needs else "names no kind of need"
    reason = ("need-not-served", fact)
    return Candidate(
        service.id,
        service.organization_id,
        service.name,
        TargetKind.PARTNER,
        Verdict.EXCLUDED,
        (),
        (reason,),
    )
