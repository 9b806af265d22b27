"""What leaves: a resident's facts, its address, notes. Consent is checked at that moment.

The consent's row is locked, then the database's clock is read, then it is judged; the disclosure
is written in the same transaction as the answer. A withdrawal takes the same lock, so it is either
before, and nothing leaves, or after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.codes import Role
from handoff_kit.crypto import open_json, unwrap_owner_key
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, NotVisible
from handoff_kit.ids import new_id
from handoff_kit.telemetry.metrics import process_metrics
from handoff_kit.tx import Tx

from intake_svc.domain.consents import ADDRESS, NOTES, Ask, Denial, facts_of, judge
from intake_svc.domain.rows import CaseLink, Consent, Disclosure, Note, Property, Resident
from intake_svc.handlers.city import Office
from intake_svc.handlers.requests import DisclosureIn, NotesRead, PropertyRead, Reader
from intake_svc.tables import DisclosureRow, queries

# Readers of a property's own notes and findings, for whose offer the calling service vouches.
_TARGETS = frozenset(
    {Role.DEPARTMENT.value, Role.PARTNER.value, Role.CASE_MANAGER.value, Role.COORDINATOR.value}
)
PURPOSE = "referral-and-service"


@dataclass(frozen=True, slots=True)
class Reading:
    """One read. ``service`` is the caller, which vouches for the reader."""

    agency: str
    service: str
    body: DisclosureIn | NotesRead | PropertyRead


@dataclass(slots=True)
class _Seen:
    """What a set of readings works on, under the consents' locks."""

    now: datetime
    consents: dict[tuple[str, UUID], Consent]
    cases: dict[tuple[str, UUID], CaseLink]
    residents: dict[tuple[str, UUID], Resident]
    properties: dict[tuple[str, UUID], Property]
    notes: dict[tuple[str, UUID], Note]
    access: dict[tuple[str, UUID], Note]
    findings: dict[tuple[str, UUID], list[dict[str, Any]]]


