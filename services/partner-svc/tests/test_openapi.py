"""What the document says of each operation."""

from typing import get_args

import pytest
from event_schemas.codes import DECLINE_REASONS, HOLD_REASONS
from partner_svc.api.models import BODIES, AppointmentReason, DeclineReason, FailReason, HoldReason
from partner_svc.domain.transitions import FAIL_REASONS


async def test_every_operation_names_its_scope(client) -> None:
    document = (await client.get("/partner/openapi.json")).json()
    operations = {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        if path.startswith("/partner/v1")
        for method, operation in methods.items()
    }
    assert len(operations) == 4 + len(BODIES) + 7 + 2
    assert all(operation["security"] for operation in operations.values())


@pytest.mark.parametrize(
    ("listed", "codes"),
    [
        (DeclineReason, DECLINE_REASONS),
        (FailReason, FAIL_REASONS),
        (HoldReason, HOLD_REASONS),
        (AppointmentReason, FAIL_REASONS | HOLD_REASONS),
    ],
)
def test_the_bodies_take_the_reasons_of_the_table(listed, codes) -> None:
    assert set(get_args(listed)) == set(codes)


async def test_without_a_token_nothing_is_answered(client) -> None:
    document = (await client.get("/partner/openapi.json")).json()
    some_id = "0b4c1f0e-3f0a-4c1b-8d53-1de0a4d6b0ff"
    for path, methods in document["paths"].items():
        if not path.startswith("/partner/v1"):
            continue
        for method in methods:
            url = path.format_map(dict.fromkeys(_names(path), some_id))
            answer = await client.request(method, url)
            assert answer.status_code == 401, (method, path)


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
