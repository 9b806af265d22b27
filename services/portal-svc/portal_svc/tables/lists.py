"""What the pages read, each by its own rule of who may see what.

All of them run as the caller's tenant. Restricted rows are hidden by row-level security until
`may_read_restricted`; the two lists that do so name whose they are in their own predicate.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from handoff_kit.db import Connection

MOST_ROWS: Final = 50
_TAKEN: Final = "('accepted', 'in-progress', 'on-hold')"
_URGENCY: Final = "CASE n.urgency WHEN 'emergency' THEN 0 WHEN 'urgent' THEN 1 ELSE 2 END"
_OFFERS_OF_NEED: Final = (
    "LEFT JOIN LATERAL (SELECT coalesce(bool_or(o.status IN " + _TAKEN + "), false) AS taken,"
    " coalesce(bool_or(o.status = 'requested'), false) AS asked FROM portal.offer_view o"
    " WHERE o.agency_id = n.agency_id AND o.need_id = n.id) o ON true"
)


async def may_read_restricted(connection: Connection) -> None:
    """Let this transaction see restricted rows; its query has to say whose."""
    await connection.execute("SELECT set_config('handoff.restricted', 'on', true)")


async def referrals_of(connection: Connection, agency: str, subject: str) -> list[Any]:
    """What *subject* referred, newest first. Restricted kinds are never listed.

    ``feedback``: whether the person said yes to it and the consent still stands; always for a
    property's need, which has no person to ask.
    """
    return list(
        await connection.fetch(
            "SELECT n.id, n.category, n.urgency, n.status, n.area, n.of_property, n.requested_at,"
            " n.of_property OR coalesce(c.active AND c.feedback AND c.expires_at > now(), false)"
            "  AS feedback,"
            " coalesce(v.status = 'contacted' OR v.last_attempt_result = 'reached', false)"
            "  AS reached, o.taken, o.asked"
            " FROM portal.need_view n"
            " LEFT JOIN portal.consent_view c ON c.agency_id = n.agency_id AND c.id = n.consent_id"
            " LEFT JOIN portal.case_view v ON v.agency_id = n.agency_id AND v.id = n.case_id"
            f" {_OFFERS_OF_NEED}"
            " WHERE n.agency_id = $1 AND n.referrer = $2 AND NOT n.restricted"
            " ORDER BY n.requested_at DESC, n.id LIMIT $3",
            agency,
            subject,
            MOST_ROWS,
        )
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """The most urgent open cases with their needs, and how many there are in all."""

    cases: list[Any]
    needs: dict[UUID, list[Any]]
    total: int
    unassigned: int
    mine: int


_IN_QUEUE: Final = (
    "v.agency_id = $1 AND v.status <> 'closed' AND CASE WHEN v.restricted THEN v.assignee = $2"
    " ELSE v.property_id IS NULL OR v.organization_id = $3 END"
)


async def queue_of(
    connection: Connection, agency: str, subject: str, organization: UUID | None
) -> Queue:
    """Open cases of residents, and a property's if *organization* has it in hand.

    A restricted case is there for the case manager it is assigned to, and for nobody else.
    """
    await may_read_restricted(connection)
    counts = await connection.fetchrow(
        "SELECT count(*) AS total, count(*) FILTER (WHERE v.assignee = $2) AS mine,"
        " count(*) FILTER (WHERE v.assignee IS NULL AND v.organization_id IS NULL) AS unassigned"
        f" FROM portal.case_view v WHERE {_IN_QUEUE}",
        agency,
        subject,
        organization,
    )
    cases = await connection.fetch(
        "SELECT v.id, v.status, v.area, v.opened_at, v.organization_id, v.assignee, v.restricted,"
        " jsonb_array_length(v.attempt_ids) AS attempts, v.last_attempt_at, v.last_attempt_result,"
        " coalesce(u.rank, 2) AS rank, g.name AS organization"
        " FROM portal.case_view v"
        " LEFT JOIN LATERAL (SELECT min(" + _URGENCY + ") AS rank FROM portal.need_view n"
        "  WHERE n.agency_id = v.agency_id AND n.case_id = v.id) u ON true"
        " LEFT JOIN portal.organization_view g ON g.agency_id = v.agency_id"
        "  AND g.id = v.organization_id"
        f" WHERE {_IN_QUEUE} ORDER BY coalesce(u.rank, 2), v.opened_at, v.id LIMIT $4",
        agency,
        subject,
        organization,
        MOST_ROWS,
    )
    found = await connection.fetch(
        "SELECT n.case_id, n.id, n.category, n.urgency, n.status, o.taken, o.asked"
        f" FROM portal.need_view n {_OFFERS_OF_NEED}"
        " WHERE n.agency_id = $1 AND n.case_id = ANY($2::uuid[])"
        f" ORDER BY {_URGENCY}, n.requested_at, n.id",
        agency,
        [case["id"] for case in cases],
    )
    needs: dict[UUID, list[Any]] = {}
    for need in found:
        needs.setdefault(need["case_id"], []).append(need)
    return Queue(list(cases), needs, counts["total"], counts["unassigned"], counts["mine"])


async def offers_of(connection: Connection, agency: str, organization: UUID) -> list[Any]:
    """Offers to *organization*, restricted ones too: what waits first, then what is in hand.

    What has ended is listed for thirty days.
    """
    await may_read_restricted(connection)
    return list(
        await connection.fetch(
            "SELECT o.id, o.category, o.urgency, o.area, o.status, o.business_status, o.reason,"
            " o.outcome, o.question_open, o.answer_due_at, o.appointment_at, o.made_at,"
            f" CASE WHEN o.status = 'requested' THEN 0 WHEN o.status IN {_TAKEN} THEN 1 ELSE 2 END"
            "  AS part"
            " FROM portal.offer_view o WHERE o.agency_id = $1 AND o.organization_id = $2"
            f" AND (o.status = 'requested' OR o.status IN {_TAKEN}"
            "  OR o.updated_at > now() - interval '30 days')"
            " ORDER BY part, o.answer_due_at NULLS LAST, o.made_at DESC, o.id LIMIT $3",
            agency,
            organization,
            MOST_ROWS,
        )
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """Needs asked for since *since*, counted three ways; each adds up to the same total."""

    by_status: dict[str, int]
    by_category: dict[str, int]
    by_week: dict[datetime, int]


async def counts_of(connection: Connection, agency: str, since: datetime, timezone: str) -> Counts:
    """Counts without restricted kinds, which are left out of every figure."""
    rows = await connection.fetch(
        "SELECT CASE WHEN n.status IN ('met', 'partly-met', 'unmet', 'withdrawn') THEN n.status"
        "  WHEN t.need_id IS NOT NULL THEN 'in-service' ELSE 'open' END AS status,"
        " n.category, date_trunc('week', n.requested_at, $3) AS week, count(*) AS n"
        " FROM portal.need_view n"
        " LEFT JOIN (SELECT DISTINCT need_id FROM portal.offer_view WHERE agency_id = $1"
        f"  AND status IN {_TAKEN} AND NOT restricted) t ON t.need_id = n.id"
        " WHERE n.agency_id = $1 AND NOT n.restricted AND n.requested_at >= $2 GROUP BY 1, 2, 3",
        agency,
        since,
        timezone,
    )
    counts = Counts({}, {}, {})
    for row in rows:
        for kind, key in (
            (counts.by_status, row["status"]),
            (counts.by_category, row["category"]),
            (counts.by_week, row["week"]),
        ):
            kind[key] = kind.get(key, 0) + row["n"]
    return counts


@dataclass(frozen=True, slots=True)
class Flows:
    topics: list[Any]
    parked: list[Any]
    deliveries: list[Any]


async def flows_of(connection: Connection, agency: str) -> Flows:
    """Each topic's newest event, and what was parked and delivered in the last day.

    ``seconds`` is None for restricted topics: their events say the minute alone.
    """
    topics = await connection.fetch(
        "SELECT topic, last_at, last_read_at,"
        " CASE WHEN NOT starts_with(topic, 'handoff.restricted.') THEN"
        " greatest(extract(epoch FROM last_read_at - last_at), 0)::float8 END AS seconds"
        " FROM portal.flow_view WHERE agency_id = $1 ORDER BY topic",
        agency,
    )
    parked = await connection.fetch(
        "SELECT group_name, reason, count(*) AS n, max(at) AS last_at FROM portal.parked_view"
        " WHERE agency_id = $1 AND at > now() - interval '1 day' GROUP BY 1, 2 ORDER BY 1, 2",
        agency,
    )
    deliveries = await connection.fetch(
        "SELECT channel, count(*) FILTER (WHERE succeeded) AS arrived,"
        " count(*) FILTER (WHERE NOT succeeded) AS failed, max(at) AS last_at"
        " FROM portal.delivery_view WHERE agency_id = $1 AND at > now() - interval '1 day'"
        " GROUP BY 1 ORDER BY 1",
        agency,
    )
    return Flows(list(topics), list(parked), list(deliveries))
