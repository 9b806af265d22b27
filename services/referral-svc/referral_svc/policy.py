"""A city's policy files, validated with line numbers and compiled for `domain.routing`.

``city.yaml`` names organizations and the case-management one; ``calendar.yaml`` the business
hours; ``routing.yaml`` the table, its clocks and the consequences of reasons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from event_schemas.base import Code
from event_schemas.codes import (
    PROPERTY_ONLY,
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
from handoff_kit import yamlfile
from handoff_kit.city import CityFile as City
from handoff_kit.city import no_such_organization
from handoff_kit.yamlfile import FileRefused, Misfit
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from referral_svc.domain import routing
from referral_svc.domain.calendar import Calendar, NeverOpen, Span
from referral_svc.domain.routing import CONDITIONS, Consequence, Then

FILES = ("city.yaml", "calendar.yaml", "routing.yaml")
_HOUR = 3600
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
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


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a policy folder: file, line (from 1), field, what is wrong."""

    file: str
    line: int
    field: str
    message: str


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
            if day not in _DAYS:
                wrong.append((("hours", day), f"is no weekday; there are {', '.join(_DAYS)}"))
            closed = time.min
            for i, text in enumerate(windows):
                try:
                    opens, closes = _window(text)
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


def _window(text: str) -> tuple[time, time]:
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
        within = Span(int((self.business_hours or self.hours or 0) * _HOUR), business)
        every = Span(int(self.every * _HOUR), business) if self.every else None
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


DEFAULT_REASONS: Mapping[Reason, str] = {
    Reason.NO_CAPACITY: "cool-off:capacity",
    Reason.NOT_ELIGIBLE: "try-next",
    Reason.OUTSIDE_AREA: "try-next",
    Reason.MISSING_DOCUMENT: "try-next",
    Reason.SERVICE_NOT_PROVIDED: "try-next",
    Reason.LANGUAGE_NOT_AVAILABLE: "try-next",
    Reason.CONFLICT_OF_INTEREST: "try-next",
    Reason.RESIDENT_DECLINED: "ask-resident",
    Reason.CANNOT_REACH_RESIDENT: "needs-person",
    Reason.ALREADY_SERVED: "needs-person",
    Reason.UNSAFE: "needs-person",
    Reason.OTHER: "needs-person",
    Reason.NO_RESPONSE: "try-next",
    Reason.NEED_ENDED: "needs-person",
    Reason.RESIDENT_MOVED: "needs-person",
    Reason.CONSENT_WITHDRAWN: "needs-person",
    Reason.ENTERED_IN_ERROR: "needs-person",
    Reason.DUPLICATE: "stop",
    Reason.SUPERSEDED: "try-next",
    Reason.ACCEPTED_IN_ERROR: "same-target",
    Reason.WAITING_ON_RESIDENT: "ask-resident",
    Reason.WAITING_FOR_DOCUMENT: "needs-person",
    Reason.WAITING_FOR_CAPACITY: "try-next",
}


def _consequence(text: str) -> Consequence:
    kind, _, figure = text.partition(":")
    if kind == "cool-off":
        if figure == "capacity":
            return Consequence(Then.TRY_NEXT, until_capacity=True)
        return Consequence(Then.TRY_NEXT, cool_off=int(figure))
    return Consequence(Then(kind))


def load_policy(folder: Path) -> routing.Policy:
    """The policy of a city's folder. Raises `FileRefused` for the first file that is faulty."""
    city = yamlfile.load(folder / "city.yaml", City)
    week = yamlfile.load(folder / "calendar.yaml", Week)
    document = yamlfile.parse(folder / "routing.yaml")
    table = yamlfile.validate(document, Routing)
    unknown = [
        yamlfile.Fault(document.line(place), ".".join(map(str, place)), no_such_organization(name))
        for place, name in table.organizations_named()
        if name not in city.organizations
    ]
    if unknown:
        raise FileRefused(document.path, unknown)
    return _compile(city, week, table, _content_hash(folder))


