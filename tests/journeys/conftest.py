"""The people of a journey."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.receiver import Receiver
from support.system import Api, System, eventually, organization


@dataclass
class People:
    """Who takes part, each by their own client."""

    system: System
    inspector: Api
    department: Api
    case_manager: Api
    coordinator: Api
    city_manager: Api

    def target(self, organization_id: str) -> Api:
        """A client of the organization that an offer was made to."""
        kind = self.coordinator.ok("GET", f"/partner/v1/organizations/{organization_id}")["kind"]
        role = {"case-management": "case-manager"}.get(kind, kind)
        return self.system.api(role, organization_id)

    def offers(self, case_id: str, seconds: float = 20, *, count: int = 1) -> list[dict[str, Any]]:
        """The case's offers as the coordinator sees them, oldest first, once there are *count*."""

        def look() -> list[dict[str, Any]] | None:
            items = self.coordinator.ok("GET", f"/partner/v1/offers?case_id={case_id}")["items"]
            return sorted(items, key=lambda o: o["created_at"]) if len(items) >= count else None

        return eventually(look, seconds, hint=f"{count} offers of case {case_id}")

    def offer(self, offer_id: str, who: Api) -> dict[str, Any]:
        return who.ok("GET", f"/partner/v1/offers/{offer_id}")


def act(who: Api, offer_id: str, transition: str, body: dict[str, Any] | None = None) -> Any:
    """Make a transition with the offer's current version."""
    version = who.ok("GET", f"/partner/v1/offers/{offer_id}")["version"]
    return who.ok(
        "POST",
        f"/partner/v1/offers/{offer_id}/{transition}",
        json=body or {},
        headers={"if-match": f'"{version}"'},
    )


@pytest.fixture
def people(system: System) -> People:
    return People(
        system,
        inspector=system.api("inspector"),
        department=system.api("department"),
        case_manager=system.api("case-manager"),
        coordinator=system.api("coordinator"),
        city_manager=system.api("city-manager"),
    )


@pytest.fixture
def do() -> Callable[..., Any]:
    return act


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def case_management() -> str:
    return str(organization("case-management"))
