"""Checks a finished history for the invariants L, D, O and A, in the manner of Jepsen's checkers.

Reads log and database behind the services' backs: what was acknowledged is on the log, every group
took it once and in order, and the audit chains hold.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError
from handoff_kit.audit import shards, verify_chain
from handoff_kit.settings import SERVICES

from support.log import EmbeddedLog, Log, Said, log_of
from support.system import System

RECOVERY_SECONDS = 60
Counts = Mapping[str, int]
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError)


@dataclass
class Verdict:
    """What was found wrong, by invariant; empty is good. ``checked`` counts what was looked at."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    tampered: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.tampered)


def counted(system: System) -> Counts:
    """How many effects of referrals there are now, by table."""

    async def count() -> Counts:
        async with looking(system) as (connection, _):
            return await _counts(connection)

    return asyncio.run(count())


async def _counts(connection: asyncpg.Connection) -> Counts:
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("referral.need", "partner.offer")
    }


def settle(
    system: System,
    acknowledged: dict[str, dict[str, Any]],
    before: Counts,
    seconds: float = RECOVERY_SECONDS,
) -> dict[str, int]:
    """Wait until nothing is under way, then check the history; what was looked at.

    *before* is what was `counted` before the first of *acknowledged*, each of them with one need
    (see `check`), while nobody else referred.

    Raises: AssertionError when something is still under way after *seconds*, or was found wrong.
    """
    return asyncio.run(_settle(system, acknowledged, before, seconds))


async def _settle(
    system: System, acknowledged: dict[str, dict[str, Any]], before: Counts, seconds: float
) -> dict[str, int]:
    deadline = time.monotonic() + seconds
    left = ["nothing could be asked"]
    while time.monotonic() < deadline:
        try:
            async with looking(system) as (connection, log):
                while (left := await unsettled(connection, log)) and time.monotonic() < deadline:
                    await asyncio.sleep(0.2)
                if not left:
                    verdict = await check(connection, await log.said(), acknowledged)
                    for table, count in (await _counts(connection)).items():
                        if count != before[table] + len(acknowledged):
                            verdict.doubled.append(
                                f"{table} grew by {count - before[table]}, not {len(acknowledged)}"
                            )
                    assert verdict, verdict
                    return verdict.checked
        except _AWAY as error:
            left = [f"nothing could be asked: {error!r}"]
            await asyncio.sleep(0.2)
    raise AssertionError(f"lag did not return to 0 within {seconds} s: {left}")


@asynccontextmanager
async def looking(system: System) -> AsyncIterator[tuple[asyncpg.Connection, Log]]:
    """The database as its owner sees it, and the log."""
    connection = await asyncpg.connect(system.admin_url)
    try:
        async with log_of(system, connection) as log:
            yield connection, log
    finally:
        connection.terminate()


async def unsettled(connection: asyncpg.Connection, log: Log | None = None) -> list[str]:
    """What is still under way, in words: outboxes, groups behind their topics, parked events.

    *log*: the embedded one if it is left out.
    """
    found: list[str] = []
    log = log or EmbeddedLog(connection)
    for service in SERVICES:
        waiting = await connection.fetchval(f"SELECT count(*) FROM {service}.outbox")
        if waiting:
            found.append(f"{service}.outbox holds {waiting}")
        parked = await connection.fetch(
            "SELECT group_name, event_type, state, reason, count(*) AS number"
            f" FROM {service}.parked WHERE state IN ('waiting', 'behind', 'retry')"
            " GROUP BY 1, 2, 3, 4"
        )
        found += [f"{r['group_name']} parked: {dict(r)}" for r in parked]
    # Asked last: what an outbox has given meanwhile shows as a group that is behind.
    for service in SERVICES:
        found += [
            f"{b.group} is {b.records} behind on {b.topic}/{b.partition}"
            for b in await log.behind(service)
        ]
    return found


