"""Access tokens: what is issued is read back; everything that is wrong in one place is a 401."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handoff_kit.auth import (
    ROLES,
    Principal,
    Signer,
    StaticJwks,
    Verifier,
)
from handoff_kit.errors import ScopeMissing, Unauthenticated
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from support.tokens import ISSUER, Moment, a_token


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
