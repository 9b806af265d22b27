"""The pages in a real browser: sign in, see the list, see it change, without losing one's place.

``HANDOFF_PICTURES`` names a folder for screenshots of each page at three widths.
"""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from event_schemas.codes import NeedCategory, Urgency
from playwright.async_api import Browser, Page, async_playwright, expect

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
WIDTHS = {"desktop": 1280, "tablet": 820, "phone": 400}
HUB, PANTRY = uuid4(), uuid4()
ROLES = {
    "inspector": ("inspector", None),
    "case-manager": ("case-manager", HUB),
    "partner": ("partner", PANTRY),
    "city-manager": ("city-manager", None),
    "it-operator": ("it", None),
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser, origin: str) -> AsyncIterator[Page]:
    """A page that fails the test on any error or refusal of the content policy."""
    context = await browser.new_context(base_url=origin, locale="en-US", viewport=_size("desktop"))
    opened = await context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None,
    )
    yield opened
    await context.close()
    assert errors == []


def _size(width: str):
    return {"width": WIDTHS[width], "height": 860}


async def enter(page: Page, email: str) -> None:
    await page.goto("/")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/pages/*")


async def picture(page: Page, name: str) -> None:
    """Screenshots where a folder is named, and in any case no sideways scrolling."""
    folder = os.environ.get("HANDOFF_PICTURES")
    for width in WIDTHS:
        await page.set_viewport_size(_size(width))
        if folder:
            path = Path(folder) / f"{name}-{width}.png"
            await page.screenshot(path=path, full_page=True, animations="disabled")
    for width in (320, 740, 801, WIDTHS["tablet"], WIDTHS["desktop"]):
        await page.set_viewport_size({"width": width, "height": 860})
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} scrolls sideways at {width}"


@pytest.fixture
async def a_busy_city(tell, a_story, an_organization, operations, a_person):
    """Enough of everything for each page; returns the inspector."""
    inspector = await a_person("inspector")
    mine = str(inspector.id)
    await tell(
        an_organization(HUB, "Case Management"), an_organization(PANTRY, "North Food Pantry")
    )
    kinds = [
        (NeedCategory.FOOD_INSECURITY, Urgency.URGENT),
        (NeedCategory.LEGAL_HELP, Urgency.ROUTINE),
        (NeedCategory.UTILITY_INSECURITY, Urgency.ROUTINE),
        (NeedCategory.HOMELESSNESS, Urgency.EMERGENCY),
    ]
    for n in range(24):
        category, urgency = kinds[n % 3 if n else 3]
        story = a_story(
            referrer=mine if n % 3 == 0 else "another",
            category=category,
            urgency=urgency,
            feedback=n != 6,
            area=("neighbourhood:harbor-side", "postcode:02150"),
        )
        await tell(*story.begun())
        made = story.offered(PANTRY, due_hours=-1 if n == 9 else 30)
        if n % 3 == 0:
            await tell(made)
        if n % 4 == 0:
            await tell(story.assigned(HUB), story.attempted())
        if n % 6 == 0:
            await tell(story.accepted(made))
        if n % 12 == 0 and n:
            await tell(story.completed(made), story.settled())
    await tell(*operations)
    return inspector


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_its_list_and_sees_it_change(
    page: Page, a_busy_city, a_person, tell, a_story, operations, role
) -> None:
    key, organization = ROLES[role]
    person = a_busy_city
    if role != "inspector":
        person = await a_person(role, organization_id=organization)
    await enter(page, person.email)
    assert page.url.endswith(f"/pages/{key}")
    rows = page.locator("#list [data-key]")
    await expect(rows.first).to_be_visible()
    await expect(page.locator("#live")).to_have_text("Updates by itself")
    await picture(page, key)
    sign_out = page.get_by_role("button", name="Sign out")
    await sign_out.focus()
    before = await page.locator("#list").inner_text()
    kept = await rows.first.element_handle()
    story = a_story(referrer=str(person.id), urgency=Urgency.EMERGENCY)
    parked = operations[-1].model_copy(update={"parked_id": uuid4()})
    await tell(*story.begun(), story.offered(PANTRY), parked)
    await expect(page.locator("#live")).to_contain_text("Updated at")
    assert await page.locator("#list").inner_text() != before
    await expect(sign_out).to_be_focused()
    assert kept is not None
    assert await kept.evaluate("node => node.isConnected"), "rows that stay are not made anew"


async def test_the_door(page: Page, a_person, origin) -> None:
    await a_person("inspector")
    await page.goto("/pages/inspector")
    assert page.url.endswith("/sign-in?next=%2Fpages%2Finspector")
    await picture(page, "sign-in")
    await page.get_by_label("E-mail").fill("inspector@example.org")
    await page.get_by_label("Password").fill("not this one")
    await page.keyboard.press("Enter")
    problem = page.get_by_role("alert")
    await expect(problem).to_contain_text("do not fit together")
    await expect(page.get_by_label("E-mail")).to_have_value("inspector@example.org")
    await picture(page, "sign-in-refused")
    await page.get_by_role("link", name="Español").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Iniciar sesión")
    await page.get_by_label("Correo electrónico").fill("inspector@example.org")
    await page.get_by_label("Contraseña").fill(PASSWORD)
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mis derivaciones")
    await picture(page, "empty-es")
    await page.get_by_role("button", name="Cerrar sesión").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Iniciar sesión")


async def test_by_keyboard_alone(page: Page, a_person) -> None:
    await a_person("inspector")
    await page.goto("/sign-in")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.type("inspector@example.org")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("My referrals")


async def test_without_javascript(browser: Browser, origin: str, a_busy_city) -> None:
    context = await browser.new_context(base_url=origin, java_script_enabled=False)
    page = await context.new_page()
    await enter(page, a_busy_city.email)
    await expect(page.locator("#list [data-key]")).to_have_count(8)
    await expect(page.locator("#live")).to_contain_text("Reload the page")
    await context.close()


async def test_an_ended_session_is_said_and_a_lost_stream_comes_back(
    page: Page, a_person, tell, a_story, admin
) -> None:
    person = await a_person("inspector")
    await enter(page, person.email)
    live = page.locator("#live")
    await expect(live).to_have_text("Updates by itself")
    await page.route("**/events", lambda route: route.abort())
    await page.reload()
    await expect(live).to_have_text("Connection lost, trying again", timeout=15_000)
    await page.unroute("**/events")
    await tell(*a_story(referrer=str(person.id)).begun())
    await expect(page.locator("#list [data-key]")).to_have_count(1, timeout=15_000)
    await expect(live).not_to_have_text("Connection lost, trying again", timeout=15_000)
    await admin.execute("DELETE FROM portal.session")
    await tell(*a_story(referrer=str(person.id)).begun())
    await expect(live).to_contain_text("Sign in again")