def check_log(said: Iterable[Said], verdict: Verdict) -> dict[tuple[str, str, str], int]:
    """*said* in the order of the log: each key is 1..n. The last of each (source, topic, key).

    A sequence that stands again later is a duplicate on the wire, which is allowed if it is the
    same event; one that is first seen out of turn is not.
    """
    last: dict[tuple[str, str, str], int] = defaultdict(int)
    events: dict[tuple[str, str, str, int], str] = {}
    for record in said:
        if record.sequence is None:
            continue
        where, sequence = (record.source, record.topic, record.key), record.sequence
        if events.setdefault((*where, sequence), record.event) != record.event:
            verdict.doubled.append(f"{where} says two events as {sequence}")
        if sequence == last[where] + 1:
            last[where] = sequence
        elif sequence > last[where]:
            verdict.disordered.append(f"{where} jumps from {last[where]} to {sequence}")
            last[where] = sequence
    verdict.checked["keys on the log"] = len(last)
    return last


def check_gates(
    last: Mapping[tuple[str, str, str], int],
    readers: Mapping[str, frozenset[str]],
    gates: Mapping[tuple[str, str, str, str], int],
    verdict: Verdict,
) -> None:
    """What each group (of *readers*, with its topics) applied last of a key is the *last* said.

    *gates*: (group, source, topic, key) → sequence.
    """
    for group, topics in readers.items():
        for (source, topic, key), sequence in last.items():
            stands = gates.get((group, source, topic, key), 0)
            if topic in topics and stands != sequence:
                verdict.lost.append(f"{group} stands at {stands} of {sequence} for {topic} {key}")
    verdict.checked["groups"] = verdict.checked.get("groups", 0) + len(readers)


async def check(
    connection: asyncpg.Connection, said: Iterable[Said], acknowledged: dict[str, dict[str, Any]]
) -> Verdict:
    """*acknowledged*: Idempotency-Key → the 201 body of ``POST /intake/v1/referrals``."""
    verdict = Verdict()
    last = check_log(said, verdict)
    keys = {key for _, _, key in last}
    verdict.lost += [
        f"nothing is said of case {body['case_id']}"
        for body in acknowledged.values()
        if body["case_id"] not in keys
    ]
    needs = [n["need_id"] for body in acknowledged.values() for n in body["needs"]]
    verdict.checked["acknowledged needs"] = len(needs)
    for need, number in Counter(needs).items():
        if number > 1:
            verdict.doubled.append(f"need {need} answers {number} Idempotency-Keys")
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
        "SELECT key, count(*) AS n FROM intake.idempotency WHERE key = ANY($1::text[]) GROUP BY 1",
        list(acknowledged),
    )
    verdict.doubled += [f"key {r['key']} was used {r['n']} times" for r in stored if r["n"] > 1]
    verdict.lost += [
        f"key {key} was answered and is not stored"
        for key in sorted(set(acknowledged) - {r["key"] for r in stored})
    ]
    for service in SERVICES:
        await _check_groups(connection, service, last, verdict)
        await _check_audit(connection, service, verdict)
    return verdict


async def _check_groups(
    connection: asyncpg.Connection,
    service: str,
    last: Mapping[tuple[str, str, str], int],
    verdict: Verdict,
) -> None:
    rows = await connection.fetch(
        "SELECT group_name, array_agg(DISTINCT topic) AS topics"
        f" FROM {service}.consumer_offset GROUP BY 1"
    )
    readers = {r["group_name"]: frozenset(r["topics"]) for r in rows}
    rows = await connection.fetch(
        f"SELECT group_name, source, topic, key, sequence FROM {service}.gate"
    )
    gates = {(r["group_name"], r["source"], r["topic"], r["key"]): r["sequence"] for r in rows}
    check_gates(last, readers, gates, verdict)
    failed = await connection.fetch(
        f"SELECT group_name, event_type, reason, detail FROM {service}.parked"
        " WHERE state = 'failed' AND sequence IS NOT NULL"
    )
    verdict.lost += [
        f"{service}.{r['group_name']} parked {r['event_type']}: {r['reason']} {r['detail']}"
        for r in failed
    ]


async def _check_audit(connection: asyncpg.Connection, service: str, verdict: Verdict) -> None:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for shard in await shards(connection, service):
            found = await verify_chain(connection, service, shard)
            verdict.checked["audited"] = verdict.checked.get("audited", 0) + found["entries"]
            if found["bad"]:
                verdict.tampered.append(f"{service}/{shard}: {found['bad']}")
