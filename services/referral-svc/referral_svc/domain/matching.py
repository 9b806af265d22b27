"""Matching: everybody judged, the order among the eligible, and whose turn it is.

Candidates that are not known well enough come after the eligible ones and are never offered by
themselves. The same input gives the same list.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from event_schemas.codes import TargetKind, Verdict

from referral_svc.domain.directory import Directory, Service
from referral_svc.domain.routing import Matching
from referral_svc.domain.verdicts import Candidate, Inputs, judge_organization, judge_service


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
            judge_service(
                service, directory.organizations.get(service.organization_id), inputs, rules, now
            )
            for service in _serving(directory, inputs.serves)
        ]
    else:
        found = [
            judge_organization(id_, place, directory.organizations.get(id_), inputs)
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


_PLACE = {Verdict.ELIGIBLE: 0, Verdict.ASK_FIRST: 1, Verdict.EXCLUDED: 2}


def _order(candidate: Candidate) -> tuple[int, tuple[int, ...], int]:
    return _PLACE[candidate.verdict], candidate.rank, candidate.key.int


def _serving(directory: Directory, needs: Sequence[str]) -> Iterable[Service]:
    if len(needs) == 1:
        return directory.serving(needs[0]).values()
    return {id_: s for need in needs for id_, s in directory.serving(need).items()}.values()


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
