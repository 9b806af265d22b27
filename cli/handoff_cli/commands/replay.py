"""``handoff replay``: have a consumer group read again from an earlier place.

The group's offsets are moved back in the database, which is their truth. Its worker notices at its
next set (`Fenced`) or within five seconds of idling, and starts from there. What was applied
already has no second effect: the gate and the inbox drop duplicates.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import typer
from handoff_kit.db import Connection

from handoff_cli import running
from handoff_cli.console import CommandFailed, code, command, print_json, print_table
from handoff_cli.logs import EmbeddedLog, Ends, Place, brokers, is_embedded
from handoff_cli.office import ACTOR, act_for, office, reading
from handoff_cli.running import SERVICES, agency

EARLIEST: Literal["earliest"] = "earliest"
Start = int | datetime | Literal["earliest"]


@command
def replay(
    *,
    group: Annotated[str, typer.Option(help="The consumer group.")],
    from_: Annotated[
        str,
        typer.Option("--from", help="earliest, an offset, or a time (2026-01-05T09:00:00-05:00)."),
    ],
    reason: Annotated[
        str, typer.Option(help="Why, for the audit log (a code).")
    ] = "operator-replay",
    topic: Annotated[str | None, typer.Option(help="Only this topic.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would move.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Read again from an earlier place; duplicates have no second effect."""
    start = place(from_)
    report = asyncio.run(read_again(group, start, topic, code(reason, "--reason"), dry_run=dry_run))
    if as_json:
        print_json(report)
        return
    if not report["moved"]:
        typer.echo(f"{group} has read nothing beyond that place; nothing to read again")
        return
    print_table(
        ("topic", "partition", "from", "to", "events"),
        [(m["topic"], m["partition"], m["from"], m["to"], m["events"]) for m in report["moved"]],
    )
    verb = "would be read" if dry_run else "are read"
    typer.echo(f"\n{report['events']} events {verb} again by {group} ({report['service']})")


def place(text: str) -> Start:
    """``earliest``, an offset, or a time with its offset from UTC. Raises: BadParameter."""
    if text == EARLIEST:
        return EARLIEST
    if re.fullmatch(r"\d+", text):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            f"'{text}' is none of: earliest, an offset, a time with its offset from UTC"
            " (2026-01-05T09:00:00-05:00)",
            param_hint="--from",
        )
    return found


async def read_again(
    group: str, start: Start, topic: str | None, reason: str, *, dry_run: bool
) -> dict[str, Any]:
    """Move the offsets of *group* back to *start*, where they are beyond it; what was moved.

    Raises: CommandFailed; NotRunning; Transient when the brokers do not answer.
    """
    service = await _service_of(group)
    async with office(service) as tx:
        rows = await tx.conn.fetch(
            f"SELECT topic, partition, next_offset FROM {service}.consumer_offset"
            " WHERE group_name = $1 AND ($2::text IS NULL OR topic = $2)"
            " ORDER BY topic, partition FOR UPDATE",
            group,
            topic,
        )
        if topic is not None and not rows:
            known = await _topics(tx.conn, service, group)
            raise CommandFailed(f"{group} reads no topic '{topic}'; it reads: {known}")
        targets = await places_of(tx.conn, [(r["topic"], r["partition"]) for r in rows], start)
        moved = [
            (row["topic"], row["partition"], row["next_offset"], target)
            for row in rows
            if (target := targets[row["topic"], row["partition"]]) < row["next_offset"]
        ]
        if moved and not dry_run:
            await tx.conn.execute(
                f"UPDATE {service}.consumer_offset o SET next_offset = v.place,"
                " updated_at = clock_timestamp() FROM unnest($2::text[], $3::int[], $4::bigint[])"
                " AS v(topic, partition, place) WHERE o.group_name = $1 AND o.topic = v.topic"
                " AND o.partition = v.partition",
                group,
                [m[0] for m in moved],
                [m[1] for m in moved],
                [m[3] for m in moved],
            )
            tx.audit(
                agency(),
                "log.replay",
                actor=ACTOR,
                facts={
                    "group": group,
                    "from": start.isoformat() if isinstance(start, datetime) else start,
                    "topic": topic or "all",
                    "events": sum(m[2] - m[3] for m in moved),
                    "reason": reason,
                },
            )
    return {
        "group": group,
        "service": service,
        "dry_run": dry_run,
        "events": sum(m[2] - m[3] for m in moved),
        "moved": [
            {"topic": t, "partition": p, "from": old, "to": new, "events": old - new}
            for t, p, old, new in moved
        ],
    }


async def _topics(connection: Connection, service: str, group: str) -> str:
    """The topics that the group reads, in words."""
    rows = await connection.fetch(
        f"SELECT DISTINCT topic FROM {service}.consumer_offset WHERE group_name = $1 ORDER BY 1",
        group,
    )
    return ", ".join(row["topic"] for row in rows)


async def _service_of(group: str) -> str:
    known: dict[str, str] = {}
    async with running.database() as connection, reading(connection):
        for service in SERVICES:
            await act_for(connection, service)
            rows = await connection.fetch(
                f"SELECT DISTINCT group_name FROM {service}.consumer_offset"
            )
            known |= {row["group_name"]: service for row in rows}
    if group not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise CommandFailed(f"there is no group '{group}'; there are: {names}")
    return known[group]


async def places_of(
    connection: Connection, places: Sequence[Place], start: Start
) -> Mapping[Place, int]:
    """The offset to read from, for each place; never before the earliest record that is left.

    What the log has let go of would be told as a loss. Raises: CommandFailed; Transient when the
    brokers do not answer.
    """
    log: Ends = EmbeddedLog(connection) if await is_embedded(connection) else brokers()
    if isinstance(start, datetime):
        return await log.since(places, start)
    starts = await log.starts(places)
    if start == EARLIEST:
        return starts
    return {place: max(start, earliest) for place, earliest in starts.items()}
