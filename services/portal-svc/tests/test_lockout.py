"""Wrong tries slow down who makes them, and keep nobody else out of the account."""

from contextlib import asynccontextmanager

import httpx
import pytest

OFFICE, ELSEWHERE = "192.0.2.1", "203.0.113.9"
WRONG = "not this one"


@pytest.fixture
def browser(built):
    """``async with browser(address) as one``: a browser that knows nothing yet."""

    @asynccontextmanager
    async def open_(address: str):
        transport = httpx.ASGITransport(app=built.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://handoff.test") as made:
            yield made

    return open_


@pytest.fixture
def attack(browser, sign_in):
    """``await attack(email, address, tries)`` → the last answer's status."""

    async def attack(email: str, address: str, tries: int) -> int:
        async with browser(address) as one:
            for _ in range(tries):
                answer = await sign_in(one, email, WRONG)
        return answer.status_code

    return attack


async def test_tries_from_elsewhere_keep_nobody_out(browser, attack, a_person, sign_in) -> None:
    person = await a_person("inspector")
    assert await attack(person.email, ELSEWHERE, 7) == 429
    async with browser(OFFICE) as own:
        assert (await sign_in(own, person.email)).status_code == 303
    # What was counted elsewhere stands.
    assert await attack(person.email, ELSEWHERE, 1) == 429


async def test_a_browser_that_is_known_gets_in_from_an_address_that_does_not(
    browser, attack, a_person, sign_in
) -> None:
    person = await a_person("inspector")
    async with browser(OFFICE) as known, browser(OFFICE) as new:
        answer = await sign_in(known, person.email)
        (mark,) = [c for c in answer.headers.get_list("set-cookie") if "handoff_device" in c]
        assert {"httponly", "samesite=lax"} <= {p.strip().lower() for p in mark.split(";")}
        known.cookies.delete("handoff_session")
        for n in range(10):  # Their address is at its end too, over all accounts.
            await attack(f"nobody-{n}@example.org", OFFICE, 5)
        assert await attack(person.email, OFFICE, 1) == 429
        assert (await sign_in(new, person.email)).status_code == 429
        assert (await sign_in(known, person.email)).status_code == 303


async def test_a_known_browser_has_five_tries_too(browser, a_person, sign_in, admin) -> None:
    person = await a_person("inspector")
    async with browser(OFFICE) as known:
        await sign_in(known, person.email)
        known.cookies.delete("handoff_session")
        statuses = [(await sign_in(known, person.email, WRONG)).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        assert (await sign_in(known, person.email)).status_code == 429
        # Another one of that person's, and strangers, are not held up by it.
        async with browser(OFFICE) as new:
            assert (await sign_in(new, person.email)).status_code == 303


async def test_a_mark_of_another_account_or_a_forged_one_is_a_strangers(
    browser, attack, a_person, sign_in
) -> None:
    person = await a_person("inspector")
    other = await a_person("partner")
    async with browser(OFFICE) as one:
        await sign_in(one, other.email)
        one.cookies.delete("handoff_session")
        assert await attack(person.email, OFFICE, 5) == 401
        assert (await sign_in(one, person.email)).status_code == 429
        one.cookies.set("handoff_device", "made.up")
        assert (await sign_in(one, person.email)).status_code == 429


async def test_strangers_from_everywhere_are_bounded_together(
    browser, attack, a_person, sign_in
) -> None:
    person = await a_person("inspector")
    async with browser(OFFICE) as known:
        await sign_in(known, person.email)
        known.cookies.delete("handoff_session")
        for n in range(10):
            assert await attack(person.email, f"198.51.100.{n}", 5) == 401
        assert await attack(person.email, "198.51.100.10", 1) == 429
        assert (await sign_in(known, person.email)).status_code == 303
        # Their bound is not lifted by who is known.
        assert await attack(person.email, "198.51.100.11", 1) == 429
