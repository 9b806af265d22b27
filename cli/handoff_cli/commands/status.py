"""``handoff status``: services, lag by topic, oldest event, parked, deliveries, clocks due."""

import asyncio
import http.client
import os
import urllib.parse
from typing import Annotated, Any

import typer
from handoff_kit.db import Connection
from handoff_kit.errors import Transient

from handoff_cli import running
from handoff_cli.console import CommandFailed, command, print_json, print_table
from handoff_cli.logs import EmbeddedLog, behind, brokers, is_embedded
from handoff_cli.office import act_for, reading
from handoff_cli.running import SERVICES

_OFFSETS = "SELECT group_name, topic, partition, next_offset FROM {schema}.consumer_offset"
# Embedded: since when the first record waits that a group has not read.
_OLDEST = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.written_at)), 0)::float8
FROM {schema}.consumer_offset o
JOIN bus.head h ON h.topic = o.topic AND h.partition = o.partition
    AND h.next_offset > o.next_offset
JOIN bus.log l ON l.topic = o.topic AND l.partition = o.partition
    AND l.log_offset = o.next_offset
"""
_OUTBOX = """
SELECT count(*) AS pending,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
FROM {schema}.outbox
"""
_PARKED = "SELECT count(*) FROM {schema}.parked WHERE state NOT IN ('done', 'dropped')"
_FAILING = (
    "SELECT count(*) FROM notify.delivery"
    " WHERE status = 'pending' AND jsonb_array_length(attempts) > 0"
)
_CLOCKS = "SELECT count(*) FROM referral.offer WHERE clock_due_at <= clock_timestamp()"


@command
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show whether everything runs and how far behind it is."""
    system = running.here()
    report = asyncio.run(report_now())
    for name, row in report["services"].items():
        base = os.environ.get(f"HANDOFF_{name.upper()}_URL") or system.address
        row["status"] = _answers(base, f"/{name}/readyz")
    worker = f"http://127.0.0.1:{system.worker_port}"
    report["worker"] = _answers(worker, "/readyz") if system.worker_port else "unknown"
    report["address"] = system.address
    if as_json:
        print_json(report)
        return
    typer.echo(f"{system.address}, worker {report['worker']}\n")
    print_table(
        ("service", "status", "lag", "oldest s", "outbox"),
        [
            (name, row["status"], row["lag"], row["oldest_seconds"], row["outbox"])
            for name, row in report["services"].items()
        ],
    )
    rows = [
        (group, topic, lag)
        for group, topics in sorted(report["groups"].items())
        for topic, lag in sorted(topics.items())
        if lag
    ]
    if rows:
        typer.echo()
        print_table(("group", "topic", "lag"), rows)
    if report["log"] != "ready":
        typer.echo(f"\nlag is not known: {report['log']}")
    typer.echo(
        f"\nparked {report['parked']}, deliveries failing {report['deliveries_failing']},"
        f" clocks due {report['clocks_due']}"
    )


async def report_now() -> dict[str, Any]:
    """What the database and the log say; a service's ``status`` is not asked for here.

    ``log`` is ready, or says why lag is not known, which is None then and in no group.
    """
    services: dict[str, Any] = {}
    offsets: dict[str, list[Any]] = {}
    parked = failing = clocks = 0
    async with running.database() as connection, reading(connection):
        embedded = await is_embedded(connection)
        for service in SERVICES:
            await act_for(connection, service)
            services[service] = await _service(connection, service, embedded=embedded)
            offsets[service] = await connection.fetch(_OFFSETS.format(schema=service))
            parked += await connection.fetchval(_PARKED.format(schema=service))
            if service == "notify":
                failing = await connection.fetchval(_FAILING)
            elif service == "referral":
                clocks = await connection.fetchval(_CLOCKS)
        places = {(row["topic"], row["partition"]) for rows in offsets.values() for row in rows}
        ends = await EmbeddedLog(connection).ends(sorted(places)) if embedded else None
    log = "ready"
    if ends is None:
        try:
            ends = await brokers().ends(sorted(places))
        except (CommandFailed, Transient) as error:
            log = str(error)
    groups: dict[str, dict[str, int]] = {}
    if ends is not None:
        for service, rows in offsets.items():
            found = behind(rows, ends)
            services[service]["lag"] = sum(sum(topics.values()) for topics in found.values())
            groups |= found
    return {
        "services": services,
        "groups": groups,
        "log": log,
        "parked": parked,
        "deliveries_failing": failing,
        "clocks_due": clocks,
    }


async def _service(connection: Connection, service: str, *, embedded: bool) -> dict[str, Any]:
    outbox = await connection.fetchrow(_OUTBOX.format(schema=service))
    oldest = outbox["oldest"]
    if embedded:
        oldest = max(oldest, await connection.fetchval(_OLDEST.format(schema=service)))
    return {
        "status": "unknown",
        "lag": None,
        "oldest_seconds": round(oldest, 3),
        "outbox": outbox["pending"],
    }


def _answers(base: str, path: str) -> str:
    """ready, not-ready or down."""
    parts = urllib.parse.urlsplit(base)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", path)
        return "ready" if connection.getresponse().status == 200 else "not-ready"
    except (OSError, http.client.HTTPException):
        return "down"
    finally:
        connection.close()
