"""What journeys send. Addresses are numbered, so that no two tests meet at one door."""

import itertools
from typing import Any
from uuid import uuid4

_NUMBERS = itertools.count(1)
# Inside the demo city's boundary.
LATITUDE, LONGITUDE = 42.3918, -71.0328


def an_address(**more: Any) -> dict[str, Any]:
    """A property of its own, in the demo city."""
    return {
        "address": {
            "line1": f"{next(_NUMBERS)} Journey {uuid4().hex[:6]} Street",
            "unit": "2",
            "city": "Riverton",
            "postal_code": "02150",
        },
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
        **more,
    }


def a_referral(category: str = "food-insecurity", **more: Any) -> dict[str, Any]:
    """A consented referral of one resident with one need."""
    mark = uuid4().hex[:8]
    body: dict[str, Any] = {
        "encounter": {"kind": "inspection"},
        "property": an_address(),
        "resident": {
            "role": "resident",
            "name": f"Resident {mark}",
            "phone": "+1 617 555 0100",
            "email": f"resident-{mark}@example.org",
            "languages": ["es"],
            "safe_contact": f"after six, ask for {mark}",
            "household": {"adults": 2, "minors": 1, "older_adults": 0},
            "tenure": "renter",
        },
        "consent": {
            "method": "spoken",
            "language": "es",
            "notice_version": "2026-01",
            "witness": f"Witness {mark}",
            "covers": [category],
            "recipients": ["case-management"],
            "feedback": True,
        },
        "needs": [{"category": category, "urgency": "urgent", "note": f"empty fridge {mark}"}],
    }
    body.update(more)
    return body


def an_inspection(code: str, scheme: str, **more: Any) -> dict[str, Any]:
    """An inspection with one finding."""
    return {
        "source": "test-department",
        "source_id": uuid4().hex,
        "kind": "complaint",
        "status": "open",
        "inspected_at": "2026-11-20T09:15:00-05:00",
        "inspector": "badge 12",
        "property": an_address(),
        "findings": [{"code": code, "scheme": scheme, "status": "open", "text": "as seen"}],
        **more,
    }
