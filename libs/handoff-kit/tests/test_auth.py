"""Access tokens: what is issued is read back; everything that is wrong in one place is a 401."""

import asyncio
import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handoff_kit.auth import (
    ROLES,
    SCOPES,
    FileJwks,
    HttpJwks,
    Principal,
    ServiceToken,
    Signer,
    StaticJwks,
    Verifier,
    create_signing_keys,
    requires,
    rotate_signing_keys,
    scopes_of,
)
from handoff_kit.auth.signer import LIFETIME, PUBLISHED_BEFORE, TooSoon
from handoff_kit.errors import ScopeMissing, Unauthenticated, Unavailable
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

ISSUER = "http://localhost:8080"


class Moment:
    """A clock in seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Moment:
    return Moment()


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    path = tmp_path / "signing.json"
    create_signing_keys(path)
    return path


@pytest.fixture
def signer(key_path: Path, now: Moment) -> Signer:
    return Signer(key_path, ISSUER, now=now)


@pytest.fixture
def verifier(signer: Signer, now: Moment) -> Verifier:
    return Verifier(ISSUER, StaticJwks(signer.jwks()), now=now)


def a_token(signer: Signer, **changes: Any) -> str:
    stated: dict[str, Any] = {
        "subject": "user-1",
        "agency": "city-a",
        "roles": ["partner"],
        "organization": "org-1",
        "client_id": "client-1",
    }
    return signer.issue(**(stated | changes))


async def test_a_token_says_who_calls(signer: Signer, verifier: Verifier) -> None:
    principal = await verifier.verify(a_token(signer))
    assert principal == Principal(
        subject="user-1",
        agency="city-a",
        client_id="client-1",
        organization="org-1",
        roles=frozenset({"partner"}),
        scopes=ROLES["partner"],
    )
    assert principal.caller == "client-1"


async def test_a_token_has_the_claims_of_rfc_9068(signer: Signer, now: Moment) -> None:
    token = a_token(signer)
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
    assert header["kid"] == signer.jwks()["keys"][0]["kid"]
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == (ISSUER, "handoff", 600)
    assert claims.keys() >= {"sub", "client_id", "jti", "agency", "organization", "roles", "scope"}


async def test_scopes_can_be_narrowed_and_not_widened(signer: Signer, verifier: Verifier) -> None:
    token = a_token(signer, scopes=["offers:read", "clients:admin"])
    assert (await verifier.verify(token)).scopes == {"offers:read"}


def test_an_unknown_role_is_refused(signer: Signer) -> None:
    with pytest.raises(KeyError):
        a_token(signer, roles=["mayor"])


async def test_a_token_ends_when_it_expires_also_in_the_cache(
    signer: Signer, verifier: Verifier, now: Moment
) -> None:
    token = a_token(signer)
    await verifier.verify(token)
    now.at += 599
    await verifier.verify(token)
    now.at += 1
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


def signed_with(signer_path: Path, header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = json.loads(signer_path.read_text())["keys"][0]
    private = OKPAlgorithm.from_jwk(key)
    assert isinstance(private, Ed25519PrivateKey)
    return jwt.encode(claims, private, "EdDSA", headers={"kid": key["kid"], **header})


DROP = object()


@pytest.mark.parametrize(
    ("header_change", "claim_change"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": None}, {}),
        ({"kid": "another"}, {}),
        ({}, {"iss": "http://elsewhere"}),
        ({}, {"aud": "another"}),
        ({}, {"aud": ["handoff", "another"]}),
        ({}, {"exp": 1_799_999_999}),
        ({}, {"iat": 1_800_000_100}),
        ({}, {"nbf": 1_800_000_100}),
        ({}, {"exp": "soon"}),
        ({}, {"agency": DROP}),
        ({}, {"agency": ""}),
        ({}, {"agency": 7}),
        ({}, {"sub": DROP}),
        ({}, {"exp": DROP}),
        ({}, {"iat": DROP}),
        ({}, {"jti": DROP}),
        ({}, {"aud": DROP}),
        ({}, {"iss": DROP}),
        ({}, {"roles": "partner"}),
        ({}, {"roles": [1]}),
        ({}, {"roles": DROP}),
        ({}, {"scope": ["offers:read"]}),
        ({}, {"scope": DROP}),
        ({}, {"organization": 5}),
    ],
)
async def test_one_thing_wrong_is_a_401(
    key_path: Path,
    verifier: Verifier,
    header_change: dict[str, Any],
    claim_change: dict[str, Any],
) -> None:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": "handoff",
        "sub": "user-1",
        "iat": 1_800_000_000,
        "exp": 1_800_000_600,
        "jti": "1",
        "agency": "city-a",
        "roles": ["partner"],
        "scope": "offers:read",
    }
    good = signed_with(key_path, {"typ": "at+jwt"}, claims)
    assert (await verifier.verify(good)).agency == "city-a"
    changed = {k: v for k, v in (claims | claim_change).items() if v is not DROP}
    with pytest.raises(Unauthenticated):
        await verifier.verify(signed_with(key_path, {"typ": "at+jwt"} | header_change, changed))


async def test_no_algorithm_but_the_keys_own(signer: Signer, verifier: Verifier) -> None:
    key = signer.jwks()["keys"][0]
    claims = jwt.decode(a_token(signer), options={"verify_signature": False})
    header = {"typ": "at+jwt", "kid": key["kid"]}
    unsigned = jwt.encode(claims, None, "none", headers=header)
    secret = base64.urlsafe_b64decode(key["x"] + "=")
    confused = jwt.encode(claims, secret, "HS256", headers=header)
    foreign = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=header)
    for token in (unsigned, confused, foreign, "", "a.b", "a.b.c", "x" * 5000):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_es256_of_another_issuer_is_taken(now: Moment) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "e"}
    verifier = Verifier(ISSUER, StaticJwks({"keys": [public, {"kty": "unheard-of"}]}), now=now)
    claims = {
        "iss": ISSUER,
        "aud": "handoff",
        "sub": "u",
        "iat": now.at,
        "exp": now.at + 600,
        "jti": "1",
        "agency": "a",
        "roles": [],
        "scope": "",
    }
    token = jwt.encode(claims, private, "ES256", headers={"typ": "at+jwt", "kid": "e"})
    assert (await verifier.verify(token)).subject == "u"


async def test_the_cache_is_bounded(signer: Signer, now: Moment) -> None:
    verifier = Verifier(ISSUER, StaticJwks(signer.jwks()), now=now, cache_size=2)
    for _ in range(5):
        await verifier.verify(a_token(signer))
    assert len(verifier._cache) == 2


async def test_a_cached_verification_is_fast(signer: Signer, verifier: Verifier) -> None:
    headers = [(b"host", b"x"), (b"authorization", b"Bearer " + a_token(signer).encode())]
    await verifier.principal_of(headers, "offers:read")
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            await verifier.principal_of(headers, "offers:read")
        spent.append(time.perf_counter() - started)
    assert min(spent) / 1000 < 5e-6


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Basic eDp5")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer \xff\xfe")],
    ],
)
async def test_without_a_token_it_is_a_401(
    verifier: Verifier, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.principal_of(headers, "offers:read")


async def test_two_tokens_are_a_401_and_a_missing_scope_a_403(
    signer: Signer, verifier: Verifier
) -> None:
    header = (b"authorization", b"bearer " + a_token(signer).encode())
    assert (await verifier.principal_of([header], "offers:read")).subject == "user-1"
    with pytest.raises(Unauthenticated):
        await verifier.principal_of([header, header], "offers:read")
    with pytest.raises(ScopeMissing) as caught:
        await verifier.principal_of([header], "cases:work")
    assert caught.value.extra == {"scope": "cases:work"}


# -- keys ----------------------------------------------------------------------------------------


def test_signing_keys_are_private_and_never_published(key_path: Path, signer: Signer) -> None:
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    assert all("d" not in key for key in signer.jwks()["keys"])
    with pytest.raises(FileExistsError):
        create_signing_keys(key_path)


async def test_rotation_keeps_old_tokens_good(key_path: Path, signer: Signer, now: Moment) -> None:
    old = a_token(signer)
    kid = rotate_signing_keys(key_path, now=now)
    # It is published at once, by who read the file before too, and signs when all may know it.
    published = [key["kid"] for key in signer.jwks()["keys"]]
    assert published[0] == kid
    assert all(set(key) & {"d", "use_from"} == set() for key in signer.jwks()["keys"])
    assert jwt.get_unverified_header(a_token(signer))["kid"] == published[1]
    verifier = Verifier(ISSUER, StaticJwks(signer.jwks()), now=now)
    now.at += PUBLISHED_BEFORE
    new = a_token(signer)
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    for token in (old, new):
        assert (await verifier.verify(token)).subject == "user-1"


def test_a_second_rotation_waits_for_the_tokens_of_the_key_that_would_go(
    key_path: Path, now: Moment
) -> None:
    first = rotate_signing_keys(key_path, now=now)
    with pytest.raises(TooSoon) as wait:
        rotate_signing_keys(key_path, now=now)
    assert wait.value.args == (PUBLISHED_BEFORE + LIFETIME,)
    now.at += PUBLISHED_BEFORE + LIFETIME
    second = rotate_signing_keys(key_path, now=now)
    keys = Signer(key_path, ISSUER, now=now).jwks()["keys"]
    assert [key["kid"] for key in keys] == [second, first]


async def test_a_dropped_key_ends_its_tokens(key_path: Path, signer: Signer, now: Moment) -> None:
    ticks = Moment()
    verifier = Verifier(ISSUER, FileJwks(key_path, monotonic=ticks), now=now)
    # As who has stolen the key would make it: good for a year, and known to the verifier.
    stolen = signer.issue(subject="x", agency="a", roles=["it-operator"], lifetime=31_536_000)
    await verifier.verify(stolen)
    kid = rotate_signing_keys(key_path, drop_old=True, now=now)
    assert [key["kid"] for key in signer.jwks()["keys"]] == [kid]
    assert jwt.get_unverified_header(a_token(signer))["kid"] == kid
    for clock in (ticks, now):
        clock.at += 301
    with pytest.raises(Unauthenticated):
        await verifier.verify(stolen)


def test_a_file_that_cannot_be_read_any_more_is_no_harm(key_path: Path, signer: Signer) -> None:
    before = signer.jwks()
    key_path.rename(key_path.with_suffix(".away"))
    assert signer.jwks() == before
    key_path.write_text("{}")
    assert signer.jwks() == before
    assert a_token(signer)


@pytest.mark.parametrize("content", [None, "", "{}", '{"keys": []}', '{"keys": [{"kid": "a"}]}'])
def test_a_broken_key_set_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "signing.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"signing\.json"):
        Signer(path, ISSUER)


async def test_the_file_source_sees_a_rotation(key_path: Path, signer: Signer, now: Moment) -> None:
    ticks = Moment()
    verifier = Verifier(ISSUER, FileJwks(key_path, monotonic=ticks), now=now)
    await verifier.verify(a_token(signer))
    rotate_signing_keys(key_path, drop_old=True, now=now)
    token = a_token(Signer(key_path, ISSUER, now=now))
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)  # looked just now; not again so soon
    ticks.at += 6
    assert (await verifier.verify(token)).subject == "user-1"


class KeyServer:
    """Serves a JWK set, counts how often, and can be away."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.asked = 0
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(500) if self.away else httpx.Response(200, json=self.document)


