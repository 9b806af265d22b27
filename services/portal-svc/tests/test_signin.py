"""Signing in and out: sessions, forms, lock-out, and that strangers learn nothing."""

import time
from statistics import median
from urllib.parse import parse_qs, urlparse

import pytest
from handoff_kit.service import Context
from portal_svc.handlers.people import disable_person
from portal_svc.handlers.transaction import transaction

PAGE = "/pages/inspector"


async def test_without_a_session_there_is_only_the_door(client) -> None:
    assert (await client.get("/")).headers["location"] == "/sign-in"
    page = await client.get(PAGE)
    assert page.status_code == 303
    assert parse_qs(urlparse(page.headers["location"]).query) == {"next": [PAGE]}
    part = await client.get(f"{PAGE}/list")
    assert (part.status_code, part.json()["code"]) == (401, "unauthenticated")
    assert (await client.get("/events")).status_code == 401


async def test_a_session_begins_and_ends(client, a_person, sign_in, admin) -> None:
    person = await a_person("inspector")
    answer = await sign_in(client, person.email.upper(), next_=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "handoff_session" in c]
    assert {"httponly", "path=/", "samesite=lax"} <= {p.strip().lower() for p in cookie.split(";")}
    token = client.cookies["handoff_session"]
    assert len(token) >= 43
    stored = await admin.fetchval("SELECT s::text FROM portal.session s")
    assert token not in stored
    page = await client.get(PAGE)
    assert page.status_code == 200
    assert person.email in page.text
    assert (await client.get("/sign-in")).headers["location"] == "/"
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    assert (await client.post("/sign-out", data={"csrf": csrf})).headers["location"] == "/sign-in"
    assert await admin.fetchval("SELECT count(*) FROM portal.session") == 0
    client.cookies.set("handoff_session", token)
    assert (await client.get(PAGE)).status_code == 303
    actions = await admin.fetch(
        "SELECT convert_from(body, 'utf-8')::jsonb->>'action' FROM portal.audit"
    )
    assert [row[0] for row in actions] == ["person.created", "session.started", "session.ended"]


async def test_signing_out_needs_the_pages_own_token(client, a_person, sign_in) -> None:
    person = await a_person("inspector")
    await sign_in(client, person.email)
    for forged in ({}, {"csrf": "x"}):
        await client.post("/sign-out", data=forged)
        assert (await client.get(PAGE)).status_code == 200


async def test_signing_in_needs_the_forms_own_token(client, a_person) -> None:
    person = await a_person("inspector")
    form = {"email": person.email, "password": "correct horse battery"}
    await client.get("/sign-in")
    for csrf in ({}, {"csrf": "x"}, {"csrf": "é"}):
        answer = await client.post("/sign-in", data=form | csrf)
        assert answer.status_code == 403
        assert "handoff_session" not in client.cookies
        assert "open for too long" in answer.text


async def test_each_sign_in_has_a_session_of_its_own(client, a_person, sign_in, admin) -> None:
    person = await a_person("inspector")
    await sign_in(client, person.email)
    first = client.cookies["handoff_session"]
    client.cookies.clear()
    client.cookies.set("handoff_session", "planted-by-somebody-else")
    await sign_in(client, person.email)
    sessions = {c.value for c in client.cookies.jar if c.name == "handoff_session"}
    assert not sessions & {first}
    assert await admin.fetchval("SELECT count(*) FROM portal.session") == 2


async def test_a_session_ends_after_a_day_and_with_its_person(
    client, a_person, sign_in, admin, db
) -> None:
    person = await a_person("inspector")
    await sign_in(client, person.email)
    await admin.execute("UPDATE portal.session SET expires_at = now() - interval '1 second'")
    assert (await client.get(PAGE)).status_code == 303
    await sign_in(client, person.email)
    assert (await client.get(PAGE)).status_code == 200
    async with transaction(db) as tx:
        await disable_person(tx, agency=person.agency_id, id_=person.id, actor="test")
    assert (await client.get(PAGE)).status_code == 303
    assert (await sign_in(client, person.email)).status_code == 401


