"""``handoff up``: the all-in-one."""

import os
from pathlib import Path
from typing import Annotated

import typer
from handoff_kit.cities import CityNotFound, city_folder
from handoff_kit.embedded_postgres import EmbeddedPostgresError

from handoff_cli.home import Home, HomeUnusable
from handoff_cli.supervisor import Supervisor, UpFailed, quiet_interrupt


def up(
    *,
    port: Annotated[
        int | None, typer.Option(help="Port of everything; also PORT.", min=1, max=65535)
    ] = None,
    city: Annotated[
        str | None, typer.Option(help="A city's folder, or the name of a shipped one.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Bring the demo city's directory and staff.")
    ] = False,
) -> None:
    """Start everything on this machine and stay until Ctrl-C."""
    with quiet_interrupt():
        chosen = port or int(os.environ.get("PORT") or os.environ.get("HANDOFF_PORT") or 8080)
        name = city or os.environ.get("HANDOFF_CITY") or "demo"
        say = typer.echo
        try:
            city_folder(name)
            supervisor = Supervisor(
                home=Home.from_environment(),
                port=chosen,
                city=str(Path(name).absolute()) if Path(name).is_dir() else name,
                say=say,
                database_url=os.environ.get("HANDOFF_DATABASE_URL", ""),
                after_start=_bring_demo if demo else _tell,
            )
            code = supervisor.run()
        except (UpFailed, HomeUnusable, CityNotFound, EmbeddedPostgresError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        raise typer.Exit(code)


def _tell(supervisor: Supervisor) -> None:
    typer.echo(f"\n  Handoff runs at {supervisor.address}   (Ctrl-C stops it)\n")


def _bring_demo(supervisor: Supervisor) -> None:
    from handoff_cli.demo_city.bring import bring

    bring(supervisor, typer.echo)
    _tell(supervisor)