async def test_the_http_source_asks_rarely(signer: Signer, now: Moment) -> None:
    server, ticks = KeyServer(signer.jwks()), Moment()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        source = HttpJwks(http, "http://portal/oauth/jwks.json", monotonic=ticks)
        verifier = Verifier(ISSUER, source, now=now)
        await asyncio.gather(*(verifier.verify(a_token(signer)) for _ in range(20)))
        assert server.asked == 1
        # Invented key ids do not make us ask each time.
        for n in range(10):
            assert await source.find(f"invented-{n}") is None
        assert server.asked == 1
        ticks.at += 6
        for n in range(10):
            assert await source.find(f"invented-{n}") is None
        assert server.asked == 2


async def test_known_keys_stay_good_while_the_source_is_away(signer: Signer, now: Moment) -> None:
    server, ticks = KeyServer(signer.jwks()), Moment()
    kid = signer.jwks()["keys"][0]["kid"]
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        source = HttpJwks(http, "http://portal/oauth/jwks.json", monotonic=ticks)
        assert await source.find(kid) is not None
        server.away = True
        ticks.at += 400
        assert await source.find(kid) is not None
        for _ in range(2):  # the second time it does not even ask
            with pytest.raises(Unavailable):
                await source.find("unknown")


# -- roles ---------------------------------------------------------------------------------------


