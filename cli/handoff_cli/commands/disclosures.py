"""``handoff disclosures``: what left under a consent, to whom, when, by which route."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from handoff_cli import running
from handoff_cli.console import CommandFailed, command, print_json, print_table
from handoff_cli.office import office


@command
def disclosures(
    *,
    consent: Annotated[str, typer.Option(help="The consent's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List every disclosure under a consent (42 CFR 2.24, 45 CFR 164.528)."""
    try:
        id_ = UUID(consent)
    except ValueError:
        raise typer.BadParameter(f"'{consent}' is no id", param_hint="--consent") from None
    rows = asyncio.run(_rows(id_))
    if as_json:
        print_json({"consent_id": id_, "items": rows})
        return
    if not rows:
        typer.echo("nothing left under this consent")
        return
    print_table(
        ("at", "organization", "purpose", "fields", "route", "offer"),
        [
            (r["at"], r["organization_id"], r["purpose"], ", ".join(r["fields"]), r["route"],
             r["offer_id"])
            for r in rows
        ],
    )  # fmt: skip


async def _rows(id_: UUID) -> list[dict[str, Any]]:
    from intake_svc.handlers.showing import shown_disclosure
    from intake_svc.handlers.withdrawals import disclosures_of

    async with office("intake") as tx:
        agency = await tx.conn.fetchval("SELECT agency_id FROM intake.consent WHERE id = $1", id_)
        if agency is None:
            raise CommandFailed(f"there is no consent {id_} in {running.agency()}")
        found = await disclosures_of(tx.conn, {(agency, id_)})
        return [shown_disclosure(row) for row in found.get(id_, [])]
