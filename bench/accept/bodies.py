"""Bodies of B2, as text in which ``@@@@@@@@`` stands for the number of the request.

Each request is a resident, a home and an inspection of its own; persons are obvious placeholders,
and country code 999 is nobody's.
"""

import json

from handoff_cli.demo_city.ids import organization_id

MARK = "@@@@@@@@"


def referral() -> str:
    """An inspector refers a resident with consent, for food."""
    return json.dumps(
        {
            "encounter": {"kind": "inspection"},
            "property": {
                "address": {
                    "line1": f"{MARK} Example Street",
                    "unit": "2",
                    "city": "Demo City",
                    "postal_code": "00000",
                },
                "property_type": "two-family",
                "occupancy": "renter",
            },
            "resident": {
                "name": f"Resident {MARK}",
                "phone": f"+999 {MARK}",
                "languages": ["es"],
                "household": {"adults": 2, "minors": 1},
                "tenure": "renter",
            },
            "consent": {
                "method": "spoken",
                "interpreter": "Interpreter One",
                "language": "es",
                "notice_version": "2026-01",
                "covers": ["food-insecurity"],
                "recipients": ["case-management", str(organization_id("food-pantry-north"))],
                "feedback": True,
            },
            "needs": [
                {
                    "category": "food-insecurity",
                    "urgency": "routine",
                    "note": "The cupboards were empty; there is a small child.",
                }
            ],
        }
    )


def inspection() -> str:
    """A department's record with two findings."""
    return json.dumps(
        {
            "source": "bench",
            "source_id": f"case-{MARK}",
            "kind": "complaint",
            "inspected_at": "2026-01-05T14:30:00Z",
            "property": {
                "parcel_id": f"parcel-{MARK}",
                "address": {
                    "line1": f"{MARK} Example Street",
                    "city": "Demo City",
                    "postal_code": "00000",
                },
                "latitude": 42.3918,
                "longitude": -71.0328,
                "occupancy": "renter",
            },
            "findings": [
                {
                    "code": "410.550",
                    "class": "B",
                    "status": "open",
                    "text": "Mouse droppings behind the stove and under the sink.",
                },
                {
                    "code": "410.482",
                    "class": "A",
                    "status": "open",
                    "text": "No working smoke detector in the second bedroom.",
                },
            ],
        }
    )
