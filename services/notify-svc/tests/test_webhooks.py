import asyncio
import base64
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from handoff_kit.faults import activate
from handoff_kit.testing import said
from notify_svc.settings import NotifySettings
from standardwebhooks import Webhook


@pytest.fixture
async def partner_hook(client, headers, receivers, a_case):
    """A partner's endpoint: (case, receiver, the answer to its creation, request headers)."""
    case = a_case()
    receiver = await receivers()
    mine = headers("partner", organization=case.partner)
    made = await client.post(
        "/notify/v1/webhooks", json={"url": receiver.url, "types": ["offer.*"]}, headers=mine
    )
    assert made.status_code == 201, made.text
    return case, receiver, made.json(), mine


async def tell_offer(feeder, case) -> None:
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.made(), source="/handoff/referral")
    assert group.group.after is not None
    group.group.after()


async def settled(client: Any, headers: dict[str, str], status: str) -> dict[str, Any]:
    """The caller's one delivery, when it has this status."""
    async with asyncio.timeout(5):
        while True:
            items = (await client.get("/notify/v1/deliveries", headers=headers)).json()["items"]
            if items and items[0]["status"] == status:
                return items[0]
            await asyncio.sleep(0.02)


async def attempted(client: Any, headers: dict[str, str], count: int = 1) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            items = (await client.get("/notify/v1/deliveries", headers=headers)).json()["items"]
            if items and len(items[0]["attempts"]) >= count:
                return items[0]
            await asyncio.sleep(0.02)


async def test_signed_thin_and_verified_by_the_specs_own_library(
    client, feeder, partner_hook, sending, db
) -> None:
    case, receiver, hook, mine = partner_hook
    await tell_offer(feeder, case)
    await receiver.wait(1)
    headers, body = receiver.received[0]
    verified = Webhook(hook["secret"]).verify(body.decode(), headers)
    assert verified["type"] == "offer.made"
    feed_id = verified["data"].pop("feed_id")
    assert verified["data"] == {
        "case_id": str(case.case_id),
        "need_id": str(case.need_id),
        "offer_id": str(case.offer_id),
    }
    delivery = await settled(client, mine, "succeeded")
    assert delivery["webhook_id"] == headers["webhook-id"]
    assert delivery["attempts"][0]["status_code"] == 204
    feed = (await client.get("/notify/v1/feed", headers=mine)).json()["items"]
    assert feed[0]["id"] == feed_id
    events = [e for e in await said(db) if e.topic == "handoff.deliveries"]
    assert [e.type for e in events] == ["handoff.delivery.succeeded.v1"]
    assert str(events[0].data.delivery_id) == delivery["id"]


async def test_ed25519_on_request(client, feeder, a_case, receivers, headers, sending) -> None:
    case, receiver = a_case(), await receivers()
    mine = headers("partner", organization=case.partner)
    hook = (
        await client.post(
            "/notify/v1/webhooks", json={"url": receiver.url, "signature": "v1a"}, headers=mine
        )
    ).json()
    assert hook["secret"] is None
    await tell_offer(feeder, case)
    await receiver.wait(1)
    got, body = receiver.received[0]
    scheme, signature = got["webhook-signature"].split(",")
    assert scheme == "v1a"
    key = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(hook["public_key"].removeprefix("whpk_"))
    )
    content = f"{got['webhook-id']}.{got['webhook-timestamp']}.".encode() + body
    key.verify(base64.b64decode(signature), content)


async def test_f26_answered_200_but_not_recorded_goes_again_with_the_same_id(
    client, feeder, partner_hook, sending, due_now
) -> None:
    case, receiver, _, mine = partner_hook
    with activate("notify.after_send=raise@1"):
        await tell_offer(feeder, case)
        await receiver.wait(1)
        # The lease of the sender that died runs out.
        await asyncio.sleep(0.1)
        await due_now()
        await receiver.wait(2)
    first, second = receiver.received
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    delivery = await settled(client, mine, "succeeded")
    assert len(delivery["attempts"]) == 1


