from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from handoff_kit.crypto import BlindIndex, FileKeyWrapper
from handoff_kit.service import Service
from handoff_kit.settings import CoreSettings
from intake_svc.app import SERVICE
from intake_svc.handlers.city import Office, load_office

CITY = Path(__file__).parent / "city"
CASE_MANAGEMENT = "52090f5a-eba6-5e0f-b6f1-39369a3bb036"
PANTRY = "fab1b547-3688-5990-b929-db91c511b5f1"


@pytest.fixture
def service() -> Service:
    return SERVICE


@pytest.fixture
def core_settings(core_settings: CoreSettings) -> CoreSettings:
    return core_settings.model_copy(update={"city": str(CITY)})


@pytest.fixture
def office(secrets: Path) -> Office:
    path = secrets / "key_file.json"
    return load_office(CITY, FileKeyWrapper(path), BlindIndex.from_file(path))


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = {**base}
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return {name: value for name, value in merged.items() if value is not ...}


@pytest.fixture
def an_inspection() -> Callable[..., dict[str, Any]]:
    """A builder of inspection bodies; ``...`` takes a field out."""

    def make(**changes: Any) -> dict[str, Any]:
        body = {
            "source": "test-isd",
            "source_id": "V1",
            "kind": "complaint",
            "status": "open",
            "inspected_at": "2026-03-02T09:15:00-05:00",
            "inspector": "badge 17",
            "property": {
                "address": {"line1": "12 Example Street", "unit": "3B", "city": "Testville"},
                "latitude": 42.3918,
                "longitude": -71.0328,
                "occupancy": "occupied",
            },
            "findings": [
                {"code": "10.3", "scheme": "city", "status": "open", "text": "paint peels"}
            ],
        }
        return _merge(body, changes)

    return make


@pytest.fixture
def a_referral() -> Callable[..., dict[str, Any]]:
    """A builder of consented referrals; ``...`` takes a field out."""

    def make(**changes: Any) -> dict[str, Any]:
        body = {
            "encounter": {"kind": "inspection"},
            "property": {
                "address": {
                    "line1": "12 Example Street",
                    "unit": "3B",
                    "city": "Testville",
                    "postal_code": "02150",
                },
                "latitude": 42.3918,
                "longitude": -71.0328,
            },
            "resident": {
                "role": "resident",
                "name": "Resident One",
                "phone": "+1 617 555 0111",
                "languages": ["es"],
                "household": {"adults": 2, "minors": 1, "older_adults": 0},
                "tenure": "renter",
            },
            "consent": {
                "method": "spoken",
                "language": "es",
                "notice_version": "2026-01",
                "witness": "Witness One",
                "covers": ["food-insecurity"],
                "recipients": ["case-management"],
                "feedback": True,
            },
            "needs": [
                {"category": "food-insecurity", "urgency": "urgent", "note": "the fridge is empty"}
            ],
        }
        return _merge(body, changes)

    return make


Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def post(client: httpx.AsyncClient, token: Callable[..., str]) -> Send:
    """``post(path, body, role=…, organization=…, key=…)`` under /intake/v1."""

    async def send(
        path: str,
        body: Any = None,
        *,
        role: str = "inspector",
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **who: Any,
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {token(role, **who)}", **(headers or {})}
        if key is not None:
            sent["idempotency-key"] = key
        return await client.post(f"/intake/v1{path}", json=body, headers=sent)

    return send


@pytest.fixture
def get(client: httpx.AsyncClient, token: Callable[..., str]) -> Send:
    """``get(path, role=…, organization=…)`` under /intake/v1."""

    async def send(path: str, *, role: str = "inspector", **who: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(role, **who)}"}
        return await client.get(f"/intake/v1{path}", headers=headers)

    return send
