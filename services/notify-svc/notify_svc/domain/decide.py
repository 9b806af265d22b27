"""The decision itself: one event and what is known of its case → who hears what.

Two walls stand before a policy's rule: of a restricted kind only the target hears, and only that
an offer waits; of a resident's case nobody hears anything without a consent that holds now.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from event_schemas.codes import Role

from notify_svc.domain import audience
from notify_svc.domain.audience import Link, Relation
from notify_svc.domain.policy import About, Channel, Once, Policy, Rule
from notify_svc.domain.words import fields_of


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, whatever its type. ``codes`` are its closed-list codes by name.

    ``type`` is the event's name without prefix and version: ``offer.made``.
    """

    id: UUID
    type: str
    agency_id: str
    at: datetime
    restricted: bool = False
    case_id: UUID | None = None
    need_id: UUID | None = None
    offer_id: UUID | None = None
    organization_id: UUID | None = None
    category: str | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    approvers: tuple[str, ...] = ()


@dataclass(slots=True)
class Need:
    """Who asked for help with what. Not ``of_resident``: a property's, where nobody consents."""

    agency_id: str
    need_id: UUID
    case_id: UUID
    category: str
    restricted: bool
    of_resident: bool
    referrer: str
    referrer_role: str


@dataclass(slots=True)
class Case:
    """Which organization has a case in hand."""

    agency_id: str
    case_id: UUID
    restricted: bool
    organization_id: UUID | None = None


