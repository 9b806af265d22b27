"""What became of attempts: recorded set-wise, said on ``deliveries``, audited where it matters."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.deliveries import DeliveryFailed, DeliverySucceeded, EndpointDisabled
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError
from handoff_kit.tx import Cause, Tx

from notify_svc.domain.decide import stable_id
from notify_svc.domain.delivery import (
    RETRY_AFTER,
    Attempted,
    DeliveryStatus,
    Next,
    after_attempt,
)
from notify_svc.tables.deliveries import (
    cancel_of_endpoints,
    disable_endpoints,
    record_outcomes,
)
from notify_svc.tables.feed import NoticeRow

ACTOR = "notify"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One claimed delivery, after its attempt at ``at``, or refused before it (``cancelled``).

    ``tried``: attempts before this one, ``earlier`` of them before it was asked for anew.
    """

    agency_id: str
    id: UUID
    channel: str
    endpoint_id: UUID | None
    about: UUID
    consent_id: UUID | None
    restricted: bool
    traceparent: str
    tried: int
    earlier: int
    at: datetime
    attempted: Attempted | None = None
    cancelled: str | None = None


async def record(
    tx: Tx, outcomes: Sequence[Outcome], chance: Callable[[], float] = random.random
) -> list[Answer | HandoffError]:
    """Write the outcomes of a set; each is answered 204."""
    decided = [(outcome, _decide(outcome, chance)) for outcome in outcomes]
    written = await record_outcomes(
        tx.conn, [_row(outcome, next_, tx.now) for outcome, next_ in decided], tx.now
    )
    gone: defaultdict[str, set[tuple[str, UUID]]] = defaultdict(set)
    exhausted = []
    for outcome, next_ in decided:
        if (outcome.agency_id, outcome.id) in written:
            _say(tx, outcome, next_)
            if outcome.endpoint_id is not None and next_.disables_endpoint:
                gone[next_.reason or "gone"].add((outcome.agency_id, outcome.endpoint_id))
            elif next_.status is DeliveryStatus.FAILED and _in_round(outcome) > len(RETRY_AFTER):
                exhausted.append(outcome)
    for reason, endpoints in gone.items():
        await switch_off(tx, sorted(endpoints), reason)
    await _tell_exhausted(tx, exhausted)
    return [Answer(204) for _ in outcomes]


def _decide(outcome: Outcome, chance: Callable[[], float]) -> Next:
    if outcome.attempted is None:
        return Next(DeliveryStatus.CANCELLED, reason=outcome.cancelled)
    return after_attempt(outcome.attempted, _in_round(outcome), chance)


def _in_round(outcome: Outcome) -> int:
    """How many attempts the present schedule has had, this one included."""
    return outcome.tried - outcome.earlier + 1


def _row(outcome: Outcome, next_: Next, now: datetime) -> dict[str, Any]:
    attempted = outcome.attempted
    return {
        "agency_id": outcome.agency_id,
        "id": outcome.id,
        "status": next_.status.value,
        "reason": next_.reason,
        "next_try_at": now + next_.wait if next_.wait is not None else None,
        "attempt": None
        if attempted is None
        else {
            "at": outcome.at.isoformat(),
            "status_code": attempted.status_code,
            "error": attempted.error.value if attempted.error else None,
        },
    }


def _say(tx: Tx, outcome: Outcome, next_: Next) -> None:
    match next_.status:
        case DeliveryStatus.SUCCEEDED:
            event = DeliverySucceeded(**_said(outcome, outcome.tried + 1, tx.now))
            tx.emit(event, agency=outcome.agency_id, cause=Cause(outcome.traceparent))
        case DeliveryStatus.FAILED:
            failed = DeliveryFailed(
                **_said(outcome, outcome.tried + 1, tx.now), reason=next_.reason or "unknown"
            )
            tx.emit(failed, agency=outcome.agency_id, cause=Cause(outcome.traceparent))
        case DeliveryStatus.CANCELLED:
            say_cancelled(tx, outcome, next_.reason or "unknown")
        case DeliveryStatus.PENDING:
            return


def _said(row: Any, attempts: int, now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": row.id,
        "endpoint_id": row.endpoint_id,
        "channel": row.channel,
        "about": row.about,
        "attempts": attempts,
        "at": now,
        "restricted": row.restricted,
    }


def say_cancelled(tx: Tx, row: Any, reason: str) -> None:
    """A delivery ends unsent. Where a consent ended it, that is proved on the audit chain."""
    event = DeliveryFailed(**_said(row, row.tried, tx.now), reason=reason)
    tx.emit(event, agency=row.agency_id, cause=Cause(row.traceparent))
    if row.consent_id is not None and reason.startswith("consent-"):
        tx.audit(
            row.agency_id,
            "delivery.cancelled",
            actor=ACTOR,
            subject=row.id,
            facts={
                "consent_id": str(row.consent_id),
                "channel": row.channel,
                "reason": reason,
                "attempts": row.tried,
            },
        )


async def switch_off(tx: Tx, endpoints: Sequence[tuple[str, UUID]], reason: str) -> None:
    """Disable endpoints, cancel what waits for them and tell their owners."""
    disabled = await disable_endpoints(tx.conn, endpoints, reason)
    for row in disabled:
        event = EndpointDisabled(endpoint_id=row.id, reason=reason, at=tx.now)
        tx.emit(event, agency=row.agency_id)
    cancelled = await cancel_of_endpoints(tx.conn, endpoints, "endpoint-disabled", tx.now)
    for row in cancelled:
        say_cancelled(tx, row, "endpoint-disabled")
    tx.insert(
        NoticeRow,
        [
            _own_notice(
                row.agency_id, row.owner, row.id, "endpoint.disabled", "owner.endpoint-gone", tx.now
            )
            for row in disabled
        ],
        "nothing",
    )


async def _tell_exhausted(tx: Tx, outcomes: Sequence[Outcome]) -> None:
    """A feed item for the owner of each webhook that three days of attempts did not reach."""
    endpoints = {(o.agency_id, o.endpoint_id) for o in outcomes if o.endpoint_id is not None}
    if not endpoints:
        return
    owners = await tx.conn.fetch(
        "SELECT e.agency_id, e.id, e.owner FROM notify.endpoint e WHERE (e.agency_id, e.id) IN"
        " (SELECT * FROM unnest($1::text[], $2::uuid[]))",
        [agency for agency, _ in endpoints],
        [id_ for _, id_ in endpoints],
    )
    tx.insert(
        NoticeRow,
        [
            _own_notice(
                row.agency_id,
                row.owner,
                row.id,
                "delivery.failed",
                "owner.endpoint-failing",
                tx.now,
            )
            for row in owners
        ],
        "nothing",
    )


def _own_notice(
    agency: str, owner: str, endpoint_id: UUID, type_: str, template: str, now: datetime
) -> dict[str, Any]:
    # Once a day for one endpoint, however much fails.
    id_ = stable_id(agency, owner, template, endpoint_id, now.date().isoformat())
    return {
        "agency_id": agency,
        "id": id_,
        "owner": owner,
        "type": type_,
        "at": now,
        "created_at": now,
        "template": template,
        "params": {},
        "case_id": None,
        "need_id": None,
        "offer_id": None,
        "in_feed": True,
    }
