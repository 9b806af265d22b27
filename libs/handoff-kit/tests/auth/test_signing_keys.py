"""Keys that sign: private, replaced while they are used, found by who verifies."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from handoff_kit.auth import (
    FileJwks,
    HttpJwks,
    Signer,
    StaticJwks,
    Verifier,
    create_signing_keys,
    rotate_signing_keys,
)
from handoff_kit.auth.signer import LIFETIME, PUBLISHED_BEFORE, TooSoon
from handoff_kit.errors import Unauthenticated, Unavailable
from support.tokens import ISSUER, Moment, a_token


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
