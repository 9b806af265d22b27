"""Inspections: the one handler for a request, a batch and the department's own topic."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from event_schemas.codes import EncounterKind, Role
from event_schemas.inbound import FindingReport, InspectionReported
from event_schemas.inspections import (
    Finding,
    InspectionClosed,
    InspectionCorrected,
    InspectionRecorded,
)
from event_schemas.referrals import NeedRequested
from handoff_kit import sets
from handoff_kit.codepack import Assessment, assess
from handoff_kit.codepack import Finding as Coded
from handoff_kit.crypto import seal_json
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError
from handoff_kit.tx import Cause, Tx

from intake_svc.domain.inspections import (
    Assessed,
    Change,
    PropertyNeed,
    as_code,
    change,
    property_needs,
)
from intake_svc.domain.rows import GENERAL, CaseLink, Inspection, Need, Property
from intake_svc.handlers.city import Office
from intake_svc.handlers.ids import new_id
from intake_svc.handlers.places import Places, Told, event_codes
from intake_svc.tables import (
    CaseLinkRow,
    InspectionRow,
    NeedRow,
    PropertyKeyRow,
    PropertyRow,
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
class Report:
    """One inspection as a department told it. ``subject``: the person or client that did."""

    agency: str
    subject: str
    organization_id: UUID | None
    data: InspectionReported
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report; ``body`` is the answer of the API."""

    change: Change
    inspection_id: UUID
    body: dict[str, Any]


@dataclass(slots=True)
class _Member:
    """A report on its way through the set."""

    report: Report
    told: Told
    hash: bytes
    place: Property | None = None
    known: Inspection | None = None
    change: Change = Change.NEW
    row: Inspection | None = None
    findings: list[Finding] = field(default_factory=list)
    wanted: list[PropertyNeed] = field(default_factory=list)
    assessed: list[Assessed] = field(default_factory=list)


class Reports:
    """Takes sets of reports."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, reports: Sequence[Report]) -> list[Outcome]:
        """Record, correct or close each; repeated content changes nothing.

        Later reports of a set see the earlier ones. Raises nothing for a single report: what is
        well-formed is taken.
        """
        office = self._office
        members = [
            _Member(
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
        desk = await _Desk.open(tx, members, places)
        for member in members:
            if member.change is not Change.UNCHANGED:
                desk.open_needs(member)
        await self._save(tx, members, places, desk)
        return [_outcome(member) for member in members]

    def _take(self, tx: Tx, member: _Member, known: Inspection | None, places: Places) -> None:
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
        self, member: _Member, known: Inspection | None, texts: dict[str, str]
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
            stored.append(_stored(finding_id, finding, word))
            member.findings.append(_said(finding_id, finding, word))
            if finding.text:
                texts[finding_id] = finding.text
            if finding.status != "closed" and data.status != "closed":
                suggests.update(dict.fromkeys(word.suggests))
                member.assessed.append(
                    Assessed(word.severity, word.deadline, word.deadline_basis, word.property_needs)
                )
        return stored, [str(need) for need in suggests]

    async def _save(
        self, tx: Tx, members: Sequence[_Member], places: Places, desk: "_Desk"
    ) -> None:
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
        await sets.insert_all(
            tx.conn,
            [
                (PropertyRow, list(places.new.values())),
                (PropertyKeyRow, places.new_keys),
                (InspectionRow, list(new.values())),
                (CaseLinkRow, desk.new_cases),
                (NeedRow, desk.new_needs),
            ],
        )
        await places.save_changed(tx)
        rows = [changed[id_] for id_ in sorted(changed)]
        await sets.update(tx.conn, InspectionRow, rows, columns=_CHANGED)


class _Desk:
    """Opens needs of properties for the findings of a set, each kind once."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._cases: dict[UUID, CaseLink] = {}
        self._open: dict[UUID, set[str]] = {}
        self._asked: dict[UUID, set[str]] = {}
        self.new_cases: list[CaseLink] = []
        self.new_needs: list[Need] = []

    @classmethod
    async def open(cls, tx: Tx, members: Sequence[_Member], places: Places) -> "_Desk":
        """Read the cases and needs of the properties whose findings may ask for something."""
        desk = cls(tx)
        asking = [
            (member.row, member.place)
            for member in members
            if member.row is not None
            and member.place is not None
            and member.place.id not in places.new
            and property_needs(member.assessed, ())
        ]
        if asking:
            needs = await queries.needs_of_properties(
                tx.conn,
                [(row.agency_id, place.id, row.id) for row, place in asking],
            )
            for need in needs:
                desk._note(need)
            subjects = dict.fromkeys((place.agency_id, place.id) for _, place in asking)
            for case in await queries.current_cases(tx.conn, list(subjects)):
                desk._cases[case.subject_id] = case
        return desk

    def _note(self, need: Need) -> None:
        if need.status == queries.OPEN and need.property_id is not None:
            self._open.setdefault(need.property_id, set()).add(need.category)
        if need.inspection_id is not None:
            self._asked.setdefault(need.inspection_id, set()).add(need.category)

    def open_needs(self, member: _Member) -> None:
        """Ask for what the findings need and nobody asked for yet, in the property's case."""
        row, place = member.row, member.place
        assert row is not None
        assert place is not None
        known = self._open.get(place.id, set()) | self._asked.get(row.id, set())
        for wanted in property_needs(member.assessed, known):
            case = self._case(place)
            need = Need(
                row.agency_id,
                new_id(),
                case.id,
                None,
                row.id,
                place.id,
                None,
                str(wanted.category),
                str(wanted.urgency),
                queries.OPEN,
                False,  # noqa: FBT003 - a property gives no feedback
                self._tx.now,
            )
            self._note(need)
            self.new_needs.append(need)
            if str(case.id) not in row.cases:
                row.cases.append(str(case.id))
            self._tx.emit(
                _requested(self._tx, member.report, need, wanted, place),
                agency=row.agency_id,
                cause=member.report.cause,
            )

    def _case(self, place: Property) -> CaseLink:
        case = self._cases.get(place.id)
        if case is None:
            case = self._cases[place.id] = property_case(place, self._tx)
            self.new_cases.append(case)
        return case


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


