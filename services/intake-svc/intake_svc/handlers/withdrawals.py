"""Consents that end: withdrawn by the resident, or run out. And what had left until then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from event_schemas.consents import ConsentExpired, ConsentWithdrawn
from handoff_kit import sets
from handoff_kit.db import Connection
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, IllegalTransition, NotVisible
from handoff_kit.http.preconditions import check_if_match
from handoff_kit.tx import Tx

from intake_svc.domain.consents import ALLOWED, State
from intake_svc.domain.rows import Consent, Disclosure
from intake_svc.handlers.grants import moment
from intake_svc.handlers.showing import Actor, may_see, withdrawal
from intake_svc.tables import ConsentRow, queries

_ENDED = ("status", "version", "ended_at")


@dataclass(frozen=True, slots=True)
class Withdraw:
    """By id (a case manager, told by the resident) or by receipt: all that was granted with it."""

    agency: str
    actor: Actor
    consent_id: UUID | None = None
    if_match: str | None = None


class WithdrawalDesk:
    """Takes sets of withdrawals, which hold nothing else."""

    async def apply(self, tx: Tx, commands: Sequence[Withdraw]) -> list[Answer | HandoffError]:
        """200 with what was withdrawn and every disclosure made under it. Twice is once.

        Looks forward: nothing that reads the consent after this commit finds it active.
        """
        rows = await self._withdrawable(tx, commands)
        now: datetime = await tx.conn.fetchval("SELECT clock_timestamp()")
        ended: dict[UUID, Consent] = {}
        chosen: list[list[Consent] | HandoffError] = []
        for command in commands:
            mine = await self._mine(tx, command, rows)
            if isinstance(mine, HandoffError):
                chosen.append(mine)
                continue
            for row in mine:
                if "withdraw" in ALLOWED[State(row.status)]:
                    row.status, row.version, row.ended_at = State.WITHDRAWN, row.version + 1, now
                    ended[row.id] = row
                    _say_withdrawn(tx, row, command.actor.subject)
            chosen.append(mine)
        tx.update(ConsentRow, [ended[id_] for id_ in sorted(ended)], _ENDED)
        told = await disclosures_of(
            tx.conn, {(r.agency_id, r.id) for c in chosen if isinstance(c, list) for r in c}
        )
        return [
            c if isinstance(c, HandoffError) else Answer(200, withdrawal(c, told)) for c in chosen
        ]

    async def _withdrawable(
        self, tx: Tx, commands: Sequence[Withdraw]
    ) -> dict[tuple[str, UUID] | bytes, list[Consent]]:
        """Locked consents by (agency, id) and by receipt; one object for each."""
        found: dict[tuple[str, UUID], Consent] = {}
        ids = {(c.agency, c.consent_id) for c in commands if c.consent_id is not None}
        found |= await queries.consents_locked(tx.conn, sorted(ids))
        receipts = [c.actor.receipt for c in commands if c.actor.receipt is not None]
        if receipts:
            for row in await queries.consents_of_receipts(tx.conn, receipts):
                found.setdefault((row.agency_id, row.id), row)
        by: dict[tuple[str, UUID] | bytes, list[Consent]] = {k: [r] for k, r in found.items()}
        for row in found.values():
            by.setdefault(row.receipt_hash, []).append(row)
        return by

    async def _mine(
        self, tx: Tx, command: Withdraw, rows: dict[tuple[str, UUID] | bytes, list[Consent]]
    ) -> list[Consent] | HandoffError:
        if command.actor.receipt is not None:
            return rows.get(command.actor.receipt) or NotVisible()
        assert command.consent_id is not None
        mine = rows.get((command.agency, command.consent_id))
        if not mine:
            return NotVisible()
        owned = (command.agency, mine[0].case_id)
        case = (await queries.cases_by_id(tx.conn, [owned])).get(owned)
        if not may_see(case, await queries.consents_of_cases(tx.conn, [owned]), command.actor):
            return NotVisible()
        if command.if_match is not None:
            try:
                check_if_match(command.if_match, mine[0].version)
            except HandoffError as error:
                return error
        if mine[0].status == State.ENTERED_IN_ERROR:
            return IllegalTransition(allowed=())
        return mine


def _say_withdrawn(tx: Tx, row: Consent, actor: str) -> None:
    tx.emit(
        ConsentWithdrawn(
            consent_id=row.id,
            case_id=row.case_id,
            restricted=row.restricted,
            at=moment(tx.now, restricted=row.restricted),
        ),
        agency=row.agency_id,
    )
    tx.audit(row.agency_id, "consent.withdrawn", actor=actor, subject=row.id, facts={})


class Expiry:
    """Ends consents by the database's clock."""

    def __init__(self, batch: int = 500) -> None:
        self._batch = batch

    async def run(self, tx: Tx) -> int:
        """End what has run out; how many were."""
        records = await sets.fetch(
            tx.conn,
            ConsentRow,
            # Not clock_timestamp(), which no index can look for: each look would read all of them.
            "t WHERE t.status = 'active' AND t.expires_at <= $2"
            " ORDER BY t.agency_id, t.id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED",
            self._batch,
            tx.now,
        )
        rows = [Consent(*record.values()) for record in records]
        for row in rows:
            row.status, row.version, row.ended_at = State.EXPIRED, row.version + 1, tx.now
            tx.emit(
                ConsentExpired(
                    consent_id=row.id,
                    case_id=row.case_id,
                    restricted=row.restricted,
                    at=moment(tx.now, restricted=row.restricted),
                ),
                agency=row.agency_id,
            )
            tx.audit(row.agency_id, "consent.expired", actor="clock", subject=row.id, facts={})
        tx.update(ConsentRow, rows, _ENDED)
        return len(rows)


async def disclosures_of(
    conn: Connection, consents: "set[tuple[str, UUID]]"
) -> dict[UUID, list[Disclosure]]:
    """What left under these consents, oldest first."""
    if not consents:
        return {}
    columns = ", ".join(f'd."{c}"' for c in Disclosure.__slots__)
    records = await conn.fetch(
        f"SELECT {columns} FROM intake.disclosure d WHERE (d.agency_id, d.consent_id)"
        " IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY d.at, d.id",
        [agency for agency, _ in consents],
        [id_ for _, id_ in consents],
    )
    found: dict[UUID, list[Disclosure]] = {}
    for record in records:
        row = Disclosure(*record.values())
        found.setdefault(row.consent_id, []).append(row)
    return found
