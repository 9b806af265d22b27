"""The token endpoint: ways to prove oneself, what is refused and how it is said."""

import base64
import json
import time
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handoff_kit.auth import ServiceToken, StaticJwks, Verifier
from handoff_kit.errors import Invalid
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from portal_svc.handlers.clients import (
    create_client,
    ensure_service_client,
    revoke_client,
    rotate_client,
)
from portal_svc.handlers.people import create_person, disable_person
from portal_svc.handlers.transaction import transaction

AGENCY = "test-city"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


async def ask(client, headers=None, **form):
    form = {"grant_type": "client_credentials"} | form
    return await client.post("/oauth/token", data=form, headers=headers or {})


@pytest.fixture
async def inspector(db):
    async with transaction(db) as tx:
        return await create_client(
            tx,
            agency=AGENCY,
            name="tablet",
            role="inspector",
            actor="test",
            organization_id=uuid4(),
        )


@pytest.fixture
async def verifier(client):
    keys = (await client.get("/oauth/jwks.json")).json()
    return Verifier("http://handoff.test", StaticJwks(keys))


async def test_a_client_gets_a_token_that_says_who_it_is(client, inspector, verifier) -> None:
    answer = await ask(client, basic(inspector.client.client_id, inspector.secret))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert answer.headers["cache-control"] == "no-store"
    principal = await verifier.verify(body["access_token"])
    assert principal.agency == AGENCY
    assert principal.subject == principal.client_id == inspector.client.client_id
    assert principal.organization == str(inspector.client.organization_id)
    assert principal.roles == {"inspector"}
    assert principal.scopes == set(body["scope"].split())
    assert "referrals:write" in principal.scopes


async def test_the_kits_own_client_code_gets_a_token(client, db) -> None:
    async with transaction(db) as tx:
        await ensure_service_client(tx, agency=AGENCY, client_id="svc:all one", secret="s%+ e:t")
    token = ServiceToken(client, "/oauth/token", "svc:all one", "s%+ e:t")
    assert (await token.get()).count(".") == 2


