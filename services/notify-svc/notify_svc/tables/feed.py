"""What was told to whom, what of it was read, and how each wants to be told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from handoff_kit.db import Connection
from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from notify_svc.tables.base import SCHEMA, Base, json, text, time


class NoticeRow(Base, table=True):
    """One owner told one thing, once. ``owner``: ``subject:…``, ``organization:…``, ``role:…``.

    ``template`` and ``params`` (codes and published names) become a sentence in the reader's
    language when it is read. Without ``in_feed`` it is kept only so that it is not told twice.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index(
            "notice_feed",
            "owner",
            "agency_id",
            "created_at",
            "id",
            postgresql_where=sql("in_feed"),
        ),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    owner: str = text()
    type: str = text()
    at: datetime = time()
    created_at: datetime = time()
    template: str = text()
    params: dict[str, str] = json()
    case_id: UUID | None = Field(nullable=True)
    need_id: UUID | None = Field(nullable=True)
    offer_id: UUID | None = Field(nullable=True)
    in_feed: bool


class NoticeReadRow(Base, table=True):
    """A person has read a notice; what an organization is told, each of its people reads."""

    __tablename__ = "notice_read"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    notice_id: UUID = Field(primary_key=True)
    subject: str = text(key=True)
    read_at: datetime = time()


class PreferenceRow(Base, table=True):
    """How an owner (a subject or an organization) wants to be told.

    ``hears``: the owners whose mail it gets too, as they were when it last said so.
    ``set_by`` and ``set_by_client``: on whose word that rests.
    """

    __tablename__ = "preference"
    __table_args__ = (
        Index("preference_hears", "hears", postgresql_using="gin"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    owner: str = text(key=True)
    email: str | None = text(null=True)
    language: str = text()
    channels: list[str] = json()
    hears: list[str] = json()
    set_by: str = text()
    set_by_client: str | None = text(null=True)
    version: int
    updated_at: datetime = time()


_FEED = """
SELECT n.id, n.at, n.created_at, n.type, n.template, n.params, n.case_id, n.need_id, n.offer_id,
       r.read_at IS NOT NULL AS read
FROM notify.notice n
LEFT JOIN notify.notice_read r
    ON r.agency_id = n.agency_id AND r.notice_id = n.id AND r.subject = $3
WHERE n.agency_id = $1 AND n.owner = ANY($2::text[]) AND n.in_feed
    AND ($4::timestamptz IS NULL OR (n.created_at, n.id) < ($4, $5::uuid))
    {unread}
ORDER BY n.created_at DESC, n.id DESC LIMIT $6
"""


async def feed_page(
    conn: Connection,
    agency: str,
    owners: Sequence[str],
    subject: str,
    *,
    unread: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Any]:
    """The feed of these owners, newest first, with what *subject* has read of it."""
    query = _FEED.format(unread="AND r.read_at IS NULL" if unread else "")
    moment, id_ = after if after else (None, None)
    return list(await conn.fetch(query, agency, list(owners), subject, moment, id_, limit))


async def visible_notices(
    conn: Connection, agency: str, owners: Sequence[str], ids: Sequence[UUID]
) -> list[Any]:
    """Those of *ids* that are in the feed of these owners."""
    return list(
        await conn.fetch(
            "SELECT id, at, type, template, params, case_id, need_id, offer_id FROM notify.notice"
            " WHERE agency_id = $1 AND owner = ANY($2::text[]) AND in_feed"
            " AND id = ANY($3::uuid[])",
            agency,
            list(owners),
            list(ids),
        )
    )


async def told_since(
    conn: Connection, listeners: Sequence[tuple[str, str]], since: datetime
) -> list[Any]:
    """(agency_id, owner, id) of what these (agency, owner) pairs were told since then."""
    return list(
        await conn.fetch(
            "SELECT n.agency_id, n.owner, n.id, n.created_at FROM unnest($1::text[], $2::text[])"
            " AS l(agency_id, owner), LATERAL (SELECT * FROM notify.notice n"
            "  WHERE n.agency_id = l.agency_id AND n.owner = l.owner AND n.in_feed"
            "  AND n.created_at >= $3 ORDER BY n.created_at DESC LIMIT 100) n"
            " ORDER BY n.created_at, n.id",
            [agency for agency, _ in listeners],
            [owner for _, owner in listeners],
            since,
        )
    )


async def preferences_hearing(
    conn: Connection, agencies: Sequence[str], owners: Sequence[str]
) -> list[Any]:
    """Preferences that want mail of what any of these owners is told."""
    return list(
        await conn.fetch(
            "SELECT agency_id, owner, language, hears FROM notify.preference"
            " WHERE agency_id = ANY($1::text[]) AND hears ?| $2::text[]"
            " AND channels ? 'email' AND email IS NOT NULL",
            list(agencies),
            list(owners),
        )
    )
