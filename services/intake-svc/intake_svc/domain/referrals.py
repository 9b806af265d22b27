"""What a referral must bring, and where each of its needs goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from event_schemas.codes import PROPERTY_ONLY, RESTRICTED, AgeBand, NeedCategory

from intake_svc.domain.consents import ADDRESS, FIELDS, NOTES, Fault

OWNER_KINDS = frozenset({NeedCategory.TANGLED_TITLE, NeedCategory.OWNER_UNABLE_TO_REPAIR})
OWNER_ROLES = frozenset({"owner", "owner-occupant"})
# What rules can ask for; another word stays sealed with the rest of what was said.
TENURES = frozenset(
    {
        "renter",
        "owner",
        "owner-occupant",
        "public-housing",
        "voucher",
        "rooming-house",
        "doubled-up",
        "unhoused",
        "other",
    }
)
# Kinds that a referral without a resident may ask for. A relocation may be one, since an order that
# makes a home unfit names nobody; nothing asks for it by itself.
WITHOUT_RESIDENT = PROPERTY_ONLY | {NeedCategory.RELOCATION}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a referral: fields to mend, and needs that no consent covers."""

    faults: list[Fault]
    uncovered: list[Fault]


def judge(categories: Sequence[str], role: str | None, covers: Sequence[str] | None) -> Verdict:
    """*role* None: no resident. *covers* None: no consent."""
    faults: list[Fault] = []
    uncovered: list[Fault] = []
    for at, category in enumerate(categories):
        field = f"needs.{at}.category"
        if category in categories[:at]:
            faults.append((field, "duplicate", "Each kind of need stands once in a referral."))
        if role is None:
            if category not in WITHOUT_RESIDENT:
                uncovered.append(
                    (field, "consent-required", "This kind of need is a resident's, with consent.")
                )
            continue
        if category in OWNER_KINDS and role not in OWNER_ROLES:
            faults.append((field, "owner-required", "Only an owner can ask for this."))
        if category not in PROPERTY_ONLY and (covers is None or category not in covers):
            uncovered.append((field, "consent-required", "The consent does not cover this need."))
    if role is None and covers is not None:
        faults.append(("resident", "required", "A consent is a resident's; say whose it is."))
    if role is not None and covers is None:
        uncovered.append(("consent", "consent-required", "A resident is referred with consent."))
    for at, category in enumerate(covers or ()):
        if category in RESTRICTED and category not in categories:
            faults.append(
                (
                    f"consent.covers.{at}",
                    "need-required",
                    "A restricted kind is covered together with its need.",
                )
            )
    return Verdict(faults, uncovered)


def age_bands(household: dict[str, Any] | None) -> list[AgeBand]:
    """Coarse ages of a household given as counts."""
    counted = household or {}
    bands = (
        ("minors", AgeBand.MINOR),
        ("adults", AgeBand.ADULT),
        ("older_adults", AgeBand.OLDER_ADULT),
    )
    return [band for name, band in bands if counted.get(name)]


def given_fields(facts: dict[str, Any]) -> list[str]:
    """Default of a consent's ``fields``: all that was given, and the notes about it."""
    return [name for name in FIELDS if name in facts or name == NOTES]


@dataclass(frozen=True, slots=True)
class Matching:
    """What an event may carry of the household, as codes and as far as the consent covers it."""

    area: list[str]
    languages: list[str]
    age_bands: list[AgeBand]
    tenure: str | None


def matching_codes(facts: dict[str, Any], fields: Sequence[str], areas: Sequence[str]) -> Matching:
    """Without the address only the city itself is said, which the agency says already."""
    covered = areas if ADDRESS in fields else [area for area in areas if area.startswith("city:")]
    spoken = facts.get("languages") if "languages" in fields else None
    tenure = facts.get("tenure") if "tenure" in fields else None
    return Matching(
        list(covered),
        # The language alone: a region or a private subtag matches nothing and could say anything.
        list(dict.fromkeys(tag.partition("-")[0] for tag in spoken or ())),
        age_bands(facts.get("household")) if "household" in fields else [],
        tenure if tenure in TENURES else None,
    )
