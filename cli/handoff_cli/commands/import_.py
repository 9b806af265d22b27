"""``handoff import``: a department's inspections, a directory of services."""

import asyncio
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from handoff_cli.console import CommandFailed, code, command, print_facts, print_json

app = typer.Typer(help="Bring in a department's inspections or a directory of services.")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and report, change nothing.")]


class Format(StrEnum):
    """As `partner_svc.directory.FORMATS` has them (a test holds that), without loading it."""

    AUTO = "auto"
    HSDS_3 = "hsds-3"
    HSDS_2 = "hsds-2"
    HSDS_1 = "hsds-1"
    OHANA = "ohana"


@app.command("inspections")
@command
def inspections(
    source: Annotated[str, typer.Argument(metavar="FILE|FOLDER", help="The export.")],
    *,
    map_: Annotated[
        str, typer.Option("--map", metavar="NAME|FILE.yaml", help="A shipped map, or your own.")
    ],
    dry_run: DryRun = False,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where rejected rows go; default NAME.rejects.csv in this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring in a department's export. A second time it changes nothing."""
    from handoff_cli.inspection_import import REJECT_COLUMNS, REJECTS, ImportRefused
    from handoff_cli.inspections import bring_in

    export = Path(_given(source))
    target = rejects or Path.cwd() / f"{export.absolute().stem}{REJECTS}"
    _check_target(target, "--rejects", REJECT_COLUMNS, (export, Path(map_)))
    try:
        report = asyncio.run(bring_in(export, map_, target, dry_run=dry_run))
    except ImportRefused as refused:
        raise CommandFailed(str(refused)) from None
    _show(report, as_json=as_json)


@app.command("directory")
@command
def directory(
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="File, folder or zip.")],
    *,
    format_: Annotated[
        Format, typer.Option("--format", help="Insist on a format; else it is found.")
    ] = Format.AUTO,
    map_: Annotated[
        Path | None, typer.Option("--map", help="Terms of the feed → kinds of need.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Name of the feed: the same again updates it. Else found by ids, or the file's.",
        ),
    ] = None,
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Take kinds, agreements and participants as stated."),
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="A part of the feed: what it lacks stays offered."),
    ] = False,
    allow_leaving: Annotated[
        bool,
        typer.Option("--allow-leaving", help="Also if most services of the source left the feed."),
    ] = False,
    dry_run: DryRun = False,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", help="Where the report goes; default NAME.report.csv here."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring in a directory of services, all or nothing, with a report."""
    from partner_svc.directory import DirectoryRefused
    from partner_svc.directory.report import COLUMNS

    from handoff_cli.directories import Feed, bring_in

    feed_name = code(name or _slug(_given(source)), "--source")
    target = report_file or Path.cwd() / f"{_slug(feed_name)}.report.csv"
    _check_target(target, "--report", COLUMNS, (Path(source), *([map_] if map_ else [])))
    if partial and allow_leaving:
        raise typer.BadParameter(
            "of a partial feed nothing leaves; give one of the two", param_hint="--allow-leaving"
        )
    feed = Feed(
        source, feed_name, format_, map_, trusted, partial, allow_leaving, guessed=name is None
    )
    try:
        report = asyncio.run(bring_in(feed, target, dry_run=dry_run))
    except DirectoryRefused as refused:
        raise CommandFailed(str(refused)) from None
    _show(report, as_json=as_json)


def _given(source: str) -> str:
    """Nothing at all would be the current folder, which nobody means by it."""
    if not source.strip():
        raise typer.BadParameter("give a file or a folder")
    return source


def _check_target(path: Path, option: str, columns: Sequence[str], inputs: Sequence[Path]) -> None:
    """What cannot or must not be written is said before anything is brought in, not after.

    A file that is there goes only where it is an earlier one of the kind, by its *columns*, and
    none of the *inputs*: who mends rejects and brings them in again would lose them.
    """
    folder = path.absolute().parent
    if path.is_dir():
        why = f"'{path}' is a folder; name a file"
    elif any(one.exists() and path.exists() and path.samefile(one) for one in inputs):
        why = f"'{path}' is what is read; name another file by {option}"
    elif path.exists() and not _begins_with(path, columns):
        why = f"'{path}' is there, and no earlier one of this kind; name another file by {option}"
    elif not folder.is_dir():
        why = f"there is no folder '{folder}'"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        why = f"'{path}' cannot be written"
    else:
        return
    raise typer.BadParameter(why, param_hint=option)


def _begins_with(path: Path, columns: Sequence[str]) -> bool:
    """Whether the file is empty or its header begins with *columns*."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return True  # Whether it may be written is judged by itself.
    return not start or start.startswith(",".join(columns).encode())


def _slug(source: str) -> str:
    """A name for the feed out of its path or address."""
    stem = source.rstrip("/").rsplit("/", 1)[-1].split("?")[0].split(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:60] or "directory"


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        print_facts({name.replace("_", " "): value for name, value in report.items()})
