"""Inspections: the one handler for a request, a batch and the department's own topic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from event_schemas.inspections import (
    InspectionClosed,
    InspectionCorrected,
    InspectionRecorded,
)
from handoff_kit.codepack import Finding as Coded
from handoff_kit.codepack import assess
from handoff_kit.crypto import seal_json
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.inspections import (
    Assessed,
    Change,
    as_code,
    change,
)
from intake_svc.domain.rows import Inspection
from intake_svc.handlers.city import Office
from intake_svc.handlers.findings import Member, Report, as_said, as_stored, refused
from intake_svc.handlers.places import Places, Told, event_codes
from intake_svc.handlers.property_needs import NeedsDesk
from intake_svc.tables import (
    InspectionRow,
    queries,
)

_CHANGED = (
    "property_id",
    "revision",
    "status",
    "kind",
    "inspected_at",
    "content_hash",
    "findings",
    "suggested_needs",
    "cases",
    "sealed",
    "updated_at",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report; ``body`` is the answer of the API."""

    change: Change
    inspection_id: UUID
    body: dict[str, Any]


class Reports:
    """Takes sets of reports."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, reports: Sequence[Report]) -> list[Outcome]:
        """Record, correct or close each; repeated content changes nothing.

        Later reports of a set see the earlier ones. Raises nothing for a single report: what is
        well-formed and not `refused` is taken.
        """
        office = self._office
        members = [
            Member(
                report,
                Told(report.agency, report.data.property),
                office.index(
                    report.agency, "inspection", report.data.model_dump_json(exclude_defaults=True)
                ),
            )
            for report in reports
        ]
        sources = [
            (m.report.agency, m.report.data.source, m.report.data.source_id) for m in members
        ]
        names = [name for m in members for name in m.told.names()]
        names += [(agency, f"inspection:{source}:{id_}") for agency, source, id_ in sources]
        await queries.lock_names(tx.conn, names)
        known = await queries.inspections_by_source(tx.conn, list(dict.fromkeys(sources)))
        places = Places(office, tx.now)
        await places.load(tx.conn, (m.told for m in members))
        latest: dict[tuple[str, str, str], Inspection] = dict(known)
        for member, source in zip(members, sources, strict=True):
            self._take(tx, member, latest.get(source), places)
            assert member.row is not None
            latest[source] = member.row
        desk = await NeedsDesk.open(tx, members, places)
        for member in members:
            if member.change is not Change.UNCHANGED:
                desk.open_needs(member)
        self._save(tx, members, places, desk)
        return [_outcome(member) for member in members]

    def _take(self, tx: Tx, member: Member, known: Inspection | None, places: Places) -> None:
        """Decide what the report changes and make the row that shall be."""
        report, data = member.report, member.report.data
        member.known = known
        member.change = change(
            known.status if known else None,
            data.status,
            same_content=known is not None and known.content_hash == member.hash,
        )
        if member.change is Change.UNCHANGED:
            member.row = known
            return
        member.place = place = places.resolve(member.told)
        texts: dict[str, str] = {}
        stored, suggests = self._findings(member, known, texts)
        secret: dict[str, Any] = {"texts": texts} if texts else {}
        if data.inspector:
            secret["inspector"] = data.inspector
        member.row = Inspection(
            report.agency,
            known.id if known else new_id(),
            data.source,
            data.source_id,
            place.id,
            known.organization_id if known else report.organization_id,
            known.revision + 1 if known else 1,
            data.status,
            data.kind,
            data.inspected_at,
            member.hash,
            stored,
            suggests,
            # One list for all revisions in a set: an earlier one may still open a case.
            known.cases if known else [],
            seal_json(places.key_of(place), place.id, secret) if secret else b"",
            tx.now,
        )

    def _findings(
        self, member: Member, known: Inspection | None, texts: dict[str, str]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Findings as stored, and the needs they suggest. An id stays through corrections."""
        data = member.report.data
        ids: dict[Any, list[str]] = {}
        for old in known.findings if known else ():
            ids.setdefault((old.get("scheme"), old.get("code")), []).append(old["finding_id"])
        stored: list[dict[str, Any]] = []
        suggests: dict[str, None] = {}
        for finding in data.findings:
            word = assess(
                self._office.pack,
                Coded(
                    finding.scheme,
                    finding.code,
                    finding.class_,
                    finding.deadline,
                    finding.deadline_basis,
                ),
                finding.issued_at or data.inspected_at,
            )
            same = ids.get((finding.scheme, finding.code))
            finding_id = same.pop(0) if same else str(new_id())
            stored.append(as_stored(finding_id, finding, word))
            member.findings.append(as_said(finding_id, finding, word))
            if finding.text:
                texts[finding_id] = finding.text
            if finding.status != "closed" and data.status != "closed":
                suggests.update(dict.fromkeys(word.suggests))
                member.assessed.append(
                    Assessed(word.severity, word.deadline, word.deadline_basis, word.property_needs)
                )
        return stored, [str(need) for need in suggests]

    def _save(self, tx: Tx, members: Sequence[Member], places: Places, desk: NeedsDesk) -> None:
        new: dict[UUID, Inspection] = {}
        changed: dict[UUID, Inspection] = {}
        for member in members:
            row = member.row
            if row is None or member.change is Change.UNCHANGED:
                continue
            if member.change is Change.NEW or row.id in new:
                new[row.id] = row
            else:
                changed[row.id] = row
            _say(tx, member)
        places.save(tx)
        desk.made.save(tx)
        tx.insert(InspectionRow, list(new.values()))
        tx.update(InspectionRow, [changed[id_] for id_ in sorted(changed)], _CHANGED)


