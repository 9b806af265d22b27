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
        (
            {"property": {"latitude": 0, "longitude": 0.0}},
            "property",
            "nowhere",
            "Give a parcel_id, an address_id, an address or a point.",
        ),
        (
            {"property": {"latitude": -71.0328, "longitude": 42.3918}},
            "property.latitude",
            "uninhabited",
            "Nobody lives south of 60° S; are latitude and longitude swapped?",
        ),
        (
            {"inspected_at": "9999-12-31T00:00:00Z"},
            "inspected_at",
            "in-the-future",
            "This is more than a day ahead, and has to have happened.",
        ),
        (
            {"findings": [{"code": "10.1"}, {"code": "10.2", "issued_at": "1900-01-01T00:00:00Z"}]},
            "findings.1.issued_at",
            "too-early",
            "A time before 1900-01-02 stands for none; leave it out or mend it.",
        ),
        (
            {"findings": [{"code": "10.1", "deadline": "9999-12-31T00:00:00Z"}]},
            "findings.0.deadline",
            "too-late",
            "A deadline more than ten years ahead stands for none; leave it out.",
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
