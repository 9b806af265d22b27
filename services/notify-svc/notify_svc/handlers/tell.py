"""A set of events → notices, and from them feed items, webhooks and mails to send."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from handoff_kit import sets
from handoff_kit.consumer import Received, each
from handoff_kit.errors import Waiting
from handoff_kit.tx import Tx

from notify_svc.domain.audience import Link
from notify_svc.domain.decide import (
    Case,
    Consent,
    Happening,
    Known,
    Need,
    Notice,
    decide,
    stable_id,
    waits_for,
)
from notify_svc.domain.delivery import DeliveryStatus, wants
from notify_svc.domain.policy import EVENTS, Channel, Policy
from notify_svc.handlers.learn import Learnt, learn
from notify_svc.handlers.outcomes import say_cancelled
from notify_svc.tables import DeliveryRow
from notify_svc.tables.deliveries import cancel_pending, endpoints_hearing
from notify_svc.tables.feed import NoticeRow, preferences_hearing
from notify_svc.tables.known import cases_by, consents_of, needs_of, organization_names

Key = tuple[str, UUID]


@dataclass(slots=True)
class Told:
    """What committed sets have left to do: endpoints with something due, and whether more is."""

    endpoints: set[UUID] = field(default_factory=set)
    mail: bool = False
    feed: bool = False

    def take(self) -> "Told":
        """What there is, and begin anew."""
        taken = Told(self.endpoints, self.mail, self.feed)
        self.endpoints, self.mail, self.feed = set(), False, False
        return taken


class Teller:
    """Applies sets of the group ``notify``. ``told`` is for who sends and streams after commits."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.told = Told()

    async def apply(self, tx: Tx, events: Sequence[Received]) -> None:
        """Raises: Waiting where an event cannot be judged before another writer's has come."""
        learnt = await learn(tx, events)
        if learnt.ended:
            await _stop(tx, learnt.ended)
        happened = [
            (event, happening)
            for event in events
            if (happening := happening_of(event)).type in self._policy.by_event
        ]
        if happened:
            await self._tell(tx, happened, learnt)

    async def _tell(
        self, tx: Tx, happened: Sequence[tuple[Received, Happening]], learnt: Learnt
    ) -> None:
        read = await _load(tx, [happening for _, happening in happened], learnt)
        notices: dict[UUID, Notice] = {}
        causes: dict[UUID, str] = {}

        def judge(event: Received) -> None:
            happening = happenings[event.identity]
            known = read.known(happening, tx.now)
            missing = waits_for(happening, known, self._policy)
            if missing is not None:
                raise Waiting(f"Not here yet: {missing}.")
            judged = replace(happening, category=read.category(happening))
            for notice in decide(judged, known, self._policy):
                notices.setdefault(notice.id, notice)
                causes.setdefault(notice.id, event.cause.child())

        happenings = {event.identity: happening for event, happening in happened}
        each([event for event, _ in happened], judge)
        # A microsecond apart, so that a feed keeps the order of what one set told.
        rows = [
            _row(notice, tx.now + timedelta(microseconds=number))
            for number, notice in enumerate(notices.values())
        ]
        new = await sets.insert_new(tx.conn, NoticeRow, rows)
        fresh = [n for n in notices.values() if (n.agency_id, n.id) in new]
        self.told.feed |= any(Channel.FEED in notice.channels for notice in fresh)
        await self._deliver(tx, fresh, causes)

    async def _deliver(self, tx: Tx, notices: Sequence[Notice], causes: Mapping[UUID, str]) -> None:
        rows = [
            *await _webhooks(tx, [n for n in notices if Channel.WEBHOOK in n.channels], causes),
            *await _mails(tx, [n for n in notices if Channel.EMAIL in n.channels], causes),
        ]
        tx.insert(DeliveryRow, rows, "nothing")
        for row in rows:
            if row["endpoint_id"] is not None:
                self.told.endpoints.add(row["endpoint_id"])
            else:
                self.told.mail = True


def happening_of(event: Received) -> Happening:
    """An event as the decision sees it: ids, times and codes, by name."""
    said = event.data
    type_ = short_type(said.TYPE)
    return Happening(
        id=_uuid(event.id),
        type=type_,
        agency_id=event.agency,
        at=getattr(said, "at", event.at),
        restricted=getattr(said, "restricted", False),
        case_id=getattr(said, "case_id", None),
        need_id=getattr(said, "need_id", None),
        offer_id=getattr(said, "offer_id", None),
        organization_id=getattr(said, "organization_id", None),
        category=_code(getattr(said, "category", None)),
        codes={
            name: code
            for name in EVENTS.get(type_, ())
            if (code := _code(getattr(said, name, None))) is not None
        },
        approvers=tuple(role.value for role in getattr(said, "approvers", ())),
    )


def short_type(full: str) -> str:
    """``handoff.offer.made.v1`` → ``offer.made``."""
    return full.removeprefix("handoff.").rpartition(".v")[0]


def _code(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, Enum) else value)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return stable_id("event", text)


@dataclass(slots=True)
class _Read:
    """The own copy of all cases that a set tells of."""

    needs: dict[Key, list[Need]]
    cases: dict[Key, Case]
    consents: dict[Key, list[Consent]]
    names: dict[Key, str]

    def known(self, event: Happening, now: datetime) -> Known:
        agency, case_id = event.agency_id, event.case_id
        if case_id is None:
            return Known(None, (), (), {}, now)
        key = agency, case_id
        organization = event.organization_id
        name = self.names.get((agency, organization)) if organization else None
        return Known(
            case=self.cases.get(key),
            needs=self.needs.get(key, []),
            consents=self.consents.get(key, []),
            organization_names={organization: name} if organization and name else {},
            now=now,
        )

    def category(self, event: Happening) -> str | None:
        """The event's kind of need, or that of the need it names."""
        if event.category is not None or event.case_id is None:
            return event.category
        for need in self.needs.get((event.agency_id, event.case_id), ()):
            if need.need_id == event.need_id:
                return need.category
        return None