@dataclass(slots=True)
class Consent:
    """Own copy of a consent. It holds while it is active and before ``expires_at``."""

    agency_id: str
    consent_id: UUID
    case_id: UUID
    restricted: bool
    state: str
    feedback: bool
    categories: list[str]
    granted_at: datetime
    expires_at: datetime

    def holds(self, now: datetime) -> bool:
        return self.state == ACTIVE and now < self.expires_at


ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Known:
    """What this service knows of one case when it decides."""

    case: Case | None
    needs: Sequence[Need]
    consents: Sequence[Consent]
    organization_names: Mapping[UUID, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """One owner is to be told one thing. ``id`` is the same however often it is decided."""

    id: UUID
    agency_id: str
    owner: str
    relation: Relation
    about: UUID
    type: str
    at: datetime
    template: str
    params: Mapping[str, str]
    links: Mapping[Link, UUID]
    channels: frozenset[Channel]
    case_id: UUID | None
    consent_id: UUID | None
    restricted: bool


def waits_for(event: Happening, known: Known, policy: Policy) -> str | None:
    """What has to arrive before *event* can be judged, or None. Writers are not in order.

    Without the need nobody knows whether a person is in the case, and without any consent of the
    case whether it may be told at all.
    """
    rules = policy.by_event.get(event.type, ())
    if not rules or event.case_id is None:
        return None
    if not known.needs or event.need_id not in (None, *(n.need_id for n in known.needs)):
        return "the need that this event tells of"
    unheard = not known.consents and any(need.of_resident for need in known.needs)
    if unheard and any(_asks_consent(event, rule) for rule in rules):
        return "the consent of this case"
    return None


def _asks_consent(event: Happening, rule: Rule) -> bool:
    if rule.tell is Relation.REFERRER:
        return rule.feedback
    return rule.tell is not Relation.CITY_MANAGER and (
        event.type not in audience.TOLD_WITHOUT_CONSENT
    )


def decide(event: Happening, known: Known, policy: Policy) -> list[Notice]:
    """Everybody who is to be told of *event*, each once per template."""
    found: dict[UUID, Notice] = {}
    for rule in policy.by_event.get(event.type, ()):
        for notice in _by_rule(event, known, rule):
            found.setdefault(notice.id, notice)
    return list(found.values())


def _by_rule(event: Happening, known: Known, rule: Rule) -> Iterator[Notice]:
    if not rule.fits({**event.codes, "about": _about(event, known)}):
        return
    if event.restricted:
        if rule.tell is Relation.TARGET and event.type == audience.RESTRICTED_EVENT:
            yield from _addressed(event, known, rule, audience.RESTRICTED_TEMPLATE)
        return
    yield from _addressed(event, known, rule, rule.template)


def _about(event: Happening, known: Known) -> About:
    needs = [n for n in known.needs if n.need_id == event.need_id] or known.needs
    return About.RESIDENT if any(n.of_resident for n in needs) else About.PROPERTY


def _addressed(event: Happening, known: Known, rule: Rule, template: str) -> Iterator[Notice]:
    for owner, consent in _owners(event, known, rule):
        links = _links(event, rule.tell)
        yield Notice(
            id=stable_id(event.agency_id, owner, template, *_once(event, rule.once)),
            agency_id=event.agency_id,
            owner=owner,
            relation=rule.tell,
            about=event.id,
            type=event.type,
            at=event.at,
            template=template,
            params=_params(event, known, rule.tell, template),
            links=links,
            channels=rule.channels,
            case_id=links.get(Link.CASE),
            consent_id=consent,
            restricted=event.restricted,
        )


_NOT_NEEDED: tuple[bool, UUID | None] = (True, None)
_MISSING: tuple[bool, UUID | None] = (False, None)


def _owners(event: Happening, known: Known, rule: Rule) -> Iterator[tuple[str, UUID | None]]:
    """Each owner that the rule tells, with the consent that lets it."""
    if rule.tell is Relation.REFERRER:
        yield from _referrers(event, known, feedback=rule.feedback)
        return
    allowed, consent = _consent_for(event, known, rule.tell)
    if not allowed:
        return
    match rule.tell:
        case Relation.TARGET if event.organization_id is not None:
            yield audience.organization_owner(event.organization_id), consent
        case Relation.CASE_MANAGEMENT:
            holder = known.case.organization_id if known.case else None
            # What an organization did itself is no news to it.
            if holder is not None and (holder != event.organization_id or _of_case(event)):
                yield audience.organization_owner(holder), consent
        case Relation.CITY_MANAGER:
            yield audience.role_owner(Role.CITY_MANAGER), consent
        case Relation.COORDINATOR:
            yield audience.role_owner(Role.COORDINATOR), consent
        case Relation.APPROVERS:
            for role in event.approvers:
                if role in audience.ADDRESSED_ROLES:
                    yield audience.role_owner(role), consent
        case _:
            return


def _of_case(event: Happening) -> bool:
    return event.type.startswith(("case.", "need."))


def _referrers(
    event: Happening, known: Known, *, feedback: bool
) -> Iterator[tuple[str, UUID | None]]:
    """Who asked for this need; of an event of the whole case, who asked for any of its needs."""
    seen = set()
    for need in known.needs:
        if event.need_id not in (None, need.need_id) or need.referrer in seen:
            continue
        if need.restricted or need.referrer_role in audience.NOBODY:
            continue
        allowed, consent = _NOT_NEEDED
        if feedback and need.of_resident:
            allowed, consent = _covering(known, need.category, feedback=True)
        if allowed:
            seen.add(need.referrer)
            yield audience.subject_owner(need.referrer), consent


def _consent_for(event: Happening, known: Known, tell: Relation) -> tuple[bool, UUID | None]:
    """(may it be told, by which consent)."""
    if tell is Relation.CITY_MANAGER or event.type in audience.TOLD_WITHOUT_CONSENT:
        return _NOT_NEEDED
    if known.needs and _about(event, known) is About.PROPERTY:
        return _NOT_NEEDED
    return _covering(known, event.category, feedback=False)


def _covering(known: Known, category: str | None, *, feedback: bool) -> tuple[bool, UUID | None]:
    """The latest consent that holds now and covers the kind of need; None covers any kind."""
    holding = (
        consent
        for consent in known.consents
        if consent.holds(known.now) and (category is None or category in consent.categories)
    )
    best = max(holding, key=lambda consent: consent.granted_at, default=None)
    if best is None or (feedback and not best.feedback):
        return _MISSING
    return True, best.consent_id


def _links(event: Happening, tell: Relation) -> dict[Link, UUID]:
    ids = {
        Link.CASE: event.case_id,
        Link.NEED: event.need_id,
        Link.OFFER: event.offer_id,
        Link.ORGANIZATION: event.organization_id,
    }
    allowed = audience.MAY_LINK[tell]
    return {link: id_ for link, id_ in ids.items() if id_ is not None and link in allowed}


def _params(event: Happening, known: Known, tell: Relation, template: str) -> dict[str, str]:
    values: dict[str, str | None] = {
        "help": event.category,
        "organization": (
            known.organization_names.get(event.organization_id) if event.organization_id else None
        ),
    }
    wanted = fields_of(template) & audience.MAY_READ[tell]
    return {name: value for name, value in values.items() if value is not None and name in wanted}


def _once(event: Happening, once: Once) -> tuple[object, ...]:
    match once:
        case Once.MOMENT:
            return "moment", event.case_id, event.at.isoformat()
        case Once.NEED:
            return "need", event.need_id
        case Once.CASE:
            return "case", event.case_id
        case _:
            return "event", event.id


def stable_id(*parts: object) -> UUID:
    """An id that the same parts always give, in the shape of a UUIDv4."""
    digest = sha256("\x1f".join(map(str, parts)).encode()).digest()
    return UUID(bytes=digest[:16], version=4)
