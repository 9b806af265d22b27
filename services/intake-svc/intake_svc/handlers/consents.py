"""Consents of residents already known: granted, renewed, withdrawn, expired."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from event_schemas.codes import PROPERTY_ONLY
from handoff_kit.crypto import open_json, unwrap_owner_key
from handoff_kit.doorway import Answer
from handoff_kit.errors import (
    FieldError,
    HandoffError,
    IllegalTransition,
    Invalid,
    NotVisible,
)
from handoff_kit.http.preconditions import check_if_match
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.consents import ALLOWED, Fault, State, slot_of
from intake_svc.domain.referrals import given_fields
from intake_svc.domain.rows import CaseLink, Consent, Resident
from intake_svc.handlers.city import Office
from intake_svc.handlers.grants import (
    Grant,
    Recipients,
    faults_of_grant,
    receipt_hash,
    receipt_of,
    refuse,
    say_granted,
)
from intake_svc.handlers.requests import ConsentTerms
from intake_svc.handlers.showing import Actor, may_see, shown
from intake_svc.tables import ConsentRow, queries

_ENDED = ("status", "version", "ended_at")


@dataclass(frozen=True, slots=True)
class GrantConsent:
    """A yes for a known resident. ``agency`` is empty for a receipt, which finds its own."""

    agency: str
    actor: Actor
    terms: ConsentTerms
    case_id: UUID | None = None
    consent_id: UUID | None = None
    if_match: str | None = None


@dataclass(slots=True)
class _Known:
    """What a set of grants works on."""

    by_receipt: dict[bytes, list[Consent]]
    by_id: dict[tuple[str, UUID], Consent]
    cases: dict[tuple[str, UUID], CaseLink]
    of_case: dict[tuple[str, UUID], list[Consent]]
    residents: dict[tuple[str, UUID], Resident]


class ConsentDesk:
    """Takes sets of grants from the doorway."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, commands: Sequence[GrantConsent]) -> list[Answer | HandoffError]:
        """201 with a new consent; 200 where one was renewed or replaced by a written one."""
        known = await self._load(tx, commands)
        results: list[Answer | HandoffError] = []
        new: list[Consent] = []
        renewed: dict[UUID, Consent] = {}
        for command in commands:
            try:
                row, before = self._decide(tx, command, known)
            except HandoffError as error:
                results.append(error)
                continue
            owned = (row.agency_id, row.id)
            if before is None:
                new.append(row)
            else:
                renewed[row.id] = row
                known.by_id[owned] = row
            named = Recipients.of(tuple(row.recipients), ())
            say_granted(tx, row, named)
            headers = {"etag": f'"{row.version}"'}
            if before is None:
                headers["location"] = f"/intake/v1/consents/{row.id}"
            results.append(Answer(201 if before is None else 200, shown(row), headers))
        tx.insert(ConsentRow, new)
        tx.insert(ConsentRow, [renewed[id_] for id_ in sorted(renewed)], "update")
        return results

    async def _load(self, tx: Tx, commands: Sequence[GrantConsent]) -> _Known:
        receipts = [c.actor.receipt for c in commands if c.actor.receipt is not None]
        held = await queries.consents_of_receipts(tx.conn, receipts) if receipts else []
        by_receipt: dict[bytes, list[Consent]] = {}
        for row in held:
            by_receipt.setdefault(row.receipt_hash, []).append(row)
        ids = [
            (c.agency, c.consent_id)
            for c in commands
            if c.consent_id is not None and c.actor.receipt is None
        ]
        by_id = await queries.consents_locked(tx.conn, sorted(set(ids)))
        by_id |= {(row.agency_id, row.id): row for row in held}
        asked = {(row.agency_id, row.case_id) for row in by_id.values()}
        asked |= {(c.agency, c.case_id) for c in commands if c.case_id is not None}
        cases = await queries.cases_by_id(tx.conn, list(asked))
        of_case: dict[tuple[str, UUID], list[Consent]] = {}
        for row in await queries.consents_of_cases(tx.conn, list(cases)):
            of_case.setdefault((row.agency_id, row.case_id), []).append(row)
        residents = await queries.residents_by_id(
            tx.conn,
            list({(c.agency_id, c.resident_id) for c in cases.values() if c.resident_id}),
        )
        return _Known(by_receipt, by_id, cases, of_case, residents)

    def _decide(
        self, tx: Tx, command: GrantConsent, known: _Known
    ) -> tuple[Consent, Consent | None]:
        """The row that shall be, and the one it replaces. Raises what refuses the command."""
        before, case = self._meant(command, known)
        if command.actor.receipt is None and not may_see(
            case, known.of_case.get((case.agency_id, case.id), ()), command.actor
        ):
            raise NotVisible
        if before is not None:
            allowed = ALLOWED[State(before.status)]
            if command.if_match is not None:
                check_if_match(command.if_match, before.version)
            if "renew" not in allowed:
                raise IllegalTransition(allowed=allowed)
        assert case.resident_id is not None
        resident = known.residents[case.agency_id, case.resident_id]
        key = unwrap_owner_key(self._office.keys, resident.id, resident.wrapped_key or None)
        facts = open_json(key, resident.id, resident.sealed)
        terms = command.terms
        refuse(
            [
                *faults_of_grant(terms, facts["role"], self._office.consent, tx.now),
                *_faults_of_slot(terms, case.slot),
            ]
        )
        id_ = before.id if before is not None else new_id()
        grant = Grant.of(
            terms,
            [*(terms.fields or given_fields(facts))],
            self._office.consent,
            command.actor.subject,
        )
        row = grant.row(
            agency=case.agency_id,
            id_=id_,
            case_id=case.id,
            resident_id=resident.id,
            categories=[str(c) for c in dict.fromkeys(terms.covers) if c not in PROPERTY_ONLY],
            restricted=case.restricted,
            receipt=before.receipt_hash
            if before is not None
            else command.actor.receipt
            or receipt_hash(receipt_of(self._office.index, case.agency_id, id_)),
            key=key,
            default_days=self._office.consent.default_days,
            now=tx.now,
            version=before.version + 1 if before is not None else 1,
        )
        return row, before

    def _meant(self, command: GrantConsent, known: _Known) -> tuple[Consent | None, CaseLink]:
        """The consent to renew, if one is meant, and the case. Raises: NotVisible."""
        if command.actor.receipt is not None:
            held = known.by_receipt.get(command.actor.receipt, [])
            if command.consent_id is not None:
                held = [row for row in held if row.id == command.consent_id]
            slots = {slot_of(kind) for kind in command.terms.covers}
            fitting = [row for row in held if known.cases[row.agency_id, row.case_id].slot in slots]
            if not held:
                raise NotVisible
            row = (fitting or held)[0]
            row = known.by_id[row.agency_id, row.id]
            ended = State(row.status) in (State.WITHDRAWN, State.ENTERED_IN_ERROR)
            # What was withdrawn stays so; a new yes is a consent of its own.
            return None if ended else row, known.cases[row.agency_id, row.case_id]
        if command.consent_id is not None:
            found = known.by_id.get((command.agency, command.consent_id))
            if found is None:
                raise NotVisible
            return found, known.cases[found.agency_id, found.case_id]
        case = known.cases.get((command.agency, command.case_id)) if command.case_id else None
        if case is None or case.resident_id is None:
            raise NotVisible
        return None, case


def _faults_of_slot(terms: ConsentTerms, slot: str) -> list[Fault]:
    """A consent covers the needs of one case: all usual kinds, or its one restricted kind."""
    faults = [
        (f"covers.{at}", "other-case", "This kind of need has a case and a consent of its own.")
        for at, kind in enumerate(terms.covers)
        if kind not in PROPERTY_ONLY and slot_of(kind) != slot
    ]
    if all(kind in PROPERTY_ONLY for kind in terms.covers):
        faults.append(("covers", "nothing-covered", "Kinds of a property need no consent."))
    return faults


def unreadable(field: str) -> Invalid:
    """For a body that names neither or both of case and consent."""
    return Invalid(
        errors=[FieldError(field, "one-of", "Name a case_id or a consent_id, one of the two.")]
    )