def _requested(
    tx: Tx, report: Report, need: Need, wanted: PropertyNeed, place: Property
) -> NeedRequested:
    return NeedRequested(
        case_id=need.case_id,
        need_id=need.id,
        restricted=False,
        at=tx.now,
        category=wanted.category,
        urgency=wanted.urgency,
        encounter=EncounterKind.FINDING,
        referrer=report.subject,
        referrer_role=Role.DEPARTMENT,
        referrer_organization_id=report.organization_id,
        area=place.areas,
        property_id=place.id,
        inspection_id=need.inspection_id,
        property=event_codes(place.codes),
        severity=wanted.severity,
        deadline=wanted.deadline,
        deadline_basis=as_code(wanted.deadline_basis),
    )


def _stored(finding_id: str, finding: FindingReport, word: Assessment) -> dict[str, Any]:
    shown = {
        "finding_id": finding_id,
        "scheme": finding.scheme,
        "code": finding.code,
        "class": finding.class_,
        "status": finding.status,
        "severity": word.severity,
        "section": word.section,
        "issued_at": finding.issued_at.isoformat() if finding.issued_at else None,
        "deadline": word.deadline.isoformat() if word.deadline else None,
        "deadline_basis": word.deadline_basis,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _said(finding_id: str, finding: FindingReport, word: Assessment) -> Finding:
    return Finding(
        finding_id=UUID(finding_id),
        scheme=as_code(finding.scheme),
        code=as_code(finding.code),
        class_=as_code(finding.class_),
        status=finding.status,
        severity=word.severity,
        section=as_code(word.section),
        issued_at=finding.issued_at,
        deadline=word.deadline,
        deadline_basis=as_code(word.deadline_basis),
    )


def _say(tx: Tx, member: _Member) -> None:
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


def _outcome(member: _Member) -> Outcome:
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
        outcomes = iter(await self._reports.apply(tx, flat))
        answers: list[Answer | HandoffError] = []
        for command in commands:
            if isinstance(command, Report):
                answers.append(_answer(next(outcomes)))
            else:
                results = [_item(next(outcomes)) for _ in command]
                answers.append(Answer(200, {"results": results}))
        return answers


def _answer(outcome: Outcome) -> Answer:
    if outcome.change is not Change.NEW:
        return Answer(200, outcome.body)
    return Answer(201, outcome.body, {"location": location(outcome.inspection_id)})


def _item(outcome: Outcome) -> dict[str, Any]:
    status = 201 if outcome.change is Change.NEW else 200
    return {"status": status, "change": str(outcome.change), **outcome.body}
