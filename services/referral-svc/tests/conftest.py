"""Referral on a real database, with the demo city's policy and a directory of a few services."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import httpx
import orjson
import pytest
from event_schemas import offers
from event_schemas.base import Event
from event_schemas.codes import NeedCategory, OfferStatus, OrganizationKind
from event_schemas.consents import ConsentGranted, ConsentWithdrawn
from event_schemas.directory import OrganizationChanged, ServiceChanged
from event_schemas.referrals import NeedRequested, OfferMade
from handoff_kit.service import Context, Service
from handoff_kit.testing import Feeder, said
from referral_svc.app import SERVICE

AT = datetime(2026, 3, 3, 15, tzinfo=UTC)
INTAKE, PARTNER = "/handoff/intake", "/handoff/partner"


def organization(slug: str) -> UUID:
    """The demo city's id of an organization."""
    return uuid5(NAMESPACE_URL, f"handoff:demo:organization:{slug}")


def service_of(slug: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"handoff:demo:service:{slug}")


HUB = organization("case-management")
PANTRIES = ("food-pantry-north", "food-pantry-harbor", "community-kitchen")
LEGAL = "tenant-legal-aid"


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@dataclass
class FakeIntake:
    """Answers as intake's contract says; remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    links: dict[str, Any] = field(default_factory=dict)
    away: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        self.asked.append((request.url.path, body))
        if self.away:
            raise httpx.ConnectError("away")
        if request.url.path == "/intake/v1/notes":
            return httpx.Response(204)
        if request.url.path == "/intake/v1/links":
            if "case_ids" in body:
                known = self.links.get("properties", {})
                found = {
                    id_: {"property_id": known[id_], "inspection_id": None}
                    for id_ in body["case_ids"]
                    if id_ in known
                }
                return httpx.Response(200, json=found)
            return httpx.Response(200, json={"case_ids": self.links.get("cases", [])})
        return httpx.Response(404, json={"code": "not-found"})


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


def an_organization(slug: str, **given: Any) -> OrganizationChanged:
    hub = slug == "case-management"
    return OrganizationChanged(
        **{
            "organization_id": organization(slug),
            "version": 1,
            "name": slug,
            "kind": OrganizationKind.CASE_MANAGEMENT if hub else OrganizationKind.PARTNER,
            "agreement_active": True,
            **given,
        }
    )


def a_service(slug: str, *needs: NeedCategory, **given: Any) -> ServiceChanged:
    return ServiceChanged(
        **{
            "service_id": service_of(slug),
            "organization_id": organization(slug),
            "version": 1,
            "name": slug,
            "status": "active",
            "needs": list(needs),
            "areas": ["city:demo"],
            "languages": ["en", "es"],
            **given,
        }
    )


def the_directory() -> list[Event]:
    return [
        an_organization("case-management"),
        an_organization("fire-department", kind=OrganizationKind.DEPARTMENT),
        an_organization("inspectional-services", kind=OrganizationKind.DEPARTMENT),
        *(an_organization(slug) for slug in (*PANTRIES, LEGAL)),
        *(a_service(slug, NeedCategory.FOOD_INSECURITY) for slug in PANTRIES),
        a_service(LEGAL, NeedCategory.LEGAL_HELP),
    ]


def a_need(**given: Any) -> NeedRequested:
    """A resident's need for food, with consent for the hub and its participants."""
    return NeedRequested(
        **{
            "case_id": uuid4(),
            "need_id": uuid4(),
            "at": AT,
            "category": NeedCategory.FOOD_INSECURITY,
            "urgency": "urgent",
            "encounter": "inspection",
            "referrer": "inspector-1",
            "referrer_role": "inspector",
            "area": ["city:demo", "postcode:02150"],
            "consent_id": uuid4(),
            "recipients": [HUB, *(organization(slug) for slug in (*PANTRIES, LEGAL))],
            "feedback": True,
            "languages": ["es"],
            "age_bands": ["adult"],
            "tenure": "renter",
            **given,
        }
    )


def a_property_need(**given: Any) -> NeedRequested:
    """A property's need out of a finding: no person in it."""
    nobody = {"consent_id": None, "recipients": [], "languages": [], "age_bands": []}
    place = {"property_id": uuid4(), "inspection_id": uuid4(), "tenure": None, "feedback": False}
    fields = {"category": NeedCategory.BLOCKED_EGRESS, "encounter": "finding", "urgency": "routine"}
    return a_need(**{**nobody, **place, **fields, **given})


_ANSWERS: dict[type[Event], tuple[OfferStatus, str]] = {
    offers.OfferAccepted: (OfferStatus.ACCEPTED, "3.0"),
    offers.OfferRejected: (OfferStatus.REJECTED, "4.0"),
    offers.OfferQuestionAsked: (OfferStatus.REQUESTED, "2.0"),
    offers.OfferScheduled: (OfferStatus.ACCEPTED, "5.1.1"),
    offers.OfferProgressed: (OfferStatus.IN_PROGRESS, "5.1.4"),
    offers.OfferHeld: (OfferStatus.ON_HOLD, "5.1.4"),
    offers.OfferResumed: (OfferStatus.IN_PROGRESS, "5.1.4"),
    offers.OfferCompleted: (OfferStatus.COMPLETED, "7.0"),
    offers.OfferFailed: (OfferStatus.FAILED, "7.0"),
    offers.OfferCancelled: (OfferStatus.CANCELLED, "6.0"),
}


