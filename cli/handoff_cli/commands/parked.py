"""``handoff parked``: events that a consumer could not take, and what becomes of them.

A row that is set to ``retry`` or ``drop`` is settled by the worker that owns its partition, in
order within its key (``handoff_kit.consumer.repair``).
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer

from handoff_cli import running
from handoff_cli.console import CommandFailed, code, command, print_facts, print_json, print_table
from handoff_cli.office import ACTOR, act_for, office, reading
from handoff_cli.running import SERVICES

app = typer.Typer(help="Events that could not be taken: look, try again, drop.")
_OPEN = "state NOT IN ('done', 'dropped')"
_SHOWN = (
    "id, group_name, topic, partition, log_offset, source, key, sequence, event_id, event_type,"
    " agency_id, state, reason, detail, attempts, parked_at, next_try_at, resolved_at"
)
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `parked list` shows them.")]
Everything = Annotated[bool, typer.Option("--all", help="All that failed.")]
Group = Annotated[str | None, typer.Option(help="Only of this consumer group.")]
Reason = Annotated[str | None, typer.Option(help="Only parked for this reason.")]
Why = Annotated[str, typer.Option("--why", help="Why, for the audit log (a code).")]


@app.command("list")
@command
def list_(
    *,
    group: Group = None,
    reason: Reason = None,
    settled: Annotated[bool, typer.Option("--settled", help="Also what is settled.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    as_json: Json = False,
) -> None:
    """List parked events, oldest first."""
    rows = asyncio.run(_rows(group, reason, settled=settled, limit=limit))
    if as_json:
        print_json({"items": rows})
        return
    if not rows:
        typer.echo("nothing is parked")
        return
    print_table(
        ("id", "group", "state", "reason", "type", "attempts", "parked at"),
        [
            (r["id"], r["group_name"], r["state"], r["reason"], r["event_type"], r["attempts"],
             f"{r['parked_at']:%Y-%m-%d %H:%M:%S}")
            for r in rows
        ],
    )  # fmt: skip


@app.command()
@command
def show(
    parked_id: Annotated[str, typer.Argument(help="Its id.")], *, as_json: Json = False
) -> None:
    """Show one parked event with its headers and body."""
    row = asyncio.run(_one(_uuid(parked_id)))
    if as_json:
        print_json(row)
        return
    print_facts({name: value for name, value in row.items() if name not in ("headers", "body")})
    typer.echo("\nheaders")
    print_facts(row["headers"])
    typer.echo(f"\nbody\n{json.dumps(row['body'], indent=1, ensure_ascii=False)}")


@app.command()
@command
def retry(
    ids: Ids = None,
    *,
    everything: Everything = False,
    group: Group = None,
    reason: Reason = None,
    why: Why = "operator-retry",
    as_json: Json = False,
) -> None:
    """Have parked events tried again, each key's in order."""
    _check(ids, chosen=everything or group is not None or reason is not None)
    _settle("retry", ids, Choice(group, reason), why, as_json=as_json)


@app.command()
@command
def drop(
    ids: Ids = None,
    *,
    everything: Everything = False,
    group: Group = None,
    reason: Reason = None,
    why: Why = "operator-drop",
    as_json: Json = False,
) -> None:
    """Give parked events up; what waits behind them goes on."""
    _check(ids, chosen=everything or group is not None or reason is not None)
    _settle("drop", ids, Choice(group, reason), why, as_json=as_json)


@dataclass(frozen=True)
class Choice:
    """Which of the failed events are meant, where no ids are given."""

    group: str | None
    reason: str | None


def _check(ids: list[str] | None, *, chosen: bool) -> None:
    if bool(ids) == chosen:
        raise typer.BadParameter("give ids, or one of --all, --group, --reason")


def _settle(state: str, ids: list[str] | None, choice: Choice, why: str, *, as_json: bool) -> None:
    wanted = [_uuid(i) for i in ids] if ids else None
    count = asyncio.run(_mark(state, wanted, choice, code(why, "--why")))
    if ids and count == 0:
        raise CommandFailed("no event that failed has one of these ids; see: handoff parked list")
    if count == 0 and not as_json:
        typer.echo("no event that failed is meant; see: handoff parked list")
        return
    if as_json:
        print_json({"marked": count, "state": state})
    else:
        typer.echo(f"{count} marked: {state}; the worker settles them now")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no id") from None


async def _rows(
    group: str | None, reason: str | None, *, settled: bool, limit: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with running.database() as connection, reading(connection):
        for service in SERVICES:
            await act_for(connection, service)
            rows = await connection.fetch(
                f"SELECT '{service}' AS service, {_SHOWN} FROM {service}.parked"
                " WHERE ($1::text IS NULL OR group_name = $1)"
                f" AND ($2::text IS NULL OR reason = $2) AND ($3 OR {_OPEN})"
                " ORDER BY parked_at, sequence LIMIT $4",
                group,
                reason,
                settled,
                limit,
            )
            found += [dict(row) for row in rows]
    return sorted(found, key=lambda row: (row["parked_at"], row["sequence"] or 0))[:limit]


async def _one(id_: UUID) -> dict[str, Any]:
    async with running.database() as connection, reading(connection):
        for service in SERVICES:
            await act_for(connection, service)
            row = await connection.fetchrow(
                f"SELECT '{service}' AS service, {_SHOWN}, headers, value FROM {service}.parked"
                " WHERE id = $1",
                id_,
            )
            if row is not None:
                found = dict(row)
                found["headers"] = json.loads(found["headers"])
                found["body"] = _body(found.pop("value"))
                return found
    raise CommandFailed(f"nothing is parked under {id_}; see: handoff parked list")


def _body(value: bytes) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value.decode(errors="replace")


async def _mark(state: str, ids: list[UUID] | None, choice: Choice, why: str) -> int:
    """Only what failed is marked: what waits or stands behind goes on by itself."""
    marked = 0
    for service in SERVICES:
        async with office(service) as tx:
            rows = await tx.conn.fetch(
                f"UPDATE {service}.parked SET state = $1 WHERE state = 'failed'"
                " AND ($2::uuid[] IS NULL OR id = ANY($2)) AND ($3::text IS NULL OR group_name ="
                " $3) AND ($4::text IS NULL OR reason = $4) RETURNING id, agency_id, group_name",
                state,
                ids,
                choice.group,
                choice.reason,
            )
            for row in rows:
                tx.audit(
                    row["agency_id"] or "unknown",
                    f"parked.{state}",
                    actor=ACTOR,
                    subject=row["id"],
                    facts={"group": row["group_name"], "why": why},
                )
        marked += len(rows)
    return marked
