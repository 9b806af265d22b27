"""A consent that comes with a referral is proved like one that is granted alone."""

from typing import Any

import orjson
from handoff_kit.audit import verify_chain


async def test_a_grant_made_with_a_referral_is_on_the_audit_chain(
    post: Any, a_referral: Any, admin: Any, db: Any
) -> None:
    both = [{"category": kind} for kind in ("food-insecurity", "mental-health")]
    asked = a_referral(needs=both)
    asked["consent"]["covers"] = [need["category"] for need in both]
    answer = await post("/referrals", asked)
    assert answer.status_code == 201, answer.text
    consents = await admin.fetch(
        "SELECT id::text, terms->>'granted_by' AS granted_by FROM intake.consent"
    )
    rows = await admin.fetch("SELECT body FROM intake.audit ORDER BY sequence")
    entries = [orjson.loads(row["body"]) for row in rows]
    assert {entry["subject"] for entry in entries} == {row["id"] for row in consents}
    assert [(e["action"], e["facts"]) for e in entries] == [
        ("consent.granted", {"method": "spoken", "version": 1})
    ] * 2
    assert {e["actor"] for e in entries} == {row["granted_by"] for row in consents}
    async with db.sets() as connection:
        proved = await verify_chain(connection, "intake", 0)
    assert (proved["entries"], proved["bad"]) == (2, None)


async def test_a_referral_without_a_person_leaves_nothing_on_the_chain(
    post: Any, a_referral: Any, admin: Any
) -> None:
    needs = [{"category": "pests"}]
    asked = a_referral(resident=..., consent=..., needs=needs)
    assert (await post("/referrals", asked)).status_code == 201
    assert await admin.fetchval("SELECT count(*) FROM intake.audit") == 0
