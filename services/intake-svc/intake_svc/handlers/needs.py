"""Cases and needs as a set of referrals makes them, and what the log hears of a need."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from event_schemas.codes import EncounterKind, Role
from event_schemas.referrals import NeedRequested
from handoff_kit.ids import new_id
from handoff_kit.tx import Cause, Tx

from intake_svc.domain.consents import slot_of
from intake_svc.domain.referrals import matching_codes
from intake_svc.domain.rows import (
    GENERAL,
    CaseLink,
    Consent,
    Need,
    Note,
    Property,
    Referral,
    Resident,
)
from intake_svc.handlers.grants import moment
from intake_svc.handlers.places import event_codes
from intake_svc.handlers.requests import ReferralIn
from intake_svc.tables import CaseLinkRow, ConsentRow, NeedRow, NoteRow, ReferralRow


@dataclass(frozen=True, slots=True)
class Refer:
    """One referral, checked. ``subject``: the person or client that refers."""

    agency: str
    subject: str
    role: Role
    organization_id: UUID | None
    body: ReferralIn
    cause: Cause | None = None


@dataclass(slots=True)
class Made:
    """Rows that the set makes."""

    cases: list[CaseLink] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)

    def save(self, tx: Tx) -> None:
        tx.insert(CaseLinkRow, self.cases)
        tx.insert(ReferralRow, self.referrals)
        tx.insert(ConsentRow, self.consents)
        tx.insert(NeedRow, self.needs)
        tx.insert(NoteRow, self.notes)


@dataclass(frozen=True, slots=True)
class Granted:
    """A consent with its recipients as ids."""

    consent: Consent
    recipients: list[UUID]


def property_case(place: Property, tx: Tx) -> CaseLink:
    """A new case of the property alone."""
    return CaseLink(
        agency_id=place.agency_id,
        id=new_id(),
        subject_id=place.id,
        slot=GENERAL,
        current=True,
        property_id=place.id,
        resident_id=None,
        assignee=None,
        assigned_organization_id=None,
        version=0,
        opened_at=tx.now,
    )


class Cases:
    """Gives out the case of a subject, the current one or a new one."""

    def __init__(self, tx: Tx, known: dict[tuple[UUID, str], CaseLink], made: Made) -> None:
        self._tx = tx
        self._known = known
        self._made = made

    def of_property(self, place: Property) -> CaseLink:
        case = self._known.get((place.id, GENERAL))
        if case is None:
            case = self._known[place.id, GENERAL] = property_case(place, self._tx)
            self._made.cases.append(case)
        return case

    def of_household(self, resident: Resident, slot: str) -> CaseLink:
        subject = (resident.household_id, slot)
        case = self._known.get(subject)
        if case is None:
            case = self._known[subject] = CaseLink(
                agency_id=resident.agency_id,
                id=new_id(),
                subject_id=resident.household_id,
                slot=slot,
                current=True,
                property_id=resident.property_id,
                resident_id=resident.id,
                assignee=None,
                assigned_organization_id=None,
                version=0,
                opened_at=self._tx.now,
            )
            self._made.cases.append(case)
        return case


def top_case(needs: Sequence[Need], place: Property) -> UUID:
    """The case that the answer names first: unrestricted, and the household's where it has one."""

    def rank(need: Need) -> int:
        if slot_of(need.category) != GENERAL:
            return 2
        return 1 if need.property_id == place.id else 0

    return min(needs, key=rank).case_id


def encounter_of(command: Refer) -> EncounterKind:
    """How they met; where it is not said, by the inspection or by who refers."""
    body = command.body
    if body.encounter is not None:
        return EncounterKind(body.encounter.kind)
    if body.inspection_id is not None:
        return EncounterKind.INSPECTION
    if command.role is Role.AMBASSADOR:
        return EncounterKind.AMBASSADOR
    return EncounterKind.OTHER


def shown_need(need: Need) -> dict[str, Any]:
    return {
        "need_id": str(need.id),
        "case_id": str(need.case_id),
        "category": need.category,
        "status": need.status,
    }


def _common(tx: Tx, command: Refer, need: Need, *, restricted: bool) -> dict[str, Any]:
    return {
        "case_id": need.case_id,
        "need_id": need.id,
        "restricted": restricted,
        "at": moment(tx.now, restricted=restricted),
        "category": need.category,
        "urgency": need.urgency,
        "encounter": encounter_of(command),
        "referrer": command.subject,
        "referrer_role": command.role,
        "referrer_organization_id": command.organization_id,
    }


def of_place(
    tx: Tx, command: Refer, need: Need, note_id: UUID | None, place: Property
) -> NeedRequested:
    return NeedRequested(
        **_common(tx, command, need, restricted=False),
        area=place.areas,
        note_id=note_id,
        property_id=place.id,
        inspection_id=need.inspection_id,
        property=event_codes(place.codes),
    )


def of_person(
    tx: Tx,
    command: Refer,
    need: Need,
    note_id: UUID | None,
    place: Property,
    facts: dict[str, Any],
    granted: Granted,
) -> NeedRequested:
    """A resident's need: codes as far as consent covers them, no property, no inspection."""
    consent = granted.consent
    codes = matching_codes(facts, consent.fields, place.areas)
    return NeedRequested(
        **_common(tx, command, need, restricted=consent.restricted),
        area=codes.area,
        note_id=note_id,
        consent_id=consent.id,
        recipients=granted.recipients,
        feedback=consent.feedback,
        languages=codes.languages,
        age_bands=codes.age_bands,
        tenure=codes.tenure,
    )
