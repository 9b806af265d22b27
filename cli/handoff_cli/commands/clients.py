"""``handoff clients``: credentials of machines."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from handoff_cli import running
from handoff_cli.console import CommandFailed, command, print_facts, print_json, print_table
from handoff_cli.home import Home
from handoff_cli.office import ACTOR, act_for, office, reading

app = typer.Typer(help="Credentials for machines.")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Which = Annotated[str, typer.Argument(metavar="CLIENT", help="Its client_id, id or name.")]


@app.command()
@command
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    role: Annotated[str, typer.Option(help="Its role, such as department or partner.")],
    organization: Annotated[
        str | None, typer.Option(help="Whose it is; default: the agency's own for that role.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give out credentials. The secret is shown this once."""
    if not name.strip():
        raise typer.BadParameter("a client needs a name")
    made = asyncio.run(_create(name, role, organization_for(role, organization)))
    if as_json:
        print_json(made)
    else:
        print_facts(made)
        typer.echo("\nkeep the secret: it is not shown again")


@app.command("list")
@command
def list_(*, as_json: Json = False) -> None:
    """List clients, oldest first."""
    rows = asyncio.run(_list())
    if as_json:
        print_json({"items": rows})
        return
    print_table(
        ("client_id", "name", "roles", "organization", "created", "revoked"),
        [
            (r["client_id"], r["name"], ", ".join(r["roles"]), r["organization_id"],
             f"{r['created_at']:%Y-%m-%d %H:%M}",
             f"{r['revoked_at']:%Y-%m-%d %H:%M}" if r["revoked_at"] else None)
            for r in rows
        ],
    )  # fmt: skip


@app.command()
@command
def rotate(
    client: Which,
    *,
    keep_old_hours: Annotated[
        int,
        typer.Option(
            min=0,
            help="How long the old secret is good beside the new one; 0: it ends at once.",
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Replace a client's secret. The new one is shown this once."""
    made = asyncio.run(_rotate(client, timedelta(hours=keep_old_hours)))
    if as_json:
        print_json(made)
    else:
        print_facts(made)
        typer.echo("\nkeep the secret: it is not shown again")


@app.command()
@command
def revoke(client: Which, *, as_json: Json = False) -> None:
    """End a client for good."""
    gone = asyncio.run(_revoke(client))
    if as_json:
        print_json(gone)
    else:
        typer.echo(f"{gone['client_id']} ({gone['name']}) is revoked")


def organization_for(role: str, given: str | None) -> UUID | None:
    """The organization that was named, by id or by its short name in city.yaml, else the role's."""
    from handoff_kit.city import load_city

    city = load_city(running.current_city())
    if given is None:
        return city.organization_of(role)
    if given in city.organizations:
        return city.organizations[given]
    try:
        return UUID(given)
    except ValueError:
        known = ", ".join(city.organizations)
        raise typer.BadParameter(
            f"'{given}' is neither an id nor one of: {known}", param_hint="--organization"
        ) from None


def check_role(role: str) -> None:
    """Raises: CommandFailed with the roles that can be given out."""
    from portal_svc.domain.people import CLIENT_ROLES

    known = sorted(map(str, CLIENT_ROLES))
    if role not in known:
        raise CommandFailed(f"there is no role '{role}' to give out; there are: {', '.join(known)}")


async def tell_unknown(organization_id: UUID | None) -> None:
    """Say on standard error where the directory has no such organization: it may come later."""
    if organization_id is None:
        return
    async with running.database() as connection, reading(connection):
        await act_for(connection, "partner")
        there = await connection.fetchval(
            "SELECT count(*) FROM partner.organization WHERE agency_id = $1 AND id = $2",
            running.agency(),
            organization_id,
        )
    if not there:
        typer.echo(f"note: the directory has no organization {organization_id} yet", err=True)


def token_url() -> str:
    """Where a client gets its tokens."""
    import os

    running_now = Home.from_environment().who_runs() or {}
    base = os.environ.get("HANDOFF_PUBLIC_URL") or str(running_now.get("address", ""))
    return f"{base.rstrip('/')}/oauth/token"


async def _create(name: str, role: str, organization_id: UUID | None) -> dict[str, Any]:
    from portal_svc.handlers.clients import create_client

    check_role(role)
    await tell_unknown(organization_id)
    async with office("portal") as tx:
        issued = await create_client(
            tx,
            agency=running.agency(),
            name=name,
            role=role,
            actor=ACTOR,
            organization_id=organization_id,
        )
    return {
        "client_id": issued.client.client_id,
        "client_secret": issued.secret,
        "token_url": token_url(),
        "name": name,
        "role": role,
        "organization_id": organization_id,
    }


async def _list() -> list[dict[str, Any]]:
    from portal_svc.handlers.clients import list_clients
    from portal_svc.handlers.commands import client_json

    async with office("portal") as tx:
        return [client_json(client) for client in await list_clients(tx.conn, running.agency())]


async def _rotate(which: str, keep_old: timedelta) -> dict[str, Any]:
    from portal_svc.handlers.clients import rotate_client

    async with office("portal") as tx:
        id_ = await _find(tx.conn, which)
        issued = await rotate_client(
            tx, agency=running.agency(), id_=id_, actor=ACTOR, keep_old=keep_old
        )
    return {
        "client_id": issued.client.client_id,
        "client_secret": issued.secret,
        "token_url": token_url(),
        "old_secret_ends_at": issued.client.old_secret_ends_at,
    }


async def _revoke(which: str) -> dict[str, Any]:
    from portal_svc.handlers.clients import revoke_client
    from portal_svc.handlers.commands import client_json

    async with office("portal") as tx:
        id_ = await _find(tx.conn, which)
        return client_json(await revoke_client(tx, agency=running.agency(), id_=id_, actor=ACTOR))


async def _find(connection: Any, which: str) -> UUID:
    """Raises: CommandFailed when none or several fit."""
    from portal_svc.handlers.clients import list_clients

    known = await list_clients(connection, running.agency())
    exact = [c for c in known if which in (c.client_id, str(c.id))]
    named = exact or [c for c in known if c.name == which and c.revoked_at is None]
    if len(named) != 1:
        said = f"{len(named)} clients have the name" if named else "there is no client"
        raise CommandFailed(f"{said} '{which}'; see: handoff clients list")
    return UUID(str(named[0].id))
