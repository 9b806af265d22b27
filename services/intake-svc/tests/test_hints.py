"""What is refused is refused with a sentence that says how to mend it."""

from collections.abc import Callable
from typing import Any

import pytest

Build = Callable[..., dict[str, Any]]
TIME = "A time such as 2026-01-31T09:00:00-05:00 is needed; a bare number is none."


@pytest.mark.parametrize(
    ("changes", "field", "code", "message"),
    [
        ({"inspected_at": "1700000000"}, "inspected_at", "time-as-number", TIME),
        ({"inspected_at": 1700000000}, "inspected_at", "time-as-number", TIME),
        (
            {"findings": [{"code": "10.1", "deadline": 1700000000}]},
            "findings.0.deadline",
            "time-as-number",
            TIME,
        ),
        (
            {"property": {"parcel_id": "P-1", "latitude": 42.0}},
            "property",
            "half-a-point",
            "Give latitude and longitude together, or neither.",
        ),
        (
            {"property": {"owner_type": "local-landlord"}},
            "property",
            "nowhere",
            "Give a parcel_id, an address_id, an address or a point.",
        ),
    ],
)
async def test_an_inspection(
    post: Any, an_inspection: Build, changes: dict[str, Any], field: str, code: str, message: str
) -> None:
    answer = await post("/inspections", an_inspection() | changes, role="department")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "code": code, "message": message}]


async def test_a_referral(post: Any, a_referral: Build) -> None:
    asked = a_referral() | {"property": {"latitude": 42.0}}
    asked["consent"]["expires_at"] = "1900000000"
    answer = await post("/referrals", asked)
    assert answer.status_code == 422
    assert {e["field"]: e["code"] for e in answer.json()["errors"]} == {
        "property": "half-a-point",
        "consent.expires_at": "time-as-number",
    }
