"""Credentials that this machine's own commands use, made once and kept in the home (0600)."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from handoff_cli.console import CommandFailed
from handoff_cli.home import Home, write_private

FILE = "clients.json"


@dataclass(frozen=True)
class Credentials:
    """A client's id and secret."""

    client_id: str
    secret: str


def from_environment() -> Credentials | None:
    """HANDOFF_CLIENT_ID and HANDOFF_CLIENT_SECRET; None where neither is set.

    Raises: CommandFailed where only one is.
    """
    id_ = os.environ.get("HANDOFF_CLIENT_ID", "")
    secret = os.environ.get("HANDOFF_CLIENT_SECRET", "")
    if bool(id_) != bool(secret):
        missing = "HANDOFF_CLIENT_SECRET" if id_ else "HANDOFF_CLIENT_ID"
        raise CommandFailed(f"{missing} is not set; it belongs to the other one")
    return Credentials(id_, secret) if id_ else None


@dataclass(frozen=True)
class Wanted:
    """A client that a command needs. ``key`` is its name in the home's file.

    With ``email`` it speaks for that person, as a tablet does, where there is such an account.
    """

    key: str
    role: str
    organization_id: UUID | None = None
    email: str | None = None


async def machines(
    home: Home, agency: str, wanted: list[Wanted], *, renew: bool = False
) -> dict[str, Credentials]:
    """Credentials by key; what is missing, or with *renew* all, is made anew and kept.

    Raises: NotRunning.
    """
    path = home.secrets / FILE
    kept = _read(path.read_text() if path.exists() else "{}")
    missing = [w for w in wanted if renew or w.key not in kept]
    if missing:
        from portal_svc.handlers.clients import create_client
        from portal_svc.handlers.people import find_person

        from handoff_cli.office import ACTOR, office

        async with office("portal") as tx:
            for one in missing:
                person = await find_person(tx.conn, agency, one.email) if one.email else None
                issued = await create_client(
                    tx,
                    agency=agency,
                    name=f"handoff-cli {one.key}",
                    role=one.role,
                    actor=ACTOR,
                    organization_id=one.organization_id,
                    person_id=person.id if person and person.disabled_at is None else None,
                )
                kept[one.key] = Credentials(issued.client.client_id, str(issued.secret))
        home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        shown = {key: [c.client_id, c.secret] for key, c in kept.items()}
        write_private(path, json.dumps(shown, indent=1) + "\n")
    return {w.key: kept[w.key] for w in wanted}


def _read(text: str) -> dict[str, Credentials]:
    try:
        found: Mapping[str, list[str]] = json.loads(text)
        return {key: Credentials(*pair) for key, pair in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