def an_answer(kind: type[Event], made: OfferMade, **given: Any) -> Event:
    """What partner says of an offer that was made."""
    status, business = _ANSWERS[kind]
    if kind in (offers.OfferRejected, offers.OfferFailed, offers.OfferCancelled):
        given.setdefault("party", "target")
    return kind(
        **{
            "offer_id": made.offer_id,
            "case_id": made.case_id,
            "need_id": made.need_id,
            "restricted": made.restricted,
            "organization_id": made.organization_id,
            "service_id": made.service_id,
            "target_kind": made.target_kind,
            "category": made.category,
            "status": status,
            "business_status": business,
            "version": 2,
            "actor_role": "partner",
            "at": AT,
            **given,
        }
    )


@dataclass
class Town:
    """Feeds referral as intake and partner would, and tells what it said."""

    db: Any
    cases: Feeder
    directory: Feeder
    seen: int = 0

    async def knows(self, *events: Event) -> None:
        await self.directory.feed(*events, source=PARTNER)

    async def asks(self, *needs: NeedRequested) -> list[Event]:
        await self.cases.feed(*needs, source=INTAKE)
        return await self.said()

    async def tells(self, *events: Event, source: str = PARTNER) -> list[Event]:
        await self.cases.feed(*events, source=source)
        return await self.said()

    async def answers(self, kind: type[Event], made: OfferMade, **given: Any) -> list[Event]:
        return await self.tells(an_answer(kind, made, **given))

    async def said(self) -> list[Event]:
        """What referral said since the last time."""
        everything = await said(self.db)
        new, self.seen = everything[self.seen :], len(everything)
        return [one.data for one in new]


@pytest.fixture
async def town(db: Any, feeder: Callable[..., Feeder]) -> Town:
    made = Town(db, feeder("referral"), feeder("referral-directory"))
    await made.knows(*the_directory())
    return made


def only(kind: type[Any], events: Iterable[Event]) -> Any:
    """The one event of this kind."""
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, f"{len(found)} of {kind.__name__} in {list(events)}"
    return found[0]


@dataclass
class Tools:
    """Builders, for tests that are modules of their own and cannot import a conftest."""

    need: Callable[..., NeedRequested] = a_need
    property_need: Callable[..., NeedRequested] = a_property_need
    service: Callable[..., ServiceChanged] = a_service
    answer: Callable[..., Event] = an_answer
    only: Callable[..., Any] = only
    directory: Callable[[], list[Event]] = the_directory
    organization_id: Callable[[str], UUID] = organization
    organization: Callable[..., OrganizationChanged] = an_organization
    service_id: Callable[[str], UUID] = service_of
    hub: UUID = HUB
    pantries: tuple[str, ...] = PANTRIES
    legal: str = LEGAL
    at: datetime = AT

    @staticmethod
    def granted(need: NeedRequested, **given: Any) -> ConsentGranted:
        return ConsentGranted(
            **{
                "consent_id": need.consent_id,
                "case_id": need.case_id,
                "restricted": need.restricted,
                "at": AT,
                "version": 1,
                "recipients": need.recipients,
                "categories": [need.category],
                "purposes": ["referral-and-service"],
                "method": "written",
                "language": "es",
                "notice_version": "2026-01",
                "expires_at": datetime(2027, 3, 3, tzinfo=UTC),
                **given,
            }
        )

    @staticmethod
    def withdrawn(need: NeedRequested) -> ConsentWithdrawn:
        return ConsentWithdrawn(
            consent_id=need.consent_id,
            case_id=need.case_id,
            restricted=need.restricted,
            at=AT,
        )


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@dataclass
class Person:
    """Somebody with a token."""

    client: httpx.AsyncClient
    token: str

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(
            f"/referral/v1{path}", params=params, headers={"authorization": f"Bearer {self.token}"}
        )

    async def post(
        self, path: str, body: Any = None, *, match: str | None = "*", **headers: str
    ) -> httpx.Response:
        given = {"authorization": f"Bearer {self.token}", **headers}
        if match is not None:
            given["if-match"] = match
        return await self.client.post(f"/referral/v1{path}", json=body or {}, headers=given)


@pytest.fixture
def person(client: httpx.AsyncClient, token: Callable[..., str]) -> Callable[..., Person]:
    def make(role: str, **who: Any) -> Person:
        return Person(client, token(role, **who))

    return make


@pytest.fixture
def manager(person: Callable[..., Person], tools: Tools) -> Person:
    return person("case-manager", subject="case-manager-1", organization=str(tools.hub))
