"""What intake follows of cases: which are open, who has them in hand, which needs are settled."""

from collections.abc import Sequence
from uuid import UUID

from event_schemas.cases import CaseAssigned, CaseClosed, CaseReopened
from event_schemas.codes import NeedStatus
from event_schemas.referrals import NeedSettled
from handoff_kit.consumer import Received
from handoff_kit.tx import Tx


class _Last:
    """The last word on a case in a set."""

    __slots__ = ("assigned", "assignee", "current", "organization_id", "version")

    def __init__(self) -> None:
        self.version = 0
        self.current: bool | None = None
        self.assigned = False
        self.assignee: str | None = None
        self.organization_id: UUID | None = None


async def apply(tx: Tx, events: Sequence[Received]) -> None:
    """Follow cases and settled needs. A case that intake does not know is none of its business."""
    cases: dict[tuple[str, UUID], _Last] = {}
    settled: dict[tuple[str, UUID], str] = {}
    for event in events:
        data = event.data
        if isinstance(data, NeedSettled):
            settled[event.agency, data.need_id] = data.status.value
            continue
        last = cases.setdefault((event.agency, data.case_id), _Last())
        last.version = data.version
        if isinstance(data, CaseClosed):
            last.current = False
        elif isinstance(data, CaseReopened):
            last.current = True
        elif isinstance(data, CaseAssigned):
            last.assigned = True
            last.assignee, last.organization_id = data.assignee, data.organization_id
    await _follow_cases(tx, cases)
    await _settle(tx, settled)


async def _follow_cases(tx: Tx, cases: dict[tuple[str, UUID], _Last]) -> None:
    """A reopened case takes new needs again, unless its subject has another one by now."""
    if not cases:
        return
    rows = sorted(cases.items(), key=lambda item: (item[0][0], item[0][1]))
    await tx.conn.execute(
        "UPDATE intake.case_link c SET version = v.version,"
        " current = CASE WHEN v.current IS NULL THEN c.current WHEN NOT v.current THEN false"
        "  ELSE NOT EXISTS (SELECT FROM intake.case_link o WHERE o.agency_id = c.agency_id"
        "   AND o.subject_id = c.subject_id AND o.slot = c.slot AND o.current AND o.id <> c.id)"
        "  END,"
        " assignee = CASE WHEN v.assigned THEN v.assignee ELSE c.assignee END,"
        " assigned_organization_id = CASE WHEN v.assigned THEN v.organization"
        "  ELSE c.assigned_organization_id END"
        " FROM unnest($1::text[], $2::uuid[], $3::int[], $4::boolean[], $5::boolean[],"
        "  $6::text[], $7::uuid[])"
        "  AS v(agency_id, id, version, current, assigned, assignee, organization)"
        " WHERE c.agency_id = v.agency_id AND c.id = v.id AND c.version < v.version",
        [agency for (agency, _), _ in rows],
        [id_ for (_, id_), _ in rows],
        [last.version for _, last in rows],
        [last.current for _, last in rows],
        [last.assigned for _, last in rows],
        [last.assignee for _, last in rows],
        [last.organization_id for _, last in rows],
    )
    # A case closes when its needs are settled; what was not heard of until then is over too.
    closed = [key for key, last in rows if last.current is False]
    if closed:
        await tx.conn.execute(
            "UPDATE intake.need n SET status = $3"
            " FROM unnest($1::text[], $2::uuid[]) AS v(agency_id, case_id)"
            " WHERE n.agency_id = v.agency_id AND n.case_id = v.case_id"
            " AND n.status = 'requested'",
            [agency for agency, _ in closed],
            [id_ for _, id_ in closed],
            NeedStatus.WITHDRAWN.value,
        )


async def _settle(tx: Tx, settled: dict[tuple[str, UUID], str]) -> None:
    if not settled:
        return
    await tx.conn.execute(
        "UPDATE intake.need n SET status = v.status"
        " FROM unnest($1::text[], $2::uuid[], $3::text[]) AS v(agency_id, id, status)"
        " WHERE n.agency_id = v.agency_id AND n.id = v.id",
        [agency for agency, _ in settled],
        [id_ for _, id_ in settled],
        list(settled.values()),
    )
