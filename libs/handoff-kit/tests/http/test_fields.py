"""Field errors, queries, pages."""

import json
from datetime import date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from handoff_kit.errors import Invalid
from handoff_kit.http import (
    Strict,
    parse,
)
from pydantic import ValidationError
from support.manners import CANARY, problem

# -- fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
async def test_field_errors_name_the_field_and_never_the_value(
    client: httpx.AsyncClient, partner: dict[str, str], path: str
) -> None:
    body = {
        "name": CANARY * 4,
        "needs": [{"category": "ok"}, {"category": "", "weight": CANARY}, CANARY],
        "surname": CANARY,
        f"{CANARY} in a key": 1,
    }
    response = await client.post(path, json=body, headers=partner)
    found = problem(response, 422, "invalid")["errors"]
    assert {(error["field"], error["code"]) for error in found} == {
        ("name", "string-too-long"),
        ("needs.1.category", "string-too-short"),
        ("needs.1.weight", "float-type"),
        ("needs.2", "model-type" if path.endswith("direct") else "model-attributes-type"),
        ("surname", "unknown-field"),
        ("(unnamed)", "unknown-field"),
    }
    assert all(error["message"] for error in found)
    assert CANARY not in response.text


class Dated(Strict):
    at: datetime
    day: date | None = None
    id: UUID | None = None
    count: int = 0
    share: float = 0
    sure: bool = False
    inner: list["Dated"] = []


TIME = "2026-01-31T09:00:00-05:00"


@pytest.mark.parametrize(
    "body",
    [
        {"at": TIME},
        {"at": "2026-01-31T14:00:00Z", "day": "2026-01-31", "id": str(UUID(int=7))},
        {"at": TIME, "count": 3, "share": 2, "sure": True, "inner": [{"at": TIME}]},
    ],
)
def test_what_the_schema_allows_is_taken(body: dict[str, Any]) -> None:
    by_value = Dated.model_validate(body)
    assert by_value == parse(Dated, json.dumps(body).encode())
    assert by_value.at.utcoffset() is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 1_700_000_000},
        {"at": "1700000000"},
        {"at": "2026-01-31T09:00:00"},
        {"at": "2026-01-31"},
        {"day": 20_000},
        {"day": "20260131"},
        {"id": 7},
        {"count": "3"},
        {"count": True},
        {"share": "1"},
        {"share": True},
        {"sure": 1},
        {"sure": "true"},
        {"inner": [{"at": TIME, "count": "3"}]},
    ],
)
def test_nothing_is_converted(wrong: dict[str, Any]) -> None:
    body = {"at": TIME} | wrong
    with pytest.raises(ValidationError):
        Dated.model_validate(body)
    with pytest.raises(Invalid):
        parse(Dated, json.dumps(body).encode())


async def test_our_own_checks_speak_and_foreign_ones_do_not(
    client: httpx.AsyncClient, partner: dict[str, str]
) -> None:
    ours = await client.post("/partner/v1/things", json={"name": "x!"}, headers=partner)
    assert problem(ours, 422, "invalid")["errors"] == [
        {"field": "name", "code": "no-bang", "message": "A name does not end so."}
    ]
    foreign = await client.post("/partner/v1/things", json={"name": "zz?"}, headers=partner)
    assert problem(foreign, 422, "invalid")["errors"][0]["code"] == "value-error"
    assert "zz" not in foreign.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/partner/v1/things?limit=201", "limit"),
        ("/partner/v1/things?limit=0", "limit"),
        ("/partner/v1/things?limit=x", "limit"),
        ("/partner/v1/things?cursor=x", "cursor"),
    ],
)
async def test_bad_queries_name_the_parameter(
    client: httpx.AsyncClient, partner: dict[str, str], path: str, field: str
) -> None:
    body = problem(await client.get(path, headers=partner), 422, "invalid")
    assert body["errors"][0]["field"] == field


@pytest.mark.parametrize("path", ["/partner/v1/things?cursor=%00", "/partner/v1/things/%00"])
async def test_nul_in_an_address_is_refused(
    client: httpx.AsyncClient, partner: dict[str, str], path: str
) -> None:
    method = "PUT" if "?" not in path else "GET"
    problem(await client.request(method, path, headers=partner), 422, "malformed")


async def test_pages_follow_each_other(client: httpx.AsyncClient, partner: dict[str, str]) -> None:
    seen: list[int] = []
    sizes: list[int] = []
    query = ""
    while True:
        page = (await client.get(f"/partner/v1/things{query}", headers=partner)).json()
        seen += page["items"]
        sizes.append(len(page["items"]))
        if page["next_cursor"] is None:
            break
        query = f"?cursor={page['next_cursor']}"
    assert seen == list(range(120))
    assert sizes == [50, 50, 20]
