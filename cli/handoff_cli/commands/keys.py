"""``handoff keys``: those that wrap residents' and endpoints' keys, those that sign tokens."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handoff_cli import running
from handoff_cli.console import CommandFailed, command, print_json, print_table, progress
from handoff_cli.home import Home
from handoff_cli.office import ACTOR, act_for, office, reading
from handoff_cli.running import SERVICES

if TYPE_CHECKING:
    from handoff_kit.crypto import FileKeyWrapper

app = typer.Typer(help="Keys that seal and keys that sign.")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Of = Annotated[
    list[str] | None,
    typer.Option("--service", help="Whose key file HANDOFF_KEY_FILE is; default: all of them."),
]
# Rounds over a table: what others worked on in one is taken in the next.
_ROUNDS = 5


@app.command()
@command
def status(*, service: Of = None, as_json: Json = False) -> None:
    """Show the versions in the key file, and how many owners' keys each of them wraps."""
    path = key_file()
    report = asyncio.run(_status(path, services(service)))
    if as_json:
        print_json(report)
        return
    print_table(
        ("service", "table", "version", "owners"),
        [
            (one["service"], one["table"], version, owners)
            for one in report["tables"]
            for version, owners in one["versions"].items()
        ],
    )
    known = ", ".join(map(str, report["known"]))
    typer.echo(f"\n{path} has version {known}; new keys are wrapped by {report['current']}")


@app.command()
@command
def rotate(*, service: Of = None, as_json: Json = False) -> None:
    """Make a new key that wraps owners' keys, and wrap all of them anew. Nothing has to stop.

    The older ones stay in the file: a backup of the database needs the one of its day.
    """
    from handoff_kit.crypto import SEEN_WITHIN, rotate_key_file

    path, of = key_file(), services(service)
    asyncio.run(_status(path, of))  # Refused before the file is changed, if it is another's.
    version = rotate_key_file(path)
    if not as_json:
        typer.echo(f"{path} has version {version} now; waiting until every process has seen it")
    time.sleep(SEEN_WITHIN + 1)
    _told(asyncio.run(_rewrap(path, of)), as_json=as_json)
    if not as_json:
        typer.echo(
            f"\nkeep a copy of {path} apart from the data: an older copy opens nothing of it"
        )


@app.command()
@command
def rewrap(*, service: Of = None, as_json: Json = False) -> None:
    """Wrap anew what an older key still wraps, as `rotate` does at its end."""
    _told(asyncio.run(_rewrap(key_file(), services(service))), as_json=as_json)


