"""What a report changes, and which property needs its findings open."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from event_schemas.codes import NeedCategory, Severity, Urgency

_GRAVEST_FIRST = (Severity.LIFE_THREATENING, Severity.SEVERE, Severity.MODERATE, Severity.LOW)
GRAVE = frozenset({Severity.LIFE_THREATENING, Severity.SEVERE})
_URGENCY = {Severity.LIFE_THREATENING: Urgency.EMERGENCY, Severity.SEVERE: Urgency.URGENT}


class Change(StrEnum):
    """What a report means for what is known."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CORRECTED = "corrected"
    CLOSED = "closed"


def change(known_status: str | None, status: str, *, same_content: bool) -> Change:
    """*known_status* None: the inspection was not known."""
    if known_status is None:
        return Change.NEW
    if same_content:
        return Change.UNCHANGED
    if status == "closed" and known_status != "closed":
        return Change.CLOSED
    return Change.CORRECTED


@dataclass(frozen=True, slots=True)
class Assessed:
    """What the code pack said of one open finding."""

    severity: Severity | None
    deadline: datetime | None
    deadline_basis: str | None
    property_needs: Sequence[NeedCategory]


@dataclass(frozen=True, slots=True)
class PropertyNeed:
    category: NeedCategory
    urgency: Urgency
    severity: Severity | None
    deadline: datetime | None
    deadline_basis: str | None


def property_needs(findings: Iterable[Assessed], known: Collection[str]) -> list[PropertyNeed]:
    """Needs of the property that open findings ask for, each kind once.

    A grave finding without a kind of its own is another hazard. *known*: kinds that are open for
    the property, or that this inspection opened before. The gravest severity and the earliest
    deadline of a kind count.
    """
    grouped: dict[NeedCategory, list[Assessed]] = {}
    for finding in findings:
        kinds = list(finding.property_needs)
        if not kinds and finding.severity in GRAVE:
            kinds = [NeedCategory.OTHER_HAZARD]
        for kind in kinds:
            if kind not in known:
                grouped.setdefault(kind, []).append(finding)
    return [_need(kind, group) for kind, group in grouped.items()]


def _need(kind: NeedCategory, findings: Sequence[Assessed]) -> PropertyNeed:
    severities = [f.severity for f in findings if f.severity is not None]
    severity = min(severities, key=_GRAVEST_FIRST.index, default=None)
    due = min(
        ((f.deadline, f.deadline_basis) for f in findings if f.deadline is not None),
        key=lambda pair: pair[0],
        default=(None, None),
    )
    urgency = _URGENCY.get(severity, Urgency.ROUTINE) if severity else Urgency.ROUTINE
    return PropertyNeed(kind, urgency, severity, *due)


_NO_CODE = re.compile(r"[^A-Za-z0-9._:/()#&+-]+")
_NO_START = re.compile(r"^[^A-Za-z0-9]+")


def as_code(text: str | None) -> str | None:
    """An open code as events carry it: no spaces, at most 64 characters; None where empty."""
    if not text:
        return None
    if text.isalnum() and text.isascii():
        return text[:64]
    code = _NO_START.sub("", _NO_CODE.sub("-", text))[:64].rstrip("-")
    return code or None