async def test_f25_failures_are_tried_again_and_leave_others_alone(
    client, feeder, partner_hook, receivers, sending, admin, due_now
) -> None:
    case, receiver, _, mine = partner_hook
    other = await receivers()
    await client.post("/notify/v1/webhooks", json={"url": other.url}, headers=mine)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.1)

    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    receiver.answers = [
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        drip,
        hang,
    ]
    await tell_offer(feeder, case)
    await receiver.wait(1)
    await other.wait(1, seconds=1)
    for count in (1, 2):
        async with asyncio.timeout(5):
            while (
                await admin.fetchval(
                    "SELECT max(jsonb_array_length(attempts)) FROM notify.delivery"
                    " WHERE status = 'pending'"
                )
            ) != count:
                await asyncio.sleep(0.02)
        await due_now()
        await receiver.wait(count + 1)
    async with asyncio.timeout(5):
        while (
            attempts := await admin.fetchval(
                "SELECT attempts FROM notify.delivery WHERE status = 'pending'"
            )
        ) is None or len(orjson.loads(attempts)) < 3:
            await asyncio.sleep(0.02)
    errors = [(a["status_code"], a["error"]) for a in orjson.loads(attempts)]
    assert errors == [(500, "status"), (None, "timeout"), (None, "timeout")]
    assert len(other.received) == 1
    listed = (await client.get("/notify/v1/deliveries?status=succeeded", headers=mine)).json()
    assert len(listed["items"]) == 1


