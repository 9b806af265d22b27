"""Access tokens for tests, and a clock that they move."""

from typing import Any

from handoff_kit.auth import Signer

ISSUER = "http://localhost:8080"


class Moment:
    """A clock in seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


def a_token(signer: Signer, **changes: Any) -> str:
    stated: dict[str, Any] = {
        "subject": "user-1",
        "agency": "city-a",
        "roles": ["partner"],
        "organization": "org-1",
        "client_id": "client-1",
    }
    return signer.issue(**(stated | changes))
