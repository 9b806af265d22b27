"""The demo city on one home, started again for each turn: as it is, or with polled outboxes."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from handoff_cli.demo_city.ids import organization_id
from support.system import System, distributed, start_all_in_one

from bench.accept import bodies
from bench.processes import cpu_seconds, parts
from bench.stand import Stand, free_port

POLLED = "bench.latency.polled"
PARTNER = organization_id("food-pantry-north")
_LATITUDE, _LONGITUDE = 42.3918, -71.0328  # Inside the demo city.


def a_referral() -> str:
    """For food, with a consent for one partner, whose groceries have no limit of capacity: the
    demo city's policy offers it at once and always there."""
    body = json.loads(bodies.referral())
    body["property"] |= {"latitude": _LATITUDE, "longitude": _LONGITUDE}
    body["consent"]["recipients"] = [str(PARTNER)]
    return json.dumps(body)


@dataclass
class City:
    """``number``: how many referrals were made so far, each at a door of its own."""

    stand: Stand
    log: str
    home: Path
    bootstrap: str | None = None
    secret: str = ""
    hook_port: int = 0
    number: int = 0

    @contextmanager
    def running(self, *, polled: bool) -> Iterator[System]:
        """The system with a partner that has a webhook; ended afterwards."""
        if self.bootstrap is None:
            program = {"program": (sys.executable, "-m", POLLED, "handoff_cli.main")}
            system = start_all_in_one(self.home, **(program if polled else {}))
            try:
                self._hook(system)
                yield system
            finally:
                system.close()
            return
        runner = ("-m", POLLED) if polled else ("-m",)
        with distributed(self.home, self.bootstrap, runner=runner) as system:
            self._hook(system)
            yield system

    def _hook(self, system: System) -> None:
        if not self.secret:
            self.hook_port = free_port()
            made = system.api("partner", PARTNER).ok(
                "POST",
                "/notify/v1/webhooks",
                201,
                json={
                    "url": f"http://127.0.0.1:{self.hook_port}/hook",
                    "types": ["offer.made"],
                },
            )
            self.secret = made["secret"]

    def drive(self, system: System, rate: float, seconds: float, seed: int) -> dict[str, Any]:
        """One run of the load, from a process of its own. ``spent``: CPU milliseconds that a
        referral took of each part of the system."""
        before = _spent(system)
        found = self.stand.measure(
            "bench.latency.load:drive",
            intake_port=_port(system, "intake"),
            partner_port=_port(system, "partner"),
            hook_port=self.hook_port,
            body=a_referral(),
            tokens={
                "inspector": system.api("inspector").token(),
                "partner": system.api("partner", PARTNER).token(),
            },
            secret=self.secret,
            url=system.admin_url,
            rate=rate,
            seconds=seconds,
            seed=seed,
            first=self.number,
        )
        if found["missing_hooked"]:
            asyncio.run(_forget_webhooks(system.admin_url))
        count = int(found["last"]) - self.number
        self.number += count
        spent = {part: (now - before.get(part, 0.0)) * 1e3 for part, now in _spent(system).items()}
        return {**found, "spent": {part: took / count for part, took in spent.items()}}


async def _forget_webhooks(url: str) -> None:
    """What was not delivered in time is tried for days, and would load the runs that follow."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "UPDATE notify.delivery SET status = 'cancelled' WHERE status = 'pending'"
    )
    await connection.close()


def _spent(system: System) -> dict[str, float]:
    return {part: cpu_seconds(group) for part, group in parts(system).items()}


def _port(system: System, service: str) -> int:
    """Where a service's API listens; not the proxy, which is the tests' own."""
    address = system.environment.get(f"HANDOFF_{service.upper()}_URL") or system.url("/")
    port = urlsplit(address).port
    assert port is not None
    return port
