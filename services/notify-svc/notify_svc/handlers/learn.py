"""What events teach about a case: kept as own copy of ids and codes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from event_schemas.cases import CaseAssigned
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from event_schemas.directory import OrganizationChanged
from event_schemas.referrals import NeedRequested
from handoff_kit.consumer import Received
from handoff_kit.tx import Tx

from notify_svc.domain.decide import ACTIVE, Case, Consent, Need
from notify_svc.tables import CaseRow, ConsentRow, NeedRow, OrganizationRow
from notify_svc.tables.known import consents_by

Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Organization:
    """What the directory publishes of an organization, as far as it is told of."""

    agency_id: str
    organization_id: UUID
    name: str
    kind: str


@dataclass(slots=True)
class Learnt:
    """Rows that a set of events changes. ``ended``: consents that no longer hold, with why."""

    needs: dict[Key, Need] = field(default_factory=dict)
    cases: dict[Key, Case] = field(default_factory=dict)
    consents: dict[Key, Consent] = field(default_factory=dict)
    organizations: dict[Key, Organization] = field(default_factory=dict)
    ended: dict[Key, str] = field(default_factory=dict)


async def learn(tx: Tx, events: Sequence[Received]) -> Learnt:
    """Bring the own copy up to what *events* say, in their order; what was changed.

    It is written with the set: until then the tables do not show it.
    """
    known = await _consents(tx, events)
    learnt = Learnt(consents=known)
    for event in events:
        step = _STEPS.get(type(event.data))
        if step is not None:
            step(learnt, event.agency, event.data)
    tx.insert(OrganizationRow, list(learnt.organizations.values()), "update")
    tx.insert(NeedRow, list(learnt.needs.values()), "update")
    tx.insert(CaseRow, list(learnt.cases.values()), "update")
    tx.insert(ConsentRow, list(learnt.consents.values()), "update")
    return learnt


async def _consents(tx: Tx, events: Iterable[Received]) -> dict[Key, Consent]:
    wanted = {
        (e.agency, e.data.consent_id)
        for e in events
        if isinstance(e.data, ConsentGranted | ConsentWithdrawn | ConsentExpired)
    }
    if not wanted:
        return {}
    return {(c.agency_id, c.consent_id): c for c in await consents_by(tx.conn, sorted(wanted))}


def _need(learnt: Learnt, agency: str, said: NeedRequested) -> None:
    learnt.needs[agency, said.need_id] = Need(
        agency_id=agency,
        need_id=said.need_id,
        case_id=said.case_id,
        category=said.category.value,
        restricted=said.restricted,
        of_resident=said.consent_id is not None,
        referrer=said.referrer,
        referrer_role=said.referrer_role.value,
    )


def _assigned(learnt: Learnt, agency: str, said: CaseAssigned) -> None:
    learnt.cases[agency, said.case_id] = Case(
        agency_id=agency,
        case_id=said.case_id,
        restricted=said.restricted,
        organization_id=said.organization_id,
    )


def _granted(learnt: Learnt, agency: str, said: ConsentGranted) -> None:
    key = agency, said.consent_id
    learnt.consents[key] = Consent(
        agency_id=agency,
        consent_id=said.consent_id,
        case_id=said.case_id,
        restricted=said.restricted,
        state=ACTIVE,
        feedback=said.feedback and not said.restricted,
        categories=[category.value for category in said.categories],
        granted_at=said.at,
        expires_at=said.expires_at,
    )
    learnt.ended.pop(key, None)


def _withdrawn(learnt: Learnt, agency: str, said: ConsentWithdrawn) -> None:
    _end(learnt, (agency, said.consent_id), "withdrawn", "consent-withdrawn")


def _expired(learnt: Learnt, agency: str, said: ConsentExpired) -> None:
    _end(learnt, (agency, said.consent_id), "expired", "consent-expired")


def _end(learnt: Learnt, key: Key, state: str, reason: str) -> None:
    consent = learnt.consents.get(key)
    if consent is not None:
        learnt.consents[key] = replace(consent, state=state)
        learnt.ended[key] = reason


def _organization(learnt: Learnt, agency: str, said: OrganizationChanged) -> None:
    learnt.organizations[agency, said.organization_id] = Organization(
        agency_id=agency,
        organization_id=said.organization_id,
        name=said.name,
        kind=said.kind.value,
    )


_STEPS: dict[type, Callable[[Learnt, str, Any], None]] = {
    NeedRequested: _need,
    CaseAssigned: _assigned,
    ConsentGranted: _granted,
    ConsentWithdrawn: _withdrawn,
    ConsentExpired: _expired,
    OrganizationChanged: _organization,
}
