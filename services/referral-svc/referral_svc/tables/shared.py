"""What cases share: consents, matches, turns, and how far the copy of the directory has come."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection

from referral_svc.tables.keys import BY_KEYS, Key, columns
from referral_svc.tables.rows import SCHEMA, ConsentRow, MatchRow


async def consents_over(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    """Which of these consents have ended. To be asked under the lock of their cases."""
    wanted = set(keys)
    if not wanted:
        return set()
    rows = await connection.fetch(
        f"SELECT agency_id, id FROM {SCHEMA}.consent WHERE over AND " + BY_KEYS.format(column="id"),
        *columns(wanted),
    )
    return {(row["agency_id"], row["id"]) for row in rows}


async def consents_of_cases(connection: Connection, keys: Iterable[Key]) -> list[Any]:
    """The consents of these cases that are in force, the latest word first."""
    wanted = set(keys)
    if not wanted:
        return []
    tail = "t WHERE NOT over AND " + BY_KEYS.format(column="case_id") + " ORDER BY at DESC, id"
    return await sets.fetch(connection, ConsentRow, tail, *columns(wanted))


def ending_consents(rows: Sequence[Mapping[str, Any]]) -> sets.Part:
    """Marks consents as over; one that was never heard of is kept as over too."""
    return sets.Part(
        f"ended AS (INSERT INTO {SCHEMA}.consent AS c (agency_id, id, case_id, over, recipients,"
        " categories, feedback, at) SELECT a, i, k, true, '[]', '[]', false, t"
        " FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[]) AS v(a, i, k, t)"
        " ON CONFLICT (agency_id, id) DO UPDATE SET over = true, at = EXCLUDED.at)",
        [[row[name] for row in rows] for name in ("agency_id", "id", "case_id", "at")],
    )


async def matches(connection: Connection, keys: Iterable[Key]) -> dict[Key, Any]:
    """Stored matches by key."""
    wanted = set(keys)
    if not wanted:
        return {}
    tail = "t WHERE " + BY_KEYS.format(column="id")
    rows = await sets.fetch(connection, MatchRow, tail, *columns(wanted))
    return {(row["agency_id"], row["id"]): row for row in rows}


async def matches_known(connection: Connection, keys: Sequence[Key]) -> set[Key]:
    """Which of these matches are stored."""
    rows = await connection.fetch(
        f"SELECT agency_id, id FROM {SCHEMA}.match WHERE " + BY_KEYS.format(column="id"),
        *columns(keys),
    )
    return {(row["agency_id"], row["id"]) for row in rows}


def saving_turns(turns: Mapping[Key, int]) -> sets.Part | None:
    """Remembers who was asked when; in key order, so that two sets do not wait on each other."""
    if not turns:
        return None
    keys = sorted(turns)
    return sets.Part(
        f"turned AS (INSERT INTO {SCHEMA}.turn AS t (agency_id, id, asked)"
        " SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])"
        " ON CONFLICT (agency_id, id) DO UPDATE SET asked = greatest(t.asked, EXCLUDED.asked))",
        [*columns(keys), [turns[key] for key in keys]],
    )


async def turns_of(connection: Connection, agency: str) -> dict[UUID, int]:
    rows = await connection.fetch(
        f"SELECT id, asked FROM {SCHEMA}.turn WHERE agency_id = $1", agency
    )
    return {row["id"]: row["asked"] for row in rows}


async def stamps(connection: Connection, agencies: Iterable[str]) -> dict[str, int]:
    """How far the copy of the directory has come, by agency; one without a directory is missing."""
    rows = await connection.fetch(
        f"SELECT agency_id, stamp FROM {SCHEMA}.directory_head WHERE agency_id = ANY($1::text[])",
        list(agencies),
    )
    return {row["agency_id"]: row["stamp"] for row in rows}


async def next_stamps(connection: Connection, agencies: Iterable[str]) -> dict[str, int]:
    """Take the next stamp of each agency's directory; held until the commit, so in order."""
    rows = await connection.fetch(
        f"INSERT INTO {SCHEMA}.directory_head AS h (agency_id, stamp)"
        " SELECT a, 1 FROM unnest($1::text[]) a ORDER BY a"
        " ON CONFLICT (agency_id) DO UPDATE SET stamp = h.stamp + 1 RETURNING agency_id, stamp",
        sorted(set(agencies)),
    )
    return {row["agency_id"]: row["stamp"] for row in rows}
