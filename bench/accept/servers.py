"""B2's peer and limits as servers: ``python -m bench.accept.servers PORT DATABASE_URL``.

``/bare/…``: an endpoint as FastAPI's and SQLModel's documentation show it; the body is validated by
the same model as ours, one row is inserted and committed, with a session of the asyncpg dialect.
``/parses/…``: validates the same body and does nothing. ``/nothing``: does nothing at all.
The same uvicorn settings as ours, and the same event loop.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

from event_schemas.inbound import InspectionReported
from fastapi import Depends, FastAPI
from handoff_kit.service import serve, stop_on_signals
from intake_svc.handlers.requests import ReferralIn
from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.stand import run

POOL = 16


class ReferralKept(SQLModel, table=True):
    """One referral in one row."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    encounter: str | None
    name: str | None
    category: str
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class InspectionKept(SQLModel, table=True):
    """One inspection in one row."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    source: str
    source_id: str
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


def make(url: str) -> tuple[FastAPI, Any]:
    """The application and its engine."""
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=POOL, max_overflow=0
    )
    app = FastAPI()

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as opened:
            yield opened

    opens = Depends(session)

    @app.post("/bare/referrals", status_code=201)
    async def refer(body: ReferralIn, session: Annotated[AsyncSession, opens]) -> dict[str, UUID]:
        row = ReferralKept(
            encounter=body.encounter.kind if body.encounter else None,
            name=body.resident.name if body.resident else None,
            category=body.needs[0].category,
            body=body.model_dump(mode="json"),
        )
        id_ = row.id
        session.add(row)
        await session.commit()
        return {"referral_id": id_}

    @app.post("/bare/inspections", status_code=201)
    async def report(
        body: InspectionReported, session: Annotated[AsyncSession, opens]
    ) -> dict[str, UUID]:
        row = InspectionKept(
            source=body.source, source_id=body.source_id, body=body.model_dump(mode="json")
        )
        id_ = row.id
        session.add(row)
        await session.commit()
        return {"inspection_id": id_}

    @app.post("/parses/referrals", status_code=201)
    async def parse_referral(body: ReferralIn) -> dict[str, str]:
        return {"category": body.needs[0].category}

    @app.post("/parses/inspections", status_code=201)
    async def parse_inspection(body: InspectionReported) -> dict[str, str]:
        return {"source_id": body.source_id}

    @app.post("/nothing", status_code=201)
    async def nothing() -> dict[str, str]:
        return {}

    return app, engine


async def main(port: int, url: str) -> None:
    app, engine = make(url)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(app, "127.0.0.1", port, stop)
    await engine.dispose()


class _Ceiling(asyncio.Protocol):
    """Answers whatever comes with fixed bytes: what the load generator itself can do."""

    ANSWER = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(self.ANSWER)  # type: ignore[attr-defined]


async def ceiling(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Ceiling, "127.0.0.1", port)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    if sys.argv[2] == "ceiling":
        run(ceiling(int(sys.argv[1])))
    else:
        run(main(int(sys.argv[1]), sys.argv[2]))
