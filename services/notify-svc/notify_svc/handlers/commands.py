"""Commands of people and clients: webhooks, preferences, read marks, redelivery.

Each is decided on locked rows before it writes, so a refused one leaves no trace.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.doorway import Answer
from handoff_kit.errors import (
    Conflict,
    HandoffError,
    NotVisible,
    StaleVersion,
    Unauthenticated,
)
from handoff_kit.tx import Tx

from notify_svc.domain.delivery import DeliveryStatus
from notify_svc.handlers.outcomes import say_cancelled
from notify_svc.tables import EndpointRow, NoticeReadRow, PreferenceRow
from notify_svc.tables.deliveries import cancel_of_endpoints
from notify_svc.tables.doors import is_shut_out

MOST_ENDPOINTS = 50


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose word it is: a subject, and the client that spoke for it, where there is one."""

    subject: str
    client: str | None


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """``id`` is new; key and secret are sealed for it already."""

    agency_id: str
    id: UUID
    owner: str
    by: Caller
    hears: list[str]
    url: str
    types: list[str]
    signature: str
    wrapped_key: bytes
    sealed_secret: bytes
    public_key: str | None


@dataclass(frozen=True, slots=True)
class ChangeEndpoint:
    """``if_match``: the version last read; None matches any."""

    agency_id: str
    id: UUID
    owner: str
    by: Caller
    url: str
    types: list[str]
    enabled: bool
    if_match: int | None


@dataclass(frozen=True, slots=True)
class DeleteEndpoint:
    agency_id: str
    id: UUID
    owner: str


@dataclass(frozen=True, slots=True)
class Redeliver:
    agency_id: str
    id: UUID
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkRead:
    agency_id: str
    id: UUID
    owners: tuple[str, ...]
    subject: str


@dataclass(frozen=True, slots=True)
class PutPreference:
    """``hears``: the owners whose mail this one wants too."""

    agency_id: str
    owner: str
    by: Caller
    email: str | None
    language: str
    channels: list[str]
    hears: list[str]
    if_match: int | None


Command = CreateEndpoint | ChangeEndpoint | DeleteEndpoint | Redeliver | MarkRead | PutPreference


async def apply(tx: Tx, commands: Sequence[Command]) -> list[Answer | HandoffError]:
    """One result per command, in order."""
    results: list[Answer | HandoffError] = []
    for command in commands:
        try:
            results.append(await _HANDLERS[type(command)](tx, command))
        except HandoffError as refused:
            results.append(refused)
    return results


async def _create(tx: Tx, command: CreateEndpoint) -> Answer:
    """201 with the id; the secret is added by who answers, so that no store holds it in clear."""
    await _admit(tx, command.agency_id, command.by)
    await _lock_owner(tx, command.agency_id, command.owner)
    count = await tx.conn.fetchval(
        "SELECT count(*) FROM notify.endpoint WHERE agency_id = $1 AND owner = $2",
        command.agency_id,
        command.owner,
    )
    if count >= MOST_ENDPOINTS:
        raise Conflict(
            f"There are {MOST_ENDPOINTS} webhooks already; delete one first.",
            code="too-many-webhooks",
        )
    row = {name: getattr(command, name) for name in command.__dataclass_fields__ if name != "by"}
    row |= {"set_by": command.by.subject, "set_by_client": command.by.client}
    row |= {"enabled": True, "disabled_reason": None, "created_at": tx.now, "version": 1}
    await sets.insert(tx.conn, EndpointRow, [row])
    tx.audit(command.agency_id, "webhook.created", actor=command.by.subject, subject=command.id)
    return Answer(201, {"id": str(command.id)}, {"etag": '"1"'})


async def _change(tx: Tx, command: ChangeEndpoint) -> Answer:
    await _admit(tx, command.agency_id, command.by)
    row = await _endpoint(tx, command.agency_id, command.id, command.owner)
    _check(command.if_match, row.version)
    await tx.conn.execute(
        "UPDATE notify.endpoint SET url = $3, types = $4, enabled = $5,"
        " disabled_reason = CASE WHEN $5 THEN NULL ELSE COALESCE(disabled_reason, 'by-owner') END,"
        " set_by = $6, set_by_client = $7,"
        " version = version + 1 WHERE agency_id = $1 AND id = $2",
        command.agency_id,
        command.id,
        command.url,
        command.types,
        command.enabled,
        command.by.subject,
        command.by.client,
    )
    return Answer(200, {"id": str(command.id)}, {"etag": f'"{row.version + 1}"'})


async def _delete(tx: Tx, command: DeleteEndpoint) -> Answer:
    await _endpoint(tx, command.agency_id, command.id, command.owner)
    key = [(command.agency_id, command.id)]
    for row in await cancel_of_endpoints(tx.conn, key, "endpoint-deleted", tx.now):
        say_cancelled(tx, row, "endpoint-deleted")
    await tx.conn.execute(
        "DELETE FROM notify.endpoint WHERE agency_id = $1 AND id = $2",
        command.agency_id,
        command.id,
    )
    tx.audit(command.agency_id, "webhook.deleted", actor=command.owner, subject=command.id)
    return Answer(204)


