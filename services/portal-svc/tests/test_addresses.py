"""Where a request comes from: proxies that are trusted, and what anybody can write."""

from collections import Counter
from pathlib import Path

import httpx
import pytest
from handoff_kit.service import Context
from handoff_kit.settings import SettingsRefused, read
from hypothesis import given
from hypothesis import strategies as st
from portal_svc.app import SERVICE
from portal_svc.domain.addresses import client_address, counted_as, networks
from portal_svc.settings import PortalSettings

INNER, OUTER, CLIENT, FORGED = "10.0.0.2", "192.0.2.7", "203.0.113.9", "198.51.100.1"
TRUSTED = networks("10.0.0.0/24, 192.0.2.7 fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        pytest.param(CLIENT, [], CLIENT, id="no-proxy"),
        pytest.param(CLIENT, [FORGED], CLIENT, id="a-client-that-forges-it"),
        pytest.param(INNER, [CLIENT], CLIENT, id="by-a-proxy"),
        pytest.param(INNER, [f"{FORGED}, {CLIENT}"], CLIENT, id="forged-by-a-proxys-client"),
        pytest.param(INNER, [FORGED, CLIENT], CLIENT, id="forged-in-a-header-of-its-own"),
        pytest.param(INNER, [f"{CLIENT}, {OUTER}"], CLIENT, id="by-two-proxies"),
        pytest.param(
            INNER, [f"{INNER}, {CLIENT}, {OUTER}"], CLIENT, id="forged-as-a-proxy-of-ours"
        ),
        pytest.param(INNER, [f"{OUTER}, 10.0.0.9"], OUTER, id="a-proxy-itself"),
        pytest.param(INNER, [], INNER, id="a-proxy-that-says-nothing"),
        pytest.param(INNER, [""], INNER, id="empty"),
        pytest.param(INNER, ["unknown"], INNER, id="no-address"),
        pytest.param(INNER, [f"{CLIENT}, nonsense, {OUTER}"], OUTER, id="nonsense-in-between"),
        pytest.param(INNER, [f"{CLIENT}:4711"], CLIENT, id="with-a-port"),
        pytest.param("fd00::1", ["2001:db8::5"], "2001:db8::5", id="ipv6"),
        pytest.param("fd00::1", ["[2001:db8::5]:443"], "2001:db8::5", id="ipv6-with-a-port"),
        pytest.param("fd00::1", ["[2001:db8::5"], "2001:db8::5", id="ipv6-half-in-brackets"),
        pytest.param(f"::ffff:{INNER}", [f"::ffff:{CLIENT}"], CLIENT, id="ipv4-inside-ipv6"),
        pytest.param("", [CLIENT], "", id="a-socket-without-an-address"),
    ],
)
def test_who_asks(peer: str, forwarded: list[str], found: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == found


@given(st.text(max_size=40))
def test_without_a_trusted_proxy_no_header_counts(said: str) -> None:
    assert client_address(CLIENT, [said], ()) == CLIENT
    assert client_address(CLIENT, [said], TRUSTED) == CLIENT
    assert client_address(INNER, [f"{said}, {CLIENT}"], TRUSTED) == CLIENT


def test_one_ipv6_network_is_one_origin() -> None:
    assert counted_as("2001:db8::5") == counted_as("2001:db8::ffff:6") == "2001:db8::/64"
    assert counted_as("2001:db8:0:1::5") != counted_as("2001:db8::5")
    assert counted_as("203.0.113.9") == counted_as("::ffff:203.0.113.9") == "203.0.113.9"
    assert counted_as("") == ""


@pytest.mark.parametrize("text", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "*"])
def test_a_setting_that_names_no_network_stops_the_start(secrets: Path, text: str) -> None:
    environment = {
        "HANDOFF_SIGNING_KEYS_FILE": str(secrets / "signing_keys.json"),
        "HANDOFF_TRUSTED_PROXIES": f"10.0.0.1, {text}",
    }
    with pytest.raises(SettingsRefused, match=r"HANDOFF_TRUSTED_PROXIES: .*is no address") as told:
        read(PortalSettings, environment)
    assert text in str(told.value)


def test_without_the_setting_nobody_is_trusted(secrets: Path) -> None:
    environment = {"HANDOFF_SIGNING_KEYS_FILE": str(secrets / "signing_keys.json")}
    assert read(PortalSettings, environment).proxies == ()


class TestBehindAProxy:
    """The doors of a portal that trusts one proxy."""

    @pytest.fixture
    async def built(self, context: Context, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HANDOFF_TRUSTED_PROXIES", INNER)
        return await SERVICE.build(context)

    def browser(self, built, peer: str, *said: str) -> httpx.AsyncClient:
        """From *peer*, with an X-Forwarded-For for each of *said*."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=built.app, client=(peer, 1)),
            base_url="http://handoff.test",
            headers=[("x-forwarded-for", line) for line in said],
        )

    @pytest.fixture
    def fail(self, built, sign_in):
        """``await fail(peer, *said, times=n)``: answers to n wrong passwords, each of another."""

        async def fail(peer: str, *said: str, times: int) -> Counter[int]:
            async with self.browser(built, peer, *said) as one:
                names = [f"nobody-{n}@example.org" for n in range(times)]
                return Counter([(await sign_in(one, n, "not this")).status_code for n in names])

        return fail

    async def test_one_client_of_the_proxy_does_not_shut_out_the_others(
        self, built, a_person, fail, sign_in
    ) -> None:
        person = await a_person("inspector")
        assert await fail(INNER, CLIENT, times=51) == {401: 50, 429: 1}
        async with self.browser(built, INNER, "203.0.113.10") as other:
            assert (await sign_in(other, person.email)).status_code == 303

    async def test_a_forged_header_gives_no_more_tries(self, fail) -> None:
        for n in range(50):
            await fail(INNER, f"198.51.100.{n}, {CLIENT}", times=1)
        assert await fail(INNER, FORGED, CLIENT, times=1) == {429: 1}
        # Nor does it where there is no proxy between.
        for n in range(50):
            await fail(FORGED, f"198.51.100.{n}", times=1)
        assert await fail(FORGED, CLIENT, times=1) == {429: 1}

    async def test_tokens_are_limited_by_the_same_address(self, built) -> None:
        async def ask(said: str) -> int:
            async with self.browser(built, INNER, said) as machine:
                grant = {"grant_type": "client_credentials"}
                answer = await machine.post("/oauth/token", data=grant, auth=("nobody", "x"))
                return answer.status_code

        assert [await ask(CLIENT) for _ in range(11)] == [401] * 10 + [429]
        assert await ask("203.0.113.10") == 401
