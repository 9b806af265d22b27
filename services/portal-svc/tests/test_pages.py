"""One page a role: who gets which, and what each may know."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from event_schemas.codes import ContactResult, NeedCategory, NeedStatus, Urgency
from portal_svc.domain.pages import PAGES, Coarse, PageKey, coarse, need_status, pages_of
from portal_svc.domain.people import CLIENT_ROLES

HOMES = {
    "inspector": "inspector",
    "senior-inspector": "inspector",
    "ambassador": "inspector",
    "case-manager": "case-manager",
    "department": "partner",
    "partner": "partner",
    "coordinator": "city-manager",
    "city-manager": "city-manager",
    "it-operator": "it",
    "records-officer": None,
}


def rows(html: str) -> list[str]:
    """The text of each row of the list, without tags."""
    found = re.findall(r"<tr[^>]*data-key[^>]*>(.*?)</tr>", html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in found]


def test_every_role_is_thought_of() -> None:
    assert set(HOMES) == set(CLIENT_ROLES)


@pytest.mark.parametrize("role", HOMES)
async def test_each_role_has_its_pages_and_no_other(visit, a_person, role) -> None:
    person = await a_person(role, organization_id=uuid4())
    async with visit(person) as browser:
        home = await browser.get("/")
        if HOMES[role] is None:
            assert home.status_code == 200
            assert "No page for your role yet" in home.text
        else:
            assert home.headers["location"] == f"/pages/{HOMES[role]}"
        for key in PAGES:
            status = 200 if key in pages_of([role]) else 404
            assert (await browser.get(f"/pages/{key}")).status_code == status
            assert (await browser.get(f"/pages/{key}/list")).status_code == status


async def test_pages_are_strict(visit, a_person) -> None:
    person = await a_person("inspector")
    async with visit(person) as browser:
        page = await browser.get("/pages/inspector")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src)", page.text)
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert all(
            url.startswith("/") and not url.startswith("//") for url in assets if url[0] != "#"
        )
        for url in {url for url in assets if url.startswith("/static/")}:
            asset = await browser.get(url)
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
        assert len(page.content) < 40_000
        assert (await browser.get("/static/../app.py")).status_code == 404


async def test_an_address_that_is_not_there_is_a_page_for_people_only(visit, a_person) -> None:
    html = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with visit(None) as stranger:
        page = await stranger.get("/nowhere", headers=html)
        assert page.status_code == 404
        assert "Page not found" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'self';")
        assert (await stranger.head("/nowhere", headers=html)).status_code == 404
        for path in ("/portal/v1/nowhere", "/oauth/nowhere", "/static/nowhere.css"):
            program = await stranger.get(path, headers=html)
            assert program.status_code == 404
            assert program.headers["content-type"] == "application/problem+json"
        for refused in (
            await stranger.get("/nowhere"),
            await stranger.post("/nowhere", headers=html),
            await stranger.post("/sign-out/nowhere", headers=html),
        ):
            assert refused.headers["content-type"] == "application/problem+json"
    async with visit(await a_person("inspector", language="es")) as browser:
        page = await browser.get("/pages/nowhere", headers=html)
        assert (page.status_code, "Página no encontrada" in page.text) == (404, True)
        assert '<a href="/">' in page.text


async def test_a_page_speaks_the_language_that_was_chosen(visit, a_person) -> None:
    person = await a_person("inspector", language="es")
    async with visit(person) as browser:
        page = await browser.get("/pages/inspector")
        assert '<html lang="es">' in page.text
        assert "Mis derivaciones" in page.text
        assert '<html lang="en">' in (await browser.get("/pages/inspector?lang=en")).text
        assert '<html lang="en">' in (await browser.get("/pages/inspector")).text


class TestInspector:
    async def seen(self, visit, person) -> list[str]:
        async with visit(person) as browser:
            return rows((await browser.get("/pages/inspector/list")).text)

    async def test_hears_in_few_words_what_became_of_it(
        self, visit, a_person, tell, a_story, an_organization
    ) -> None:
        person = await a_person("inspector")
        pantry = uuid4()
        story = a_story(referrer=str(person.id))
        await tell(*story.begun(), an_organization(pantry, "North Pantry"))
        (row,) = await self.seen(visit, person)
        assert row.startswith("Food Received 02150")
        await tell(story.attempted())
        assert "The household was reached" in (await self.seen(visit, person))[0]
        made = story.offered(pantry)
        await tell(made, story.accepted(made))
        (row,) = await self.seen(visit, person)
        assert "Somebody is helping" in row
        assert "Pantry" not in row
        await tell(story.completed(made), story.settled())
        (row,) = await self.seen(visit, person)
        assert "Closed" in row
        assert "Helped" not in row

    async def test_without_feedback_it_is_received_whatever_happens(
        self, visit, a_person, tell, a_story
    ) -> None:
        person = await a_person("inspector")
        story = a_story(referrer=str(person.id), feedback=False)
        await tell(*story.begun(), story.attempted(), story.settled())
        assert "Food Received" in (await self.seen(visit, person))[0]

    async def test_a_withdrawn_or_expired_consent_ends_the_feedback(
        self, visit, a_person, tell, a_story
    ) -> None:
        person = await a_person("inspector")
        story = a_story(referrer=str(person.id))
        await tell(*story.begun(), story.settled())
        assert "Closed" in (await self.seen(visit, person))[0]
        await tell(story.withdrawn())
        assert "Received" in (await self.seen(visit, person))[0]
        expired = a_story(referrer=str(person.id), category=NeedCategory.LEGAL_HELP)
        await tell(
            expired.granted(expires_at=datetime.now(UTC)),
            expired.requested(),
            expired.settled(),
        )
        assert "Legal help Received" in (await self.seen(visit, person))[0]

    async def test_a_property_has_nobody_to_ask(self, visit, a_person, tell, a_story) -> None:
        person = await a_person("inspector")
        story = a_story(referrer=str(person.id), property_id=uuid4(), category=NeedCategory.PESTS)
        await tell(*story.begun(), story.settled())
        assert (await self.seen(visit, person))[0].startswith("Pests Closed")

    async def test_sees_nobody_elses_and_nothing_restricted(
        self, visit, a_person, tell, a_story
    ) -> None:
        person = await a_person("inspector")
        mine = str(person.id)
        await tell(*a_story(referrer="another").begun())
        await tell(*a_story(referrer=mine).begun(), agency="elsewhere")
        await tell(
            *a_story(referrer=mine, category=NeedCategory.ELDER_ABUSE, restricted=True).begun()
        )
        assert await self.seen(visit, person) == []


class TestCaseManager:
    async def seen(self, visit, person) -> str:
        async with visit(person) as browser:
            return (await browser.get("/pages/case-manager/list")).text

    async def test_the_most_urgent_and_oldest_come_first(
        self, visit, a_person, tell, a_story
    ) -> None:
        person = await a_person("case-manager", organization_id=uuid4())
        for urgency, category in (
            (Urgency.ROUTINE, NeedCategory.LEGAL_HELP),
            (Urgency.EMERGENCY, NeedCategory.HOMELESSNESS),
            (Urgency.ROUTINE, NeedCategory.CHILD_CARE),
            (Urgency.URGENT, NeedCategory.FOOD_INSECURITY),
        ):
            await tell(*a_story(urgency=urgency, category=category).begun())
        found = rows(await self.seen(visit, person))
        order = ["No home", "Food", "Legal help", "Child care"]
        assert [next(o for o in order if o in row) for row in found] == order
        assert "Emergency" in found[0]

    async def test_says_in_whose_hands_and_how_it_goes(
        self, visit, a_person, tell, a_story, an_organization
    ) -> None:
        hub, pantry = uuid4(), uuid4()
        person = await a_person("case-manager", organization_id=hub)
        story = a_story()
        await tell(*story.begun(), an_organization(hub, "Case Management"))
        html = await self.seen(visit, person)
        assert "Nobody yet" in html
        assert "Not tried yet" in html
        await tell(story.assigned(hub), story.attempted(ContactResult.LEFT_MESSAGE))
        (row,) = rows(await self.seen(visit, person))
        assert "Case Management" in row
        assert "Left a message 1 attempt" in row
        made = story.offered(pantry)
        await tell(story.assigned(hub, str(person.id)), made)
        (row,) = rows(await self.seen(visit, person))
        assert "Asked, no answer yet" in row
        assert " You " in row
        await tell(story.accepted(made))
        assert "Help has started" in rows(await self.seen(visit, person))[0]
        await tell(story.closed())
        assert "No open case." in await self.seen(visit, person)

    async def test_a_restricted_case_is_there_for_whom_it_is_assigned_to(
        self, visit, a_person, tell, a_story
    ) -> None:
        hub = uuid4()
        mine = await a_person("case-manager", organization_id=hub)
        other = await a_person("case-manager", email="other@example.org", organization_id=hub)
        story = a_story(restricted=True, category=NeedCategory.ELDER_ABUSE)
        await tell(*story.begun(), story.assigned(hub))
        assert rows(await self.seen(visit, mine)) == []
        await tell(story.assigned(hub, str(mine.id)))
        (row,) = rows(await self.seen(visit, mine))
        assert "Sensitive" in row
        assert "Safety of an older person" in row
        assert rows(await self.seen(visit, other)) == []

    async def test_a_propertys_case_only_once_the_organization_has_it(
        self, visit, a_person, tell, a_story
    ) -> None:
        hub = uuid4()
        person = await a_person("case-manager", organization_id=hub)
        story = a_story(property_id=uuid4(), category=NeedCategory.PESTS)
        await tell(*story.begun())
        assert rows(await self.seen(visit, person)) == []
        await tell(story.assigned(hub))
        assert "Pests" in rows(await self.seen(visit, person))[0]


class TestPartner:
    async def test_sees_its_own_offers_alone(self, visit, a_person, tell, a_story) -> None:
        ours = uuid4()
        person = await a_person("partner", organization_id=ours)
        first, second = a_story(), a_story(category=NeedCategory.ELDER_ABUSE, restricted=True)
        made = first.offered(ours)
        await tell(*first.begun(), made, a_story().offered(uuid4()))
        await tell(*second.begun(), second.offered(ours, due_hours=-1))
        await tell(a_story().offered(ours), agency="elsewhere")
        async with visit(person) as browser:
            html = (await browser.get("/pages/partner/list")).text
            late, waiting = rows(html)
            assert late.startswith("Safety of an older person")
            assert "Answer was due" in late
            assert waiting.startswith("Food")
            assert "Waits for your answer Answer by" in waiting
            assert "an-inspector" not in html
            await tell(first.accepted(made))
            html = (await browser.get("/pages/partner/list")).text
            assert [row.split()[0] for row in rows(html)] == ["Safety", "Food"]
            await tell(first.completed(made))
            html = (await browser.get("/pages/partner/list")).text
            assert "Completed Got help" in rows(html)[1]

    async def test_without_an_organization_there_is_nothing_to_see(
        self, visit, a_person, tell, a_story
    ) -> None:
        person = await a_person("department")
        await tell(a_story().offered(uuid4()))
        async with visit(person) as browser:
            html = (await browser.get("/pages/partner/list")).text
        assert rows(html) == []
        assert "belongs to no organization" in html


class TestCityManager:
    async def figures(self, visit, person) -> str:
        async with visit(person) as browser:
            return (await browser.get("/pages/city-manager/list")).text

    async def test_few_needs_give_no_figure(self, visit, a_person, tell, a_story) -> None:
        person = await a_person("city-manager")
        for _ in range(4):
            await tell(*a_story().begun())
        html = await self.figures(visit, person)
        assert "Fewer than five" in html
        assert "Food" not in html

    async def test_small_numbers_hide_behind_others(self, visit, a_person, tell, a_story) -> None:
        person = await a_person("city-manager")
        kinds = [NeedCategory.FOOD_INSECURITY] * 9 + [NeedCategory.LEGAL_HELP] * 8
        kinds += [NeedCategory.HOARDING]
        for kind in kinds:
            story = a_story(category=kind)
            await tell(*story.begun(), story.settled())
        for _ in range(9):
            secret = a_story(category=NeedCategory.ELDER_ABUSE, restricted=True)
            await tell(*secret.begun())
        html = await self.figures(visit, person)
        found = rows(html)
        assert "Hoarding" not in html
        assert "Safety" not in html
        assert "<dd>18</dd>" in html
        by_category = [row for row in found if row.startswith(("Food", "Legal"))]
        assert by_category == ["Food 9"]
        assert "All others together 9" in found
        assert "Helped 18" in found
        numbers = [int(n) for n in re.findall(r'class="number">(\d+)<', html)]
        assert min(numbers) >= 5


class TestIt:
    async def test_sees_flows_and_no_family(
        self, visit, a_person, tell, a_story, operations
    ) -> None:
        person = await a_person("it-operator")
        story = a_story()
        await tell(*story.begun(), *operations)
        async with visit(person) as browser:
            html = (await browser.get("/pages/it/list")).text
        found = rows(html)
        assert any(row.startswith("handoff.cases") for row in found)
        assert any(row.startswith("referral bad-body 1") for row in found)
        assert any(row.startswith("Webhook 0 1") for row in found)
        assert str(story.case_id) not in html
        assert "Food" not in html


@pytest.mark.parametrize(
    ("status", "reached", "feedback", "seen"),
    [
        ("met", True, False, Coarse.RECEIVED),
        ("requested", False, True, Coarse.RECEIVED),
        ("offered", True, True, Coarse.REACHED),
        ("in-service", True, True, Coarse.IN_HAND),
        ("met", True, True, Coarse.CLOSED),
        ("unmet", False, True, Coarse.CLOSED),
    ],
)
def test_what_a_referrer_may_know(status, reached, feedback, seen) -> None:
    assert coarse(status, reached=reached, feedback=feedback) == seen


@pytest.mark.parametrize("said", NeedStatus)
def test_offers_add_to_what_referral_said(said: NeedStatus) -> None:
    settled = said in {"met", "partly-met", "unmet", "withdrawn"}
    assert need_status(said, taken=True, asked=True) == (said if settled else "in-service")
    assert need_status(said, taken=False, asked=True) == (said if settled else "offered")
    assert need_status(said, taken=False, asked=False) == said


def test_a_page_asks_for_the_scope_of_its_roles() -> None:
    from handoff_kit.auth import ROLES

    for key in PageKey:
        assert all(PAGES[key].scope in ROLES[role] for role in PAGES[key].roles)
