"""What a city's policy files hold, as Pydantic models: every mistake is found at its place."""

import re
from datetime import date, time
from typing import Annotated, Any, Literal

from event_schemas.base import Code
from event_schemas.codes import (
    RESTRICTED,
    AgeBand,
    ClockKind,
    EncounterKind,
    NeedCategory,
    Reason,
    Role,
    Severity,
    TargetKind,
    Urgency,
)
from handoff_kit.yamlfile import Misfit
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from referral_svc.domain import routing
from referral_svc.domain.calendar import Span
from referral_svc.domain.routing import CONDITIONS

HOUR = 3600
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CODES: dict[str, frozenset[str]] = {
    "category": frozenset(NeedCategory),
    "subject": frozenset({"resident", "property"}),
    "restricted": frozenset({"yes", "no"}),
    "urgency": frozenset(Urgency),
    "severity": frozenset(Severity),
    "source": frozenset(EncounterKind),
    "referrer_role": frozenset(Role),
    "household": frozenset(AgeBand),
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Holiday(_Model):
    date: date
    name: str


class Week(_Model):
    """``calendar.yaml``: open windows a weekday (``"9:00-17:00"``), and the days off."""

    hours: dict[str, tuple[str, ...]]
    holidays: tuple[Holiday, ...] = ()

    @model_validator(mode="after")
    def _windows(self) -> "Week":
        wrong: list[tuple[tuple[str | int, ...], str]] = []
        for day, windows in self.hours.items():
            if day not in DAYS:
                wrong.append((("hours", day), f"is no weekday; there are {', '.join(DAYS)}"))
            closed = time.min
            for i, text in enumerate(windows):
                try:
                    opens, closes = window(text)
                except ValueError as error:
                    wrong.append((("hours", day, i), str(error)))
                    continue
                if opens < closed and i:
                    wrong.append((("hours", day, i), "begins before the window before it ends"))
                closed = closes
        if not any(self.hours.values()):
            wrong.append((("hours",), "there is no open hour in the week"))
        if wrong:
            raise Misfit(wrong)
        return self


def window(text: str) -> tuple[time, time]:
    found = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text)
    try:
        a, b, c, d = map(int, found.groups()) if found else (0, 0, 0, 0)
        opens, closes = time(a, b), time(c, d)
    except ValueError:
        opens = closes = time.min
    if opens >= closes:
        raise ValueError("is no window of hours in one day, such as 9:00-17:00")
    return opens, closes


class ClockModel(_Model):
    """One of ``hours`` (wall time), ``business_hours``; ``every``: likewise, between reminders."""

    hours: Annotated[float, Field(gt=0)] | None = None
    business_hours: Annotated[float, Field(gt=0)] | None = None
    source: Code
    reminders: Annotated[int, Field(ge=0, le=20)] = 0
    every: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_figure(self) -> "ClockModel":
        if (self.hours is None) == (self.business_hours is None):
            raise ValueError("needs one of hours, business_hours")
        if self.reminders and self.every is None:
            raise ValueError("has reminders, so it needs every (hours between them)")
        return self

    def compiled(self) -> routing.Clock:
        business = self.business_hours is not None
        within = Span(int((self.business_hours or self.hours or 0) * HOUR), business)
        every = Span(int(self.every * HOUR), business) if self.every else None
        return routing.Clock(within, self.source, self.reminders, every)


class ClockSet(_Model):
    """The clocks of a route; each may be ``off``."""

    answer: ClockModel | Literal["off"]
    first_contact: ClockModel | Literal["off"] = "off"
    progress: ClockModel | Literal["off"] = "off"

    def compiled(self) -> routing.Clocks:
        given = {
            ClockKind.ANSWER_DUE: self.answer,
            ClockKind.FIRST_CONTACT_DUE: self.first_contact,
            ClockKind.PROGRESS_DUE: self.progress,
        }
        return {k: clock.compiled() for k, clock in given.items() if isinstance(clock, ClockModel)}


Condition = tuple[str, ...]


