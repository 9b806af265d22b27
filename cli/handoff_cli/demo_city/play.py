"""Plays days of the demo city against a running system, through the public API alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from handoff_cli.api import CredentialsRefused, checked, connected
from handoff_cli.demo_city.catalogue import ORGANIZATIONS
from handoff_cli.demo_city.ids import AGENCY, organization_id
from handoff_cli.demo_city.places import land
from handoff_cli.demo_city.story import Choice, Visit, choose, day
from handoff_cli.machines import Wanted, machines
from handoff_cli.running import System

Tell = Callable[[int], None]
_ROLE_OF = {"case-management": "case-manager", "department": "department", "partner": "partner"}
_QUIET_ROUNDS = 3
_ROUND_SECONDS = 0.4
_MOST_ROUNDS = 40
# Whose tablets they are: what is referred shows on these people's pages (staff.yaml).
_INSPECTOR = "inspector-1@demo-city.example"
_AMBASSADOR = "ambassador@demo-city.example"
_RETRIED = (409, 412)
"""Somebody else changed it meanwhile: look again in the next round."""


@dataclass
class Played:
    """What was done, counted; ``cases``: our own, by id, with the key of their visit.

    ``leaving``: receipts of those who withdraw their consent at the end of the day.
    """

    counts: Counter[str] = field(default_factory=Counter)
    cases: dict[str, str] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    leaving: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Desk:
    """One organization at its desk."""

    id: str
    role: str
    http: httpx.AsyncClient


@asynccontextmanager
async def desks(system: System) -> AsyncIterator[dict[str, Desk]]:
    """A client of its own for everybody who acts, by "inspector", "ambassador" or organization."""
    wanted = [
        Wanted("demo-inspector", "inspector", organization_id("inspectional-services"), _INSPECTOR),
        Wanted("demo-ambassador", "ambassador", organization_id("ambassadors"), _AMBASSADOR),
        *(
            Wanted(f"demo-{one.slug}", _ROLE_OF[one.kind], organization_id(one.slug))
            for one in ORGANIZATIONS
        ),
    ]
    keys = await machines(system.home, AGENCY, wanted)
    try:
        async with connected(system.address, keys[wanted[0].key]):
            pass
    except CredentialsRefused:
        keys = await machines(system.home, AGENCY, wanted, renew=True)
    async with AsyncExitStack() as stack:
        opened = await asyncio.gather(
            *(stack.enter_async_context(connected(system.address, keys[w.key])) for w in wanted)
        )
        yield {
            w.key.removeprefix("demo-"): Desk(str(w.organization_id), w.role, http)
            for w, http in zip(wanted, opened, strict=True)
        }


async def play(system: System, days: int, seed: int, tell: Tell) -> Played:
    """Play *days*; *tell* hears each visit that is done. Raises: NotRunning, ApiRefused."""
    homes = land().properties
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    played = Played()
    async with desks(system) as seats:
        for number in range(days):
            date = today - timedelta(days=days - number)
            for visit in day(seed, number, date, homes):
                await _visit(seats, visit, played)
                tell(1)
            await _work(seats, seed, played)
            await _withdraw(seats["inspector"], played)
    return played


async def _withdraw(anybody: Desk, played: Played) -> None:
    """A receipt is its holder's own; the client's token does not matter here."""
    for receipt in played.leaving:
        answer = await anybody.http.post(f"/intake/v1/receipts/{receipt}/withdraw", json={})
        played.counts["consents withdrawn"] += int(answer.is_success)
    played.leaving.clear()


async def _visit(seats: dict[str, Desk], visit: Visit, played: Played) -> None:
    """Report the inspection, and refer."""
    reported = await seats["inspectional-services"].http.post(
        "/intake/v1/inspections", json=visit.inspection
    )
    found = checked(reported)
    played.counts["inspections"] += 1
    played.cases |= {str(case): visit.key for case in found["cases"]}
    played.counts["property cases"] += len(found["cases"])
    if visit.referral is None:
        return
    made = checked(
        await seats[visit.by].http.post(
            "/intake/v1/referrals",
            json={**visit.referral, "inspection_id": found["inspection_id"]},
            headers={"idempotency-key": f"demo-{visit.key}"},
        )
    )
    played.counts["referrals"] += 1
    played.counts["needs"] += len(made["needs"])
    played.cases |= {str(need["case_id"]): visit.key for need in made["needs"]}
    if visit.withdraws and made.get("consent_receipt"):
        played.leaving.append(made["consent_receipt"])


async def _work(seats: dict[str, Desk], seed: int, played: Played) -> None:
    """Everybody works through what waits for them, until nothing moves any more."""
    quiet = 0
    for _ in range(_MOST_ROUNDS):
        done = await asyncio.gather(*(_answer_all(desk, seed, played) for desk in seats.values()))
        quiet = 0 if any(done) else quiet + 1
        if quiet == _QUIET_ROUNDS:
            return
        await asyncio.sleep(_ROUND_SECONDS)


async def _answer_all(desk: Desk, seed: int, played: Played) -> int:
    """Answer the requested offers of one organization; returns how many."""
    if desk.role not in _ROLE_OF.values():
        return 0
    page = checked(
        await desk.http.get("/partner/v1/offers", params={"status": "requested", "limit": 200})
    )
    done = 0
    for offer in reversed(page["items"]):
        key = played.cases.get(str(offer["case_id"]))
        if key is None or offer["id"] in played.decided:
            continue
        about = f"{key}:{offer['category']}:{offer['organization_id']}"
        played.decided.add(offer["id"])
        choice = choose(seed, about, target=offer["target_kind"], now=datetime.now(UTC))
        done += 1
        if not await _act(desk, offer, choice, played):
            played.decided.discard(offer["id"])
    return done


async def _act(desk: Desk, offer: dict[str, Any], choice: Choice, played: Played) -> bool:
    """Whether the offer is dealt with; False: look at it again."""
    if choice.answer == "silence":
        played.counts["offers left waiting"] += 1
        return True
    path = f"/partner/v1/offers/{offer['id']}"
    # Reading a restricted one is its receipt: nothing more is said about it.
    offer = checked(await desk.http.get(path))
    if offer["status"] != "requested":
        return True
    body = {"reason": choice.reason} if choice.answer == "decline" else {}
    moved = await _transition(desk, offer, choice.answer, body)
    if moved is None:
        return False
    played.counts["offers declined" if choice.answer == "decline" else "offers accepted"] += 1
    if choice.answer == "decline":
        return True
    if choice.reads and moved.get("property_id") is None:
        read = await desk.http.get(f"{path}/resident")
        played.counts["disclosures"] += int(read.is_success)
    if offer["target_kind"] == "case-manager":
        await _manage(desk, moved, played)
    for step, wanted in choice.steps:
        after = await _transition(desk, moved, step, wanted)
        if after is None:
            break
        moved = after
        played.counts[f"offers: {step}"] += 1
    return True


async def _transition(
    desk: Desk, offer: dict[str, Any], step: str, body: dict[str, Any]
) -> dict[str, Any] | None:
    """The offer afterwards; None where it cannot be done now."""
    response = await desk.http.post(
        f"/partner/v1/offers/{offer['id']}/{step}",
        json=body,
        headers={"if-match": f'"{offer["version"]}"'},
    )
    if response.status_code in _RETRIED:
        return None
    found: dict[str, Any] = checked(response)
    return found


async def _manage(desk: Desk, offer: dict[str, Any], played: Played) -> None:
    """The case manager calls, and asks a partner for the need."""
    case_path = f"/referral/v1/cases/{offer['case_id']}"
    for _ in range(20):  # Referral hears of the acceptance through the log.
        found = await desk.http.get(case_path)
        case = checked(found) if found.is_success else None
        if case is not None and case.get("assigned_to") == desk.id:
            break
        await asyncio.sleep(0.1)
    else:
        return
    reached = await desk.http.post(
        f"{case_path}/contact-attempts",
        json={"channel": "phone", "result": "reached"},
        headers={"if-match": f'"{case["version"]}"'},
    )
    played.counts["residents reached"] += int(reached.is_success)
    case = checked(await desk.http.get(case_path))
    for need in case["needs"]:
        if need["id"] != offer["need_id"]:
            continue
        asked = await desk.http.post(
            f"/referral/v1/needs/{need['id']}/offers",
            json={"parent_offer_id": offer["id"]},
            headers={"if-match": f'"{need["version"]}"'},
        )
        played.counts["partners asked"] += int(asked.is_success)
        played.counts["without a partner"] += int(not asked.is_success)