class DisclosureDesk:
    """Takes sets of readings."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, commands: Sequence[Reading]) -> list[Answer | HandoffError]:
        """200 with what the reader may know; NotVisible, and a denial counted, where nothing is."""
        seen = await self._load(tx, commands)
        written: list[Disclosure] = []
        results: list[Answer | HandoffError] = []
        for command in commands:
            try:
                results.append(self._read(command, seen, written))
            except HandoffError as error:
                results.append(error)
        for row in written:
            tx.audit(
                row.agency_id,
                "disclosure",
                actor=row.reader,
                subject=row.id,
                facts={"consent": str(row.consent_id), "to": str(row.organization_id)},
            )
        tx.insert(DisclosureRow, written)
        return results

    def _read(self, command: Reading, seen: _Seen, written: list[Disclosure]) -> Answer:
        body = command.body
        if isinstance(body, DisclosureIn):
            return Answer(200, self._facts(command, body, seen, written))
        if isinstance(body, NotesRead):
            return Answer(200, self._notes(command, body, seen, written))
        return Answer(200, self._property(command, body, seen, written))

    async def _load(self, tx: Tx, commands: Sequence[Reading]) -> _Seen:
        conn = tx.conn
        case_ids: set[tuple[str, UUID]] = set()
        property_ids: set[tuple[str, UUID]] = set()
        note_ids: set[tuple[str, UUID]] = set()
        for command in commands:
            agency, body = command.agency, command.body
            if body.case_id is not None:
                case_ids.add((agency, body.case_id))
            if isinstance(body, PropertyRead) and body.property_id is not None:
                property_ids.add((agency, body.property_id))
            if isinstance(body, NotesRead):
                note_ids |= {(agency, id_) for id_ in body.note_ids}
        consents = await queries.consents_of_cases_locked(conn, list(case_ids))
        now: datetime = await conn.fetchval("SELECT clock_timestamp()")
        cases = await queries.cases_by_id(conn, list(case_ids))
        wants_property = {
            (c.agency, c.body.case_id) for c in commands if isinstance(c.body, PropertyRead)
        }
        property_ids |= {
            (case.agency_id, case.property_id)
            for key, case in cases.items()
            if key in wants_property
        }
        residents = {
            (case.agency_id, case.resident_id)
            for case in cases.values()
            if case.resident_id is not None
        }
        notes = await queries.notes_by_id(conn, list(note_ids))
        properties = await queries.properties_by_id(
            conn,
            list(
                property_ids
                | {(n.agency_id, n.owner_id) for n in notes.values() if not n.of_resident}
            ),
        )
        return _Seen(
            now,
            consents,
            cases,
            await queries.residents_by_id(conn, list(residents)),
            properties,
            notes,
            await queries.access_notes(conn, list(property_ids)),
            await queries.open_findings(
                conn,
                [
                    key
                    for key in property_ids
                    if any(
                        isinstance(c.body, PropertyRead) and c.body.with_findings for c in commands
                    )
                ],
            ),
        )

    def _facts(
        self, command: Reading, body: DisclosureIn, seen: _Seen, written: list[Disclosure]
    ) -> dict[str, Any]:
        consent = self._consent(command.agency, body.consent_id, body.case_id, seen)
        ask = Ask(
            body.organization_id,
            body.purpose,
            str(body.category) if body.category else None,
            body.fields,
        )
        consent, covered = _allow(consent, ask, seen.now)
        resident = seen.residents[consent.agency_id, consent.resident_id]
        facts = facts_of(self._open(resident), covered)
        row = _disclosure(
            consent,
            body.organization_id,
            body.offer_id,
            ask,
            list(facts),
            body.route,
            body.reader.subject,
            seen.now,
        )
        written.append(row)
        return {"disclosure_id": str(row.id), "consent_id": str(consent.id), **facts}

    def _property(
        self, command: Reading, body: PropertyRead, seen: _Seen, written: list[Disclosure]
    ) -> dict[str, Any]:
        agency = command.agency
        case = seen.cases.get((agency, body.case_id)) if body.case_id else None
        if body.property_id is None and case is None:
            raise NotVisible
        if case is not None and case.resident_id is not None:
            return self._address(command, body, case, seen, written)
        id_ = body.property_id or (case.property_id if case else None)
        row = seen.properties.get((agency, id_)) if id_ else None
        if row is None or (case is not None and case.property_id != row.id):
            raise NotVisible
        access = seen.access.get((agency, row.id))
        shown = _place(row.place) | {
            "property_id": str(row.id),
            "access_note": self._text(access, seen) if access else None,
        }
        if body.with_findings:
            shown["findings"] = seen.findings.get((agency, row.id), [])
        return shown

    def _address(
        self,
        command: Reading,
        body: PropertyRead,
        case: CaseLink,
        seen: _Seen,
        written: list[Disclosure],
    ) -> dict[str, Any]:
        """A resident's home: only by consent, without findings, and it is a disclosure."""
        if body.organization_id is None or body.consent_id is None:
            raise NotVisible
        consent = self._consent(command.agency, body.consent_id, case.id, seen)
        ask = Ask(
            body.organization_id,
            body.purpose,
            str(body.category) if body.category else None,
            (ADDRESS,),
        )
        consent, covered = _allow(consent, ask, seen.now)
        resident = seen.residents[consent.agency_id, consent.resident_id]
        address = self._open(resident).get(ADDRESS)
        row = _disclosure(
            consent,
            body.organization_id,
            body.offer_id,
            ask,
            covered,
            body.route,
            body.reader.subject if body.reader else command.service,
            seen.now,
        )
        written.append(row)
        place = seen.properties[case.agency_id, case.property_id].place
        return _place({**place, **(address or {})}) | {
            "disclosure_id": str(row.id),
            "access_note": None,
        }

    def _notes(
        self, command: Reading, body: NotesRead, seen: _Seen, written: list[Disclosure]
    ) -> dict[str, Any]:
        """The notes that this reader may see; what it may not see is left out."""
        shown = []
        used: dict[UUID, tuple[Consent, Ask]] = {}
        for id_ in body.note_ids:
            note = seen.notes.get((command.agency, id_))
            if note is None or note.case_id != body.case_id:
                continue
            verdict = self._may_read(note, body.reader, seen)
            if verdict is False:
                continue
            if not isinstance(verdict, bool):
                used[verdict[0].id] = verdict
            shown.append(
                {
                    "note_id": str(note.id),
                    "kind": note.kind,
                    "text": self._text(note, seen),
                    "author": {
                        "subject": note.author,
                        "organization_id": str(note.author_organization_id)
                        if note.author_organization_id
                        else None,
                    },
                    "at": note.created_at.isoformat(),
                }
            )
        for consent, ask in used.values():
            written.append(
                _disclosure(
                    consent,
                    ask.organization_id,
                    None,
                    ask,
                    [NOTES],
                    "notes",
                    body.reader.subject,
                    seen.now,
                )
            )
        return {"notes": shown}

    def _may_read(self, note: Note, reader: Reader, seen: _Seen) -> bool | tuple[Consent, Ask]:
        """True for its author and for a property's; else by which consent, or False.

        A need's own note is a fact of the referral and has to be among the consented fields; what
        partners and case managers write afterwards is for those whom the consent names.
        """
        own = note.author == reader.subject or (
            reader.organization_id is not None
            and note.author_organization_id == reader.organization_id
        )
        if own:
            return True
        if not note.of_resident:
            return not _TARGETS.isdisjoint(reader.roles)
        if reader.organization_id is None:
            return False
        ask = Ask(reader.organization_id, PURPOSE, fields=(NOTES,) if note.kind == "need" else None)
        for consent in seen.consents.values():
            if consent.case_id != note.case_id or consent.agency_id != note.agency_id:
                continue
            if not isinstance(judge(consent, ask, seen.now), Denial):
                return consent, ask
        _deny(Denial.NO_CONSENT)
        return False

    def _consent(self, agency: str, id_: UUID, case_id: UUID | None, seen: _Seen) -> Consent | None:
        consent = seen.consents.get((agency, id_))
        return consent if consent is not None and consent.case_id == case_id else None

    def _open(self, resident: Resident) -> dict[str, Any]:
        key = unwrap_owner_key(self._office.keys, resident.id, resident.wrapped_key or None)
        facts: dict[str, Any] = open_json(key, resident.id, resident.sealed)
        return facts

    def _text(self, note: Note, seen: _Seen) -> str:
        owner: Resident | Property
        if note.of_resident:
            owner = seen.residents[note.agency_id, note.owner_id]
        else:
            owner = seen.properties[note.agency_id, note.owner_id]
        key = unwrap_owner_key(self._office.keys, owner.id, owner.wrapped_key or None)
        return str(open_json(key, owner.id, note.sealed))


