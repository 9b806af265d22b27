"""The public API, as a command calls it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from handoff_kit.auth import ServiceToken
from handoff_kit.city import load_city
from handoff_kit.errors import Unavailable

from handoff_cli import running
from handoff_cli.console import CommandFailed, NotRunning, problem_words
from handoff_cli.machines import Credentials, Wanted, from_environment, machines

TIMEOUT = httpx.Timeout(120, connect=5)


class ApiRefused(CommandFailed):
    """The API said no; the message is its own."""


@asynccontextmanager
async def api(role: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the system that is meant, allowed what *role* may.

    With HANDOFF_CLIENT_ID and HANDOFF_CLIENT_SECRET it is the system at HANDOFF_PUBLIC_URL, else
    this machine's own, whose credentials are made once. Raises: NotRunning, CommandFailed.
    """
    given = from_environment()
    if given is not None:
        address = os.environ.get("HANDOFF_PUBLIC_URL") or running.here().address
        async with connected(address, given) as http:
            yield http
        return
    system = running.here()
    async with local_api(system, role) as http:
        yield http


@asynccontextmanager
async def local_api(system: running.System, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API of the all-in-one of this home."""
    city = load_city(running.current_city())
    wanted = Wanted(role, role, city.organization_of(role))
    found = await machines(system.home, city.agency, [wanted])
    try:
        async with connected(system.address, found[role]):
            pass
    except CredentialsRefused:
        # The database was made anew, or somebody revoked them.
        found = await machines(system.home, city.agency, [wanted], renew=True)
    async with connected(system.address, found[role]) as http:
        yield http


class CredentialsRefused(CommandFailed):
    """The client's credentials were refused."""


@asynccontextmanager
async def connected(address: str, credentials: Credentials) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose token was fetched. Raises: NotRunning, CredentialsRefused."""
    base = address.rstrip("/")
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=16)) as plain:
        token = ServiceToken(
            plain, f"{base}/oauth/token", credentials.client_id, credentials.secret
        )
        try:
            await token.get()
        except Unavailable as error:
            await _explain(plain, base, error)
        async with httpx.AsyncClient(
            base_url=base, auth=token, timeout=TIMEOUT, limits=httpx.Limits(max_connections=16)
        ) as http:
            yield http


async def _explain(plain: httpx.AsyncClient, base: str, error: Unavailable) -> None:
    try:
        status = (await plain.get(f"{base}/readyz")).status_code
    except (httpx.HTTPError, httpx.InvalidURL):
        raise NotRunning(f"{base} does not answer; {running.START}") from None
    if status == 200:
        raise CredentialsRefused(f"{base}: {error.detail}") from None
    if status == 503:
        raise NotRunning(f"{base} answers but is not ready; try again, or see: handoff status")
    raise NotRunning(
        f"{base} is no Handoff: its /readyz answers {status}; is HANDOFF_PUBLIC_URL right?"
    )


def checked(response: httpx.Response) -> Any:
    """The JSON of a good answer. Raises: ApiRefused with the problem's own words."""
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        detail = str(problem.get("detail") or problem.get("title") or problem)
        fields = [(str(e["field"]), str(e["message"])) for e in problem.get("errors") or []]
    except (ValueError, KeyError, AttributeError, TypeError):
        detail, fields = f"answered {response.status_code}", []
    raise ApiRefused(f"{response.request.url.path}: {problem_words(detail, fields)}")
