"""A city's code pack: what a finding's code means, how soon it must be mended, whom it concerns.

``codes.yaml`` maps (scheme, code) to a severity, a deadline with its legal basis, the needs a
doorway conversation may suggest, and the needs of the property alone. `assess` is pure.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from event_schemas.base import Code
from event_schemas.codes import PROPERTY_ONLY, RESTRICTED, NeedCategory, Severity
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from handoff_kit.yamlfile import Misfit, load

NOTICE_BASIS = "notice"
"""The deadline's basis where the notice gives a date and the source says no other."""

_MILDEST_FIRST = (Severity.LOW, Severity.MODERATE, Severity.SEVERE, Severity.LIFE_THREATENING)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeadlineRule(_Model):
    """One of hours (wall time), days or business days after the issue, and where that stands."""

    hours: int | None = Field(None, ge=1)
    days: int | None = Field(None, ge=1)
    business_days: int | None = Field(None, ge=1)
    basis: Code
    """Where the figure stands, as a code, since it travels in events: ``nyc-class-b``."""

    @model_validator(mode="after")
    def _one_figure(self) -> "DeadlineRule":
        if sum(figure is not None for figure in (self.hours, self.days, self.business_days)) != 1:
            raise ValueError("needs one of hours, days, business_days")
        return self

    def after(self, issued_at: datetime, holidays: Collection[date] = ()) -> datetime:
        """The deadline of what was issued at ``issued_at`` (aware), at the same time of day.

        Saturdays, Sundays and ``holidays`` are no business days.
        """
        if self.hours is not None:
            return (issued_at.astimezone(UTC) + timedelta(hours=self.hours)).astimezone(
                issued_at.tzinfo
            )
        if self.days is not None:
            return issued_at + timedelta(days=self.days)
        at, left = issued_at, self.business_days or 0
        while left:
            at += timedelta(days=1)
            left -= at.weekday() < 5 and at.date() not in holidays
        return at


Deadline = DeadlineRule | Literal["none"]


class CodeRule(_Model):
    """What a code (or the default of a scheme) stands for; what is left out is not known."""

    title: str | None = None
    section: Code | None = None
    """The section of law as a code, where the finding's own code is not the citation."""
    severity: Severity | None = None
    deadline: Deadline | None = None
    """``none``: there is no figure, not even the class's."""
    suggests: tuple[NeedCategory, ...] = ()
    property_needs: tuple[NeedCategory, ...] = ()

    @model_validator(mode="after")
    def _needs_in_their_place(self) -> "CodeRule":
        wrong = [
            (("suggests", i), _why_not_suggested(need))
            for i, need in enumerate(self.suggests)
            if need in PROPERTY_ONLY or need in RESTRICTED
        ] + [
            (("property_needs", i), f"{need} is a person's need; it belongs under suggests")
            for i, need in enumerate(self.property_needs)
            if need not in PROPERTY_ONLY
        ]
        if wrong:
            raise Misfit(wrong)
        return self


def _why_not_suggested(need: NeedCategory) -> str:
    if need in PROPERTY_ONLY:
        return f"{need} is a property's need; it belongs under property_needs"
    return f"{need} is a restricted kind; a finding never suggests it"


class Scheme(_Model):
    """One list of codes, as a department uses it."""

    title: str | None = None
    class_severity: dict[str, Severity] = {}
    class_deadline: dict[str, Deadline] = {}
    codes: dict[str, CodeRule] = {}
    default: CodeRule = CodeRule()
    """For codes that are not listed."""

    _by_key: dict[str, CodeRule] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _index(self) -> "Scheme":
        first: dict[str, str] = {}
        for code, rule in self.codes.items():
            key = _key(code)
            if key in first:
                raise Misfit([(("codes", code), f"is the same code as '{first[key]}'")])
            first[key] = code
            self._by_key[key] = rule
        return self

    def rule(self, code: str | None) -> CodeRule:
        """The rule of ``code``, else of what it is a paragraph of, else the default.

        Letter case and spaces do not matter; ``410.630(A)(3)`` falls back to ``410.630(A)``,
        then to ``410.630``.
        """
        key = _key(code or "")
        while key:
            if key in self._by_key:
                return self._by_key[key]
            shorter = re.sub(r"\([^()]*\)$", "", key)
            if shorter == key:
                break
            key = shorter
        return self.default


def _key(code: str) -> str:
    return re.sub(r"\s+", "", code).casefold()


class CodePack(_Model):
    """All schemes of a city; `version` is stored with what was decided by it."""

    version: str = Field(min_length=1)
    schemes: dict[str, Scheme]


@dataclass(frozen=True)
class Finding:
    """What the pack needs to know of a finding; `deadline` is the notice's own."""

    scheme: str | None = None
    code: str | None = None
    class_: str | None = None
    deadline: datetime | None = None
    deadline_basis: str | None = None


@dataclass(frozen=True)
class Assessment:
    """The pack's word on a finding. ``severity`` is None where nothing is known of the code."""

    severity: Severity | None
    scheme: str | None
    code: str | None
    section: str | None
    deadline: datetime | None
    deadline_basis: str | None
    suggests: tuple[NeedCategory, ...]
    property_needs: tuple[NeedCategory, ...]


def assess(
    pack: CodePack,
    finding: Finding,
    issued_at: datetime,
    holidays: Collection[date] = (),
) -> Assessment:
    """Severity, deadline and needs of a finding issued at ``issued_at`` (aware).

    The notice's deadline wins over the pack's. Of a code's severity and its class's the graver
    one counts; a listed code's deadline comes before its class's, and that before the default.
    An unknown scheme or code is no error: it stays without severity, deadline and needs.
    """
    scheme = pack.schemes.get(finding.scheme or "", _NOTHING_KNOWN)
    rule = scheme.rule(finding.code)
    listed = rule is not scheme.default
    of_class = scheme.class_severity.get(finding.class_ or "")
    if listed:
        severity = _graver(rule.severity, of_class) or scheme.default.severity
    else:
        severity = of_class or rule.severity
    deadline, basis = finding.deadline, finding.deadline_basis or NOTICE_BASIS
    if deadline is None:
        candidates = (
            rule.deadline if listed else None,
            scheme.class_deadline.get(finding.class_ or ""),
            scheme.default.deadline,
        )
        found = next((one for one in candidates if one is not None), "none")
        if isinstance(found, DeadlineRule):
            deadline, basis = found.after(issued_at, holidays), found.basis
    return Assessment(
        severity=severity,
        scheme=finding.scheme,
        code=finding.code,
        section=rule.section,
        deadline=deadline,
        deadline_basis=basis if deadline else None,
        suggests=rule.suggests,
        property_needs=rule.property_needs,
    )


_NOTHING_KNOWN = Scheme()


def _graver(one: Severity | None, other: Severity | None) -> Severity | None:
    return max(filter(None, (one, other)), key=_MILDEST_FIRST.index, default=None)


def load_code_pack(path: Path) -> CodePack:
    """Read ``codes.yaml``. Raises `yamlfile.FileRefused` with the line of each error."""
    return load(path, CodePack)
