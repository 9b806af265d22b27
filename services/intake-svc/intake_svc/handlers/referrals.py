"""Referrals: a resident with consent, or a property alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from event_schemas.codes import PROPERTY_ONLY
from handoff_kit.crypto import seal_json
from handoff_kit.doorway import Answer
from handoff_kit.errors import FieldError, HandoffError, Invalid
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.consents import slot_of, split_by_slot
from intake_svc.domain.referrals import given_fields, judge
from intake_svc.domain.rows import (
    GENERAL,
    CaseLink,
    Inspection,
    Need,
    Note,
    Property,
    Referral,
    Resident,
)
from intake_svc.handlers.city import ConsentPolicy, Office
from intake_svc.handlers.grants import (
    Grant,
    faults_of_grant,
    receipt_hash,
    receipt_of,
    refuse,
    refuse_uncovered,
    say_granted,
)
from intake_svc.handlers.needs import (
    Cases,
    Granted,
    Made,
    Refer,
    encounter_of,
    of_person,
    of_place,
    shown_need,
    top_case,
)
from intake_svc.handlers.people import People, Person
from intake_svc.handlers.places import Places, Told
from intake_svc.handlers.requests import NeedIn, ReferralIn
from intake_svc.tables import (
    queries,
)

_ADDRESS = ("line1", "unit", "city", "postal_code")


def check(body: ReferralIn, policy: ConsentPolicy, now: datetime) -> None:
    """What can be said of a referral without looking anything up.

    Raises: Invalid, ConsentRequired, with the fields that have to be mended.
    """
    resident, consent = body.resident, body.consent
    verdict = judge(
        [need.category for need in body.needs],
        resident.role if resident else None,
        consent.covers if consent else None,
    )
    faults = verdict.faults
    if body.property is None and body.inspection_id is None:
        faults.append(("property", "required", "Say which property, or which inspection."))
    if resident is not None and consent is not None:
        faults += [
            (f"consent.{name}", code, message)
            for name, code, message in faults_of_grant(consent, resident.role, policy, now)
        ]
    refuse(faults)
    refuse_uncovered(verdict.uncovered)


@dataclass(slots=True)
class _Member:
    """A referral on its way through the set."""

    command: Refer
    told: Told | None
    person: Person | None = None
    place: Property | None = None
    resident: Resident | None = None
    refused: HandoffError | None = None
    granted: dict[str, Granted] = field(default_factory=dict)  # by slot
    answer: Answer | None = None


class ReferralDesk:
    """Takes sets of referrals from the doorway."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, commands: Sequence[Refer]) -> list[Answer | HandoffError]:
        """Answers 201; refuses alone what names an inspection that is not there."""
        office = self._office
        places, people, made = Places(office, tx.now), People(office, tx.now), Made()
        members = [_Member(c, _told(c)) for c in commands]
        inspections = await self._inspections(tx, members)
        await queries.lock_names(tx.conn, self._names(members, inspections))
        await places.load(tx.conn, [m.told for m in members if m.told is not None])
        await self._place(tx, members, places, inspections)
        open_ = [m for m in members if m.refused is None]
        asked = [
            (m.place, m.person, m.place.id in places.new)
            for m in open_
            if m.place is not None and m.person is not None
        ]
        if asked:
            await people.load(tx, asked)
        for member in open_:
            if member.person is not None and member.place is not None:
                member.resident = people.resolve(member.place, member.person)
        cases = await self._cases(tx, open_, places, people)
        for member in open_:
            self._refer(tx, member, Cases(tx, cases, made), places, people, made)
        places.save(tx)
        people.save(tx)
        made.save(tx)
        return [_result(member) for member in members]

    async def _inspections(
        self, tx: Tx, members: Sequence[_Member]
    ) -> dict[tuple[str, UUID], Inspection]:
        """The inspections that are named; refuses the members whose one is not there."""
        named = {
            (m.command.agency, m.command.body.inspection_id): None
            for m in members
            if m.command.body.inspection_id is not None
        }
        if not named:
            return {}
        found = await queries.inspections_by_id(
            tx.conn, [(agency, id_) for agency, id_ in named if id_ is not None]
        )
        for member in members:
            id_ = member.command.body.inspection_id
            if id_ is not None and (member.command.agency, id_) not in found:
                fault = FieldError("inspection_id", "unknown", "There is no such inspection.")
                member.refused = Invalid(errors=[fault])
        return found

    def _names(
        self, members: Sequence[_Member], inspections: dict[tuple[str, UUID], Inspection]
    ) -> list[tuple[str, str]]:
        names: list[tuple[str, str]] = []
        for member in members:
            agency, body = member.command.agency, member.command.body
            if member.refused is not None:
                continue
            if member.told is not None:
                names += member.told.names()
            elif body.inspection_id is not None:
                row = inspections[agency, body.inspection_id]
                names.append((agency, f"property:{row.property_id}"))
            if body.resident is not None:
                facts = body.resident.model_dump(mode="json", exclude_none=True)
                member.person = Person(self._office, agency, facts)
                names.append(member.person.lock(agency))
        return names

    async def _place(
        self,
        tx: Tx,
        members: Sequence[_Member],
        places: Places,
        inspections: dict[tuple[str, UUID], Inspection],
    ) -> None:
        """Find or make each member's property, and put its address among the resident's facts."""
        loose = [m for m in members if m.told is None and m.refused is None]
        of_inspection: dict[tuple[str, UUID], UUID] = {}
        for member in loose:
            agency, id_ = member.command.agency, member.command.body.inspection_id
            if id_ is not None:
                of_inspection[agency, id_] = inspections[agency, id_].property_id
        known = await queries.properties_by_id(
            tx.conn,
            list({(agency, property_id) for (agency, _), property_id in of_inspection.items()}),
        )
        for member in members:
            agency, id_ = member.command.agency, member.command.body.inspection_id
            if member.refused is not None:
                continue
            if member.told is not None:
                member.place = places.resolve(member.told)
                address = member.told.place
            else:
                assert id_ is not None
                member.place = known[agency, of_inspection[agency, id_]]
                address = member.place.place
            if member.person is not None:
                parts = {name: address[name] for name in _ADDRESS if name in address}
                if parts:
                    member.person.facts["address"] = parts

    async def _cases(
        self, tx: Tx, members: Sequence[_Member], places: Places, people: People
    ) -> dict[tuple[UUID, str], CaseLink]:
        """Current cases of the set's households and properties, by subject and slot."""
        subjects: dict[tuple[str, UUID], None] = {}
        new = {row.id for row in people.new}
        for member in members:
            agency = member.command.agency
            if member.resident is not None and member.resident.id not in new:
                subjects[agency, member.resident.household_id] = None
            place = member.place
            if place is not None and place.id not in places.new and _of_property(member):
                subjects[agency, place.id] = None
        found = await queries.current_cases(tx.conn, list(subjects))
        return {(case.subject_id, case.slot): case for case in found}

    def _refer(
        self,
        tx: Tx,
        member: _Member,
        cases: Cases,
        places: Places,
        people: People,
        made: Made,
    ) -> None:
        """Make one referral's rows and say its events."""
        command, place = member.command, member.place
        assert place is not None
        if member.resident is not None:
            self._grant(tx, member, cases, people, made)
        referral_id = new_id()
        asked = [
            self._ask(tx, member, wanted, cases, places, people, made)
            for wanted in command.body.needs
        ]
        made.needs += asked
        top = top_case(asked, place)
        granted = member.granted.get(GENERAL) or next(iter(member.granted.values()), None)
        consent = granted.consent if granted else None
        made.referrals.append(
            Referral(
                command.agency,
                referral_id,
                top,
                consent.id if consent else None,
                place.id,
                command.body.inspection_id,
                [str(need.id) for need in asked],
                encounter_of(command).value,
                command.subject,
                command.role.value,
                tx.now,
            )
        )
        body = {
            "referral_id": str(referral_id),
            "case_id": str(top),
            "needs": [shown_need(need) for need in asked],
            "consent_id": str(consent.id) if consent else None,
        }
        location = f"/intake/v1/referrals/{referral_id}"
        member.answer = Answer(201, body, {"location": location})

    def _grant(self, tx: Tx, member: _Member, cases: Cases, people: People, made: Made) -> None:
        """One consent a case: those kinds that the yes covers and a need is asked for."""
        command, resident, person = member.command, member.resident, member.person
        given = command.body.consent
        assert given is not None
        assert resident is not None
        assert person is not None
        wanted = {slot_of(need.category) for need in command.body.needs}
        slots = {
            slot: kinds for slot, kinds in split_by_slot(given.covers).items() if slot in wanted
        }
        if not slots:
            return
        fields: list[str] = [*(given.fields or given_fields(person.facts))]
        grant = Grant.of(given, fields, self._office.consent, command.subject)
        ids = {slot: new_id() for slot in slots}
        first = ids.get(GENERAL) or next(iter(ids.values()))
        receipt = receipt_hash(receipt_of(self._office.index, command.agency, first))
        for slot, kinds in slots.items():
            row = grant.row(
                agency=command.agency,
                id_=ids[slot],
                case_id=cases.of_household(resident, slot).id,
                resident_id=resident.id,
                categories=kinds,
                restricted=slot != GENERAL,
                receipt=receipt,
                key=people.key_of(resident),
                default_days=self._office.consent.default_days,
                now=tx.now,
            )
            member.granted[slot] = Granted(row, grant.recipients.ids)
            made.consents.append(row)
            say_granted(tx, row, grant.recipients, command.cause)

    def _ask(
        self,
        tx: Tx,
        member: _Member,
        wanted: NeedIn,
        cases: Cases,
        places: Places,
        people: People,
        made: Made,
    ) -> Need:
        command, place, resident = member.command, member.place, member.resident
        assert place is not None
        granted: Granted | None = None
        own = resident is None or wanted.category in PROPERTY_ONLY
        if own or resident is None:
            case = cases.of_property(place)
        else:
            slot = slot_of(wanted.category)
            case, granted = cases.of_household(resident, slot), member.granted[slot]
        consent = granted.consent if granted else None
        need = Need(
            command.agency,
            new_id(),
            case.id,
            command.body.inspection_id,
            place.id if own else None,
            consent.id if consent else None,
            wanted.category.value,
            wanted.urgency.value,
            queries.OPEN,
            consent is not None and consent.feedback,
            tx.now,
        )
        note_id = None
        if wanted.note is not None:
            owner: UUID = place.id
            key = places.key_of(place) if own or resident is None else people.key_of(resident)
            if not own and resident is not None:
                owner = resident.id
            note_id = new_id()
            made.notes.append(
                Note(
                    command.agency,
                    note_id,
                    case.id,
                    need.id,
                    "need",
                    owner,
                    not own,
                    seal_json(key, owner, wanted.note),
                    command.subject,
                    command.organization_id,
                    tx.now,
                )
            )
        if granted is None or member.person is None:
            event = of_place(tx, command, need, note_id, place)
        else:
            facts = member.person.facts
            event = of_person(tx, command, need, note_id, place, facts, granted)
        cause = None if event.restricted else command.cause
        tx.emit(event, agency=command.agency, cause=cause)
        return need


def _told(command: Refer) -> Told | None:
    report = command.body.property
    return Told(command.agency, report) if report is not None else None


def _of_property(member: _Member) -> bool:
    """Whether a need of this referral goes to the property's own case."""
    return member.resident is None or any(
        need.category in PROPERTY_ONLY for need in member.command.body.needs
    )


def _result(member: _Member) -> Answer | HandoffError:
    result = member.refused or member.answer
    assert result is not None
    return result
