import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from event_schemas.cases import CaseAssigned, CaseContactAttempted
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
from event_schemas.consents import ConsentGranted, ConsentWithdrawn
from event_schemas.directory import OrganizationChanged
from event_schemas.offers import OfferAccepted, OfferCancelled, OfferProgressed, OfferRejected
from event_schemas.referrals import NeedRequested, NeedSettled, OfferMade
from handoff_kit.service import Built, Context, Service
from notify_svc.app import SERVICE, wire
from notify_svc.settings import NotifySettings
from notify_svc.tables.wakes import DUE

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture
def service() -> Service:
    return SERVICE


@pytest.fixture
def notify_settings() -> NotifySettings:
    return NotifySettings(webhook_allow_private=True, webhook_timeout=1.0)


@pytest.fixture
async def built(context: Context, notify_settings: NotifySettings) -> AsyncIterator[Built]:
    made = wire(context, notify_settings)
    yield made
    if made.close is not None:
        await made.close()


@dataclass
class ACase:
    """One case as the other services tell of it."""

    restricted: bool = False
    feedback: bool = True
    category: NeedCategory = NeedCategory.FOOD_INSECURITY
    case_id: UUID = field(default_factory=uuid4)
    need_id: UUID = field(default_factory=uuid4)
    offer_id: UUID = field(default_factory=uuid4)
    consent_id: UUID | None = field(default_factory=uuid4)
    manager: UUID = field(default_factory=uuid4)
    partner: UUID = field(default_factory=uuid4)
    referrer: str = "inspector-one"

    def granted(self) -> ConsentGranted:
        return ConsentGranted(
            consent_id=self.consent_id,
            case_id=self.case_id,
            restricted=self.restricted,
            at=NOW,
            version=1,
            recipients=[self.partner],
            categories=[self.category],
            purposes=["referral-and-service"],
            feedback=self.feedback,
            method="spoken",
            language="es",
            notice_version="2026-01",
            expires_at=datetime.now(UTC) + timedelta(days=90),
        )

    def withdrawn(self) -> ConsentWithdrawn:
        return ConsentWithdrawn(
            consent_id=self.consent_id, case_id=self.case_id, restricted=self.restricted, at=NOW
        )

    def _need(self) -> dict[str, Any]:
        return {
            "case_id": self.case_id,
            "need_id": self.need_id,
            "restricted": self.restricted,
            "at": NOW,
        }

    def requested(self) -> NeedRequested:
        return NeedRequested(
            **self._need(),
            category=self.category,
            urgency=Urgency.URGENT,
            encounter=EncounterKind.INSPECTION,
            referrer=self.referrer,
            referrer_role=Role.INSPECTOR,
            consent_id=self.consent_id,
            property_id=None if self.consent_id else uuid4(),
            feedback=self.feedback,
        )

    def made(self) -> OfferMade:
        return OfferMade(
            **self._need(),
            offer_id=self.offer_id,
            organization_id=self.partner,
            target_kind=TargetKind.PARTNER,
            category=self.category,
            urgency=Urgency.URGENT,
            consent_id=self.consent_id,
        )

    def settled(self) -> NeedSettled:
        return NeedSettled(
            **self._need(),
            category=self.category,
            status=NeedStatus.MET,
            outcome=Outcome.GOT_HELP,
            organization_id=self.partner,
            feedback=self.feedback,
        )

    def _case(self) -> dict[str, Any]:
        return {
            "case_id": self.case_id,
            "restricted": self.restricted,
            "at": NOW,
            "version": 1,
            "status": CaseStatus.OPEN,
        }

    def assigned(self) -> CaseAssigned:
        return CaseAssigned(**self._case(), organization_id=self.manager)

    def reached(self) -> CaseContactAttempted:
        return CaseContactAttempted(
            **self._case(),
            attempt_id=uuid4(),
            channel=ContactChannel.PHONE,
            result=ContactResult.REACHED,
            attempted_at=NOW,
            note_id=uuid4(),
        )

    def _offer(self, status: OfferStatus, business: BusinessStatus) -> dict[str, Any]:
        return {
            **self._need(),
            "offer_id": self.offer_id,
            "organization_id": self.partner,
            "target_kind": TargetKind.PARTNER,
            "category": self.category,
            "status": status,
            "business_status": business,
            "version": 2,
            "actor_role": Role.PARTNER,
            "note_id": uuid4(),
        }

    def accepted(self) -> OfferAccepted:
        return OfferAccepted(**self._offer(OfferStatus.ACCEPTED, BusinessStatus.ACCEPTED))

    def rejected(self) -> OfferRejected:
        return OfferRejected(
            **self._offer(OfferStatus.REJECTED, BusinessStatus.DECLINED),
            reason=Reason.NO_CAPACITY,
            party=Party.TARGET,
        )

    def progressed(self) -> OfferProgressed:
        return OfferProgressed(
            **self._offer(OfferStatus.IN_PROGRESS, BusinessStatus.EVENT_COMPLETED)
        )

    def cancelled(self, reason: Reason = Reason.CONSENT_WITHDRAWN) -> OfferCancelled:
        return OfferCancelled(
            **self._offer(OfferStatus.CANCELLED, BusinessStatus.FULFILMENT_CANCELLED),
            reason=reason,
            party=Party.RESIDENT,
        )

    def named(self) -> OrganizationChanged:
        return OrganizationChanged(
            organization_id=self.partner,
            version=1,
            name="Example Food Pantry",
            kind=OrganizationKind.PARTNER,
            agreement_active=True,
        )


@pytest.fixture
def a_case() -> Callable[..., ACase]:
    return ACase


@dataclass
class Receiver:
    """A partner's web server: keeps what it gets, answers as told."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    # Each answer: raw bytes, or a coroutine function that is given the writer.
    answers: list[bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]] = field(
        default_factory=list
    )
    default: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    connections: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                headers = {name.lower(): value for name, value in headers.items()}
                body = await reader.readexactly(int(headers["content-length"]))
                self.received.append((headers, body))
                answer = self.answers.pop(0) if self.answers else self.default
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def wait(self, count: int, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def receivers() -> AsyncIterator[Callable[[], Awaitable[Receiver]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def make() -> Receiver:
            made = Receiver()
            server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
            stack.push_async_callback(made.stop)
            stack.callback(server.close)
            made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            return made

        yield make


@pytest.fixture
async def sending(built: Built) -> AsyncIterator[None]:
    """The sender's loop runs."""
    stop = asyncio.Event()
    (loop,) = built.loops
    task = asyncio.create_task(loop.run(stop))
    yield
    stop.set()
    await task


@pytest.fixture
def due_now(admin: Any, context: Context) -> Callable[[], Awaitable[None]]:
    """``await due_now()``: every delivery's next try is now, and the sender, which by itself looks
    once a second, looks at once."""

    async def make() -> None:
        await admin.execute("UPDATE notify.delivery SET next_try_at = now()")
        context.wakes.wake(DUE)

    return make


@pytest.fixture
def headers(token: Callable[..., str]) -> Callable[..., dict[str, str]]:
    def make(*roles: str, **more: Any) -> dict[str, str]:
        if isinstance(more.get("organization"), UUID):
            more["organization"] = str(more["organization"])
        return {"authorization": f"Bearer {token(*roles, **more)}"}

    return make
