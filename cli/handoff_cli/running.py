"""Where a command finds the system: this machine's home, or addresses and credentials given."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from handoff_kit.cities import city_folder
from handoff_kit.db import Connection, connect

from handoff_cli.console import NotRunning
from handoff_cli.home import Home, HomeUnusable

T = TypeVar("T")
SERVICES = ("intake", "referral", "partner", "notify", "portal")
"""As `handoff_kit.settings` has them (a test holds that), without loading it."""
START = "start it with: make up"


@dataclass(frozen=True)
class System:
    """A running system as its home tells."""

    home: Home
    address: str
    worker_port: int | None
    city: str


def here() -> System:
    """The all-in-one of this home, else the system that the environment describes.

    For the latter HANDOFF_PUBLIC_URL and HANDOFF_DATABASE_URL are needed. Raises: NotRunning.
    """
    home = Home.from_environment()
    found = home.who_runs()
    if found is not None:
        port = found.get("worker_port")
        return System(
            home,
            str(found["address"]),
            int(str(port)) if port else None,
            str(found.get("city") or city_name()),
        )
    address = os.environ.get("HANDOFF_PUBLIC_URL", "")
    if address and os.environ.get("HANDOFF_DATABASE_URL"):
        return System(home, address.rstrip("/"), None, city_name())
    raise NotRunning(f"nothing runs in {home.folder}; {START} (or set HANDOFF_HOME)")


def city_name() -> str:
    return os.environ.get("HANDOFF_CITY") or "demo"


def current_city() -> Path:
    """The folder of the city that runs here, else of the one that the environment names.

    Raises: CityNotFound.
    """
    running = Home.from_environment().who_runs() or {}
    return city_folder(os.environ.get("HANDOFF_CITY") or str(running.get("city") or "demo"))


def agency() -> str:
    """The agency of the city that runs here. Raises: CityNotFound, FileRefused."""
    from handoff_kit.city import load_city

    return load_city(current_city()).agency


def database_address() -> str:
    """Administrative address of the database: HANDOFF_DATABASE_URL, else the home's.

    Raises: NotRunning.
    """
    given = os.environ.get("HANDOFF_DATABASE_URL")
    if given:
        return given
    try:
        return Home.from_environment().administrative_url()
    except HomeUnusable as error:
        raise NotRunning(str(error)) from None


@asynccontextmanager
async def database() -> AsyncIterator[Connection]:
    """A connection as the database's owner. Raises: NotRunning."""
    connection = await reach(database_address())
    try:
        yield connection
    finally:
        await connection.close()


async def reach(url: str) -> Connection:
    """A connection to the database of *url*; whoever asks closes it.

    Raises: NotRunning, which names where the address came from.
    """
    given = os.environ.get("HANDOFF_DATABASE_URL") == url
    whose = "HANDOFF_DATABASE_URL" if given else str(Home.from_environment().folder)
    mend = "is it started, and is the address right?" if given else START
    try:
        return await connect(url, name="handoff-cli")
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise NotRunning(f"the database of {whose} refuses the sign-in: {error}") from None
    except (OSError, asyncpg.PostgresError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise NotRunning(f"the database of {whose} does not answer ({why}); {mend}") from None
    except (ValueError, OverflowError, asyncpg.InterfaceError) as error:
        raise NotRunning(f"{whose} is no address of a PostgreSQL: {error}") from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)
