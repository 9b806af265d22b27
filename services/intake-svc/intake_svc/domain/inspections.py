"""What a report changes, and which property needs its findings open."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from event_schemas.codes import NeedCategory, Severity, Urgency

# Databases write 1900-01-01 (and older days) for no time at all, whatever the offset.
EARLIEST = datetime(1900, 1, 2)  # noqa: DTZ001 - compared with a time as its own clock shows it
# What has happened may be a day ahead of our clock: a clock that is fast, a date without its zone.
AHEAD = timedelta(days=1)
# A deadline lies ahead, but 2099-12-31 and 9999-12-31 stand for none.
DEADLINE_AHEAD = timedelta(days=3653)

_GRAVEST_FIRST = (Severity.LIFE_THREATENING, Severity.SEVERE, Severity.MODERATE, Severity.LOW)
GRAVE = frozenset({Severity.LIFE_THREATENING, Severity.SEVERE})
_URGENCY = {Severity.LIFE_THREATENING: Urgency.EMERGENCY, Severity.SEVERE: Urgency.URGENT}


class Change(StrEnum):
    """What a report means for what is known."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CORRECTED = "corrected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class TimeFault:
    """A time that cannot be meant: the field's dotted path, a code, a sentence."""

    field: str
    code: str
    message: str


_TOO_EARLY = ("too-early", "A time before 1900-01-02 stands for none; leave it out or mend it.")
_IN_THE_FUTURE = ("in-the-future", "This is more than a day ahead, and has to have happened.")
_TOO_LATE = ("too-late", "A deadline more than ten years ahead stands for none; leave it out.")


def time_faults(
    inspected_at: datetime,
    findings: Iterable[tuple[datetime | None, datetime | None]],
    now: datetime,
) -> Iterator[TimeFault]:
    """The times of a report that cannot be meant. All are aware.

    *findings*: when each was issued and is due, in the report's order.
    """
    happened, due = now + AHEAD, now + DEADLINE_AHEAD
    if fault := _fault(inspected_at, happened, _IN_THE_FUTURE):
        yield TimeFault("inspected_at", *fault)
    for number, (issued_at, deadline) in enumerate(findings):
        if issued_at and (fault := _fault(issued_at, happened, _IN_THE_FUTURE)):
            yield TimeFault(f"findings.{number}.issued_at", *fault)
        if deadline and (fault := _fault(deadline, due, _TOO_LATE)):
            yield TimeFault(f"findings.{number}.deadline", *fault)


def _fault(at: datetime, latest: datetime, late: tuple[str, str]) -> tuple[str, str] | None:
    if at.replace(tzinfo=None) < EARLIEST:
        return _TOO_EARLY
    return late if at > latest else None


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
