"""A toy service: it notes what it was given, in order, and fails as it is told to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from event_schemas.cases import CaseClosed
from event_schemas.codes import CaseStatus
from handoff_kit.consumer import Group, Received
from handoff_kit.http import create_app
from handoff_kit.service import Built, Context, Service
from handoff_kit.tx import Tx


@dataclass
class Toy:
    """``refuse`` maps an event's reason to what handling it raises."""

    refuse: dict[str, Exception] = field(default_factory=dict)
    sets: list[int] = field(default_factory=list)

    async def apply(self, tx: Tx, events: Sequence[Received]) -> None:
        self.sets.append(len(events))
        for event in events:
            if event.data.reason in self.refuse:
                raise self.refuse[event.data.reason]
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id, sequence)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])",
            [e.agency for e in events],
            [e.key for e in events],
            [e.id for e in events],
            [e.sequence for e in events],
        )


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def service(toy: Toy) -> Service:
    async def build(context: Context) -> Built:
        app = create_app("toy", title="toy", verifier=context.verifier, routers=[])
        group = Group("toy", frozenset({CaseClosed}), toy.apply)
        return Built(app, [group])

    return Service("toy", "handoff_kit", build, Path(__file__).parent / "toy" / "migrations")


@pytest.fixture
def closed():
    """``closed(case_id, version, reason)`` → an event that is easy to make."""

    def make(case_id: UUID, version: int = 1, reason: str = "needs-settled") -> CaseClosed:
        from datetime import UTC, datetime

        return CaseClosed(
            case_id=case_id,
            at=datetime.now(UTC),
            version=version,
            status=CaseStatus.CLOSED,
            reason=reason,
        )

    return make