def test_every_scope_is_somebodys_and_every_role_has_only_known_ones() -> None:
    assert frozenset().union(*ROLES.values()) == frozenset(SCOPES)


def test_roles_of_the_contract() -> None:
    assert set(ROLES) == {
        "inspector",
        "senior-inspector",
        "ambassador",
        "case-manager",
        "coordinator",
        "department",
        "partner",
        "city-manager",
        "records-officer",
        "it-operator",
        "resident",
        "service",
    }


@pytest.mark.parametrize(
    ("scope", "roles"),
    [
        ("inspections:write", {"department"}),
        ("referrals:write", {"inspector", "senior-inspector", "ambassador", "department"}),
        ("consents:write", {"case-manager"}),
        ("cases:work", {"case-manager"}),
        ("candidates:read", {"case-manager", "coordinator"}),
        ("needs:approve", {"senior-inspector", "coordinator"}),
        ("offers:answer", {"case-manager", "department", "partner"}),
        ("residents:read", {"case-manager", "department", "partner"}),
        ("records:read", {"records-officer"}),
        ("ops:read", {"it-operator"}),
        ("service:disclose", {"service"}),
    ],
)
def test_who_has_a_scope(scope: str, roles: set[str]) -> None:
    assert {role for role, scopes in ROLES.items() if scope in scopes} == roles


