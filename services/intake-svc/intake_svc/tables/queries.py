"""Reads of sets: one round trip each, however many members the set has."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection

from intake_svc.domain.rows import (
    CaseLink,
    Consent,
    Inspection,
    Need,
    Note,
    Property,
    Resident,
)
from intake_svc.tables.people import CaseLinkRow, ConsentRow, NeedRow, NoteRow, ResidentRow
from intake_svc.tables.places import InspectionRow, PropertyRow

Owned = tuple[str, UUID]  # agency, id
R = TypeVar("R")

# Sets that touch more names than this take one lock for all of them, so that the server's lock
# table cannot run full.
MANY_NAMES = 400
_EVERYTHING = 0x696E74616B65
_LAST = b"\xff" * 17


def _rows(kind: type[R], records: Iterable[Any]) -> list[R]:
    return [kind(*record.values()) for record in records]


async def lock_names(conn: Connection, names: Iterable[tuple[str, str]]) -> None:
    """Wait until nobody else works on these (agency, name); held until the commit.

    Two sets that could make the same property or household share a name, so the second one reads
    what the first has made. Locks are taken in one order: sets cannot block each other for ever.
    """
    numbers = {
        int.from_bytes(blake2b(f"{a}|{n}".encode(), digest_size=8).digest(), signed=True)
        for a, n in names
    }
    if len(numbers) > MANY_NAMES:
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _EVERYTHING)
        return
    await conn.execute(
        "SELECT pg_advisory_xact_lock_shared($1) UNION ALL"
        " SELECT pg_advisory_xact_lock(n) FROM unnest($2::bigint[]) AS n",
        _EVERYTHING,
        sorted(numbers),
    )


async def properties_by_key(
    conn: Connection, asked: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Property]:
    """(agency, key) → the property that is found by it. Keys of one property share the object."""
    records = await conn.fetch(
        "SELECT v.key, p.agency_id, p.id, p.place, p.codes, p.areas, p.wrapped_key, p.created_at"
        " FROM unnest($1::text[], $2::text[]) AS v(agency_id, key), LATERAL"
        " (SELECT * FROM intake.property_key k WHERE k.agency_id = v.agency_id"
        "  AND k.key = v.key LIMIT 1) k, LATERAL"
        " (SELECT * FROM intake.property p WHERE p.agency_id = k.agency_id"
        "  AND p.id = k.property_id LIMIT 1) p",
        [agency for agency, _ in asked],
        [key for _, key in asked],
    )
    found: dict[tuple[str, str], Property] = {}
    by_id: dict[Owned, Property] = {}
    for key, *columns in (record.values() for record in records):
        row = Property(*columns)
        found[row.agency_id, key] = by_id.setdefault((row.agency_id, row.id), row)
    return found


async def properties_by_id(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Property]:
    rows = _rows(Property, await _by_id(conn, PropertyRow, asked))
    return {(row.agency_id, row.id): row for row in rows}


async def inspections_by_id(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Inspection]:
    rows = _rows(Inspection, await _by_id(conn, InspectionRow, asked))
    return {(row.agency_id, row.id): row for row in rows}


async def cases_by_id(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, CaseLink]:
    rows = _rows(CaseLink, await _by_id(conn, CaseLinkRow, asked))
    return {(row.agency_id, row.id): row for row in rows}


async def residents_by_id(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Resident]:
    rows = _rows(Resident, await _by_id(conn, ResidentRow, asked))
    return {(row.agency_id, row.id): row for row in rows}


async def _by_id(conn: Connection, model: Any, asked: Sequence[Owned], lock: str = "") -> list[Any]:
    """Rows by (agency, id), in that order.

    A look-up for each, by LATERAL: a join would be planned once, for a table that was still small,
    and read all of it ever after.
    """
    if not asked:
        return []
    ordered = sorted(asked)
    found: list[Any] = await conn.fetch(
        "SELECT t.* FROM unnest($1::text[], $2::uuid[]) AS v(agency_id, id), LATERAL"
        f" (SELECT {_columns(model)} FROM intake.{model.__tablename__} t"
        f"  WHERE t.agency_id = v.agency_id AND t.id = v.id LIMIT 1 {lock}) t",
        [agency for agency, _ in ordered],
        [id_ for _, id_ in ordered],
    )
    return found


@cache
def _columns(model: Any) -> str:
    return ", ".join(f't."{column.name}"' for column in sets.table_of(model).columns)


async def inspections_by_source(
    conn: Connection, asked: Sequence[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Inspection]:
    """(agency, source, source id) → the inspection. Its name must be locked."""
    records = await conn.fetch(
        "SELECT t.* FROM unnest($1::text[], $2::text[], $3::text[]) AS v(a, s, i), LATERAL"
        f" (SELECT {_columns(InspectionRow)} FROM intake.inspection t WHERE t.agency_id = v.a"
        "  AND t.source = v.s AND t.source_id = v.i LIMIT 1) t",
        [agency for agency, _, _ in asked],
        [source for _, source, _ in asked],
        [source_id for _, _, source_id in asked],
    )
    return {(r.agency_id, r.source, r.source_id): r for r in _rows(Inspection, records)}


async def residents_alike(
    conn: Connection,
    names: Sequence[tuple[str, UUID, bytes]],
    phones: Sequence[tuple[str, bytes]],
) -> list[Resident]:
    """Residents with a like name at the same property, and some with the same phone.

    *names*: (agency, property, first half of the name index). Of a phone that many share, five.
    """
    if not names and not phones:
        return []
    columns = _columns(ResidentRow)
    records = await conn.fetch(
        "SELECT t.* FROM unnest($1::text[], $2::uuid[], $3::bytea[], $4::bytea[])"
        f" AS v(a, p, low, high), LATERAL (SELECT {columns} FROM intake.resident t"
        "  WHERE t.agency_id = v.a AND t.property_id = v.p"
        "  AND t.name_index BETWEEN v.low AND v.high LIMIT 50) t UNION ALL"
        f" SELECT t.* FROM unnest($5::text[], $6::bytea[]) AS v(a, phone), LATERAL"
        f" (SELECT {columns} FROM intake.resident t WHERE t.agency_id = v.a"
        "  AND t.phone_index = v.phone LIMIT 5) t",
        [agency for agency, _, _ in names],
        [property_id for _, property_id, _ in names],
        [low for _, _, low in names],
        [low + _LAST for _, _, low in names],
        [agency for agency, _ in phones],
        [phone for _, phone in phones],
    )
    return list({r.id: r for r in _rows(Resident, records)}.values())


async def current_cases(conn: Connection, asked: Sequence[Owned]) -> list[CaseLink]:
    """Cases that take new needs, of these subjects (households or properties)."""
    if not asked:
        return []
    records = await conn.fetch(
        "SELECT t.* FROM unnest($1::text[], $2::uuid[]) AS v(a, s), LATERAL"
        f" (SELECT {_columns(CaseLinkRow)} FROM intake.case_link t WHERE t.current"
        "  AND t.agency_id = v.a AND t.subject_id = v.s LIMIT 100) t",
        [agency for agency, _ in asked],
        [subject for _, subject in asked],
    )
    return _rows(CaseLink, records)


async def needs_of_properties(
    conn: Connection, asked: Sequence[tuple[str, UUID, UUID | None]]
) -> list[Need]:
    """Needs of these properties that are open, or that the given inspection asked for."""
    if not asked:
        return []
    records = await conn.fetch(
        "SELECT t.* FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS v(a, p, i), LATERAL"
        f" (SELECT {_columns(NeedRow)} FROM intake.need t WHERE t.agency_id = v.a"
        f"  AND t.property_id = v.p AND (t.status = '{OPEN}' OR t.inspection_id = v.i)"
        "  LIMIT 1000) t",
        [agency for agency, _, _ in asked],
        [property_id for _, property_id, _ in asked],
        [inspection_id for _, _, inspection_id in asked],
    )
    return _rows(Need, records)


OPEN = "requested"


async def consents_locked(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Consent]:
    """Consents by id, locked in id order: a withdrawal and a disclosure wait for each other."""
    rows = _rows(
        Consent,
        await _by_id(conn, ConsentRow, asked, "FOR NO KEY UPDATE"),
    )
    return {(row.agency_id, row.id): row for row in rows}


async def consents_of_receipts(conn: Connection, hashes: Sequence[bytes]) -> list[Consent]:
    """Consents that were granted with these receipts, locked in id order."""
    records = await sets.fetch(
        conn,
        ConsentRow,
        "t WHERE t.receipt_hash = ANY($1::bytea[]) ORDER BY t.agency_id, t.id FOR NO KEY UPDATE",
        list(hashes),
    )
    return _rows(Consent, records)


async def consents_of_cases(conn: Connection, asked: Sequence[Owned]) -> list[Consent]:
    """All consents of these cases, the newest first."""
    if not asked:
        return []
    records = await sets.fetch(
        conn,
        ConsentRow,
        "t WHERE (t.agency_id, t.case_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"
        " ORDER BY t.granted_at DESC, t.id",
        [agency for agency, _ in asked],
        [case for _, case in asked],
    )
    return _rows(Consent, records)


async def consents_of_cases_locked(
    conn: Connection, asked: Sequence[Owned]
) -> dict[Owned, Consent]:
    """All consents of these cases, locked in id order, by (agency, consent id)."""
    if not asked:
        return {}
    records = await sets.fetch(
        conn,
        ConsentRow,
        "t WHERE (t.agency_id, t.case_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"
        " ORDER BY t.agency_id, t.id FOR NO KEY UPDATE",
        [agency for agency, _ in asked],
        [case for _, case in asked],
    )
    return {(row.agency_id, row.id): row for row in _rows(Consent, records)}


async def notes_by_id(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Note]:
    rows = _rows(Note, await _by_id(conn, NoteRow, asked))
    return {(row.agency_id, row.id): row for row in rows}


async def access_notes(conn: Connection, asked: Sequence[Owned]) -> dict[Owned, Note]:
    """The latest note on how to get in, by property; of the property's own cases alone."""
    if not asked:
        return {}
    columns = ", ".join(f'n."{c}"' for c in Note.__slots__)
    records = await conn.fetch(
        f"SELECT DISTINCT ON (c.agency_id, c.property_id) {columns}"
        " FROM unnest($1::text[], $2::uuid[]) AS v(a, p)"
        " JOIN intake.case_link c ON c.agency_id = v.a AND c.property_id = v.p"
        " AND c.resident_id IS NULL"
        " JOIN intake.note n ON n.agency_id = c.agency_id AND n.case_id = c.id"
        " AND n.kind = 'access' AND NOT n.of_resident"
        " ORDER BY c.agency_id, c.property_id, n.created_at DESC",
        [agency for agency, _ in asked],
        [property_id for _, property_id in asked],
    )
    rows = _rows(Note, records)
    return {(row.agency_id, row.owner_id): row for row in rows}


async def open_findings(
    conn: Connection, asked: Sequence[Owned]
) -> dict[Owned, list[dict[str, Any]]]:
    """Findings that are not closed, of open inspections, by property; codes, no text."""
    if not asked:
        return {}
    records = await sets.fetch(
        conn,
        InspectionRow,
        "t WHERE t.status = 'open' AND (t.agency_id, t.property_id)"
        " IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY t.inspected_at, t.id",
        [agency for agency, _ in asked],
        [property_id for _, property_id in asked],
    )
    found: dict[Owned, list[dict[str, Any]]] = {}
    for row in _rows(Inspection, records):
        for finding in row.findings:
            if finding.get("status") != "closed":
                shown = {**finding, "inspection_id": str(row.id)}
                found.setdefault((row.agency_id, row.property_id), []).append(shown)
    return found
