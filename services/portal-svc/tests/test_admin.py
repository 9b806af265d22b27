"""Clients and users over HTTP: told once, audited, each agency its own."""

from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest
from handoff_kit.cursor import encode_cursor
from handoff_kit.testing import said

CLIENTS, USERS = "/portal/v1/clients", "/portal/v1/users"


@pytest.fixture
def headers(token):
    def make(agency: str = "test-city", role: str = "it-operator", **more: str):
        return {"authorization": f"Bearer {token(role, agency=agency)}"} | more

    return make


async def audited(admin) -> list[str]:
    rows = await admin.fetch("SELECT body FROM portal.audit ORDER BY shard, sequence")
    return [orjson.loads(row["body"])["action"] for row in rows]


async def test_a_client_is_created_rotated_and_revoked(client, headers, admin, db) -> None:
    made = await client.post(
        CLIENTS, json={"name": "311 system", "role": "department"}, headers=headers()
    )
    assert made.status_code == 201
    body = made.json()
    assert body["token_url"] == "http://handoff.test/oauth/token"
    assert body["method"] == "client_secret_basic"
    assert "handoff-made-for" not in made.headers
    auth = (body["client_id"], body["client_secret"])
    form = {"grant_type": "client_credentials"}
    assert (await client.post("/oauth/token", data=form, auth=auth)).status_code == 200
    rotated = await client.post(f"{CLIENTS}/{body['id']}/rotate", headers=headers())
    assert rotated.json()["client_secret"] not in (None, body["client_secret"])
    assert (await client.post("/oauth/token", data=form, auth=auth)).status_code == 401
    old, body = auth, rotated.json()
    again = await client.post(
        f"{CLIENTS}/{body['id']}/rotate", json={"keep_old_hours": 24}, headers=headers()
    )
    assert again.json()["old_secret_ends_at"] > again.json()["rotated_at"]
    for secret, status in (
        (old[1], 401),
        (body["client_secret"], 200),
        (again.json()["client_secret"], 200),
    ):
        auth = (body["client_id"], secret)
        assert (await client.post("/oauth/token", data=form, auth=auth)).status_code == status
    too_long = await client.post(
        f"{CLIENTS}/{body['id']}/rotate", json={"keep_old_hours": 169}, headers=headers()
    )
    assert (too_long.status_code, too_long.json()["errors"][0]["field"]) == (422, "keep_old_hours")
    for _ in range(2):
        revoked = await client.post(f"{CLIENTS}/{body['id']}/revoke", headers=headers())
        assert revoked.json()["revoked_at"] is not None
        assert "client_secret" not in revoked.json()
    refused = await client.post(f"{CLIENTS}/{body['id']}/rotate", headers=headers())
    assert (refused.status_code, refused.json()["code"]) == (409, "revoked")
    assert await audited(admin) == [
        "client.created",
        "client.rotated",
        "client.rotated",
        "client.revoked",
    ]
    (told,) = await said(db)
    assert (told.type, told.agency) == ("handoff.client.revoked.v1", "test-city")
    assert told.data.client_id == body["client_id"]


async def test_a_repetition_never_tells_the_secret_again(client, headers, admin) -> None:
    given = {"name": "one", "role": "inspector"}
    keyed = headers(**{"idempotency-key": "k1"})
    first = (await client.post(CLIENTS, json=given, headers=keyed)).json()
    second = (await client.post(CLIENTS, json=given, headers=keyed)).json()
    assert first["client_secret"]
    assert second["client_secret"] is None
    assert second["client_id"] == first["client_id"]
    stored = await admin.fetchval(
        "SELECT string_agg(body::text || headers, '') FROM portal.idempotency"
    )
    assert first["client_secret"] not in stored
    tables = await admin.fetchval("SELECT string_agg(c::text, '') FROM portal.client c")
    assert first["client_secret"] not in tables


async def test_an_agencys_own_organization_stands_in(client, headers) -> None:
    own = await client.post(
        CLIENTS, json={"name": "n", "role": "partner"}, headers=headers("demo-city")
    )
    assert own.json()["organization_id"] == "fab1b547-3688-5990-b929-db91c511b5f1"
    other = str(uuid4())
    given = await client.post(
        CLIENTS,
        json={"name": "n", "role": "partner", "organization_id": other},
        headers=headers("demo-city"),
    )
    assert given.json()["organization_id"] == other
    elsewhere = await client.post(CLIENTS, json={"name": "n", "role": "partner"}, headers=headers())
    assert elsewhere.json()["organization_id"] is None


