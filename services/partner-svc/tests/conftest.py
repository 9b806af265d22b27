"""Partner on a real database, with an intake that answers from memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from event_schemas.codes import NeedCategory, TargetKind, Urgency
from event_schemas.referrals import OfferMade
from handoff_kit.service import Context, Service
from partner_svc.app import SERVICE

FOOD_BANK = UUID("0b4c1f0e-3f0a-4c1b-8d53-1de0a4d6b001")
KITCHEN = UUID("0b4c1f0e-3f0a-4c1b-8d53-1de0a4d6b002")
DESK = UUID("0b4c1f0e-3f0a-4c1b-8d53-1de0a4d6b003")


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@dataclass
class FakeIntake:
    """Answers as intake's contract says; remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    consent: bool = True
    away: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        self.asked.append((request.url.path, body))
        if self.away:
            raise httpx.ConnectError("away")
        match request.url.path:
            case "/intake/v1/notes":
                return httpx.Response(204)
            case "/intake/v1/disclosures" if self.consent:
                return httpx.Response(
                    200, json={"disclosure_id": str(uuid4()), "name": "Resident One"}
                )
            case "/intake/v1/properties/read" if self.consent or "property_id" in body:
                return httpx.Response(200, json={"address": {"line1": "1 Example Street"}})
        return httpx.Response(404, json={"code": "not-found"})

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


@pytest.fixture
async def context(context: Context, intake: FakeIntake) -> Any:
    real = context.http
    context.http = httpx.AsyncClient(transport=httpx.MockTransport(intake))
    yield context
    await context.http.aclose()
    context.http = real


@pytest.fixture
def made() -> Callable[..., OfferMade]:
    """An ``offer.made`` event; every field can be given."""

    def make(**given: Any) -> OfferMade:
        fields = {
            "offer_id": uuid4(),
            "case_id": uuid4(),
            "need_id": uuid4(),
            "at": datetime(2026, 3, 1, 9, tzinfo=UTC),
            "organization_id": FOOD_BANK,
            "service_id": uuid4(),
            "target_kind": TargetKind.PARTNER,
            "category": NeedCategory.FOOD_INSECURITY,
            "urgency": Urgency.URGENT,
            "area": ["city:demo"],
            "consent_id": uuid4(),
        }
        return OfferMade.model_validate(fields | given)

    return make


@dataclass
class As:
    """A caller of the API: one client with one token."""

    client: httpx.AsyncClient
    headers: dict[str, str]

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/partner/v1{path}", params=params, headers=self.headers)

    async def do(
        self,
        offer: UUID | str,
        command: str,
        body: dict[str, Any] | None = None,
        *,
        version: int | None = 1,
        key: str | None = None,
    ) -> httpx.Response:
        headers = dict(self.headers)
        if version is not None:
            headers["if-match"] = f'"{version}"'
        if key is not None:
            headers["idempotency-key"] = key
        return await self.client.post(
            f"/partner/v1/offers/{offer}/{command}", json=body or {}, headers=headers
        )

    async def put(self, path: str, body: dict[str, Any], version: int | None) -> httpx.Response:
        headers = dict(self.headers)
        if version is not None:
            headers["if-match"] = f'"{version}"'
        return await self.client.put(f"/partner/v1{path}", json=body, headers=headers)

    async def upload(
        self, content: bytes, kind: str = "application/octet-stream", **params: Any
    ) -> httpx.Response:
        return await self.client.post(
            "/partner/v1/directory/imports",
            params=params,
            content=content,
            headers=self.headers | {"content-type": kind},
        )


@pytest.fixture
def caller(client: httpx.AsyncClient, token: Callable[..., str]) -> Callable[..., As]:
    """``caller("partner", FOOD_BANK)`` → the API as that role of that organization sees it."""

    def make(role: str, organization: UUID | None = None, **more: Any) -> As:
        of = str(organization) if organization else None
        text = token(role, organization=of, **more)
        return As(client, {"authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def food_bank(caller: Callable[..., As]) -> As:
    return caller("partner", FOOD_BANK)


@pytest.fixture
def kitchen(caller: Callable[..., As]) -> As:
    return caller("partner", KITCHEN)


@pytest.fixture
def coordinator(caller: Callable[..., As]) -> As:
    return caller("coordinator")


@pytest.fixture
async def an_offer(feeder, made):
    offer = made()
    await feeder().feed(offer, source="/handoff/referral")
    return offer


@pytest.fixture
async def an_accepted_offer(an_offer, food_bank):
    answer = await food_bank.do(an_offer.offer_id, "accept")
    assert answer.status_code == 200, answer.text
    return an_offer


@pytest.fixture
async def a_restricted_offer(feeder, made):
    offer = made(restricted=True, category=NeedCategory.MENTAL_HEALTH)
    await feeder().feed(offer, source="/handoff/referral")
    return offer
