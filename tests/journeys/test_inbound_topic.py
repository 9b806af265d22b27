"""A department writes to its topic with a Kafka client of its own and CloudEvents headers."""

import asyncio
import json
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from support.data import an_inspection
from support.system import eventually

TOPIC = "handoff.inbound.inspections"


async def produce(bootstrap: str, records: list[tuple[dict[str, str], bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for headers, value in records:
            pairs = [(name, text.encode()) for name, text in headers.items()]
            await producer.send_and_wait(TOPIC, key=b"any", value=value, headers=pairs)
    finally:
        await producer.stop()


def headers(**more: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": "https://inspections.example.gov",
        "ce_type": "handoff.inspection.reported.v1",
        "ce_time": "2026-11-20T14:15:00Z",
        "ce_agency": "demo-city",
        "content-type": "application/json",
        **more,
    }


@pytest.mark.kafka
def test_an_inspection_from_the_topic_opens_the_department_s_referral(kafka_system):
    department = kafka_system.api("department")
    coordinator = kafka_system.api("coordinator")
    body = an_inspection("H-101", "demo-housing-code", source="plain-kafka")
    value = json.dumps(body).encode()
    once, no_place, half = headers(), headers(), headers()
    bad = {**body, "source_id": uuid4().hex, "property": {}}
    asyncio.run(
        produce(
            kafka_system.broker.bootstrap_servers,
            [
                (once, value),
                (once, value),  # The same event again.
                (headers(), value),  # The same inspection under another event.
                (no_place, json.dumps(bad).encode()),
                (half, b"half a {"),
            ],
        )
    )

    # The records share a key, so when the last is rejected the others have been taken.
    def rejected():
        items = department.ok("GET", "/intake/v1/inbound/rejected?limit=200")["items"]
        mine = [i for i in items if i["event_id"] in (no_place["ce_id"], half["ce_id"])]
        return mine if len(mine) == 2 else None

    reasons = {i["event_id"]: i["reason"] for i in eventually(rejected, 30)}
    assert reasons == {no_place["ce_id"]: "bad-body", half["ce_id"]: "bad-body"}

    # The same inspection over REST is known already, with the one case that it opened.
    made = department.ok("POST", "/intake/v1/inspections", 200, json=body)
    (case_id,) = made["cases"]
    offers = eventually(
        lambda: coordinator.ok("GET", f"/partner/v1/offers?case_id={case_id}")["items"], 30
    )
    assert [o["category"] for o in offers] == ["blocked-egress"]
    assert offers[0]["inspection_id"] == made["inspection_id"]
