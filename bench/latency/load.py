"""An open load of referrals, and for each: when the partner could see its offer, when the webhook
was there.

Referrals are sent when their moment has come, whether or not earlier ones were answered, and every
time counts from that moment: a system that stalls is not spared the referrals that it kept waiting
(coordinated omission). "Visible" means that the row of the partner's offer is committed and
readable: asked of the database every two milliseconds, for the cases that still wait alone, on a
connection of its own; so it is at most some 3 ms late and never early. An API that is asked
hundreds of times a second by its observer would measure the observer. That the partner's own
``GET /partner/v1/offers/{id}`` shows the offer at that moment is checked for some ten offers a
second, and timed.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from handoff_cli.demo_city.ids import AGENCY
from standardwebhooks import Webhook

from bench.accept.bodies import MARK
from bench.latency.arrivals import arrivals, percentile
from bench.latency.lines import Endpoint, Lines

LOOK_EVERY = 0.002
PATIENCE = 20.0
"""Seconds after the last referral until what has not arrived counts as missing."""
_VISIBLE = (
    "SELECT case_id, id FROM partner.offer WHERE agency_id = $1 AND case_id = ANY($2::uuid[])"
)
# When each service began the transaction that took the referral one step on.
_STEPS = """
SELECT r.case_id, r.created_at AS intake, o.created_at AS referral, d.created_at AS notify
FROM intake.referral r JOIN partner.offer o ON o.case_id = r.case_id AND o.agency_id = r.agency_id
LEFT JOIN notify.delivery d ON d.body::jsonb #>> '{data,offer_id}' = o.id::text
    AND d.channel = 'webhook'
WHERE r.case_id = ANY($1::uuid[])
"""


@dataclass
class Course:
    """What became of one referral; moments of the monotonic clock, 0 when not yet."""

    due: float
    answered: float = 0.0
    visible: float = 0.0
    shown: float = 0.0
    hooked: float = 0.0
    case_id: UUID | None = None


@dataclass
class Drive:
    """One run of the load."""

    intake: Lines
    partner: Lines
    head: bytes
    template: bytes
    partner_token: str
    check_each: int
    courses: list[Course] = field(default_factory=list)
    waiting: dict[UUID, Course] = field(default_factory=dict)
    hooks: dict[str, tuple[float, bytes, bytes]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.wrong.append(repr(task.exception()))

    def hook(self, at: float, head: bytes, body: bytes) -> None:
        """A webhook came; perhaps before the referral's own answer."""
        self.hooks.setdefault(orjson.loads(body)["data"]["case_id"], (at, head, body))

    async def refer(self, course: Course, number: int) -> None:
        body = self.template.replace(MARK.encode(), b"%08d" % number)
        status, answer = await self.intake.ask(self.head % len(body) + body)
        course.answered = time.monotonic()
        if status != 201:
            self.wrong.append(f"{status} {answer[:300].decode(errors='replace')}")
            return
        course.case_id = UUID(orjson.loads(answer)["case_id"])
        self.waiting[course.case_id] = course

    async def look(self, connection: asyncpg.Connection) -> None:
        """Note which of the offers that are waited for can be read; until cancelled."""
        seen = 0
        while True:
            if self.waiting:
                rows = await connection.fetch(_VISIBLE, AGENCY, list(self.waiting))
                now = time.monotonic()
                for row in rows:
                    course = self.waiting.pop(row["case_id"])
                    course.visible = now
                    seen += 1
                    if seen % self.check_each == 0:
                        self.start(self.check(course, row["id"]))
            await asyncio.sleep(LOOK_EVERY)

    async def check(self, course: Course, offer_id: UUID) -> None:
        status, answer = await self.partner.ask(
            f"GET /partner/v1/offers/{offer_id} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"authorization: Bearer {self.partner_token}\r\n\r\n".encode()
        )
        if status != 200 or orjson.loads(answer)["case_id"] != str(course.case_id):
            self.wrong.append(f"GET offer: {status} {answer[:300].decode(errors='replace')}")
        course.shown = time.monotonic()


