"""The portal on a database of its own, people who sign in, and stories that the log tells."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from event_schemas import cases, consents, deliveries, directory, offers, referrals
from event_schemas.base import Event
from event_schemas.codes import (
    BusinessStatus,
    CaseStatus,
    ContactChannel,
    ContactResult,
    EncounterKind,
    NeedCategory,
    NeedStatus,
    OfferStatus,
    OrganizationKind,
    Outcome,
    Party,
    Reason,
    Role,
    TargetKind,
    Urgency,
)
from handoff_kit.service import Service
from portal_svc.app import SERVICE
from portal_svc.domain.people import Person
from portal_svc.handlers.people import create_person
from portal_svc.handlers.transaction import transaction

AGENCY = "test-city"
PASSWORD = "correct horse battery"
SOURCES = {"consents": "intake", "offers": "partner", "directory": "partner"}


@pytest.fixture
def service() -> Service:
    return SERVICE


@pytest.fixture(autouse=True)
def _signing_keys(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_SIGNING_KEYS_FILE", str(secrets / "signing_keys.json"))


def source_of(event: Event) -> str:
    """Which service writes it."""
    if isinstance(event, referrals.NeedRequested):
        return "/handoff/intake"
    if event.TOPIC in {"deliveries", "parked"}:
        return "/handoff/notify"
    return f"/handoff/{SOURCES.get(event.TOPIC, 'referral')}"


@pytest.fixture
def tell(feeder) -> Callable[..., Awaitable[None]]:
    """``await tell(events…)``: has the read models follow them, a set for each run of a writer."""
    follower = feeder()

    async def follow(*events: Event, agency: str = AGENCY) -> None:
        follower.agency = agency
        records = [follower.record(event, source=source_of(event)) for event in events]
        await follower.feed_records(records)
        follower.group.after()

    return follow


@dataclass
class Story:
    """One case with one need, and what can be said of it. Times go on by a minute a word."""

    case_id: UUID = field(default_factory=uuid4)
    need_id: UUID = field(default_factory=uuid4)
    consent_id: UUID | None = field(default_factory=uuid4)
    property_id: UUID | None = None
    referrer: str = "an-inspector"
    category: NeedCategory = NeedCategory.FOOD_INSECURITY
    urgency: Urgency = Urgency.URGENT
    restricted: bool = False
    feedback: bool = True
    area: tuple[str, ...] = ("city:demo", "postcode:02150")
    now: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=2))
    version: int = 0

    def _at(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def _case(self, kind: type[Event], status: CaseStatus, **more: Any) -> Event:
        self.version += 1
        return kind(
            case_id=self.case_id,
            restricted=self.restricted,
            at=self._at(),
            version=self.version,
            status=status,
            **more,
        )

    def _need(self, kind: type[Event], **more: Any) -> Event:
        return kind(
            case_id=self.case_id,
            need_id=self.need_id,
            restricted=self.restricted,
            at=more.pop("at", None) or self._at(),
            **more,
        )

    def granted(self, version: int = 1, **more: Any) -> Event:
        return consents.ConsentGranted(
            consent_id=self.consent_id,
            case_id=self.case_id,
            restricted=self.restricted,
            at=self._at(),
            version=version,
            recipients=[],
            categories=[self.category],
            purposes=["referral-and-service"],
            method="spoken",
            language="es",
            notice_version="2026-01",
            **{"feedback": self.feedback, "expires_at": self.now + timedelta(days=365)} | more,
        )

    def withdrawn(self) -> Event:
        return consents.ConsentWithdrawn(
            consent_id=self.consent_id,
            case_id=self.case_id,
            restricted=self.restricted,
            at=self._at(),
        )

    def requested(self) -> Event:
        return self._need(
            referrals.NeedRequested,
            category=self.category,
            urgency=self.urgency,
            encounter=EncounterKind.INSPECTION,
            referrer=self.referrer,
            referrer_role=Role.INSPECTOR,
            area=list(self.area),
            consent_id=None if self.property_id else self.consent_id,
            property_id=self.property_id,
            feedback=self.feedback,
        )

    def opened(self) -> Event:
        return self._case(
            cases.CaseOpened,
            CaseStatus.OPEN,
            area=list(self.area),
            property_id=self.property_id,
            referrer=self.referrer,
        )

    def need_added(self) -> Event:
        return self._case(
            cases.CaseNeedAdded,
            CaseStatus.OPEN,
            need_id=self.need_id,
            category=self.category,
            urgency=self.urgency,
            need_status=NeedStatus.REQUESTED,
            referrer=self.referrer,
        )

    def begun(self) -> list[Event]:
        """The consent, the need and its case."""
        consent = [] if self.property_id else [self.granted()]
        return [*consent, self.requested(), self.opened(), self.need_added()]

    def assigned(self, organization: UUID | None = None, assignee: str | None = None) -> Event:
        return self._case(
            cases.CaseAssigned,
            CaseStatus.ACTIVE,
            organization_id=organization,
            assignee=assignee,
        )

    def attempted(self, result: ContactResult = ContactResult.REACHED) -> Event:
        status = CaseStatus.CONTACTED if result == ContactResult.REACHED else CaseStatus.OPEN
        return self._case(
            cases.CaseContactAttempted,
            status,
            attempt_id=uuid4(),
            channel=ContactChannel.PHONE,
            result=result,
            attempted_at=self.now,
        )

    def closed(self) -> Event:
        return self._case(cases.CaseClosed, CaseStatus.CLOSED, reason="needs-settled")

    def matched(self, status: NeedStatus = NeedStatus.OFFERED) -> Event:
        return self._need(
            referrals.NeedMatched,
            category=self.category,
            status=status,
            target_kind=TargetKind.PARTNER,
            policy_version="1",
            directory_version=1,
            eligible=3,
            ask_first=0,
            excluded=0,
        )

    def settled(self, status: NeedStatus = NeedStatus.MET) -> Event:
        return self._need(
            referrals.NeedSettled,
            category=self.category,
            status=status,
            outcome=Outcome.GOT_HELP if status == NeedStatus.MET else None,
        )

    def offered(self, organization: UUID, offer: UUID | None = None, due_hours: int = 8) -> Event:
        return self._need(
            referrals.OfferMade,
            offer_id=offer or uuid4(),
            organization_id=organization,
            target_kind=TargetKind.PARTNER,
            category=self.category,
            urgency=self.urgency,
            area=list(self.area),
            answer_due_at=self.now + timedelta(hours=due_hours),
        )

    def said(
        self,
        kind: type[Event],
        made: Any,
        status: OfferStatus,
        version: int,
        business: BusinessStatus = BusinessStatus.ACCEPTED,
        **more: Any,
    ) -> Event:
        """What partner says of the offer *made*."""
        return kind(
            offer_id=made.offer_id,
            case_id=self.case_id,
            need_id=self.need_id,
            restricted=self.restricted,
            organization_id=made.organization_id,
            target_kind=made.target_kind,
            category=self.category,
            status=status,
            business_status=business,
            version=version,
            actor_role=Role.PARTNER,
            at=self._at(),
            **more,
        )

    def accepted(self, made: Any, version: int = 2) -> Event:
        return self.said(offers.OfferAccepted, made, OfferStatus.ACCEPTED, version)

    def declined(self, made: Any, version: int = 2) -> Event:
        return self.said(
            offers.OfferRejected,
            made,
            OfferStatus.REJECTED,
            version,
            BusinessStatus.DECLINED,
            reason=Reason.NO_CAPACITY,
            party=Party.TARGET,
        )

    def completed(self, made: Any, version: int = 3) -> Event:
        return self.said(
            offers.OfferCompleted,
            made,
            OfferStatus.COMPLETED,
            version,
            BusinessStatus.FULFILMENT_COMPLETED,
            outcome=Outcome.GOT_HELP,
        )


@pytest.fixture
def a_story() -> type[Story]:
    return Story


@pytest.fixture
def an_organization() -> Callable[..., Event]:
    """``an_organization(id, name)``: what the directory says of it."""

    def make(organization_id: UUID, name: str, version: int = 1) -> Event:
        return directory.OrganizationChanged(
            organization_id=organization_id,
            version=version,
            name=name,
            kind=OrganizationKind.PARTNER,
            agreement_active=True,
        )

    return make


@pytest.fixture
def operations() -> list[Event]:
    """A delivery that arrived, one that did not, and a parked event."""
    at = datetime.now(UTC)
    return [
        deliveries.DeliverySucceeded(
            delivery_id=uuid4(), channel="email", about=uuid4(), attempts=1, at=at
        ),
        deliveries.DeliveryFailed(
            delivery_id=uuid4(),
            channel="webhook",
            about=uuid4(),
            attempts=7,
            at=at,
            reason="timed-out",
        ),
        deliveries.EventParked(
            parked_id=uuid4(),
            group="referral",
            topic="handoff.offers",
            partition=3,
            offset=17,
            event_type="handoff.offer.accepted.v1",
            reason="bad-body",
            attempts=1,
            at=at,
        ),
    ]


@pytest.fixture
def a_person(db) -> Callable[..., Awaitable[Person]]:
    """``await a_person("inspector")`` → somebody who signs in with ``PASSWORD``."""

    async def make(
        role: str,
        *,
        email: str | None = None,
        agency: str = AGENCY,
        organization_id: UUID | None = None,
        language: str | None = None,
    ) -> Person:
        async with transaction(db) as tx:
            welcomed = await create_person(
                tx,
                agency=agency,
                email=email or f"{role}@example.org",
                role=role,
                actor="test",
                organization_id=organization_id,
                password=PASSWORD,
                language=language,
            )
        return welcomed.person

    return make


async def sign_in_with(
    client: httpx.AsyncClient, email: str, password: str = PASSWORD, next_: str = "/"
) -> httpx.Response:
    """Open the form and send it."""
    form = await client.get("/sign-in")
    token = re.search(r'name="csrf" value="([^"]+)"', form.text)
    assert token is not None
    return await client.post(
        "/sign-in",
        data={"csrf": token[1], "next": next_, "email": email, "password": password},
    )


@pytest.fixture
def sign_in() -> Callable[..., Awaitable[httpx.Response]]:
    return sign_in_with


@pytest.fixture
def visit(built) -> Callable[..., Any]:
    """``async with visit(person) as browser``: an HTTP client, signed in where there is one."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def open_(person: Person | None) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=built.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://handoff.test") as made:
            if person:
                answer = await sign_in_with(made, person.email)
                assert answer.status_code == 303, answer.text
            yield made

    return open_


@pytest.fixture
async def origin(built) -> AsyncIterator[str]:
    """The portal on a real port."""
    import asyncio
    import socket

    from handoff_kit.service import serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = asyncio.Event()
    task = asyncio.create_task(serve(built.app, "127.0.0.1", port, stop))
    await asyncio.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await task
