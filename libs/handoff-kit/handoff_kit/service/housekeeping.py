"""Work of every service that the clock starts."""

import logging

from handoff_kit.audit import shards, verify_chain
from handoff_kit.bus.postgres import forget_old_records
from handoff_kit.consumer.forgetting import forget_old_events
from handoff_kit.doorway import forget_old_answers
from handoff_kit.service.model import Periodic
from handoff_kit.telemetry import process_metrics
from handoff_kit.tx import Tx

log = logging.getLogger(__name__)


def housekeeping(service: str, bus: str) -> list[Periodic]:
    """What every service's worker does by the clock: forget, measure, verify."""
    shown: set[tuple[str, str]] = set()  # A gauge keeps its last value: bring it back to zero.

    async def forget(tx: Tx) -> int:
        await forget_old_answers(tx.conn, service)
        await forget_old_events(tx.conn, service)
        return 0

    async def forget_log(tx: Tx) -> int:
        return await forget_old_records(tx.conn)

    async def measure(tx: Tx) -> int:
        row = await tx.conn.fetchrow(
            f"SELECT count(*) AS pending, coalesce(extract(epoch FROM"
            f" clock_timestamp() - min(created_at)), 0)::float8 AS oldest FROM {service}.outbox"
        )
        parked = await tx.conn.fetch(
            f"SELECT group_name, reason, count(*) AS n FROM {service}.parked"
            " WHERE state NOT IN ('done', 'dropped')"
            # What waits for another writer's event mostly has it within the second.
            "  AND (state = 'failed' OR parked_at < now() - interval '1 minute') GROUP BY 1, 2"
        )
        metrics = process_metrics()
        metrics.set("handoff_outbox_pending", row["pending"], service=service)
        metrics.set("handoff_outbox_oldest_seconds", row["oldest"], service=service)
        now = {(p["group_name"], p["reason"]): p["n"] for p in parked}
        shown.update(now)
        for group, reason in shown:
            metrics.set("handoff_parked", now.get((group, reason), 0), group=group, reason=reason)
        return 0

    async def verify(tx: Tx) -> int:
        """A chain that does not hold is an alarm, whoever looks at it next."""
        whole = True
        for shard in await shards(tx.conn, service):
            bad = (await verify_chain(tx.conn, service, shard))["bad"]
            if bad is not None:
                log.critical("audit of %s/%d: row %d %s", service, shard, *bad.values())
                whole = False
        process_metrics().set("handoff_audit_verified", int(whole), service=service)
        return 0

    found = [
        Periodic(f"{service}-audit", 3600, verify, snapshot=True),
        Periodic(f"{service}-forget", 3600, forget),
        Periodic(f"{service}-measure", 10, measure),
    ]
    if bus == "embedded":
        # Every worker has it, as any service may run alone; one at a time does it, by its name.
        found.append(Periodic("log-forget", 3600, forget_log))
    return found
