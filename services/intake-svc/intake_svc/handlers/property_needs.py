"""Opens needs of properties for the findings of a set, each kind once."""

from collections.abc import Sequence
from uuid import UUID

from event_schemas.codes import EncounterKind, Role
from event_schemas.referrals import NeedRequested
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.inspections import PropertyNeed, as_code, property_needs
from intake_svc.domain.rows import CaseLink, Need, Property
from intake_svc.handlers.findings import Member, Report
from intake_svc.handlers.needs import Made, property_case
from intake_svc.handlers.places import Places, event_codes
from intake_svc.tables import queries


class NeedsDesk:
    """The cases and needs of the set's properties, as they become."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._cases: dict[UUID, CaseLink] = {}
        self._open: dict[UUID, set[str]] = {}
        self._asked: dict[UUID, set[str]] = {}
        self.made = Made()

    @classmethod
    async def open(cls, tx: Tx, members: Sequence[Member], places: Places) -> "NeedsDesk":
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

    def open_needs(self, member: Member) -> None:
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
            self.made.needs.append(need)
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
            self.made.cases.append(case)
        return case


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