async def test_the_keys_are_public_and_cacheable(client) -> None:
    answer = await client.get("/oauth/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert all("d" not in key for key in answer.json()["keys"])


async def test_scope_narrows_and_never_widens(client, inspector, verifier) -> None:
    headers = basic(inspector.client.client_id, inspector.secret)
    answer = await ask(client, headers, scope="referrals:write cases:work")
    assert answer.json()["scope"] == "referrals:write"
    principal = await verifier.verify(answer.json()["access_token"])
    assert principal.scopes == {"referrals:write"}
    for scope in ("cases:work", "no-such:scope", "referrals:write no-such:scope"):
        refused = await ask(client, headers, scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        ({}, {}, 401, "invalid_client"),
        ({"authorization": "Basic !!"}, {}, 401, "invalid_client"),
        ({"authorization": "Bearer x"}, {}, 401, "invalid_client"),
        (basic("nobody", "x"), {}, 401, "invalid_client"),
        (basic("nobody", "x"), {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (basic("nobody", "x"), {"client_id": "other"}, 400, "invalid_request"),
        ({}, {"client_id": "a", "client_secret": "b"}, 401, "invalid_client"),
        ({}, {"client_assertion": "x"}, 400, "invalid_request"),
        (
            basic("a", "b"),
            {"client_assertion": "x", "client_assertion_type": JWT_BEARER},
            400,
            "invalid_request",
        ),
        (
            {},
            {"client_assertion": "x.y.z", "client_assertion_type": JWT_BEARER},
            401,
            "invalid_client",
        ),
    ],
)
async def test_refusals_speak_oauth(client, headers, form, status, error) -> None:
    answer = await ask(client, headers, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.headers.get("www-authenticate") == 'Basic realm="handoff"') == (status == 401)


async def test_a_form_is_needed_and_nothing_twice(client) -> None:
    wrong = await client.post("/oauth/token", json={"grant_type": "client_credentials"})
    assert wrong.status_code == 415
    twice = await client.post(
        "/oauth/token",
        content="grant_type=client_credentials&grant_type=client_credentials",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert twice.json()["error"] == "invalid_request"
    none = await ask(client, basic("a", "b"), grant_type="")
    assert none.json()["error"] == "unsupported_grant_type"


async def test_a_wrong_secret_is_refused_and_too_many_wait(client, inspector) -> None:
    wrong = basic(inspector.client.client_id, "wrong")
    for _ in range(10):
        assert (await ask(client, wrong)).status_code == 401
    limited = await ask(client, wrong)
    assert (limited.status_code, limited.json()["error"]) == (429, "invalid_client")
    assert int(limited.headers["retry-after"]) > 0
    # Another client of the same address is not held up by it, nor is who has the secret.
    assert (await ask(client, basic("other", "x"))).status_code == 401
    right = basic(inspector.client.client_id, inspector.secret)
    assert (await ask(client, right)).status_code == 200


async def test_nobody_is_shut_out_by_strangers_of_the_same_address(client, inspector) -> None:
    """Behind a proxy all have its address, and the services ask here for their own tokens."""
    statuses = [(await ask(client, basic(f"nobody-{n}", "x"))).status_code for n in range(103)]
    assert statuses == [401] * 100 + [429] * 3
    right = basic(inspector.client.client_id, inspector.secret)
    assert (await ask(client, right)).status_code == 200


async def test_success_never_counts_against_a_client(client, inspector) -> None:
    headers = basic(inspector.client.client_id, inspector.secret)
    for _ in range(30):
        assert (await ask(client, headers)).status_code == 200


async def test_rotated_and_revoked(client, db, inspector) -> None:
    of = inspector.client
    async with transaction(db) as tx:
        rotated = await rotate_client(tx, agency=AGENCY, id_=of.id, actor="test")
    assert (await ask(client, basic(of.client_id, inspector.secret))).status_code == 401
    assert (await ask(client, basic(of.client_id, rotated.secret))).status_code == 200
    async with transaction(db) as tx:
        await revoke_client(tx, agency=AGENCY, id_=of.id, actor="test")
    assert (await ask(client, basic(of.client_id, rotated.secret))).status_code == 401


async def test_an_old_secret_is_good_for_as_long_as_was_said(client, db, inspector, admin) -> None:
    of, secrets = inspector.client, [inspector.secret]

    async def good() -> list[bool]:
        asked = [await ask(client, basic(of.client_id, secret)) for secret in secrets]
        return [answer.status_code == 200 for answer in asked]

    async def rotate(hours: int) -> None:
        async with transaction(db) as tx:
            issued = await rotate_client(
                tx, agency=AGENCY, id_=of.id, actor="test", keep_old=timedelta(hours=hours)
            )
        secrets.append(issued.secret)

    await rotate(24)
    assert await good() == [True, True]
    await rotate(24)  # Two at most: the one before the last ends now.
    assert await good() == [False, True, True]
    await admin.execute("UPDATE portal.client SET old_secret_ends_at = now() - interval '1 s'")
    assert await good() == [False, False, True]
    await rotate(1)
    await rotate(0)
    assert await good() == [False, False, False, False, True]
    with pytest.raises(Invalid, match="168 hours"):
        await rotate(169)
    await rotate(168)
    async with transaction(db) as tx:
        await revoke_client(tx, agency=AGENCY, id_=of.id, actor="test")
    assert not any(await good())


async def test_the_service_client_is_made_once_and_follows_its_secret(client, db) -> None:
    for secret in ("one", "one", "two"):
        async with transaction(db) as tx:
            await ensure_service_client(tx, agency=AGENCY, client_id="services", secret=secret)
    assert (await ask(client, basic("services", "one"))).status_code == 401
    answer = await ask(client, basic("services", "two"))
    assert answer.json()["scope"] == "service:disclose service:link service:seal"


async def test_a_tablets_client_speaks_for_its_person_until_that_is_disabled(
    client, db, verifier
) -> None:
    async with transaction(db) as tx:
        welcomed = await create_person(
            tx, agency=AGENCY, email="one@example.org", role="inspector", actor="test"
        )
        person = welcomed.person
        issued = await create_client(
            tx, agency=AGENCY, name="tablet", role="inspector", actor="t", person_id=person.id
        )
    headers = basic(issued.client.client_id, issued.secret)
    principal = await verifier.verify((await ask(client, headers)).json()["access_token"])
    assert principal.subject == str(person.id)
    assert principal.client_id == issued.client.client_id
    async with transaction(db) as tx:
        await disable_person(tx, agency=AGENCY, id_=person.id, actor="test")
    assert (await ask(client, headers)).status_code == 401


KEYS = {
    "EdDSA": (Ed25519PrivateKey.generate, OKPAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
}


@pytest.fixture(params=sorted(KEYS))
async def key_holder(request, db):
    make, algorithm = KEYS[request.param]
    private = make()
    public = json.loads(algorithm.to_jwk(private.public_key()))
    async with transaction(db) as tx:
        issued = await create_client(
            tx, agency=AGENCY, name="system", role="department", actor="t", public_jwk=public
        )
    assert issued.secret is None

    def assertion(**changes) -> str:
        client_id = issued.client.client_id
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": "http://handoff.test/oauth/token",
            "exp": int(time.time()) + 60,
            "jti": str(uuid4()),
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, private, request.param)

    return assertion


async def assert_by(client, assertion: str):
    return await ask(client, client_assertion_type=JWT_BEARER, client_assertion=assertion)


async def test_a_key_proves_its_client_once_per_assertion(client, key_holder) -> None:
    assertion = key_holder()
    assert (await assert_by(client, assertion)).status_code == 200
    again = await assert_by(client, assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert (await assert_by(client, key_holder(aud="http://handoff.test"))).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "http://elsewhere.test/oauth/token"},
        {"exp": int(time.time()) - 120},
        {"exp": int(time.time()) + 86_400},
        {"exp": 10**20},
        {"nbf": int(time.time()) + 3600},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"exp": None},
        {"iss": "another"},
        {"sub": "another", "iss": "another"},
    ],
)
async def test_an_assertion_that_is_not_good(client, key_holder, change) -> None:
    answer = await assert_by(client, key_holder(**change))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_an_assertion_of_a_foreign_key_or_none(client, db, key_holder) -> None:
    claims = jwt.decode(key_holder(), options={"verify_signature": False})
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA")
    assert (await assert_by(client, forged)).status_code == 401
    unsigned = jwt.encode(claims, None, "none")
    assert (await assert_by(client, unsigned)).status_code == 401
    assert (await ask(client, basic(claims["sub"], ""))).status_code == 401
