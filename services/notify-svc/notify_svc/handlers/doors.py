"""Who may no longer come in is told nothing more."""

from collections.abc import Sequence

from event_schemas.access import ClientRevoked, PersonDisabled
from handoff_kit.consumer import Received
from handoff_kit.tx import Tx

from notify_svc.handlers.outcomes import say_cancelled, switch_off
from notify_svc.tables import ShutOutRow
from notify_svc.tables.doors import add_shut_out, endpoints_set_by, stop_mail

CLIENT, PERSON = "client-revoked", "person-disabled"


async def shut_out(tx: Tx, events: Sequence[Received]) -> None:
    """Stop webhooks and mail to addresses that rest on the word of who was shut out.

    What waits for them is cancelled. An organization's are among them when this caller set them
    last: of a webhook its feed says so, and another of its callers may set them anew.
    """
    for reason in (CLIENT, PERSON):
        ended = sorted(
            {(e.agency, caller) for e in events if (caller := _caller(e, reason)) is not None}
        )
        if not ended:
            continue
        agencies = [agency for agency, _ in ended]
        callers = [caller for _, caller in ended]
        await add_shut_out(
            tx.conn,
            [ShutOutRow(agency_id=agency, caller=caller, at=tx.now) for agency, caller in ended],
        )
        await switch_off(tx, await endpoints_set_by(tx.conn, agencies, callers), reason)
        for row in await stop_mail(tx.conn, agencies, callers, reason, tx.now):
            say_cancelled(tx, row, reason)


def _caller(event: Received, reason: str) -> str | None:
    """A client that speaks for a person is shut out alone: what others set for it goes on."""
    match event.data:
        case ClientRevoked() as said if reason == CLIENT:
            return said.client_id
        case PersonDisabled() as said if reason == PERSON:
            return str(said.person_id)
    return None