def _say(tx: Tx, member: Member) -> None:
    """The events of a report; one that comes closed at first sight is recorded, then closed."""
    row, place = member.row, member.place
    assert row is not None
    assert place is not None
    fields: dict[str, Any] = {
        "inspection_id": row.id,
        "property_id": row.property_id,
        "source": as_code(row.source) or "unknown",
        "revision": row.revision,
        "kind": as_code(row.kind),
        "status": row.status,
        "inspected_at": row.inspected_at,
        "area": place.areas,
        "property": event_codes(place.codes),
        "findings": member.findings,
        "suggested_needs": row.suggested_needs,
    }
    kinds: list[type[InspectionRecorded | InspectionCorrected | InspectionClosed]] = []
    if member.change is Change.NEW:
        kinds.append(InspectionRecorded)
    elif member.change is Change.CORRECTED:
        kinds.append(InspectionCorrected)
    if member.change is Change.CLOSED or (member.change is Change.NEW and row.status == "closed"):
        kinds.append(InspectionClosed)
    for kind in kinds:
        tx.emit(kind(**fields), agency=row.agency_id, cause=member.report.cause)


def _outcome(member: Member) -> Outcome:
    row = member.row
    assert row is not None
    body = {
        "inspection_id": str(row.id),
        "property_id": str(row.property_id),
        "revision": row.revision,
        "cases": row.cases,
        "suggested_needs": row.suggested_needs,
    }
    return Outcome(member.change, row.id, body)


def location(inspection_id: UUID) -> str:
    return f"/intake/v1/inspections/{inspection_id}"


Command = Report | Sequence[Report]


class InspectionDesk:
    """The doorway's side: one report a command, or a batch of them in one."""

    def __init__(self, office: Office) -> None:
        self._reports = Reports(office)

    async def apply(self, tx: Tx, commands: Sequence[Command]) -> list[Answer | HandoffError]:
        """Answers 201 for what is new, 200 for what is known; a batch 200 with one result each."""
        flat = [r for c in commands for r in ((c,) if isinstance(c, Report) else c)]
        refusals = [refused(report.data, tx.now) for report in flat]
        sound = [r for r, refusal in zip(flat, refusals, strict=True) if refusal is None]
        outcomes = iter(await self._reports.apply(tx, sound) if sound else ())
        results = iter([refusal or next(outcomes) for refusal in refusals])
        answers: list[Answer | HandoffError] = []
        for command in commands:
            if isinstance(command, Report):
                answers.append(_answer(next(results)))
            else:
                items = [_item(next(results)) for _ in command]
                answers.append(Answer(200, {"results": items}))
        return answers


def refused_item(error: HandoffError) -> dict[str, Any]:
    """The result of an inspection of a batch that is not taken."""
    errors = [one.as_dict() for one in error.errors]
    return {"status": error.status, "code": error.code, "errors": errors}


def _answer(outcome: Outcome | HandoffError) -> Answer | HandoffError:
    if isinstance(outcome, HandoffError):
        return outcome
    if outcome.change is not Change.NEW:
        return Answer(200, outcome.body)
    return Answer(201, outcome.body, {"location": location(outcome.inspection_id)})


def _item(outcome: Outcome | HandoffError) -> dict[str, Any]:
    if isinstance(outcome, HandoffError):
        return refused_item(outcome)
    status = 201 if outcome.change is Change.NEW else 200
    return {"status": status, "change": str(outcome.change), **outcome.body}