async def test_lists_page_and_keep_agencies_apart(client, headers) -> None:
    for n in range(3):
        await client.post(CLIENTS, json={"name": f"c{n}", "role": "inspector"}, headers=headers())
    await client.post(
        CLIENTS, json={"name": "x", "role": "inspector"}, headers=headers("elsewhere")
    )
    first = (await client.get(f"{CLIENTS}?limit=2", headers=headers())).json()
    rest = (
        await client.get(f"{CLIENTS}?limit=2&cursor={first['next_cursor']}", headers=headers())
    ).json()
    assert [c["name"] for c in first["items"] + rest["items"]] == ["c0", "c1", "c2"]
    assert rest["next_cursor"] is None
    forged = encode_cursor(datetime.now(UTC), "x")
    refused = await client.get(f"{CLIENTS}?cursor={forged}", headers=headers())
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "invalid-cursor")
    assert "client_secret" not in first["items"][0]
    foreign = first["items"][0]["id"]
    for command in ("rotate", "revoke"):
        answer = await client.post(f"{CLIENTS}/{foreign}/{command}", headers=headers("elsewhere"))
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "n", "role": "resident"}, "role"),
        ({"name": "n", "role": "service"}, "role"),
        ({"name": "n", "role": "nobody"}, "role"),
        ({"name": "", "role": "inspector"}, "name"),
        ({"name": "311\u202emetsys", "role": "inspector"}, "name"),
        ({"name": "311\nsystem", "role": "inspector"}, "name"),
        ({"name": "n", "role": "inspector", "more": 1}, "more"),
        ({"name": "n", "role": "inspector", "person_id": str(uuid4())}, "person_id"),
        ({"name": "n", "role": "inspector", "public_jwk": {"kty": "RSA"}}, "public_jwk"),
        ({"name": "n", "role": "inspector", "public_jwk": {"kty": "OKP", "d": "x"}}, "public_jwk"),
    ],
)
async def test_what_cannot_be_a_client(client, headers, given, field) -> None:
    answer = await client.post(CLIENTS, json=given, headers=headers())
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_user_is_created_and_disabled(client, headers, admin, db) -> None:
    given = {"email": "One@Example.org", "role": "inspector", "language": "es"}
    made = await client.post(USERS, json=given, headers=headers())
    assert made.status_code == 201
    body = made.json()
    assert (body["email"], body["roles"]) == ("one@example.org", ["inspector"])
    assert len(body["password"]) >= 20
    again = await client.post(USERS, json=given, headers=headers("elsewhere"))
    assert (again.status_code, again.json()["code"]) == (409, "email-taken")
    listed = (await client.get(USERS, headers=headers())).json()["items"]
    assert [user["email"] for user in listed] == ["one@example.org"]
    assert "password" not in listed[0]
    assert (await client.get(USERS, headers=headers("elsewhere"))).json()["items"] == []
    foreign = await client.post(f"{USERS}/{body['id']}/disable", headers=headers("elsewhere"))
    assert foreign.status_code == 404
    for _ in range(2):
        disabled = await client.post(f"{USERS}/{body['id']}/disable", headers=headers())
        assert disabled.json()["disabled_at"] is not None
    assert await audited(admin) == ["person.created", "person.disabled"]
    (told,) = await said(db)
    assert (told.type, told.key) == ("handoff.person.disabled.v1", body["id"])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"email": "nobody", "role": "inspector"}, "email"),
        ({"email": "a\u200b@example.org", "role": "inspector"}, "email"),
        ({"email": "a@example.org", "role": "service"}, "role"),
        ({"email": "a@example.org", "role": "inspector", "language": "xx"}, "language"),
        ({"email": "a@example.org", "role": "inspector", "password": "short"}, "password"),
    ],
)
async def test_what_cannot_be_a_user(client, headers, given, field) -> None:
    answer = await client.post(USERS, json=given, headers=headers())
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_only_it_may(client, headers) -> None:
    for method, path in (("GET", CLIENTS), ("POST", CLIENTS), ("GET", USERS), ("POST", USERS)):
        assert (await client.request(method, path)).status_code == 401
        refused = await client.request(method, path, headers=headers(role="coordinator"))
        assert refused.status_code == 403
