"""Candidates for a need, as a person sees them: everybody with a verdict, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from event_schemas.codes import OFFER_OPEN, TargetKind, Verdict
from handoff_kit.db import Connection
from handoff_kit.errors import NotVisible

from referral_svc import tables
from referral_svc.domain import course
from referral_svc.domain.matching import as_json
from referral_svc.domain.records import Bundle, Need, Offer
from referral_svc.domain.verdicts import Candidate, not_served
from referral_svc.handlers.world import World


@dataclass(frozen=True, slots=True)
class Candidates:
    """In order: eligible (ranked), ask-first, excluded."""

    items: Sequence[dict[str, Any]]
    policy_version: str
    directory_version: int


async def candidates_of(
    world: World, connection: Connection, bundle: Bundle, need: Need
) -> Candidates:
    """Judge everybody anew, for the kind of target that a person may choose for this need.

    For a resident's need these are services, also where its route leads to a case manager first.
    """
    agency = need.agency_id
    await world.sync(connection, {agency})
    if need.match_id is None:
        raise NotVisible
    await world.learn(connection, [(agency, need.match_id)])
    now = await connection.fetchval("SELECT clock_timestamp()")
    policy = world.policy
    rule = policy.rule(need.route) or policy.rules[-1]
    department = rule.target is TargetKind.DEPARTMENT
    target = TargetKind.DEPARTMENT if department else TargetKind.PARTNER
    like = world.inputs_of(agency, need.match_id)
    match = world.match(agency, world.inputs(agency, rule, target, like, bundle.case.area), now)
    directory = world.directory(agency)
    offers = bundle.offers_of(need)
    barred = course.barred(offers, policy, directory, now)
    turns = world.turns.get(agency, {})
    ranked = [
        c
        for tier in match.tiers
        for c in sorted(tier, key=lambda c: (turns.get(c.key, 0), c.key.int))
    ]
    unknown = [c for c in match.candidates if c.verdict is Verdict.ASK_FIRST]
    rest = [c for c in match.candidates if c.verdict is Verdict.EXCLUDED]
    open_ = [c for c in (*ranked, *unknown) if not _is_barred(c, barred)]
    asked = [c for c in (*ranked, *unknown) if _is_barred(c, barred)]
    items = [{**as_json(c), "rank": place} for place, c in enumerate(open_, 1)]
    items += [_excluded(c, (_why_barred(c, offers), *c.reasons)) for c in asked]
    items += [_excluded(c, c.reasons) for c in rest]
    if target is TargetKind.PARTNER:
        listed = {c.key for c in match.candidates}
        others = [s for id_, s in directory.services.items() if id_ not in listed]
        others.sort(key=lambda s: s.id.int)
        items += [_excluded(c, c.reasons) for c in map(not_served, others)]
    return Candidates(items, match.policy_version, match.directory_version)


async def recorded(connection: Connection, bundle: Bundle, offer_id: UUID) -> Candidates:
    """The candidates as they were judged when this offer was made. Raises NotVisible."""
    offer = bundle.offers.get(offer_id)
    if offer is None or offer.match_id is None:
        raise NotVisible
    key = (offer.agency_id, offer.match_id)
    row = (await tables.matches(connection, [key])).get(key)
    if row is None:
        raise NotVisible
    items: list[dict[str, Any]] = []
    for candidate in row.candidates:
        excluded = candidate["verdict"] == Verdict.EXCLUDED
        items.append({**candidate, "rank": None if excluded else len(items) + 1})
    return Candidates(items, row.policy_version, row.directory_version)


def _is_barred(candidate: Candidate, barred: set[UUID]) -> bool:
    return candidate.key in barred or candidate.organization_id in barred


def _excluded(candidate: Candidate, reasons: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        **as_json(candidate),
        "verdict": Verdict.EXCLUDED,
        "rank": None,
        "reasons": [{"code": code, "fact": fact} for code, fact in reasons],
    }


def _why_barred(candidate: Candidate, offers: Sequence[Offer]) -> tuple[str, str]:
    """The latest offer to this target, or to its organization, says why it is not asked again."""
    latest = next(
        (
            o
            for o in reversed(offers)
            if candidate.key == o.target or candidate.organization_id == o.organization_id
        ),
        None,
    )
    if latest is None:
        return "asked-already", "was asked for this need"
    if latest.status in OFFER_OPEN:
        return "offer-open", "has an offer for this need"
    return "declined", f"did not take this need: {latest.reason or latest.status}"