async def test_f27_gone_disables_and_tells_the_owner(
    client, feeder, partner_hook, sending, db, a_case
) -> None:
    case, receiver, hook, mine = partner_hook
    receiver.answers = [b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"]
    await tell_offer(feeder, case)
    delivery = await settled(client, mine, "failed")
    assert delivery["reason"] == "gone"
    shown = (await client.get(f"/notify/v1/webhooks/{hook['id']}", headers=mine)).json()
    assert shown["enabled"] is False
    assert shown["disabled_reason"] == "gone"
    types = [e.type for e in await said(db) if e.topic == "handoff.deliveries"]
    assert sorted(types) == ["handoff.delivery.failed.v1", "handoff.endpoint.disabled.v1"]
    feed = (await client.get("/notify/v1/feed", headers=mine)).json()["items"]
    assert "endpoint.disabled" in {item["type"] for item in feed}
    again = a_case(partner=case.partner)
    await tell_offer(feeder, again)
    await asyncio.sleep(0.2)
    assert len(receiver.received) == 1
    refused = await client.post(f"/notify/v1/deliveries/{delivery['id']}/redeliver", headers=mine)
    assert refused.status_code == 409


async def test_f27_a_redirect_is_not_followed(
    client, feeder, partner_hook, receivers, sending
) -> None:
    case, receiver, _, mine = partner_hook
    target = await receivers()
    receiver.answers = [
        f"HTTP/1.1 301 Moved\r\nlocation: {target.url}\r\ncontent-length: 0\r\n\r\n".encode()
    ]
    await tell_offer(feeder, case)
    delivery = await attempted(client, mine)
    assert delivery["status"] == "pending"
    assert delivery["attempts"][0]["status_code"] == 301
    assert delivery["attempts"][0]["error"] == "redirect-not-followed"
    assert target.received == []


class TestPrivateAddresses:
    @pytest.fixture
    def notify_settings(self) -> NotifySettings:
        return NotifySettings(webhook_timeout=1.0)

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("http://partner.example/hook", "https-needed"),
            ("https://127.0.0.1/hook", "private-address"),
            ("https://[::ffff:10.0.0.1]/hook", "private-address"),
            ("https://2130706433/hook", "private-address"),
            ("https://0x7f.1/hook", "private-address"),
            ("https://169.254.169.254/latest", "private-address"),
            ("https://localhost/hook", "private-address"),
            ("https://user:secret@partner.example/", "credentials-in-url"),
            ("file:///etc/passwd", "invalid-url"),
            ("nonsense", "invalid-url"),
        ],
    )
    async def test_refused_when_made(self, client, headers, url: str, code: str) -> None:
        answer = await client.post(
            "/notify/v1/webhooks", json={"url": url}, headers=headers("inspector")
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == code
        assert url not in answer.text

    async def test_f27_refused_when_sent(
        self, client, feeder, a_case, headers, sending, admin
    ) -> None:
        case = a_case()
        mine = headers("partner", organization=case.partner)
        made = await client.post(
            "/notify/v1/webhooks", json={"url": "https://partner.example/hook"}, headers=mine
        )
        # As if the name had changed its address since.
        await admin.execute(
            "UPDATE notify.endpoint SET url = 'https://127.0.0.1:9/hook' WHERE id = $1",
            made.json()["id"],
        )
        await tell_offer(feeder, case)
        delivery = await settled(client, mine, "failed")
        assert delivery["attempts"][0]["error"] == "address-refused"


async def test_f29_withdrawn_while_retrying_is_cancelled_and_audited(
    client, feeder, partner_hook, sending, due_now, admin, db
) -> None:
    case, receiver, _, mine = partner_hook
    receiver.default = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    await tell_offer(feeder, case)
    await attempted(client, mine)
    await feeder_again(feeder, case)
    delivery = await settled(client, mine, "cancelled")
    assert delivery["reason"] == "consent-withdrawn"
    body = orjson.loads(
        await admin.fetchval("SELECT body FROM notify.audit ORDER BY sequence DESC")
    )
    assert body["action"] == "delivery.cancelled"
    assert body["facts"]["consent_id"] == str(case.consent_id)
    await due_now()
    await asyncio.sleep(0.3)
    assert len(receiver.received) == 1
    refused = await client.post(f"/notify/v1/deliveries/{delivery['id']}/redeliver", headers=mine)
    assert refused.json()["code"] == "consent-ended"


async def feeder_again(feeder, case) -> None:
    group = feeder()
    group._sequences[("/handoff/intake", "handoff.consents", str(case.consent_id))] = 1
    await group.feed(case.withdrawn())


async def test_f30_an_expired_consent_is_seen_at_the_moment_of_sending(
    client, feeder, partner_hook, admin, built
) -> None:
    case, receiver, _, mine = partner_hook
    await tell_offer(feeder, case)
    await admin.execute("UPDATE notify.consent SET expires_at = now() - interval '1 second'")
    stop = asyncio.Event()
    task = asyncio.create_task(built.loops[0].run(stop))
    delivery = await settled(client, mine, "cancelled")
    stop.set()
    await task
    assert delivery["reason"] == "consent-ended"
    assert receiver.received == []


async def test_redelivered_under_the_same_id(client, feeder, partner_hook, sending) -> None:
    case, receiver, _, mine = partner_hook
    await tell_offer(feeder, case)
    delivery = await settled(client, mine, "succeeded")
    answer = await client.post(f"/notify/v1/deliveries/{delivery['id']}/redeliver", headers=mine)
    assert answer.status_code == 202
    await receiver.wait(2)
    assert receiver.received[0][0]["webhook-id"] == receiver.received[1][0]["webhook-id"]


async def test_three_days_of_failures_end_visibly_and_can_be_begun_again(
    client, feeder, partner_hook, sending, due_now, db
) -> None:
    case, receiver, _, mine = partner_hook
    receiver.default = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
    await tell_offer(feeder, case)
    for count in range(1, 11):
        await attempted(client, mine, count)
        await due_now()
    delivery = await settled(client, mine, "failed")
    assert len(delivery["attempts"]) == 10
    assert delivery["reason"] == "status"
    failed = [e for e in await said(db) if e.type == "handoff.delivery.failed.v1"]
    assert [e.data.attempts for e in failed] == [10]
    feed = (await client.get("/notify/v1/feed", headers=mine)).json()["items"]
    assert "delivery.failed" in {item["type"] for item in feed}
    await client.post(f"/notify/v1/deliveries/{delivery['id']}/redeliver", headers=mine)
    again = await attempted(client, mine, 11)
    assert again["status"] == "pending"


async def test_a_full_endpoint_takes_no_room_from_another(
    client, feeder, partner_hook, a_case, receivers, headers, sending
) -> None:
    case, receiver, _, _ = partner_hook

    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.9)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    receiver.answers = [hang] * 12
    for _ in range(12):
        await tell_offer(feeder, a_case(partner=case.partner))
    free = a_case()
    quick = await receivers()
    await client.post(
        "/notify/v1/webhooks",
        json={"url": quick.url},
        headers=headers("partner", subject="p2", organization=free.partner),
    )
    await tell_offer(feeder, free)
    await quick.wait(1, seconds=0.5)
    assert receiver.connections <= 4
    await receiver.wait(12, seconds=8)


