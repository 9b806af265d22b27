"""Webhook endpoints and deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from handoff_kit.db import Connection
from sqlalchemy import Index, LargeBinary
from sqlalchemy import text as sql
from sqlmodel import Field

from notify_svc.tables.base import SCHEMA, Base, json, text, time

PENDING = "status = 'pending'"


class EndpointRow(Base, table=True):
    """Where webhooks go. ``owner`` manages it; it hears what any owner in ``hears`` is told.

    ``set_by`` and ``set_by_client``: the subject, and the client if there was one, whose word its
    address rests on.

    The signing secret is sealed for this endpoint with a key of its own, wrapped.
    """

    __tablename__ = "endpoint"
    __table_args__ = (
        Index("endpoint_owner", "owner", "agency_id", "created_at", "id"),
        Index("endpoint_hears", "hears", postgresql_using="gin"),
        Index("endpoint_id", "id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    owner: str = text()
    set_by: str = text()
    set_by_client: str | None = text(null=True)
    hears: list[str] = json()
    url: str = text()
    types: list[str] = json()
    signature: str = text()
    wrapped_key: bytes = Field(sa_type=LargeBinary, nullable=False)
    sealed_secret: bytes = Field(sa_type=LargeBinary, nullable=False)
    public_key: str | None = text(null=True)
    enabled: bool
    disabled_reason: str | None = text(null=True)
    created_at: datetime = time()
    version: int


class DeliveryRow(Base, table=True):
    """One thing told by webhook or mail, with its attempts.

    A claim moves ``next_try_at`` past the longest exchange; a sender that dies leaves it to run
    out, and the same ``webhook_id`` goes again. ``body`` is sent and signed as it is.
    ``earlier``: attempts before it was last asked for anew, which begins the schedule again.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "delivery_due",
            "endpoint_id",
            "next_try_at",
            postgresql_where=sql(PENDING),
        ),
        Index(
            "delivery_mail_due",
            "next_try_at",
            postgresql_where=sql(f"{PENDING} AND channel = 'email'"),
        ),
        # Not by agency first: the look for what is due must never take this one.
        Index("delivery_consent", "consent_id", postgresql_where=sql(PENDING)),
        Index("delivery_owner", "owner", "agency_id", "created_at", "id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    channel: str = text()
    owner: str = text()
    endpoint_id: UUID | None = Field(nullable=True)
    about: UUID
    notice_id: UUID
    type: str = text()
    webhook_id: str = text()
    body: str = text()
    consent_id: UUID | None = Field(nullable=True)
    restricted: bool
    traceparent: str = text()
    status: str = text()
    reason: str | None = text(null=True)
    attempts: list[dict[str, Any]] = json()
    earlier: int
    next_try_at: datetime = time()
    created_at: datetime = time()
    updated_at: datetime = time()


async def endpoints_hearing(
    conn: Connection, agencies: Sequence[str], owners: Sequence[str]
) -> list[Any]:
    """Enabled endpoints that hear any of these owners."""
    return list(
        await conn.fetch(
            "SELECT agency_id, id, owner, hears, types FROM notify.endpoint"
            " WHERE enabled AND agency_id = ANY($1::text[]) AND hears ?| $2::text[] ORDER BY id",
            list(agencies),
            list(owners),
        )
    )


_LEASED = """
leased AS (
    UPDATE notify.delivery d SET next_try_at = clock_timestamp() + $1
    FROM picked p WHERE d.agency_id = p.agency_id AND d.id = p.id
    RETURNING d.agency_id, d.id, d.channel, d.owner, d.endpoint_id, d.about, d.notice_id, d.type,
        d.webhook_id, d.body, d.consent_id, d.restricted, d.traceparent,
        jsonb_array_length(d.attempts) AS tried, d.earlier
)"""

# A claim need not outlive a crash: without it, the delivery is only tried again sooner.
_NO_WAIT = "no_wait AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"

_CLAIM_WEBHOOKS = f"""
WITH {_NO_WAIT}, picked AS MATERIALIZED (
    SELECT d.agency_id, d.id
    FROM no_wait, notify.endpoint e
    LEFT JOIN unnest($2::uuid[], $3::int[]) AS known(id, places) ON known.id = e.id
    CROSS JOIN LATERAL (
        SELECT d.agency_id, d.id FROM notify.delivery d
        WHERE d.agency_id = e.agency_id AND d.endpoint_id = e.id AND d.status = 'pending'
            AND d.next_try_at <= statement_timestamp()
        ORDER BY d.next_try_at LIMIT COALESCE(known.places, $4)
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE e.enabled AND (NOT $6 OR e.id = ANY($7::uuid[])) LIMIT $5
), {_LEASED}
SELECT l.*, e.url, e.signature, e.wrapped_key, e.sealed_secret,
       l.consent_id IS NULL OR (c.state = 'active' AND c.expires_at > clock_timestamp()) AS allowed
FROM leased l
JOIN notify.endpoint e ON e.agency_id = l.agency_id AND e.id = l.endpoint_id
LEFT JOIN notify.consent c ON c.agency_id = l.agency_id AND c.consent_id = l.consent_id
"""

_CLAIM_MAIL = f"""
WITH {_NO_WAIT}, picked AS MATERIALIZED (
    SELECT d.agency_id, d.id FROM no_wait, notify.delivery d
    WHERE d.status = 'pending' AND d.channel = 'email' AND d.next_try_at <= statement_timestamp()
    ORDER BY d.next_try_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED
), {_LEASED}
SELECT l.*, p.email, p.language, n.template, n.params,
       COALESCE(p.channels ? 'email', false) AS wanted,
       l.consent_id IS NULL OR (c.state = 'active' AND c.expires_at > clock_timestamp()) AS allowed
FROM leased l
LEFT JOIN notify.preference p ON p.agency_id = l.agency_id AND p.owner = l.owner
JOIN notify.notice n ON n.agency_id = l.agency_id AND n.id = l.notice_id
LEFT JOIN notify.consent c ON c.agency_id = l.agency_id AND c.consent_id = l.consent_id
"""


async def claim_webhooks(
    conn: Connection,
    *,
    lease: timedelta,
    places: Mapping[UUID, int],
    otherwise: int,
    most: int,
    only: Sequence[UUID] | None,
) -> list[Any]:
    """Take due webhooks, for an endpoint at most its *places*, *only* of these if given.

    *otherwise*: places of endpoints that are not named.

    ``allowed`` says whether the consent that a delivery rests on holds at this moment.
    """
    return list(
        await conn.fetch(
            _CLAIM_WEBHOOKS,
            lease,
            list(places),
            list(places.values()),
            otherwise,
            most,
            only is not None,
            list(only or ()),
        )
    )


async def claim_mail(conn: Connection, *, lease: timedelta, most: int) -> list[Any]:
    """Take due mails, with address and language as the owner wants them at this moment."""
    return list(await conn.fetch(_CLAIM_MAIL, lease, most))


async def cancel_pending(
    conn: Connection, consents: Sequence[tuple[str, UUID]], reason: str, now: datetime
) -> list[Any]:
    """Cancel what is queued under these consents; the rows that were."""
    return list(
        await conn.fetch(
            "UPDATE notify.delivery d SET status = 'cancelled', reason = $3, updated_at = $4"
            " FROM unnest($1::text[], $2::uuid[]) AS v(agency_id, consent_id)"
            " WHERE d.agency_id = v.agency_id AND d.consent_id = v.consent_id"
            f" AND d.{PENDING} RETURNING {SAID}",
            [agency for agency, _ in consents],
            [id_ for _, id_ in consents],
            reason,
            now,
        )
    )


async def cancel_of_endpoints(
    conn: Connection, endpoints: Sequence[tuple[str, UUID]], reason: str, now: datetime
) -> list[Any]:
    """Cancel what is queued for these endpoints; the rows that were."""
    return list(
        await conn.fetch(
            "UPDATE notify.delivery d SET status = 'cancelled', reason = $3, updated_at = $4"
            " FROM unnest($1::text[], $2::uuid[]) AS v(agency_id, endpoint_id)"
            " WHERE d.agency_id = v.agency_id AND d.endpoint_id = v.endpoint_id"
            f" AND d.{PENDING} RETURNING {SAID}",
            [agency for agency, _ in endpoints],
            [id_ for _, id_ in endpoints],
            reason,
            now,
        )
    )


SAID = (
    "d.agency_id, d.id, d.channel, d.endpoint_id, d.about, d.consent_id, d.restricted,"
    " d.traceparent, jsonb_array_length(d.attempts) AS tried"
)

_RECORD = """
UPDATE notify.delivery d
SET attempts = d.attempts || COALESCE(v.attempt, '[]'),
    status = v.status, reason = v.reason, updated_at = $7,
    next_try_at = COALESCE(v.next_try_at, d.next_try_at)
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
    AS v(agency_id, id, status, reason, attempt, next_try_at)
WHERE d.agency_id = v.agency_id AND d.id = v.id
    -- What was cancelled or decided meanwhile stays so, unless it did arrive.
    AND (d.status = 'pending' OR (v.status = 'succeeded' AND d.status <> 'succeeded'))
RETURNING d.agency_id, d.id
"""


async def record_outcomes(
    conn: Connection, rows: Sequence[Mapping[str, Any]], now: datetime
) -> set[tuple[str, UUID]]:
    """Write the outcomes of attempts; the deliveries that they were written to.

    *rows*: agency_id, id, status, reason, attempt (an object, or None without one), next_try_at.
    """
    columns = ("agency_id", "id", "status", "reason", "attempt", "next_try_at")
    found = await conn.fetch(_RECORD, *([row[c] for row in rows] for c in columns), now)
    return {(row["agency_id"], row["id"]) for row in found}


async def disable_endpoints(
    conn: Connection, endpoints: Sequence[tuple[str, UUID]], reason: str
) -> list[Any]:
    """Switch these endpoints off; those that were on."""
    return list(
        await conn.fetch(
            "UPDATE notify.endpoint e SET enabled = false, disabled_reason = $3,"
            " version = version + 1 FROM unnest($1::text[], $2::uuid[]) AS v(agency_id, id)"
            " WHERE e.agency_id = v.agency_id AND e.id = v.id AND e.enabled"
            " RETURNING e.agency_id, e.id, e.owner",
            [agency for agency, _ in endpoints],
            [id_ for _, id_ in endpoints],
            reason,
        )
    )
