"""``handoff policy check``: a city's policy, validated before it goes into force."""

from pathlib import Path
from typing import Annotated

import typer

from handoff_cli.cityfiles import faults_of
from handoff_cli.console import command, print_json

app = typer.Typer(help="A city's policy.")


@app.callback()
def policy() -> None:
    """A city's policy files."""


@app.command()
@command
def check(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A city's folder, or its name.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check every file of a city; exit code 1 names file, line and field of each error."""
    from handoff_kit.cities import city_folder

    found = faults_of(city_folder(folder))
    if as_json:
        print_json({"ok": not found, "faults": [vars(fault) for fault in found]})
    elif not found:
        typer.echo(f"{Path(folder)}: all is well")
    else:
        for fault in found:
            typer.echo(fault.line_of_text(), err=True)
    if found:
        raise typer.Exit(1)
