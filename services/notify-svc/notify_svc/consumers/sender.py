"""Sends what is due: claim a set, send outside any transaction, record the outcomes as a set.

A claim is a lease: who dies between sending and recording leaves it to run out, and the same
webhook-id goes again. An endpoint has as many exchanges in flight as it keeps up with
(`domain.window`), so a slow one takes no room from the others.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from handoff_kit.clock import Clock
from handoff_kit.crypto import KeyWrapper, open_sealed, unwrap_owner_key
from handoff_kit.db import DATABASE_AWAY, Database
from handoff_kit.doorway import Doorway
from handoff_kit.errors import Transient
from handoff_kit.faults import async_fault
from handoff_kit.telemetry import process_metrics
from handoff_kit.wakes import Wakes

from notify_svc.clients.mail import Mail, Mailer
from notify_svc.clients.webhooks import Webhook, WebhookClient
from notify_svc.domain.delivery import Attempted
from notify_svc.domain.window import FEW, Windows
from notify_svc.domain.words import render_mail
from notify_svc.handlers.outcomes import Outcome
from notify_svc.tables.deliveries import claim_mail, claim_webhooks
from notify_svc.tables.wakes import DUE

log = logging.getLogger(__name__)

_AWAY: tuple[type[BaseException], ...] = (Transient, *DATABASE_AWAY)

_EVERY = 1.0  # seconds between looks at what has become due by time
_MOST = 64  # exchanges in flight
_MOST_MAIL = 4
_RECORD_TRIES = 5
_LAST_SECONDS = 10.0  # for what is in flight when told to stop


@dataclass(frozen=True, slots=True)
class Limits:
    """``each``: most exchanges in flight for one endpoint. ``lease``: longer than any exchange."""

    each: int = 16
    lease: timedelta = timedelta(seconds=30)

    @classmethod
    def of(cls, each: int, timeout: float) -> "Limits":
        """Limits for exchanges of at most *timeout* seconds."""
        return cls(each, timedelta(seconds=max(30.0, 2 * timeout)))


class Sender:
    """The loop of a worker that sends webhooks and mail."""

    def __init__(
        self,
        db: Database,
        outcomes: Doorway[Outcome],
        webhooks: WebhookClient,
        mailer: Mailer,
        keys: KeyWrapper,
        wakes: Wakes,
        clock: Clock,
        *,
        origin: str,
        limits: Limits | None = None,
    ) -> None:
        self._db = db
        self._outcomes = outcomes
        self._webhooks = webhooks
        self._mailer = mailer
        self._keys = keys
        self._wakes = wakes
        self._clock = clock
        self._origin = origin
        self._limits = limits or Limits()
        self._windows = Windows(self._limits.each)
        self._secrets: dict[UUID, tuple[bytes, bytes]] = {}
        self._in_flight: Counter[UUID] = Counter()
        self._more: set[UUID] = set()  # Endpoints that a claim filled, so that more may be due.
        self._mails = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: set[UUID] = set()
        self._look_everywhere = True
        self._woken = asyncio.Event()

    def poke(self, endpoints: Collection[UUID] = (), *, mail: bool = False) -> None:
        """Something is due now: for these endpoints, or by mail."""
        self._due.update(endpoints)
        self._look_everywhere |= mail
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until *stop*; what is in flight gets ten seconds."""
        heard = self._wakes.subscribe([DUE])
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._wait(stopped, heard)
                try:
                    await self._round()
                except _AWAY as error:
                    log.warning("sending pauses: %s", type(error).__name__)
                    self._look_everywhere = True
                    await asyncio.wait({stopped}, timeout=_EVERY)
        finally:
            stopped.cancel()
            self._wakes.unsubscribe(heard)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
            for task in self._tasks:
                task.cancel()

    async def _wait(self, stopped: asyncio.Task[Any], heard: asyncio.Event) -> None:
        woken = [asyncio.create_task(event.wait()) for event in (self._woken, heard)]
        try:
            await asyncio.wait(
                {stopped, *woken}, timeout=_EVERY, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in woken:
                task.cancel()
        if heard.is_set() or not self._woken.is_set():
            self._look_everywhere = True
        heard.clear()
        self._woken.clear()

    async def _round(self) -> None:
        """Claim what is due and begin to send it."""
        everywhere, only = self._look_everywhere, self._due
        self._look_everywhere, self._due = False, set()
        if everywhere:
            await self._claim_mail()
        room = _MOST - sum(self._in_flight.values())
        if room > 0 and (everywhere or only):
            await self._claim_webhooks(room, None if everywhere else only)
        elif everywhere or only:  # Looked at again when a place is free.
            self._due |= only
            self._look_everywhere |= everywhere

    async def _claim_webhooks(self, room: int, only: set[UUID] | None) -> None:
        busy = self._in_flight.copy()  # Exchanges end while the claim is made.
        windows = {id_: self._windows.of(id_) for id_ in {*busy, *self._windows.known()}}
        async with self._db.sets() as connection:
            rows = await claim_webhooks(
                connection,
                lease=self._limits.lease,
                places={id_: max(most - busy[id_], 0) for id_, most in windows.items()},
                otherwise=min(FEW, self._limits.each),
                most=room,
                only=None if only is None else sorted(only),
            )
        claimed = Counter(row.endpoint_id for row in rows)
        self._in_flight.update(claimed)
        for row in rows:
            self._begin(self._webhook(row), self._forget)
        self._more -= only or set()
        for endpoint_id in {*claimed, *(busy if only is None else only)}:
            if busy[endpoint_id] + claimed[endpoint_id] >= self._windows.of(endpoint_id):
                self._more.add(endpoint_id)
        if len(rows) == room:
            self._look_everywhere = True
        freed = [id_ for id_ in self._more if self._has_room(id_)]
        if freed:
            self.poke(freed)

    async def _claim_mail(self) -> None:
        if self._mails >= _MOST_MAIL:
            return
        async with self._db.sets() as connection:
            mails = await claim_mail(
                connection, lease=self._limits.lease, most=_MOST_MAIL - self._mails
            )
        for row in mails:
            self._mails += 1
            self._begin(self._mail(row), self._mail_ended)

    def _begin(self, work: Any, ended: "Callable[[asyncio.Task[None]], None]") -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    def _mail_ended(self, task: "asyncio.Task[None]") -> None:
        if self._mails >= _MOST_MAIL:
            self.poke(mail=True)
        self._mails -= 1
        self._forget(task)

    def _free(self, endpoint_id: UUID) -> None:
        """An exchange is over: its place is for what the endpoint has left."""
        self._in_flight[endpoint_id] -= 1
        if self._in_flight[endpoint_id] <= 0:
            del self._in_flight[endpoint_id]
        if endpoint_id in self._more:
            if self._has_room(endpoint_id):
                self.poke([endpoint_id])
        elif self._due or self._look_everywhere:  # There was no place for any.
            self._woken.set()

    def _has_room(self, endpoint_id: UUID) -> bool:
        """Whether half of its places are free: a claim for each one would be a transaction each."""
        return 2 * self._in_flight[endpoint_id] <= self._windows.of(endpoint_id)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery could not be tried", exc_info=task.exception())

    async def _webhook(self, row: Any) -> None:
        now = self._clock.now()
        try:
            attempted = await self._exchange(row, int(now.timestamp())) if row.allowed else None
        finally:
            self._free(row.endpoint_id)
        if attempted is None:
            await self._record(row, cancelled="consent-ended")
            return
        await async_fault("notify.after_send")
        await self._record(row, at=now, attempted=attempted)

    async def _exchange(self, row: Any, at: int) -> Attempted:
        began = time.monotonic()
        attempted = await self._webhooks.send(
            Webhook(
                url=row.url,
                webhook_id=row.webhook_id,
                body=row.body.encode(),
                scheme=row.signature,
                secret=self._secret(row),
                traceparent=row.traceparent,
            ),
            at,
        )
        took = time.monotonic() - began
        self._windows.note(row.endpoint_id, succeeded=attempted.succeeded, seconds=took)
        return attempted

    async def _mail(self, row: Any) -> None:
        if not row.allowed:
            await self._record(row, cancelled="consent-ended")
            return
        if not row.wanted or not row.email:
            await self._record(row, cancelled="not-wanted")
            return
        now = self._clock.now()
        subject, text = render_mail(row.template, row.params, row.language, f"{self._origin}/")
        mail = Mail(
            id=row.id.hex,
            to=row.email,
            subject=subject,
            text=text,
            language=row.language,
            at=now,
        )
        attempted = await self._mailer.send(mail)
        await async_fault("notify.after_send")
        await self._record(row, at=now, attempted=attempted)

    async def _record(
        self,
        row: Any,
        *,
        at: datetime | None = None,
        attempted: Attempted | None = None,
        cancelled: str | None = None,
    ) -> None:
        _count(row.channel, attempted)
        outcome = Outcome(
            agency_id=row.agency_id,
            id=row.id,
            channel=row.channel,
            endpoint_id=row.endpoint_id,
            about=row.about,
            consent_id=row.consent_id,
            restricted=row.restricted,
            traceparent=row.traceparent,
            tried=row.tried,
            earlier=row.earlier,
            at=at or datetime.now(UTC),
            attempted=attempted,
            cancelled=cancelled,
        )
        for attempt in range(_RECORD_TRIES):
            try:
                await self._outcomes.submit(outcome)
                return
            except Transient:
                await asyncio.sleep(0.2 * 2**attempt)
        # The lease runs out and the same webhook-id goes again: at least once, never lost.
        log.warning("the outcome of a delivery could not be stored; it will be sent again")

    def _secret(self, row: Any) -> bytes:
        """The endpoint's signing secret. Raises KeyServiceAway, Tampered."""
        cached = self._secrets.get(row.endpoint_id)
        if cached is not None and cached[0] == row.sealed_secret:
            return cached[1]
        key = unwrap_owner_key(self._keys, row.endpoint_id, row.wrapped_key)
        raw = open_sealed(key, row.endpoint_id, row.sealed_secret)
        if len(self._secrets) > 10_000:
            self._secrets.clear()
        self._secrets[row.endpoint_id] = (row.sealed_secret, raw)
        return raw


def _count(channel: str, attempted: Attempted | None) -> None:
    if attempted is None:
        return
    code = attempted.status_code
    status_class = f"{code // 100}xx" if code else "2xx" if attempted.succeeded else "error"
    process_metrics().count("handoff_deliveries_total", channel=channel, status_class=status_class)
