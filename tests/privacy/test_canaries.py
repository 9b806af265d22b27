"""Unique strings in every resident field, then everything that anybody could read is searched.

They may be found in one place alone: the answer that the consent allowed.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from support.collector import Collector
from support.data import a_referral, an_inspection
from support.receiver import Receiver
from support.system import System, all_in_one, eventually


class Canaries:
    """Makes strings that occur nowhere else, and finds them in whatever bytes."""

    def __init__(self) -> None:
        self.mark = f"canary{uuid4().hex[:10]}"
        self.made: dict[str, str] = {}

    def __call__(self, field: str) -> str:
        self.made[field] = f"{self.mark}{field}"
        return self.made[field]

    def found_in(self, data: bytes | str) -> list[str]:
        raw = data.encode() if isinstance(data, str) else data
        if self.mark.encode() not in raw:
            return []
        return [f for f, value in self.made.items() if value.encode() in raw] or ["mark"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[System]:
    home = tmp_path_factory.mktemp("canary") / "home"
    with all_in_one(home, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as system:
        yield system


def a_canary_referral(canary: Canaries) -> dict[str, Any]:
    body = a_referral("food-insecurity")
    body["resident"].update(
        name=canary("name"),
        phone=canary("phone"),
        email=f"{canary('email')}@example.org",
        safe_contact=canary("safe"),
    )
    body["consent"].update(witness=canary("witness"), given_by=canary("givenby"))
    body["needs"][0]["note"] = canary("note")
    return body


async def search_database(url: str, canary: Canaries) -> dict[str, list[str]]:
    """Every row of every table as text; the log's and outboxes' bytes too."""
    hits: dict[str, list[str]] = {}
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT table_schema AS s, table_name AS t FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN"
            " ('pg_catalog', 'information_schema')"
        )
        assert len(tables) > 40
        for table in tables:
            name = f'"{table["s"]}"."{table["t"]}"'
            for row in await connection.fetch(f"SELECT * FROM {name}"):
                for value in row.values():
                    data = bytes(value) if isinstance(value, bytes | memoryview) else str(value)
                    if found := canary.found_in(data):
                        hits.setdefault(name, []).extend(found)
    finally:
        await connection.close()
    return hits


def search_files(folder: Path, canary: Canaries) -> dict[str, list[str]]:
    """Every file below *folder*, the database's own and its write-ahead log included."""
    hits = {}
    read = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            read += len(data)
            if found := canary.found_in(data):
                hits[str(path.relative_to(folder))] = found
    assert read > 10_000_000, "the data folder was not read"
    return hits


@pytest.mark.slow
def test_a_resident_s_facts_are_in_the_one_consented_answer_and_nowhere_else(watched, collector):
    canary = Canaries()
    system = watched
    receiver = Receiver()
    inspector, coordinator = system.api("inspector"), system.api("coordinator")
    inspector.ok("POST", "/notify/v1/webhooks", 201, json={"url": receiver.url, "types": ["*"]})
    inspector.ok(
        "PUT",
        "/notify/v1/preferences",
        json={"email": "inspector@example.org", "channels": ["feed", "email"], "language": "en"},
        headers={"if-match": f'"{_preferences_version(inspector)}"'},
    )

    # Refused bodies echo nothing.
    bodies: list[str] = []
    for spoil in (
        lambda b: b["resident"].update(unknown=canary("unknownfield")),
        lambda b: b["resident"].update(languages=canary("wrongtype")),
        lambda b: b.update(consent=None),
        lambda b: b["needs"][0].update(category=canary("category")),
        lambda b: b["consent"].update(expires_at=canary("expires")),
    ):
        body = a_canary_referral(canary)
        spoil(body)
        answer = inspector.request("POST", "/intake/v1/referrals", json=body)
        assert answer.status_code == 422, answer.text
        bodies.append(answer.text)
    raw = json.dumps(a_canary_referral(canary))[:-10].encode()
    answer = inspector.request(
        "POST",
        "/intake/v1/referrals",
        content=raw,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    bodies.append(answer.text)
    assert not canary.found_in("\n".join(bodies))

    # The whole path once.
    made = inspector.ok("POST", "/intake/v1/referrals", 201, json=a_canary_referral(canary))
    assert not canary.found_in(json.dumps(made))
    offer = eventually(
        lambda: coordinator.ok("GET", f"/partner/v1/offers?case_id={made['case_id']}")["items"]
    )[0]
    partner = system.api("partner", offer["organization_id"])

    def act(name: str, body: dict[str, Any]) -> Any:
        version = partner.ok("GET", f"/partner/v1/offers/{offer['id']}")["version"]
        return partner.ok(
            "POST",
            f"/partner/v1/offers/{offer['id']}/{name}",
            json=body,
            headers={"if-match": f'"{version}"'},
        )

    act("ask", {"note": canary("asknote")})
    act("accept", {})
    allowed = partner.ok("GET", f"/partner/v1/offers/{offer['id']}/resident")
    assert {"name", "phone", "email", "safe"} <= set(canary.found_in(json.dumps(allowed)))
    act("progress", {"note": canary("progressnote")})
    act("complete", {"outcome": "got-help", "note": canary("outcomenote")})
    department = system.api("department")
    inspection = an_inspection("H-101", "demo-housing-code")
    inspection["findings"][0]["text"] = canary("findingtext")
    inspection["inspector"] = canary("inspectorname")
    department.ok("POST", "/intake/v1/inspections", 201, json=inspection)
    eventually(lambda: receiver.about(made["case_id"]), hint="a webhook came")
    eventually(lambda: any((system.home / "outbox-mail").glob("*")), hint="a mail was written")
    asyncio.run(_checkpoint(system.admin_url))

    # What others may read of it.
    for api, path in (
        (system.api("case-manager"), f"/referral/v1/cases/{made['case_id']}/timeline"),
        (coordinator, f"/referral/v1/cases/{made['case_id']}"),
        (inspector, "/notify/v1/feed"),
        (system.api("city-manager"), "/notify/v1/feed"),
    ):
        assert not canary.found_in(json.dumps(api.ok("GET", path))), path
    assert not canary.found_in(b"".join(b + str(h).encode() for h, b in receiver.got))

    metrics = [httpx.get(f"{address}/metrics").text for address in system.addresses.values()]
    running = json.loads((system.home / "running.json").read_text())
    metrics.append(httpx.get(f"http://127.0.0.1:{running['worker_port']}/metrics").text)
    assert "handoff_end_to_end_seconds" in "".join(metrics)
    assert not canary.found_in("".join(metrics))

    assert eventually(lambda: sum(map(len, collector.got)) > 1000, 15, hint="spans were exported")
    assert not canary.found_in(b"".join(collector.got))

    assert asyncio.run(search_database(system.admin_url, canary)) == {}
    assert search_files(system.home, canary) == {}
    receiver.close()


def _preferences_version(api: Any) -> int:
    return int(api.request("GET", "/notify/v1/preferences").headers["etag"].strip('"'))


async def _checkpoint(url: str) -> None:
    """Have PostgreSQL write its pages out, so that a search of the files sees them."""
    connection = await asyncpg.connect(url)
    await connection.execute("CHECKPOINT")
    await connection.close()


def test_the_search_finds_what_is_there(tmp_path):
    canary = Canaries()
    value = canary("name")
    (tmp_path / "big").write_bytes(b"\0" * 11_000_000)
    (tmp_path / "leak").write_text(f"{{'name': '{value}'}}")
    assert search_files(tmp_path, canary) == {"leak": ["name"]}
