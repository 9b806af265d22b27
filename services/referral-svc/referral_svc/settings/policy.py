"""A city's policy files to the policy in force: validated whole, compiled for `domain.routing`.

``city.yaml`` names organizations and the case-management one; ``calendar.yaml`` the business
hours; ``routing.yaml`` the table, its clocks and the consequences of reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from event_schemas.codes import PROPERTY_ONLY, NeedCategory, Reason, TargetKind
from handoff_kit import yamlfile
from handoff_kit.city import CityFile as City
from handoff_kit.city import no_such_organization
from handoff_kit.yamlfile import FileRefused
from pydantic import BaseModel

from referral_svc.domain import routing
from referral_svc.domain.calendar import Calendar
from referral_svc.domain.routing import Consequence, Then
from referral_svc.settings.policyfile import DAYS, HOUR, Routing, RuleModel, Week, window

FILES = ("city.yaml", "calendar.yaml", "routing.yaml")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a policy folder: file, line (from 1), field, what is wrong."""

    file: str
    line: int
    field: str
    message: str


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
            capacity_fresh_seconds=int(table.matching.capacity_fresh_days * 24 * HOUR),
            spoken=frozenset(table.matching.spoken_everywhere),
            older_adult_from=table.matching.older_adult_from,
        ),
        case_management=(hub,),
        attempts_to_close=table.attempts_to_close,
    )


def _calendar(city: City, week: Week) -> Calendar:
    return Calendar(
        ZoneInfo(city.timezone),
        tuple(tuple(window(text) for text in week.hours.get(day, ())) for day in DAYS),
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
