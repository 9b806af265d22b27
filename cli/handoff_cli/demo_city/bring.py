"""Brings the demo city into a running system: its directory and its staff, and no cases.

Done once: a marker holds what was brought, and a question to the database whether it is still
there. Nothing that somebody changed since is undone.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from handoff_kit.cities import city_folder

from handoff_cli.console import program
from handoff_cli.demo_city.ids import AGENCY, CITY, SOURCE
from handoff_cli.home import Home, write_private

Say = Callable[[str], None]
MARKER = "demo_city.json"
SIGN_INS = "demo_sign_ins.json"
TRY = "demo --days 3   plays three days of the city; then look at the pages again"


class Running(Protocol):
    """What `bring` needs of the supervisor."""

    @property
    def home(self) -> Home: ...
    @property
    def address(self) -> str: ...
    @property
    def administrative_url(self) -> str: ...
    def aside(self, name: str, work: Callable[[], None]) -> None: ...


@dataclass(frozen=True)
class SignIn:
    """A seat of the demo staff with its password."""

    role: str
    title: str
    email: str
    password: str


def bring(supervisor: Running, say: Say) -> None:
    """Have the demo city there, and print who can sign in. Quick when it is there already."""
    home = supervisor.home
    folder = city_folder(CITY)
    digest = digest_of(folder)
    marker = home.folder / MARKER
    known = marker.read_text().strip() if marker.exists() else ""
    if known != digest or not asyncio.run(_is_there(supervisor.administrative_url)):
        say("bringing the demo city ...")
        supervisor.aside("demo", lambda: asyncio.run(_bring(supervisor, folder)))
        write_private(marker, digest + "\n")
    _tell(supervisor.address, kept_sign_ins(home), say)


def digest_of(folder: Path) -> str:
    """A hash of what is brought."""
    digest = hashlib.sha256()
    for path in [*sorted((folder / "directory").iterdir()), folder / "staff.yaml"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


async def _is_there(url: str) -> bool:
    from handoff_kit.db import connect

    from handoff_cli.office import act_for, reading

    connection = await connect(url)
    try:
        async with reading(connection):
            await act_for(connection, "partner")
            directory = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM partner.organization"
                " WHERE agency_id = $1 AND source = $2)",
                AGENCY,
                SOURCE,
            )
            await act_for(connection, "portal")
            staff = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM portal.person WHERE agency_id = $1)", AGENCY
            )
        return bool(directory and staff)
    finally:
        await connection.close()


async def _bring(supervisor: Running, folder: Path) -> None:
    from handoff_cli import running
    from handoff_cli.api import local_api
    from handoff_cli.directories import Feed, packed, post

    system = running.System(supervisor.home, supervisor.address, None, CITY)
    files = {path.name: path.read_bytes() for path in sorted((folder / "directory").iterdir())}
    async with local_api(system, "coordinator") as http:
        feed = Feed(str(folder / "directory"), SOURCE, "hsds-3", trusted=True)
        await post(http, feed, packed(files), dry_run=False)
    await _seat(supervisor.home, folder)


async def _seat(home: Home, folder: Path) -> None:
    """An account for each seat that has none; its password is random and kept in the home."""
    from handoff_kit.errors import Conflict
    from handoff_kit.yamlfile import parse
    from portal_svc.domain.people import new_password
    from portal_svc.handlers.people import create_person

    from handoff_cli.office import office

    kept = {one.email: one for one in kept_sign_ins(home)}
    document: Any = parse(folder / "staff.yaml").value
    for seat in document["staff"]:
        password = new_password()
        try:
            async with office("portal") as tx:
                await create_person(
                    tx,
                    agency=AGENCY,
                    email=seat["email"],
                    role=seat["role"],
                    actor="demo",
                    organization_id=seat["organization"],
                    password=password,
                )
        except Conflict:
            continue  # The seat is taken; its password stays as it is.
        kept[seat["email"]] = SignIn(seat["role"], seat["title"], seat["email"], password)
    write_private(
        home.secrets / SIGN_INS,
        json.dumps([vars(one) for one in kept.values()], indent=1) + "\n",
    )


def kept_sign_ins(home: Home) -> list[SignIn]:
    """The demo sign-ins of this home, in the order of the staff file."""
    path = home.secrets / SIGN_INS
    if not path.exists():
        return []
    return [SignIn(**one) for one in json.loads(path.read_text())]


def _tell(address: str, sign_ins: list[SignIn], say: Say) -> None:
    say(f"\n  Pages     {address}/\n  API       {address}/intake/openapi.json and the like\n")
    width = max((len(one.email) for one in sign_ins), default=0)
    roles = max((len(one.role) for one in sign_ins), default=0)
    for one in sign_ins:
        say(f"  {one.role.ljust(roles)}  {one.email.ljust(width)}  {one.password}")
    say(f"\n  Try       {program()} {TRY}")