async def _redeliver(tx: Tx, command: Redeliver) -> Answer:
    """The same webhook-id again: it is the same message, and the receiver may know it already.

    Raises: NotVisible; Conflict where it is under way, its endpoint is gone or off, or the
    consent that it rests on has ended.
    """
    row = await tx.conn.fetchrow(
        "SELECT d.status, d.channel, e.enabled, d.consent_id IS NULL OR"
        " (c.state = 'active' AND c.expires_at > clock_timestamp()) AS allowed"
        " FROM notify.delivery d"
        " LEFT JOIN notify.endpoint e ON e.agency_id = d.agency_id AND e.id = d.endpoint_id"
        " LEFT JOIN notify.consent c ON c.agency_id = d.agency_id AND c.consent_id = d.consent_id"
        " WHERE d.agency_id = $1 AND d.id = $2 AND d.owner = ANY($3::text[])"
        " FOR NO KEY UPDATE OF d",
        command.agency_id,
        command.id,
        list(command.owners),
    )
    if row is None:
        raise NotVisible
    if row.status == DeliveryStatus.PENDING:
        raise Conflict("This delivery is under way.", code="under-way")
    if row.channel == "webhook" and not row.enabled:
        raise Conflict("The webhook is switched off or deleted.", code="endpoint-disabled")
    if not row.allowed:
        raise Conflict("The consent that this rests on has ended.", code="consent-ended")
    await tx.conn.execute(
        "UPDATE notify.delivery SET status = 'pending', reason = NULL, next_try_at = $3,"
        " earlier = jsonb_array_length(attempts), updated_at = $3 WHERE agency_id = $1 AND id = $2",
        command.agency_id,
        command.id,
        tx.now,
    )
    return Answer(202, {"id": str(command.id)})


async def _mark_read(tx: Tx, command: MarkRead) -> Answer:
    seen = await tx.conn.fetchval(
        "SELECT 1 FROM notify.notice WHERE agency_id = $1 AND id = $2 AND in_feed"
        " AND owner = ANY($3::text[])",
        command.agency_id,
        command.id,
        list(command.owners),
    )
    if seen is None:
        raise NotVisible
    row = {
        "agency_id": command.agency_id,
        "notice_id": command.id,
        "subject": command.subject,
        "read_at": tx.now,
    }
    await sets.insert(tx.conn, NoticeReadRow, [row], on_conflict="nothing")
    return Answer(200, {"id": str(command.id)})


async def _put_preference(tx: Tx, command: PutPreference) -> Answer:
    await _admit(tx, command.agency_id, command.by)
    await _lock_owner(tx, command.agency_id, command.owner)
    version = await tx.conn.fetchval(
        "SELECT version FROM notify.preference WHERE agency_id = $1 AND owner = $2",
        command.agency_id,
        command.owner,
    )
    present = version or 0
    _check(command.if_match, present)
    row: dict[str, Any] = {
        "agency_id": command.agency_id,
        "owner": command.owner,
        "email": command.email,
        "language": command.language,
        "channels": command.channels,
        "hears": command.hears,
        "set_by": command.by.subject,
        "set_by_client": command.by.client,
        "version": present + 1,
        "updated_at": tx.now,
    }
    await sets.upsert(tx.conn, PreferenceRow, [row])
    return Answer(200, {"version": present + 1}, {"etag": f'"{present + 1}"'})


_HANDLERS: dict[type, Callable[[Tx, Any], Awaitable[Answer]]] = {
    CreateEndpoint: _create,
    ChangeEndpoint: _change,
    DeleteEndpoint: _delete,
    Redeliver: _redeliver,
    MarkRead: _mark_read,
    PutPreference: _put_preference,
}


async def _endpoint(tx: Tx, agency: str, id_: UUID, owner: str) -> Any:
    row = await tx.conn.fetchrow(
        "SELECT version FROM notify.endpoint WHERE agency_id = $1 AND id = $2 AND owner = $3"
        " FOR NO KEY UPDATE",
        agency,
        id_,
        owner,
    )
    if row is None:
        raise NotVisible
    return row


def _check(if_match: int | None, version: int) -> None:
    if if_match is not None and if_match != version:
        raise StaleVersion


async def _admit(tx: Tx, agency: str, caller: Caller) -> None:
    """A token outlives its client by some minutes; nothing new may rest on it.

    Raises: Unauthenticated.
    """
    names = [caller.subject, *([caller.client] if caller.client else [])]
    if await is_shut_out(tx.conn, agency, names):
        raise Unauthenticated("These credentials have ended.")


async def _lock_owner(tx: Tx, agency: str, owner: str) -> None:
    """One writer at a time for what does not exist yet."""
    await tx.conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 3))", f"notify:{agency}:{owner}"
    )