class RuleModel(_Model):
    """A row of the table: the first whose ``when`` fits, and whose ``unless`` does not, counts.

    ``organization``: who is asked, where the target is a department or a case manager; several
    are asked one after the other; or ``by-category``, the table ``departments``.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    when: dict[str, Condition] = {}
    unless: dict[str, Condition] = {}
    target: TargetKind
    organization: tuple[str, ...] | Literal["by-category"] = ()
    serves: tuple[NeedCategory, ...] = ()
    otherwise: Literal["case-manager", "partner", "nobody"] = "nobody"
    clocks: str
    approval: tuple[Role, ...] = ()
    max_tries: Annotated[int, Field(ge=1, le=100)] = 10

    @field_validator("when", "unless", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: (v,) if isinstance(v, str) else v for k, v in value.items()}
        return value

    @field_validator("organization", mode="before")
    @classmethod
    def _one_organization(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) and value != "by-category" else value

    @model_validator(mode="after")
    def _known_codes(self) -> "RuleModel":
        wrong: list[tuple[tuple[str | int, ...], str]] = []
        for part, conditions in (("when", self.when), ("unless", self.unless)):
            for fact, codes in conditions.items():
                if fact not in CONDITIONS:
                    known = ", ".join(CONDITIONS)
                    wrong.append(((part, fact), f"is no condition; there are {known}"))
                elif fact in _CODES:
                    wrong += [
                        ((part, fact), f"'{code}' is no code of {fact}")
                        for code in codes
                        if code not in _CODES[fact]
                    ]
        if self.target is TargetKind.DEPARTMENT and not self.organization:
            wrong.append((("target",), "a department needs organization, or by-category"))
        if self.target is TargetKind.PARTNER and self.organization:
            wrong.append((("organization",), "a partner is found by matching; leave this out"))
        if wrong:
            raise Misfit(wrong)
        return self


class MatchModel(_Model):
    ranking: tuple[Literal["specific", "capacity", "language"], ...] = (
        "specific",
        "capacity",
        "language",
    )
    capacity_fresh_days: Annotated[float, Field(gt=0)] = 30
    spoken_everywhere: tuple[str, ...] = ("en",)
    older_adult_from: Annotated[int, Field(ge=50, le=80)] = 60


ReasonText = Annotated[
    str,
    Field(
        pattern=r"^(try-next|cool-off:(\d{1,3}|capacity)|ask-resident|needs-person|stop|same-target)$"
    ),
]


class Routing(_Model):
    """``routing.yaml``."""

    version: Code
    clocks: dict[str, ClockSet]
    departments: dict[str, tuple[str, ...]] = {}
    rules: Annotated[tuple[RuleModel, ...], Field(min_length=1)]
    reasons: dict[Reason, ReasonText] = {}
    matching: MatchModel = MatchModel()
    attempts_to_close: Annotated[int, Field(ge=1, le=20)] = 3

    @field_validator("departments", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: (v,) if isinstance(v, str) else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _coherent(self) -> "Routing":
        wrong: list[tuple[tuple[str | int, ...], str]] = []
        seen: dict[str, int] = {}
        for i, rule in enumerate(self.rules):
            if rule.clocks not in self.clocks:
                wrong.append((("rules", i, "clocks"), f"no clocks '{rule.clocks}' under clocks"))
            if rule.name in seen:
                wrong.append((("rules", i, "name"), f"is the name of rule {seen[rule.name] + 1}"))
            seen.setdefault(rule.name, i)
            if not (rule.when or rule.unless) and i + 1 < len(self.rules):
                wrong.append((("rules", i), "fits everything, so no rule after it is ever reached"))
        last = self.rules[-1]
        if last.when or last.unless:
            wrong.append((("rules", len(self.rules) - 1), "the last rule must fit every need"))
        wrong += [
            (("departments", category), "is no kind of need, nor default")
            for category in self.departments
            if category != "default" and category not in frozenset(NeedCategory)
        ]
        wrong += self._restricted_stay_with_case_managers()
        if wrong:
            raise Misfit(wrong)
        return self

    def _restricted_stay_with_case_managers(self) -> list[tuple[tuple[str | int, ...], str]]:
        """A restricted kind goes to a case manager only, whatever the city writes."""
        for i, rule in enumerate(self.rules):
            categories = set(rule.when.get("category", RESTRICTED)) & RESTRICTED
            if not categories or rule.when.get("restricted") == ("no",):
                continue
            if rule.when.get("subject") == ("property",):
                continue
            if rule.target is not TargetKind.CASE_MANAGER:
                return [(("rules", i, "target"), "a restricted kind goes to a case manager only")]
            if "otherwise" in rule.model_fields_set and rule.otherwise != "nobody":
                where = ("rules", i, "otherwise")
                return [(where, "a restricted kind goes to a case manager only")]
            if not (rule.when.keys() - {"category", "restricted", "subject"}) and not rule.unless:
                return []
        return []

    def organizations_named(self) -> list[tuple[tuple[str | int, ...], str]]:
        named: list[tuple[tuple[str | int, ...], str]] = []
        for category, names in self.departments.items():
            named += [(("departments", category), name) for name in names]
        for i, rule in enumerate(self.rules):
            if not isinstance(rule.organization, str):
                named += [(("rules", i, "organization"), name) for name in rule.organization]
        return named
