"""The audit chain of a service and shard: every row follows from the one before it.

A digest is SHA-256 over the digest before, the sequence and the body (``tx.audit_digest``); the
head, advanced once a set, shows rows cut off at the end.
"""

from collections.abc import Callable
from typing import Any

import orjson

from handoff_kit.db import Connection
from handoff_kit.tx import audit_digest

Tell = Callable[[int, int], None]
_PAGE = 5000


async def shards(connection: Connection, service: str) -> list[int]:
    """Every shard that has a head or rows."""
    rows = await connection.fetch(
        f"SELECT shard FROM {service}.audit_head UNION SELECT shard FROM {service}.audit ORDER BY 1"
    )
    return [row["shard"] for row in rows]


async def verify_chain(
    connection: Connection, service: str, shard: int, tell: Tell = lambda _done, _total: None
) -> dict[str, Any]:
    """Walk one chain: ``{"service", "shard", "entries", "head", "bad"}``.

    ``bad`` is None, or ``{"sequence", "reason"}`` of the first bad row. Run it in one snapshot.
    """
    head = await connection.fetchrow(
        f"SELECT sequence, digest FROM {service}.audit_head WHERE shard = $1", shard
    )
    total = head["sequence"] if head is not None else 0
    sequence, digest = 0, b""
    bad: dict[str, Any] | None = None
    while bad is None:
        rows = await connection.fetch(
            f"SELECT sequence, agency_id, body, digest FROM {service}.audit"
            " WHERE shard = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
            shard,
            sequence,
            _PAGE,
        )
        if not rows:
            break
        for row in rows:
            if row["sequence"] != sequence + 1:
                bad = {"sequence": sequence + 1, "reason": "missing"}
                break
            sequence += 1
            digest = audit_digest(digest, sequence, row["body"])
            reason = _fault(row, digest)
            if reason is not None:
                bad = {"sequence": sequence, "reason": reason}
                break
        tell(sequence, total)
    return {
        "service": service,
        "shard": shard,
        "entries": sequence,
        "head": digest.hex(),
        "bad": bad or _at_the_end(head, sequence, digest),
    }


def _fault(row: Any, digest: bytes) -> str | None:
    """The chain covers body and sequence; the agency's column has to say what the body says."""
    if row["digest"] != digest:
        return "changed"
    said = orjson.loads(row["body"]).get("agency_id")
    return None if said == row["agency_id"] else "agency changed"


def _at_the_end(head: Any, sequence: int, digest: bytes) -> dict[str, Any] | None:
    """Rows cut off at the end show only against the head."""
    if head is None:
        return {"sequence": 0, "reason": "head missing"}
    if head["sequence"] > sequence:
        return {"sequence": sequence + 1, "reason": "missing"}
    if head["sequence"] < sequence:
        return {"sequence": head["sequence"] + 1, "reason": "not in the head: added"}
    return None if head["digest"] == digest else {"sequence": sequence, "reason": "head changed"}