def _allow(consent: Consent | None, ask: Ask, now: datetime) -> tuple[Consent, list[str]]:
    """Raises: NotVisible, and counts why."""
    verdict = judge(consent, ask, now)
    if isinstance(verdict, Denial) or consent is None:
        _deny(verdict if isinstance(verdict, Denial) else Denial.NO_CONSENT)
        raise NotVisible
    return consent, verdict


def _deny(reason: Denial) -> None:
    process_metrics().count("handoff_consent_denials_total", reason=reason.value)


def _disclosure(
    consent: Consent,
    organization_id: UUID,
    offer_id: UUID | None,
    ask: Ask,
    fields: list[str],
    route: str,
    reader: str,
    now: datetime,
) -> Disclosure:
    return Disclosure(
        consent.agency_id,
        new_id(),
        consent.id,
        consent.case_id,
        consent.resident_id,
        organization_id,
        offer_id,
        ask.category,
        ask.purpose,
        fields,
        route,
        reader,
        now,
    )


def _place(place: dict[str, Any]) -> dict[str, Any]:
    address = {n: place[n] for n in ("line1", "unit", "city", "postal_code") if n in place}
    return {
        "parcel_id": place.get("parcel_id"),
        "address": address or None,
        "unit": place.get("unit"),
        "latitude": place.get("latitude"),
        "longitude": place.get("longitude"),
    }


__all__ = ["DisclosureDesk", "Reading"]
