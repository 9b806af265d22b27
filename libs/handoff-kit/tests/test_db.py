"""What a service's pools on its database keep apart."""

import asyncpg
import pytest
from handoff_kit.db import Database
from handoff_kit.errors import Transient


@pytest.mark.parametrize("broken_by", ["the handler", "the database"])
async def test_f32_a_connection_used_again_after_a_failure_shows_nothing_of_the_tenant_before(
    database, service, admin, broken_by
):
    await admin.execute(
        "INSERT INTO toy.applied (agency_id, key, event_id) VALUES ('test-city', 'k', 'e')"
    )
    db = Database(database.url, service.name, max_size=1)
    backends = []

    async def seen(connection) -> int:
        backends.append(await connection.fetchval("SELECT pg_backend_pid()"))
        return await connection.fetchval("SELECT count(*) FROM toy.applied")

    try:
        with pytest.raises((Transient, asyncpg.DivisionByZeroError)):
            async with db.tenant("test-city") as connection:
                assert await seen(connection) == 1
                if broken_by == "the database":
                    await connection.execute("SELECT 1 / 0")
                raise Transient("the handler fails")
        async with db.tenant("elsewhere") as connection:
            assert await seen(connection) == 0
        async with db._tenant.acquire() as connection:  # Nobody said for whom.
            assert await seen(connection) == 0
        async with db.tenant("test-city") as connection:
            assert await seen(connection) == 1
    finally:
        await db.close()
    assert len(set(backends)) == 1  # Else nothing was used again.