def changed_at(folder: Path) -> tuple[int, ...]:
    """When each file was last changed, in nanoseconds; 0 for one that is not there."""
    paths = [folder / name for name in FILES]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def check(folder: Path) -> list[Fault]:
    """Everything that is wrong in a policy folder; empty: it may go into force."""
    faults: list[Fault] = []
    models: tuple[type[BaseModel], ...] = (City, Week, Routing)
    for name, model in zip(FILES, models, strict=True):
        faults += _faults_of(folder / name, model)
    if not faults:
        try:
            load_policy(folder)
        except FileRefused as refused:
            faults = _as_faults(refused)
    return faults


def _faults_of(path: Path, model: type[BaseModel]) -> list[Fault]:
    try:
        yamlfile.load(path, model)
    except FileRefused as refused:
        return _as_faults(refused)
    return []


def _as_faults(refused: FileRefused) -> list[Fault]:
    name = refused.path.name
    return [Fault(name, fault.line, fault.field, fault.message) for fault in refused.faults]


def _content_hash(folder: Path) -> str:
    digest = blake2b(digest_size=4)
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _compile(city: City, week: Week, table: Routing, digest: str) -> routing.Policy:
    clocks = {name: clock_set.compiled() for name, clock_set in table.clocks.items()}
    hub = city.organizations[city.case_management]
    return routing.Policy(
        version=f"{table.version}+{digest}",
        calendar=_calendar(city, week),
        rules=tuple(
            rule for model in table.rules for rule in _rules(model, table, city, clocks, hub)
        ),
        reasons={
            reason: _consequence(table.reasons.get(reason, text))
            for reason, text in DEFAULT_REASONS.items()
        },
        matching=routing.Matching(
            ranking=table.matching.ranking,
            capacity_fresh_seconds=int(table.matching.capacity_fresh_days * 24 * _HOUR),
            spoken=frozenset(table.matching.spoken_everywhere),
            older_adult_from=table.matching.older_adult_from,
        ),
        case_management=(hub,),
        attempts_to_close=table.attempts_to_close,
    )


def _calendar(city: City, week: Week) -> Calendar:
    return Calendar(
        ZoneInfo(city.timezone),
        tuple(tuple(_window(text) for text in week.hours.get(day, ())) for day in _DAYS),
        frozenset(holiday.date for holiday in week.holidays),
    )


def _rules(
    model: RuleModel,
    table: Routing,
    city: City,
    clocks: Mapping[str, routing.Clocks],
    hub: UUID,
) -> list[routing.Rule]:
    """One rule, or with ``by-category`` one for each department's kinds of need."""
    ids = city.organizations
    otherwise = TargetKind(model.otherwise) if model.otherwise != "nobody" else None

    def rule(name: str, when: dict[str, frozenset[str]], asked: tuple[UUID, ...]) -> routing.Rule:
        return routing.Rule(
            name=name,
            when=when,
            unless={fact: frozenset(codes) for fact, codes in model.unless.items()},
            target=model.target,
            organizations=asked,
            serves=frozenset(model.serves),
            otherwise=otherwise,
            clocks=clocks[model.clocks],
            approval=model.approval,
            max_tries=model.max_tries,
        )

    when = {fact: frozenset(codes) for fact, codes in model.when.items()}
    if model.organization != "by-category":
        asked = tuple(ids[name] for name in model.organization)
        if model.target is TargetKind.CASE_MANAGER and not asked:
            asked = (hub,)
        return [rule(model.name, when, asked)]
    found = []
    wanted = when.get("category", frozenset(NeedCategory))
    default = table.departments.get("default")
    for category in sorted(wanted):
        names = table.departments.get(category, default if category in PROPERTY_ONLY else None)
        if names:
            asked = tuple(ids[name] for name in names)
            found.append(
                rule(f"{model.name}.{category}", {**when, "category": frozenset({category})}, asked)
            )
    return found


__all__ = ["FILES", "City", "Fault", "NeverOpen", "check", "load_policy"]
