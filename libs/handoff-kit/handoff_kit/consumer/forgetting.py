"""What a consumer need not remember any more."""

from handoff_kit.db import Connection

# Far longer than the inbound topic is kept, whose records alone have no sequence.
KEPT_DAYS = 30


async def forget_old_events(connection: Connection, schema: str) -> None:
    """Drop ids in the inbox, and parked events that were dealt with, older than thirty days."""
    for condition in ("inbox WHERE seen_at", "parked WHERE resolved_at"):
        await connection.execute(
            f"DELETE FROM {schema}.{condition} < now() - make_interval(days => $1)", KEPT_DAYS
        )
