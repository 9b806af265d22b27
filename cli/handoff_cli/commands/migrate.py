"""``handoff migrate``: every service's schema to its newest revision."""

import os
from typing import Annotated

import typer

from handoff_cli import running
from handoff_cli.console import command, print_json
from handoff_cli.home import APP_ROLE, Home


@command
def migrate(
    *,
    app_role: Annotated[
        str | None,
        typer.Option(help="Login role of the services; also HANDOFF_APP_ROLE."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Bring the database to the newest schema, and make the topics that are missing.

    `handoff up` does this by itself; here it is for a database of your own.
    """
    from handoff_cli.schema import migrate_now

    url = running.database_address()
    given = dict(os.environ)
    given["HANDOFF_DATABASE_URL"] = url
    role = app_role or given.get("HANDOFF_APP_ROLE") or _role_of_home(url)
    running.run(_reachable())
    changed = migrate_now(url, role, given)
    if as_json:
        print_json({"changed": changed})
    else:
        typer.echo(f"migrated: {', '.join(changed)}" if changed else "already at the newest schema")


def _role_of_home(url: str) -> str | None:
    """The all-in-one's own login role, where the database is its home's."""
    path = Home.from_environment().secrets / "database_url"
    return APP_ROLE if path.exists() and path.read_text().strip() == url else None


async def _reachable() -> None:
    async with running.database():
        pass