def test_scopes_add_up() -> None:
    assert scopes_of([]) == frozenset()
    assert scopes_of(["partner", "inspector"]) == ROLES["partner"] | ROLES["inspector"]


def test_a_scope_that_does_not_exist_cannot_be_required() -> None:
    with pytest.raises(KeyError):
        requires("offers:raed")


# -- client credentials --------------------------------------------------------------------------


class TokenServer:
    """A token endpoint that counts, and can be away or refuse."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.status = 200

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(0.01)
        body = {"access_token": f"token-{len(self.asked)}", "expires_in": 600}
        return httpx.Response(self.status, json=body)


async def test_one_fetch_serves_all_and_is_renewed_before_it_expires() -> None:
    server, ticks = TokenServer(), Moment()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        token = ServiceToken(http, "http://p/oauth/token", "a:b", "s c", monotonic=ticks)
        assert set(await asyncio.gather(*(token.get() for _ in range(20)))) == {"token-1"}
        assert len(server.asked) == 1
        assert server.asked[0].content == b"grant_type=client_credentials"
        scheme, pair = server.asked[0].headers["authorization"].split()
        assert (scheme, base64.b64decode(pair)) == ("Basic", b"a%3Ab:s%20c")
        ticks.at += 481
        assert await token.get() == "token-2"


async def test_the_old_token_serves_while_no_new_one_can_be_had() -> None:
    server, ticks = TokenServer(), Moment()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        token = ServiceToken(http, "http://p/oauth/token", "a", "s", monotonic=ticks)
        await token.get()
        server.status = 503
        ticks.at += 500
        assert await token.get() == "token-1"
        ticks.at += 101
        with pytest.raises(Unavailable):
            await token.get()
        server.status = 401
        with pytest.raises(Unavailable, match="credentials"):
            await token.get()


async def test_a_refused_token_is_replaced_once() -> None:
    server = TokenServer()
    seen: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200 if request.headers["authorization"] == "Bearer token-2" else 401)

    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        auth = ServiceToken(http, "http://p/oauth/token", "a", "s")
        async with httpx.AsyncClient(transport=httpx.MockTransport(api), auth=auth) as client:
            assert (await client.get("http://intake/x")).status_code == 200
            assert seen == ["Bearer token-1", "Bearer token-2"]
