"""What happens in the demo city, decided by a seed alone: pure, the same seed the same story.

Residents are numbers, telephones are of the range that is kept free (555-0100 to 555-0199).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from event_schemas.codes import RESTRICTED

from handoff_cli.demo_city.places import Property

SOURCE = "demo-inspections"
SCHEME = "demo-housing-code"
INSPECTIONS_A_DAY = 10
# Findings as inspectors meet them: mostly small things.
_FINDINGS = (
    ("H-101", 3), ("H-102", 5), ("H-103", 2), ("H-201", 6), ("H-202", 2), ("H-203", 2),
    ("H-204", 3), ("H-205", 2), ("H-301", 10), ("H-302", 12), ("H-303", 6), ("H-304", 3),
    ("H-305", 4), ("H-306", 4), ("H-401", 16), ("H-402", 12),
)  # fmt: skip
_NEEDS = (
    ("food-insecurity", 12), ("housing-instability", 6), ("legal-help", 5), ("health-care", 5),
    ("utility-insecurity", 5), ("financial-insecurity", 4), ("social-connection", 4),
    ("child-care", 2), ("employment-status", 2), ("home-repair", 3), ("material-hardship", 3),
    ("mental-health", 1), ("language-access", 2),
)  # fmt: skip
_NOTES = {
    "food-insecurity": "The cupboards were empty.",
    "utility-insecurity": "The heating bill cannot be paid.",
    "legal-help": "A notice to leave lay on the table.",
}
_DECLINES = (
    ("no-capacity", 5), ("not-eligible", 2), ("service-not-provided", 1),
    ("language-not-available", 1), ("already-served", 1),
)  # fmt: skip
_OUTCOMES = (
    ("got-help", 10), ("enrolled", 4), ("waitlisted", 2), ("information-only", 2),
    ("could-not-reach", 1),
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """An inspection, and the referral that follows from the talk at the door, if any.

    Bodies are those of the API; the referral's inspection is put in when it is known.
    """

    key: str
    inspection: dict[str, Any]
    referral: dict[str, Any] | None
    by: str
    withdraws: bool


@dataclass(frozen=True)
class Choice:
    """What an organization does with an offer. ``steps`` follow an accept."""

    answer: str  # accept | decline | silence
    reason: str | None = None
    reads: bool = False
    steps: tuple[tuple[str, dict[str, Any]], ...] = ()


def day(seed: int, number: int, date: datetime, homes: Sequence[Property]) -> list[Visit]:
    """The visits of day *number*, which is *date* (aware, midnight)."""
    chance = random.Random(f"{seed}:day:{number}")  # noqa: S311 - a story, not a secret
    return [_visit(chance, f"{seed}-{number}-{n}", date, homes) for n in range(INSPECTIONS_A_DAY)]


def choose(seed: int, key: str, *, target: str, now: datetime) -> Choice:
    """How the organization of an offer acts; *key* names the offer by what it is about."""
    chance = random.Random(f"{seed}:choice:{key}")  # noqa: S311 - a story, not a secret
    roll = chance.random()
    refuses, silent = {"case-manager": (0.0, 0.05), "department": (0.05, 0.1)}.get(
        target, (0.22, 0.1)
    )
    if roll < silent:
        return Choice("silence")
    if roll < silent + refuses:
        return Choice("decline", reason=_pick(chance, _DECLINES))
    if target == "case-manager":
        return Choice("accept", reads=True)
    steps: list[tuple[str, dict[str, Any]]] = []
    if chance.random() < 0.6:
        at = (now + timedelta(days=chance.randint(1, 9))).replace(
            hour=chance.randint(9, 16), minute=0, second=0, microsecond=0
        )
        steps.append(("schedule", {"at": at.isoformat()}))
        if chance.random() < 0.15:
            steps.append(("no-show", {}))
    if chance.random() < 0.7:
        steps.append(("progress", {"note": "Work has begun."}))
    if chance.random() < 0.75:
        steps.append(("complete", {"outcome": _pick(chance, _OUTCOMES)}))
    return Choice("accept", reads=chance.random() < 0.9, steps=tuple(steps))


def _visit(chance: random.Random, key: str, date: datetime, homes: Sequence[Property]) -> Visit:
    home = chance.choice(homes)
    at = date + timedelta(minutes=chance.randint(8 * 60, 16 * 60))
    codes = sorted({_pick(chance, _FINDINGS) for _ in range(chance.randint(1, 3))})
    inspection = {
        "source": SOURCE,
        "source_id": f"DEMO-{key}",
        "kind": chance.choice(("complaint", "annual", "court-order")),
        "status": "open",
        "inspected_at": at.isoformat(),
        "inspector": f"inspector-{chance.randint(1, 2)}",
        "property": home.report(),
        "findings": [{"scheme": SCHEME, "code": code, "status": "open"} for code in codes],
    }
    by = "ambassador" if chance.random() < 0.2 else "inspector"
    roll = chance.random()
    referral = None
    if home.occupancy == "occupied" and roll < 0.6:
        referral = _of_resident(chance, home, by)
    elif roll > 0.92:
        referral = _of_property(chance, home)
    return Visit(key, inspection, referral, by, withdraws=chance.random() < 0.08)


def _of_resident(chance: random.Random, home: Property, by: str) -> dict[str, Any]:
    number = chance.randint(1, 99_999)
    language = chance.choice(("en", "es", "es"))
    categories = sorted({_pick(chance, _NEEDS) for _ in range(chance.choice((1, 1, 2)))})
    owner = home.owner_type == "owner-occupant"
    resident: dict[str, Any] = {
        "role": "owner-occupant" if owner else "resident",
        "name": f"Resident {number:05}",
        "phone": f"+1 617 555 01{chance.randint(0, 99):02}",
        "languages": [language],
        "household": {
            "adults": chance.randint(1, 3),
            "minors": chance.choice((0, 0, 1, 2)),
            "older_adults": chance.choice((0, 0, 0, 1)),
        },
        "tenure": "owner" if owner else "renter",
    }
    needs: list[dict[str, Any]] = [
        {
            "category": category,
            "urgency": chance.choice(("routine", "routine", "urgent")),
            **({"note": _NOTES[category]} if category in _NOTES else {}),
        }
        for category in categories
    ]
    return {
        "encounter": {"kind": "ambassador" if by == "ambassador" else "inspection"},
        "property": home.report(),
        "resident": resident,
        "consent": {
            "method": "spoken",
            "language": language,
            "notice_version": "2026-01",
            "witness": f"Witness {number:05}",
            "covers": categories,
            "recipients": ["case-management"],
            "feedback": chance.random() < 0.7,
        },
        "needs": needs,
    }


def _of_property(chance: random.Random, home: Property) -> dict[str, Any]:
    category = chance.choice(("rubbish", "pests", "vacant-and-open"))
    return {
        "encounter": {"kind": "inspection"},
        "property": home.report(),
        "needs": [{"category": category, "urgency": "routine"}],
    }


def is_restricted(category: str) -> bool:
    return category in RESTRICTED


def _pick(chance: random.Random, weighted: Sequence[tuple[str, int]]) -> str:
    return chance.choices([one for one, _ in weighted], [weight for _, weight in weighted])[0]
