"""``handoff up``: the all-in-one."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from handoff_kit.cities import CityNotFound, city_folder
from handoff_kit.embedded_postgres import EmbeddedPostgresError

from handoff_cli.console import NotRunning
from handoff_cli.home import Home, HomeUnusable, port_of_environment
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
        name = city or os.environ.get("HANDOFF_CITY") or "demo"
        database_url = os.environ.get("HANDOFF_DATABASE_URL", "")
        say = typer.echo
        try:
            chosen = port or port_of_environment()
            folder = city_folder(name)
            _need_database(database_url)
            supervisor = Supervisor(
                home=Home.from_environment(),
                port=chosen,
                city=str(Path(name).absolute()) if Path(name).is_dir() else name,
                say=say,
                database_url=database_url,
                after_start=_bring_demo if demo else _tell,
            )
            code = supervisor.run()
        except UpFailed as error:
            _fail(_city_faults(folder) or [f"error: {error}"])
        except (NotRunning, HomeUnusable, CityNotFound, EmbeddedPostgresError) as error:
            _fail([f"error: {error}"])
        raise typer.Exit(code)


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def _need_database(url: str) -> None:
    """Raises: NotRunning where a database of one's own was named and does not answer."""
    if url:
        import asyncio

        from handoff_cli.running import reach

        async def look() -> None:
            await (await reach(url)).close()

        asyncio.run(look())


def _city_faults(folder: Path) -> list[str]:
    """What is wrong with the city: the likeliest reason why a service did not start.

    Looked for only then, so that a start does not wait for it.
    """
    from handoff_cli.cityfiles import faults_of

    found = faults_of(folder, whole=True)
    if not found:
        return []
    return [
        f"error: the city in {folder} cannot be used; see also: handoff policy check",
        *(fault.line_of_text() for fault in found),
    ]


def _tell(supervisor: Supervisor) -> None:
    typer.echo(f"\n  Handoff runs at {supervisor.address}   (Ctrl-C stops it)\n")


def _bring_demo(supervisor: Supervisor) -> None:
    from handoff_cli.demo_city.bring import bring

    bring(supervisor, typer.echo)
    _tell(supervisor)