@app.command("rotate-signing")
@command
def rotate_signing(
    *,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="End all tokens that are out: the old key leaked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new key that signs access tokens. Nothing has to stop, nobody is signed out."""
    from handoff_kit.auth import rotate_signing_keys
    from handoff_kit.auth.signer import PUBLISHED_BEFORE, TooSoon

    path = signing_file()
    try:
        kid = rotate_signing_keys(path, drop_old=drop_old)
    except TooSoon as error:
        raise CommandFailed(
            f"tokens of the key before the last are good for {error.args[0]} seconds more; wait,"
            " or end them with --drop-old"
        ) from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        print_json({"kid": kid, "file": str(path), "dropped_old": drop_old})
        return
    begins = f"in {PUBLISHED_BEFORE} seconds"
    if drop_old:
        begins = "now; tokens from before are refused within ten minutes"
    typer.echo(f"{kid} signs {begins}")


def key_file() -> Path:
    """The file of the environment, else the home's. Raises: CommandFailed."""
    return _there("HANDOFF_KEY_FILE", Home.from_environment().key_file)


def signing_file() -> Path:
    """The same of the keys that sign. Raises: CommandFailed."""
    return _there("HANDOFF_SIGNING_KEYS_FILE", Home.from_environment().signing_keys)


def _there(name: str, otherwise: Path) -> Path:
    given = os.environ.get(name)
    path = Path(given) if given else otherwise
    if not path.is_file():
        raise CommandFailed(f"{path} is not there; {running.START}, or name the file with {name}")
    return path


def services(given: Sequence[str] | None) -> list[str]:
    """The services that were named; without any all, if they share the home's key file.

    Raises: CommandFailed, BadParameter.
    """
    unknown = sorted(set(given or ()) - set(SERVICES))
    if unknown:
        raise typer.BadParameter(
            f"'{unknown[0]}' is none of: {', '.join(SERVICES)}", param_hint="--service"
        )
    if not given and os.environ.get("HANDOFF_KEY_FILE"):
        raise CommandFailed("each service has a key file of its own: say whose, --service intake")
    return list(given or SERVICES)


async def _status(path: Path, of: Sequence[str]) -> dict[str, Any]:
    """Which versions wrap what. Raises: CommandFailed when the file does not open what is there."""
    from handoff_kit import rewrapping
    from handoff_kit.crypto import KeyServiceAway, Tampered

    wrapper, found = _wrapper(path), []
    async with running.database() as connection, reading(connection):
        for service in of:
            await act_for(connection, service)
            for table in await rewrapping.tables(connection, service):
                try:
                    await rewrapping.check(connection, service, table, wrapper)
                except KeyServiceAway as error:
                    raise CommandFailed(f"{service}.{table}: {error}") from None
                except Tampered:
                    raise CommandFailed(
                        f"{path} does not open the keys of {service}.{table}; is it another"
                        " service's?"
                    ) from None
                versions = await rewrapping.versions(connection, service, table)
                found.append({"service": service, "table": table, "versions": _named(versions)})
    return {"known": wrapper.known_versions, "current": wrapper.current_version, "tables": found}


async def _rewrap(path: Path, of: Sequence[str]) -> dict[str, Any]:
    before = await _status(path, of)
    wrapper = _wrapper(path)
    done = dict.fromkeys((table["service"] for table in before["tables"]), 0)
    for table in before["tables"]:
        done[table["service"]] += await _rewrap_table(table["service"], table["table"], wrapper)
    current = wrapper.current_version
    for service, owners in done.items():
        if owners:
            async with office(service) as tx:
                facts = {"version": current, "owners": owners}
                tx.audit(running.agency(), "keys.rewrapped", actor=ACTOR, facts=facts)
    left = sum(
        owners
        for table in (await _status(path, of))["tables"]
        for version, owners in table["versions"].items()
        if version != str(current)
    )
    services = [{"service": service, "rewrapped": owners} for service, owners in done.items()]
    return {"current": current, "services": services, "left": left}


async def _rewrap_table(service: str, table: str, wrapper: "FileKeyWrapper") -> int:
    """Round by round until nothing is left; how many keys were wrapped anew."""
    from handoff_kit import rewrapping

    current, anew = wrapper.current_version, 0
    with progress(f"{service}.{table}") as tell:
        for _ in range(_ROUNDS):
            async with office(service) as tx:
                versions = await rewrapping.versions(tx.conn, service, table)
            old = sum(owners for version, owners in versions.items() if version != current)
            if not old:
                break
            total = anew + old
            after: rewrapping.Place | None = rewrapping.FIRST
            while after is not None:
                async with office(service) as tx:
                    after, count = await rewrapping.rewrap(
                        tx.conn, service, table, wrapper, current, after
                    )
                anew += count
                tell(anew, total)
    return anew


def _told(report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        rows = [(one["service"], one["rewrapped"]) for one in report["services"]]
        print_table(("service", "owners' keys wrapped anew"), rows)
    if report["left"]:
        raise CommandFailed(f"{report['left']} keys are left; try again: handoff keys rewrap")


def _wrapper(path: Path) -> "FileKeyWrapper":
    from handoff_kit.crypto import FileKeyWrapper, KeyServiceAway

    try:
        return FileKeyWrapper(path)
    except KeyServiceAway as error:
        raise CommandFailed(str(error)) from None


def _named(versions: Mapping[int, int]) -> dict[str, int]:
    return {str(version): owners for version, owners in versions.items()}
