"""``handoff users``: people with local accounts."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from handoff_cli import running
from handoff_cli.commands.clients import check_role, organization_for, tell_unknown
from handoff_cli.console import CommandFailed, command, print_facts, print_json, print_table
from handoff_cli.office import ACTOR, office

app = typer.Typer(help="People with local accounts.")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
@command
def create(
    email: Annotated[str, typer.Argument(help="With what the person signs in.")],
    *,
    role: Annotated[str, typer.Option(help="The role, such as inspector or case-manager.")],
    organization: Annotated[
        str | None, typer.Option(help="Where the person works; default: the agency's own.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="en or es.")] = None,
    as_json: Json = False,
) -> None:
    """Give a person an account. The password of the first sign-in is shown this once."""
    made = asyncio.run(_create(email, role, organization_for(role, organization), language))
    if as_json:
        print_json(made)
    else:
        print_facts(made | {"roles": ", ".join(made["roles"])})
        typer.echo("\nkeep the password: it is not shown again")


@app.command("list")
@command
def list_(*, as_json: Json = False) -> None:
    """List people, oldest first."""
    rows = asyncio.run(_list())
    if as_json:
        print_json({"items": rows})
        return
    print_table(
        ("e-mail", "roles", "organization", "created", "disabled"),
        [
            (r["email"], ", ".join(r["roles"]), r["organization_id"],
             f"{r['created_at']:%Y-%m-%d %H:%M}",
             f"{r['disabled_at']:%Y-%m-%d %H:%M}" if r["disabled_at"] else None)
            for r in rows
        ],
    )  # fmt: skip


@app.command()
@command
def disable(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    as_json: Json = False,
) -> None:
    """End a person's account and sessions at once."""
    gone = asyncio.run(_disable(email))
    if as_json:
        print_json(gone)
    else:
        typer.echo(f"{gone['email']} is disabled")


async def _create(
    email: str, role: str, organization_id: UUID | None, language: str | None
) -> dict[str, Any]:
    from portal_svc.handlers.commands import person_json
    from portal_svc.handlers.people import create_person

    check_role(role)
    await tell_unknown(organization_id)
    async with office("portal") as tx:
        welcomed = await create_person(
            tx,
            agency=running.agency(),
            email=email,
            role=role,
            actor=ACTOR,
            organization_id=organization_id,
            language=language,
        )
    return person_json(welcomed.person) | {"password": welcomed.password}


async def _list() -> list[dict[str, Any]]:
    from portal_svc.handlers.commands import person_json
    from portal_svc.handlers.people import list_people

    async with office("portal") as tx:
        return [person_json(person) for person in await list_people(tx.conn, running.agency())]


async def _disable(email: str) -> dict[str, Any]:
    from portal_svc.handlers.commands import person_json
    from portal_svc.handlers.people import disable_person, find_person

    async with office("portal") as tx:
        person = await find_person(tx.conn, running.agency(), email)
        if person is None:
            raise CommandFailed(f"nobody signs in as '{email}'; see: handoff users list")
        gone = await disable_person(tx, agency=running.agency(), id_=person.id, actor=ACTOR)
        return person_json(gone)
