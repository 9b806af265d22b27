"""``handoff audit verify``: walk every chain, name the first bad row."""

import asyncio
from typing import Annotated, Any

import typer

from handoff_cli import running
from handoff_cli.console import command, print_json, print_table
from handoff_cli.console import progress as bar
from handoff_cli.office import act_for, reading
from handoff_cli.running import SERVICES

app = typer.Typer(help="The audit log.")


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
    from handoff_kit.audit import shards, verify_chain

    chains = []
    # One moment for entries and heads, though sets go on meanwhile.
    async with running.database() as connection, reading(connection):
        for service in SERVICES:
            await act_for(connection, service)
            for shard in await shards(connection, service):
                with bar(f"{service}/{shard}") as tell:
                    chains.append(await verify_chain(connection, service, shard, tell))
    return chains