async def test_a_wrong_password_and_an_unknown_person_look_alike(client, a_person, sign_in) -> None:
    person = await a_person("inspector")
    wrong = await sign_in(client, person.email, "not this one")
    unknown = await sign_in(client, "nobody@example.org", "not this one")
    nonsense = await sign_in(client, "nonsense", "not this one")
    assert wrong.status_code == unknown.status_code == nonsense.status_code == 401
    assert wrong.text.replace(person.email, "X") == unknown.text.replace("nobody@example.org", "X")
    assert "not this one" not in wrong.text


async def test_they_take_the_same_time(client, a_person, sign_in, admin) -> None:
    """Of several tries each: an unknown address must cost a password's work as well."""
    person = await a_person("inspector")
    took: dict[str, list[float]] = {person.email: [], "nobody@example.org": []}
    await sign_in(client, "warm@example.org", "up")
    for _ in range(4):
        for email, times in took.items():
            started = time.perf_counter()
            await sign_in(client, email, "not this one")
            times.append(time.perf_counter() - started)
    known, unknown = (median(times) for times in took.values())
    assert 0.4 < known / unknown < 2.5


@pytest.mark.parametrize("email", ["inspector@example.org", "nobody@example.org"])
async def test_five_failures_lock_an_account_known_or_not(
    client, a_person, sign_in, admin, email
) -> None:
    await a_person("inspector")
    for _ in range(5):
        assert (await sign_in(client, email, "not this one")).status_code == 401
    locked = await sign_in(client, email)
    assert locked.status_code == 429
    assert 0 < int(locked.headers["retry-after"]) <= 30
    assert "one minute" in locked.text
    await admin.execute("UPDATE portal.sign_in_failure SET last_at = last_at - interval '1 minute'")
    known = email == "inspector@example.org"
    assert (await sign_in(client, email)).status_code == (303 if known else 401)
    left = await admin.fetchval("SELECT count(*) FROM portal.sign_in_failure")
    assert left == (0 if known else 2)


async def test_many_tries_at_once_get_no_more_than_five(client, a_person, sign_in) -> None:
    import asyncio

    person = await a_person("inspector")
    answers = await asyncio.gather(
        *(sign_in(client, person.email, f"guess number {n}") for n in range(12))
    )
    assert sorted(a.status_code for a in answers) == [401] * 5 + [429] * 7


@pytest.mark.parametrize(
    "next_",
    ["https://elsewhere.test/", "//elsewhere.test", "/pages/../x", "javascript:1", "/oauth"],
)
async def test_one_is_never_sent_elsewhere(client, a_person, sign_in, next_) -> None:
    person = await a_person("inspector")
    assert (await sign_in(client, person.email, next_=next_)).headers["location"] == "/"


async def test_what_is_no_form_is_no_sign_in(client) -> None:
    for content in (b"", b"csrf=a&csrf=b", b"\xff\xfe"):
        answer = await client.post(
            "/sign-in",
            content=content,
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 403
    assert (await client.post("/sign-in", json={})).status_code == 415


class TestBehindTls:
    """With an https address the cookies are bound to it."""

    @pytest.fixture
    def context(self, context: Context) -> Context:
        settings = context.settings.model_copy(update={"public_url": "https://handoff.test"})
        context.settings = settings
        return context

    async def test_cookies_are_of_this_host_alone(self, client, a_person, sign_in) -> None:
        client.base_url = "https://handoff.test"
        person = await a_person("inspector")
        answer = await sign_in(client, person.email)
        (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "_session" in c]
        assert cookie.startswith("__Host-handoff_session=")
        assert "secure" in cookie.lower()
        assert (await client.get(PAGE)).status_code == 200
