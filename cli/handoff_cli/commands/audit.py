"""``handoff audit verify``: walk every chain, name the first bad row."""

import asyncio
from typing import Annotated, Any

import typer
from handoff_kit.db import Connection
from handoff_kit.settings import SERVICES

from handoff_cli import running
from handoff_cli.console import command, print_json, print_table
from handoff_cli.console import progress as bar

app = typer.Typer(help="The audit log.")
_PAGE = 5000


@app.callback()
def audit() -> None:
    """The audit log: a chain of hashes for each service and shard."""


@app.command()
@command
def verify(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check every audit chain; exit code 1 when a row is missing, added or changed."""
    chains = asyncio.run(_verify())
    good = all(chain["bad"] is None for chain in chains)
    if as_json:
        print_json({"ok": good, "chains": chains})
    else:
        print_table(
            ("service", "shard", "entries", "result"),
            [(c["service"], c["shard"], c["entries"], _said(c["bad"])) for c in chains],
        )
    if not good:
        raise typer.Exit(1)


def _said(bad: dict[str, Any] | None) -> str:
    return "ok" if bad is None else f"row {bad['sequence']}: {bad['reason']}"


async def _verify() -> list[dict[str, Any]]:
    chains = []
    async with running.database() as connection:
        # One moment for entries and heads, though sets go on meanwhile.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for service in SERVICES:
                shards = await connection.fetch(
                    f"SELECT shard FROM {service}.audit_head UNION SELECT shard FROM"
                    f" {service}.audit ORDER BY 1"
                )
                for row in shards:
                    chains.append(await _chain(connection, service, row["shard"]))
    return chains


async def _chain(connection: Connection, service: str, shard: int) -> dict[str, Any]:
    from handoff_kit.tx import audit_digest

    head = await connection.fetchrow(
        f"SELECT sequence, digest FROM {service}.audit_head WHERE shard = $1", shard
    )
    total = head["sequence"] if head is not None else 0
    sequence, digest = 0, b""
    bad: dict[str, Any] | None = None
    with bar(f"{service}/{shard}") as tell:
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
    import orjson

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
