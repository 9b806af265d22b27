"""What commands say: one line for an error, a progress bar on a terminal only, JSON on request."""

import contextlib
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import orjson
import typer

P = ParamSpec("P")
R = TypeVar("R")
Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


class CommandFailed(Exception):
    """A command cannot do what was asked; the message says why and what to mend."""


class NotRunning(CommandFailed):
    """Nothing runs where the command looked; the message says how to start it."""


def fail(message: object) -> NoReturn:
    """One line on standard error, exit code 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


def command(function: Callable[P, R]) -> Callable[P, R]:
    """A subcommand whose expected failures end in one line and exit code 1, never a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except BrokenPipeError:
            # Whoever reads us has had enough, as `head` does: no error, and nothing more to write.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            known = _expected_of(error)
            if known is None:
                raise
            fail(_words(known))

    return run


def _expected_of(error: Exception) -> Exception | None:
    """The expected failure that *error* is, or, of work done side by side, the first of them.

    None where anything in it is a fault of ours: that keeps its traceback.
    """
    if not isinstance(error, ExceptionGroup):
        return error if isinstance(error, _expected()) else None
    found = [_expected_of(one) for one in error.exceptions]
    return None if None in found else found[0]


def _expected() -> tuple[type[BaseException], ...]:
    """Everything that a user can get wrong; looked up only once something failed."""
    import asyncpg
    import httpx
    from handoff_kit.cities import CityNotFound
    from handoff_kit.errors import HandoffError
    from handoff_kit.settings import SettingsRefused
    from handoff_kit.yamlfile import FileRefused

    from handoff_cli.home import HomeUnusable

    return (
        CommandFailed,
        HomeUnusable,
        CityNotFound,
        FileRefused,
        SettingsRefused,
        HandoffError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        httpx.TransportError,
        OSError,
    )


def _words(error: BaseException) -> str:
    import httpx
    from handoff_kit.errors import HandoffError

    if isinstance(error, httpx.TransportError):
        address = error.request.url.copy_with(query=None)
        return f"{address} did not answer ({error or type(error).__name__}); try again"
    if isinstance(error, HandoffError):
        return problem_words(error.detail, [(e.field, e.message) for e in error.errors])
    if isinstance(error, _not_migrated()):
        return f"{error}; is the database at the newest schema? see: handoff migrate"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def _not_migrated() -> tuple[type[Exception], ...]:
    import asyncpg

    return (
        asyncpg.InvalidSchemaNameError,
        asyncpg.UndefinedColumnError,
        asyncpg.UndefinedObjectError,
        asyncpg.UndefinedTableError,
    )


def problem_words(detail: str, fields: Sequence[tuple[str, str]]) -> str:
    """A problem's detail and what each field lacks, nothing said twice."""
    told = "; ".join(f"{field}: {message}" for field, message in fields)
    if any(message == detail for _, message in fields):
        return told
    return f"{detail} {told}".strip()


def program() -> str:
    """How ``handoff`` is called in the current folder, so that what is printed can be pasted.

    By its name where the shell finds it, else by its path.
    """
    here = Path(sys.executable).with_name("handoff")
    found = shutil.which("handoff")
    if not here.exists() or (found and Path(found).samefile(here)):
        return "handoff"
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def code(given: str, option: str) -> str:
    """*given* as a code: what goes onto the audit log is no free text.

    Raises: typer.BadParameter.
    """
    from event_schemas.base import Code
    from pydantic import TypeAdapter, ValidationError

    try:
        return str(TypeAdapter(Code).validate_python(given))
    except ValidationError:
        raise typer.BadParameter(
            f"'{given}' is no code; write it as one word, such as restored-from-backup",
            param_hint=option,
        ) from None


def print_json(value: Any) -> None:
    """One JSON document on standard output; times and ids as text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    typer.echo(orjson.dumps(value, option=options, default=str).decode(), nl=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need; plain text, so that it can be piped."""
    shown = [[_cell(cell) for cell in row] for row in rows]
    widths = [
        max(len(title), *(len(row[at]) for row in shown)) if shown else len(title)
        for at, title in enumerate(columns)
    ]
    for line in (columns, ["-" * width for width in widths], *shown):
        words = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(words).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_cell(one)}" for name, one in value.items()) or "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name.ljust(width)}  {_cell(value)}")


@contextlib.contextmanager
def progress(label: str) -> Iterator[Advance]:
    """A bar on a terminal; elsewhere nothing at all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as shown:
        task = shown.add_task(label, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
