"""Checks a finished history for the invariants L, D, O and A, in the manner of Jepsen's checkers.

Reads the database behind the services' backs: what was acknowledged is on the log, every group took
it once and in order, and the audit chains hold.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
from handoff_kit.settings import SERVICES


@dataclass
class Verdict:
    """What was found wrong, by invariant; empty is good."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not (self.lost or self.doubled or self.disordered)


async def unsettled(connection: asyncpg.Connection) -> list[str]:
    """What is still under way, in words: outboxes, groups behind their topics, parked events."""
    found: list[str] = []
    for service in SERVICES:
        waiting = await connection.fetchval(f"SELECT count(*) FROM {service}.outbox")
        if waiting:
            found.append(f"{service}.outbox holds {waiting}")
        behind = await connection.fetch(
            "SELECT o.group_name, o.topic || '/' || o.partition AS where,"
            f" h.next_offset - o.next_offset AS behind FROM {service}.consumer_offset o"
            " JOIN bus.head h ON h.topic = o.topic AND h.partition = o.partition"
            " WHERE o.next_offset < h.next_offset"
        )
        found += [f"{r['group_name']} is {r['behind']} behind on {r['where']}" for r in behind]
        parked = await connection.fetch(
            "SELECT group_name, event_type, state, reason, count(*) AS number"
            f" FROM {service}.parked WHERE state IN ('waiting', 'behind', 'retry')"
            " GROUP BY 1, 2, 3, 4"
        )
        found += [f"{r['group_name']} parked: {dict(r)}" for r in parked]
    return found


def check_sequences(rows: list[tuple[str, str, str, int]], verdict: Verdict) -> None:
    """*rows* (source, topic, key, sequence) in the order of the log: each key is 1..n.

    A sequence that stands again later is a duplicate on the wire, which is allowed; one that is
    first seen out of turn is not.
    """
    last: dict[tuple[str, str, str], int] = defaultdict(int)
    for source, topic, key, sequence in rows:
        where = (source, topic, key)
        if sequence == last[where] + 1:
            last[where] = sequence
        elif sequence > last[where]:
            verdict.disordered.append(f"{where} jumps from {last[where]} to {sequence}")
            last[where] = sequence
    verdict.checked["keys on the log"] = len(last)


async def check(connection: asyncpg.Connection, acknowledged: dict[str, dict[str, Any]]) -> Verdict:
    """*acknowledged*: Idempotency-Key → the 201 body of ``POST /intake/v1/referrals``."""
    verdict = Verdict()
    rows = await connection.fetch(
        "SELECT topic, key, sequence, headers FROM bus.log ORDER BY topic, partition, log_offset"
    )
    said = [(orjson.loads(r["headers"]), r) for r in rows]
    check_sequences(
        [(h["ce_source"], r["topic"], r["key"], r["sequence"]) for h, r in said], verdict
    )
    needs = [n["need_id"] for body in acknowledged.values() for n in body["needs"]]
    verdict.checked["acknowledged needs"] = len(needs)
    for number, need in ((needs.count(n), n) for n in set(needs)):
        if number > 1:
            verdict.doubled.append(f"need {need} answers two Idempotency-Keys")
    for where, question in {
        "referral.need": "SELECT id::text AS id FROM referral.need",
        "partner.offer": "SELECT need_id::text AS id FROM partner.offer",
    }.items():
        there = [r["id"] for r in await connection.fetch(question)]
        verdict.lost += [f"{where} lacks need {n}" for n in sorted(set(needs) - set(there))]
    twice = await connection.fetch(
        "SELECT need_id, count(*) AS n FROM partner.offer WHERE status NOT IN"
        " ('rejected', 'cancelled', 'failed') GROUP BY 1 HAVING count(*) > 1"
    )
    verdict.doubled += [f"need {r['need_id']} has {r['n']} offers that stand" for r in twice]
    stored = await connection.fetch(
        "SELECT key, count(*) AS n FROM intake.idempotency GROUP BY 1 HAVING count(*) > 1"
    )
    verdict.doubled += [f"key {r['key']} was used {r['n']} times" for r in stored]
    for service in SERVICES:
        await _check_gate(connection, service, verdict)
    return verdict


async def _check_gate(connection: asyncpg.Connection, service: str, verdict: Verdict) -> None:
    """What a group applied last of a key is the last that was said of it."""
    rows = await connection.fetch(
        f"SELECT g.group_name, g.source, g.topic, g.key, g.sequence, l.last FROM {service}.gate g"
        " JOIN (SELECT topic, key, headers::jsonb->>'ce_source' AS source, max(sequence) AS last"
        "       FROM bus.log WHERE sequence IS NOT NULL GROUP BY 1, 2, 3) l"
        " USING (topic, key, source) WHERE g.sequence <> l.last"
    )
    verdict.lost += [
        f"{service}.{r['group_name']} stands at {r['sequence']} of {r['last']} for {r['key']}"
        for r in rows
    ]
    failed = await connection.fetch(
        f"SELECT group_name, event_type, reason, detail FROM {service}.parked"
        " WHERE state = 'failed'"
    )
    verdict.lost += [
        f"{service}.{r['group_name']} parked {r['event_type']}: {r['reason']} {r['detail']}"
        for r in failed
    ]
