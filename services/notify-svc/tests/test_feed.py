from typing import Any
from uuid import uuid4


async def feed(client: Any, headers: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"/notify/v1/feed{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_inspector_with_feedback_hears_coarse_words(client, feeder, a_case, headers) -> None:
    case = a_case()
    group = feeder()
    await group.feed(case.named(), source="/handoff/partner")
    await group.feed(case.granted(), case.requested())
    await group.feed(case.assigned(), case.made(), case.reached(), source="/handoff/referral")
    await group.feed(case.accepted(), case.progressed(), source="/handoff/partner")
    await group.feed(case.settled(), source="/handoff/referral")

    items = await feed(client, headers("inspector", subject="inspector-one"))
    assert [item["text"] for item in items[::-1]] == [
        "Your referral was received.",
        "The family was reached.",
        "Somebody has taken on food help for the family.",
        "The family was reached and food help has started.",
        "The family got food help.",
    ]
    assert all(item["case_id"] == str(case.case_id) for item in items)
    assert all(item["offer_id"] is None for item in items)
    assert "Example Food Pantry" not in str(items)


async def test_without_feedback_only_received(client, feeder, a_case, headers) -> None:
    case = a_case(feedback=False)
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.made(), case.reached(), case.settled(), source="/handoff/referral")
    await group.feed(case.accepted(), case.progressed(), source="/handoff/partner")
    items = await feed(client, headers("inspector", subject="inspector-one"))
    assert [item["text"] for item in items] == ["Your referral was received."]


async def test_several_needs_at_once_are_received_once(client, feeder, a_case, headers) -> None:
    case = a_case()
    other = a_case(case_id=case.case_id, consent_id=case.consent_id)
    await feeder().feed(case.granted(), case.requested(), other.requested())
    assert len(await feed(client, headers("inspector", subject="inspector-one"))) == 1


async def test_a_restricted_kind_is_told_to_its_target_alone(
    client, feeder, a_case, headers, admin
) -> None:
    from event_schemas.codes import NeedCategory

    case = a_case(restricted=True, category=NeedCategory.ELDER_ABUSE)
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.assigned(), case.made(), case.settled(), source="/handoff/referral")
    await group.feed(case.accepted(), case.progressed(), source="/handoff/partner")
    told = await admin.fetch("SELECT owner, template, params FROM notify.notice")
    assert [(row["owner"], row["template"], row["params"]) for row in told] == [
        (f"organization:{case.partner}", "target.offer-waits", "{}")
    ]
    items = await feed(client, headers("partner", organization=case.partner))
    assert [item["text"] for item in items] == ["An offer waits for you."]


async def test_city_manager_hears_of_no_one_family(client, feeder, a_case, headers) -> None:
    case = a_case()
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.reached(), case.settled(), source="/handoff/referral")
    items = await feed(client, headers("city-manager"))
    assert {item["text"] for item in items} == {
        "A referral came in.",
        "A family was reached.",
        "A need was met.",
    }
    for item in items:
        assert item["case_id"] is None
        assert item["need_id"] is None
        assert item["offer_id"] is None


async def test_case_manager_reads_names_in_spanish(client, feeder, a_case, headers) -> None:
    case = a_case()
    group = feeder()
    await group.feed(case.named(), source="/handoff/partner")
    await group.feed(case.granted(), case.requested())
    await group.feed(case.assigned(), case.made(), source="/handoff/referral")
    await group.feed(case.rejected(), source="/handoff/partner")
    mine = headers("case-manager", organization=case.manager)
    items = await feed(client, mine | {"accept-language": "es-PR,es;q=0.9"})
    assert items[0]["text"] == "Example Food Pantry no aceptó: la ayuda con alimentos."


async def test_withdrawal_silences_feedback_and_tells_the_target_to_stop(
    client, feeder, a_case, headers
) -> None:
    case = a_case()
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.made(), source="/handoff/referral")
    await group.feed(case.withdrawn())
    await group.feed(case.cancelled(), case.progressed(), source="/handoff/partner")
    inspector = await feed(client, headers("inspector", subject="inspector-one"))
    assert [item["type"] for item in inspector] == ["need.requested"]
    partner = await feed(client, headers("partner", organization=case.partner))
    assert "Please stop work on it." in partner[0]["text"]


async def test_an_answer_before_its_need_waits(client, feeder, a_case, headers) -> None:
    case = a_case()
    group = feeder()
    await group.feed(case.accepted(), source="/handoff/partner")
    assert await feed(client, headers("inspector", subject="inspector-one")) == []
    await group.feed(case.requested())
    await group.feed(case.granted())
    await group.repair()
    items = await feed(client, headers("inspector", subject="inspector-one"))
    assert {item["type"] for item in items} == {"need.requested", "offer.accepted"}


async def test_the_same_events_again_tell_nothing_new(feeder, a_case, admin) -> None:
    case = a_case()
    await feeder().feed(case.granted(), case.requested(), case.made())
    before = await admin.fetch("SELECT id FROM notify.notice ORDER BY id")
    # As another group's replay would bring them: the gate does not know them.
    await admin.execute("DELETE FROM notify.gate")
    again = feeder()
    record = [again.record(e, source="/handoff/intake") for e in (case.granted(), case.requested())]
    await again.feed_records(record)
    assert await admin.fetch("SELECT id FROM notify.notice ORDER BY id") == before


async def test_pages_unread_and_read(client, feeder, a_case, headers) -> None:
    group = feeder()
    for _ in range(5):
        case = a_case()
        await group.feed(case.granted(), case.requested())
    mine = headers("inspector", subject="inspector-one")
    first = (await client.get("/notify/v1/feed?limit=2", headers=mine)).json()
    seen = [item["id"] for item in first["items"]]
    cursor = first["next_cursor"]
    while cursor:
        page = (await client.get(f"/notify/v1/feed?limit=2&cursor={cursor}", headers=mine)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5

    read = await client.post(f"/notify/v1/feed/{seen[0]}/read", headers=mine)
    assert read.status_code == 200
    assert read.json()["read"] is True
    unread = await feed(client, mine, "?unread=true")
    assert seen[0] not in {item["id"] for item in unread}
    assert len(unread) == 4


async def test_what_is_another_ones_does_not_exist(client, feeder, a_case, headers) -> None:
    case = a_case()
    await feeder().feed(case.granted(), case.requested())
    (item,) = await feed(client, headers("inspector", subject="inspector-one"))
    for stranger in (
        headers("inspector", subject="inspector-two"),
        headers("inspector", subject="inspector-one", agency="other-city"),
    ):
        assert await feed(client, stranger) == []
        path = f"/notify/v1/feed/{item['id']}/read"
        assert (await client.post(path, headers=stranger)).status_code == 404
    assert (
        await client.post(f"/notify/v1/feed/{uuid4()}/read", headers=headers("inspector"))
    ).status_code == 404
    assert (await client.get("/notify/v1/feed")).status_code == 401


async def test_an_inspector_of_a_target_department_does_not_read_its_offers(
    client, feeder, a_case, headers
) -> None:
    case = a_case(consent_id=None)
    group = feeder()
    await group.feed(case.requested())
    await group.feed(case.made(), source="/handoff/referral")
    assert await feed(client, headers("inspector", subject="x", organization=case.partner)) == []
    assert (
        len(await feed(client, headers("department", subject="y", organization=case.partner))) == 1
    )