async def drive(
    *,
    intake_port: int,
    partner_port: int,
    hook_port: int,
    body: str,
    tokens: dict[str, str],
    secret: str,
    url: str,
    rate: float,
    seconds: float,
    seed: int,
    first: int,
) -> dict[str, Any]:
    """Refer at *rate* for *seconds*; milliseconds to each point, and what was missing.

    What is missing counts with the time that it was waited for. Raises: RuntimeError when a
    referral was refused, an offer not shown, or a webhook not signed.
    """
    head = (
        f"POST /intake/v1/referrals HTTP/1.1\r\nhost: 127.0.0.1:{intake_port}\r\n"
        f"authorization: Bearer {tokens['inspector']}\r\ncontent-type: application/json\r\n"
        "content-length: %d\r\n\r\n"
    ).encode()
    run = Drive(
        Lines(intake_port),
        Lines(partner_port),
        head,
        body.encode(),
        tokens["partner"],
        max(1, int(rate // 10)),
    )
    endpoint, connection = Endpoint(hook_port, run.hook), await asyncpg.connect(url)
    await endpoint.start()
    await run.intake.open(8)
    await run.partner.open(2)
    looking = asyncio.create_task(run.look(connection))
    cpu, began = time.process_time(), time.monotonic()
    number = first
    for moment in arrivals(rate, seconds, seed):
        course = Course(began + moment)
        run.courses.append(course)
        number += 1
        await asyncio.sleep(max(0.0, course.due - time.monotonic()))
        run.start(run.refer(course, number))
    cpu = (time.process_time() - cpu) / seconds
    gave_up = time.monotonic() + PATIENCE
    while not (run.wrong or looking.done() or _done(run)):
        if time.monotonic() > gave_up:
            break
        await asyncio.sleep(0.02)
    if looking.done():
        looking.result()  # It never ends by itself: raises what ended it.
    looking.cancel()
    _join(run, secret)
    steps = await _steps(connection, run.courses)
    await connection.close()
    for each in (run.intake, run.partner, endpoint):
        each.close()
    if run.wrong:
        raise RuntimeError(f"{len(run.wrong)} went wrong, first: {run.wrong[0]}")
    return {**_report(run.courses), "steps": steps, "last": number, "cpu": cpu}


def _done(run: Drive) -> bool:
    told = all(str(course.case_id) in run.hooks for course in run.courses)
    return told and not run.tasks and not run.waiting


def _join(run: Drive, secret: str) -> None:
    """Give each referral its webhook. Raises: WebhookVerificationError."""
    key = Webhook(secret)
    for course in run.courses:
        if (hook := run.hooks.get(str(course.case_id))) is not None:
            course.hooked, head, body = hook
            pairs = (line.partition(":") for line in head.decode().split("\r\n")[1:])
            key.verify(body, {name.lower(): value.strip() for name, _, value in pairs})


def _report(courses: list[Course]) -> dict[str, Any]:
    now = time.monotonic()
    found: dict[str, Any] = {"number": len(courses)}
    for name in ("answered", "visible", "hooked"):
        times = [((getattr(c, name) or now) - c.due) * 1e3 for c in courses]
        found[name] = {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
        found[f"missing_{name}"] = sum(not getattr(c, name) for c in courses)
    shown = [(c.shown - c.visible) * 1e3 for c in courses if c.shown]
    found["checked"] = len(shown)
    found["get"] = percentile(shown, 0.5) if shown else None
    return found


async def _steps(connection: asyncpg.Connection, courses: list[Course]) -> dict[str, float]:
    """Median milliseconds of each step, from what the services themselves noted."""
    wall = time.time() - time.monotonic()
    of_case = {c.case_id: c for c in courses if c.case_id and c.visible and c.hooked}
    rows = await connection.fetch(_STEPS, list(of_case))
    times: dict[str, list[float]] = {}
    for row in rows:
        course = of_case[row["case_id"]]
        moments = {
            "sent": course.due + wall,
            "intake": row["intake"].timestamp(),
            "answered": course.answered + wall,
            "referral": row["referral"].timestamp(),
            "visible": course.visible + wall,
            "hooked": course.hooked + wall,
        }
        if row["notify"] is not None:
            moments["notify"] = row["notify"].timestamp()
        for begin, end in STEPS:
            if begin in moments and end in moments:
                took = (moments[end] - moments[begin]) * 1e3
                times.setdefault(f"{begin} → {end}", []).append(took)
    return {name: percentile(values, 0.5) for name, values in times.items()}


STEPS = (
    ("sent", "intake"),
    ("intake", "answered"),
    ("intake", "referral"),
    ("referral", "visible"),
    ("referral", "notify"),
    ("notify", "hooked"),
)
"""A service's name stands for the beginning of its transaction; of those that arrived alone."""