async def _load(tx: Tx, events: Sequence[Happening], learnt: Learnt) -> _Read:
    """What the tables hold, and over it what this set has just learnt."""
    cases = sorted({(e.agency_id, e.case_id) for e in events if e.case_id is not None})
    organizations = {
        (e.agency_id, e.organization_id) for e in events if e.organization_id is not None
    }
    needs = {(n.agency_id, n.need_id): n for n in await needs_of(tx.conn, cases)}
    consents = {(c.agency_id, c.consent_id): c for c in await consents_of(tx.conn, cases)}
    known = {(c.agency_id, c.case_id): c for c in await cases_by(tx.conn, cases)}
    names = await organization_names(tx.conn, sorted(organizations))
    said = {key: organization.name for key, organization in learnt.organizations.items()}
    read = _Read(defaultdict(list), known | learnt.cases, defaultdict(list), names | said)
    for need in sorted((needs | learnt.needs).values(), key=attrgetter("need_id")):
        read.needs[need.agency_id, need.case_id].append(need)
    for consent in (consents | learnt.consents).values():
        read.consents[consent.agency_id, consent.case_id].append(consent)
    return read


def _row(notice: Notice, now: datetime) -> dict[str, Any]:
    return {
        "agency_id": notice.agency_id,
        "id": notice.id,
        "owner": notice.owner,
        "type": notice.type,
        "at": notice.at,
        "created_at": now,
        "template": notice.template,
        "params": dict(notice.params),
        "case_id": notice.links.get(Link.CASE),
        "need_id": notice.links.get(Link.NEED),
        "offer_id": notice.links.get(Link.OFFER),
        "in_feed": Channel.FEED in notice.channels,
    }


async def _webhooks(
    tx: Tx, notices: Sequence[Notice], causes: Mapping[UUID, str]
) -> list[dict[str, Any]]:
    if not notices:
        return []
    endpoints = await endpoints_hearing(tx.conn, *_agencies_and_owners(notices))
    rows: dict[UUID, dict[str, Any]] = {}
    for notice in notices:
        for endpoint in endpoints:
            if (
                endpoint.agency_id != notice.agency_id
                or notice.owner not in endpoint.hears
                or not wants(endpoint.types, notice.type)
            ):
                continue
            # One event reaches an endpoint once, however many of its owners are told.
            id_ = stable_id("webhook", notice.about, endpoint.id)
            rows.setdefault(
                id_,
                _delivery(notice, id_, tx.now, causes[notice.id])
                | {
                    "channel": "webhook",
                    "owner": endpoint.owner,
                    "endpoint_id": endpoint.id,
                    "body": webhook_body(notice),
                },
            )
    return list(rows.values())


async def _mails(
    tx: Tx, notices: Sequence[Notice], causes: Mapping[UUID, str]
) -> list[dict[str, Any]]:
    if not notices:
        return []
    preferences = await preferences_hearing(tx.conn, *_agencies_and_owners(notices))
    rows: dict[UUID, dict[str, Any]] = {}
    for notice in notices:
        for preference in preferences:
            if preference.agency_id != notice.agency_id or notice.owner not in preference.hears:
                continue
            id_ = stable_id("mail", notice.about, preference.agency_id, preference.owner)
            rows.setdefault(
                id_,
                _delivery(notice, id_, tx.now, causes[notice.id])
                | {
                    "channel": "email",
                    "owner": preference.owner,
                    "endpoint_id": None,
                    "body": "",
                },
            )
    return list(rows.values())


def _agencies_and_owners(notices: Sequence[Notice]) -> tuple[list[str], list[str]]:
    return sorted({n.agency_id for n in notices}), sorted({n.owner for n in notices})


def _delivery(notice: Notice, id_: UUID, now: datetime, traceparent: str) -> dict[str, Any]:
    return {
        "agency_id": notice.agency_id,
        "id": id_,
        "about": notice.about,
        "notice_id": notice.id,
        "type": notice.type,
        "webhook_id": f"msg_{id_.hex}",
        "consent_id": notice.consent_id,
        "restricted": notice.restricted,
        "traceparent": traceparent,
        "status": DeliveryStatus.PENDING.value,
        "reason": None,
        "attempts": [],
        "earlier": 0,
        "next_try_at": now,
        "created_at": now,
        "updated_at": now,
    }


def webhook_body(notice: Notice) -> str:
    """The thin payload: type, time, and ids that the receiver may know."""
    data = {str(link.value): str(id_) for link, id_ in notice.links.items()}
    if Channel.FEED in notice.channels:
        data["feed_id"] = str(notice.id)
    payload = {"type": notice.type, "timestamp": notice.at.isoformat(), "data": data}
    return orjson.dumps(payload).decode()


async def _stop(tx: Tx, ended: Mapping[Key, str]) -> None:
    """Cancel what is queued under consents that have ended, and put that on the audit chain."""
    by_reason: defaultdict[str, list[Key]] = defaultdict(list)
    for key, reason in ended.items():
        by_reason[reason].append(key)
    for reason, keys in by_reason.items():
        for row in await cancel_pending(tx.conn, sorted(keys), reason, tx.now):
            say_cancelled(tx, row, reason)
