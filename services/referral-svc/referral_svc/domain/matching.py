"""Matching: a verdict with reasons for every candidate, and the order among the eligible.

Missing data is unknown, and unknown is never a pass: such a candidate is *ask-first*, after the
eligible ones, and never offered by itself. A reason's fact is the service's rule or figure, never
the resident's value. The same input gives the same list.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from math import inf
from uuid import UUID

from event_schemas.codes import AgeBand, CapacityStatus, OrganizationKind, TargetKind, Verdict

from referral_svc.domain.directory import Directory, Organization, Service
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


@dataclass(frozen=True, slots=True)
class Match:
    """Candidates in order: eligible, ask-first, excluded. ``id`` is a hash of all that it holds.

    ``tiers`` are the eligible ones, grouped by equal rank. ``valid_until``: from then on some
    figure of capacity is too old to count.
    """

    id: UUID
    inputs: Inputs
    candidates: tuple[Candidate, ...]
    tiers: tuple[tuple[Candidate, ...], ...]
    ask_first: int
    excluded: int
    policy_version: str
    directory_version: int
    valid_until: datetime | None

    @property
    def eligible(self) -> int:
        return sum(map(len, self.tiers))


def judge(
    inputs: Inputs,
    directory: Directory,
    rules: Matching,
    policy_version: str,
    now: datetime,
) -> Match:
    """Judge everybody who could meet the need.

    A service that does not serve the need at all is not listed; `not_served` gives its verdict.
    """
    if inputs.target == TargetKind.PARTNER:
        found = [
            _service(
                service, directory.organizations.get(service.organization_id), inputs, rules, now
            )
            for service in _serving(directory, inputs.serves)
        ]
    else:
        found = [
            _organization(id_, place, directory.organizations.get(id_), inputs)
            for place, id_ in enumerate(inputs.organizations)
        ]
    found.sort(key=_order)
    tiers: dict[tuple[int, ...], list[Candidate]] = {}
    for candidate in found:
        if candidate.verdict is Verdict.ELIGIBLE:
            tiers.setdefault(candidate.rank, []).append(candidate)
    return Match(
        id=_digest(inputs, found, policy_version),
        inputs=inputs,
        candidates=tuple(found),
        tiers=tuple(map(tuple, tiers.values())),
        ask_first=sum(c.verdict is Verdict.ASK_FIRST for c in found),
        excluded=sum(c.verdict is Verdict.EXCLUDED for c in found),
        policy_version=policy_version,
        directory_version=directory.version,
        valid_until=_valid_until(directory, inputs, rules, now),
    )


def pick(match: Match, barred: Collection[UUID], turns: Mapping[UUID, int]) -> Candidate | None:
    """The next candidate: of the best tier with anybody left, who has waited longest.

    *barred*: services and organizations that were asked already; *turns*: when each was last
    asked, a growing number. Ties end by the id.
    """
    for tier in match.tiers:
        left = (
            [c for c in tier if c.key not in barred and c.organization_id not in barred]
            if barred
            else tier
        )
        if len(left) == 1:
            return left[0]
        if left:
            return min(left, key=lambda c: (turns.get(c.key, 0), c.key.int))
    return None


def ask_first(match: Match, barred: Collection[UUID]) -> bool:
    """Whether a candidate is left whom a person may ask."""
    return match.ask_first > 0 and any(
        c.verdict is Verdict.ASK_FIRST and c.key not in barred and c.organization_id not in barred
        for c in match.candidates
    )


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


_PLACE = {Verdict.ELIGIBLE: 0, Verdict.ASK_FIRST: 1, Verdict.EXCLUDED: 2}


def _order(candidate: Candidate) -> tuple[int, tuple[int, ...], int]:
    return _PLACE[candidate.verdict], candidate.rank, candidate.key.int


def _serving(directory: Directory, needs: Sequence[str]) -> Iterable[Service]:
    if len(needs) == 1:
        return directory.serving(needs[0]).values()
    return {id_: s for need in needs for id_, s in directory.serving(need).items()}.values()


def _organization(
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


def _service(
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


def _valid_until(
    directory: Directory, inputs: Inputs, rules: Matching, now: datetime
) -> datetime | None:
    if inputs.target != TargetKind.PARTNER:
        return None
    fresh_for = timedelta(seconds=rules.capacity_fresh_seconds)
    ends = [
        service.capacity_said_at + fresh_for
        for service in _serving(directory, inputs.serves)
        if service.capacity_said_at is not None
    ]
    return min((end for end in ends if end >= now), default=None)


def as_json(candidate: Candidate) -> dict[str, object]:
    """A candidate as it is stored with the match."""
    return {
        "service_id": str(candidate.service_id) if candidate.service_id else None,
        "organization_id": str(candidate.organization_id),
        "name": candidate.name,
        "verdict": str(candidate.verdict),
        "rank": list(candidate.rank),
        "reasons": [{"code": code, "fact": fact} for code, fact in candidate.reasons],
    }


def inputs_as_json(inputs: Inputs) -> dict[str, object]:
    """What was looked at, as it is stored with the match; `inputs_from_json` reads it back."""
    return {
        "category": str(inputs.category),
        "serves": list(inputs.serves),
        "target": str(inputs.target),
        "organizations": [str(id_) for id_ in inputs.organizations],
        "area": list(inputs.area),
        "languages": list(inputs.languages),
        "age_bands": list(inputs.age_bands),
        "tenure": inputs.tenure,
        "recipients": None
        if inputs.recipients is None
        else [str(id_) for id_ in inputs.recipients],
    }


def inputs_from_json(stored: Mapping[str, object]) -> Inputs:
    given: dict[str, object] = {**stored}
    for name in ("serves", "area", "languages", "age_bands"):
        given[name] = tuple(stored[name])  # type: ignore[arg-type]
    for name in ("organizations", "recipients"):
        ids = stored[name]
        given[name] = None if ids is None else tuple(UUID(id_) for id_ in ids)  # type: ignore[attr-defined]
    return Inputs(**given)  # type: ignore[arg-type]


def _digest(inputs: Inputs, candidates: Sequence[Candidate], policy_version: str) -> UUID:
    told = [inputs_as_json(inputs), policy_version, [as_json(c) for c in candidates]]
    text = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    return UUID(bytes=blake2b(text, digest_size=16).digest(), version=4)
