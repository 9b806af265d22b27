"""Notes that other services have sealed here before they write anything themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from handoff_kit.crypto import seal_json, unwrap_owner_key
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, NotVisible
from handoff_kit.tx import Tx

from intake_svc.domain.rows import CaseLink, Note, Property, Resident
from intake_svc.handlers.city import Office
from intake_svc.handlers.requests import NoteIn
from intake_svc.tables import NoteRow, queries


@dataclass(frozen=True, slots=True)
class SealNote:
    agency: str
    body: NoteIn


class NoteDesk:
    """Takes sets of notes from the doorway."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def apply(self, tx: Tx, commands: Sequence[SealNote]) -> list[Answer | HandoffError]:
        """204; a note that is there already stays as it is. NotVisible for an unknown case."""
        cases = await queries.cases_by_id(
            tx.conn, list({(c.agency, c.body.case_id) for c in commands})
        )
        residents = await queries.residents_by_id(
            tx.conn,
            list({(c.agency_id, c.resident_id) for c in cases.values() if c.resident_id}),
        )
        properties = await queries.properties_by_id(
            tx.conn,
            list({(c.agency_id, c.property_id) for c in cases.values() if not c.resident_id}),
        )
        results: list[Answer | HandoffError] = []
        rows: list[Note] = []
        for command in commands:
            case = cases.get((command.agency, command.body.case_id))
            if case is None:
                results.append(NotVisible())
                continue
            try:
                rows.append(self._seal(tx, command, case, residents, properties))
            except HandoffError as error:
                results.append(error)
                continue
            results.append(Answer(204))
        tx.insert(NoteRow, rows, "nothing")
        return results

    def _seal(
        self,
        tx: Tx,
        command: SealNote,
        case: CaseLink,
        residents: dict[tuple[str, UUID], Resident],
        properties: dict[tuple[str, UUID], Property],
    ) -> Note:
        body = command.body
        owner: Resident | Property
        if case.resident_id is not None:
            owner = residents[case.agency_id, case.resident_id]
        else:
            owner = properties[case.agency_id, case.property_id]
        key = unwrap_owner_key(self._office.keys, owner.id, owner.wrapped_key or None)
        return Note(
            command.agency,
            body.note_id,
            case.id,
            body.need_id,
            body.kind,
            owner.id,
            case.resident_id is not None,
            seal_json(key, owner.id, body.text),
            body.author.subject,
            body.author.organization_id,
            tx.now,
        )