async def test_what_waits_for_one_endpoint_goes_out_without_waiting_for_the_clock(
    feeder, partner_hook, a_case, sending
) -> None:
    """A place that falls free while a claim is under way is not forgotten until the next second."""
    case, receiver, _, _ = partner_hook

    async def answer_late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.001 * (len(receiver.received) % 7))
        writer.write(receiver.default)

    receiver.answers = [answer_late] * 150
    cases = [a_case(partner=case.partner) for _ in range(150)]
    group = feeder()
    await group.feed(*[event for c in cases for event in (c.granted(), c.requested())])
    await group.feed(*[c.made() for c in cases], source="/handoff/referral")
    group.group.after()
    await receiver.wait(150, seconds=4)
    assert 4 < receiver.connections <= 16  # It keeps up, so it gets more at once.
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 150


async def test_secret_once_sealed_listed_changed_deleted(client, headers, admin, receivers) -> None:
    mine = headers("inspector", subject="i1")
    body = {"url": (await receivers()).url, "types": ["handoff.need.settled.v1"]}
    keyed = mine | {"idempotency-key": "k1"}
    made = (await client.post("/notify/v1/webhooks", json=body, headers=keyed)).json()
    again = (await client.post("/notify/v1/webhooks", json=body, headers=keyed)).json()
    assert again == made
    assert made["types"] == ["need.settled"]
    secret = made["secret"].removeprefix("whsec_")
    for table in ("endpoint", "idempotency"):
        stored = str(await admin.fetch(f"SELECT t::text FROM notify.{table} t"))
        assert secret not in stored
        assert base64.b64decode(secret).hex() not in stored

    listed = (await client.get("/notify/v1/webhooks", headers=mine)).json()["items"]
    assert [hook["id"] for hook in listed] == [made["id"]]
    assert "secret" not in listed[0]
    path = f"/notify/v1/webhooks/{made['id']}"
    changed = {"url": body["url"], "types": ["*"], "enabled": False}
    assert (await client.put(path, json=changed, headers=mine)).status_code == 428
    stale = mine | {"if-match": '"9"'}
    assert (await client.put(path, json=changed, headers=stale)).status_code == 412
    fresh = mine | {"if-match": '"1"'}
    answer = await client.put(path, json=changed, headers=fresh)
    assert answer.json()["enabled"] is False
    assert answer.headers["etag"] == '"2"'

    for stranger in (
        headers("inspector", subject="i2"),
        headers("inspector", subject="i1", agency="other-city"),
    ):
        assert (await client.get(path, headers=stranger)).status_code == 404
        assert (await client.delete(path, headers=stranger)).status_code == 404
    assert (await client.delete(path, headers=mine)).status_code == 204
    assert (await client.get(path, headers=mine)).status_code == 404


@pytest.mark.parametrize("types", [["offer.mode"], ["offer."], ["of*"], ["*.made"], [""]])
async def test_unknown_types_are_refused(client, headers, types) -> None:
    answer = await client.post(
        "/notify/v1/webhooks",
        json={"url": "http://127.0.0.1:1/", "types": types},
        headers=headers("partner"),
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("types", "unknown-type")
    assert "offer.made" in error["message"]


async def test_an_inspectors_webhook_says_no_more_than_its_feed(
    client, feeder, a_case, receivers, headers, sending
) -> None:
    case, receiver = a_case(feedback=False), await receivers()
    mine = headers("inspector", subject="inspector-one")
    await client.post("/notify/v1/webhooks", json={"url": receiver.url}, headers=mine)
    await tell_offer(feeder, case)
    group = feeder()
    await group.feed(case.accepted(), case.progressed(), source="/handoff/partner")
    await receiver.wait(1)
    await asyncio.sleep(0.2)
    (only,) = receiver.received
    payload = orjson.loads(only[1])
    assert payload["type"] == "need.requested"
    assert set(payload["data"]) == {"case_id", "feed_id"}
