"""What residents said stands in no table in clear, and two sets make one household."""

import asyncio
from collections.abc import Callable
from typing import Any

from handoff_kit.crypto import open_json, unwrap_owner_key
from handoff_kit.service import Built

Build = Callable[..., dict[str, Any]]
MARK = "Kanarie"


async def _everything(admin: Any) -> bytes:
    """All rows of all tables of the database, bytes as text too."""
    tables = await admin.fetch(
        "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind = 'r' AND nspname IN ('intake', 'bus')"
    )
    parts = []
    for table in tables:
        rows = await admin.fetch(f"SELECT * FROM {table['nspname']}.{table['relname']}")
        for row in rows:
            parts += [v if isinstance(v, bytes) else str(v).encode() for v in row.values()]
    return b"\n".join(parts)


async def test_no_table_holds_what_was_said(
    post: Any, admin: Any, a_referral: Build, an_inspection: Build, built: Built
) -> None:
    body = a_referral(
        resident={
            "name": f"{MARK} Name",
            "phone": "+1 617 555 0199",
            "email": f"{MARK.lower()}@example.org",
            "safe_contact": f"{MARK} calls only at noon",
            "tenure": f"{MARK}-tenure",
        },
        consent={
            "covers": ["food-insecurity", "mental-health"],
            "witness": f"{MARK} Witness",
            "interpreter": f"{MARK} Interpreter",
            "given_by": f"{MARK} Giver",
            "discloser": f"{MARK} Discloser",
        },
        needs=[
            {"category": "food-insecurity", "note": f"{MARK} note one"},
            {"category": "mental-health", "note": f"{MARK} note two"},
            {"category": "pests", "note": f"{MARK} note three"},
        ],
    )
    made = await post("/referrals", body, key="k1")
    assert made.status_code == 201, made.text
    changed = a_referral(resident={"name": f"{MARK} Name", "email": f"new-{MARK}@example.org"})
    await post("/referrals", changed, key="k2")
    note = {
        "note_id": "7b0f8a6e-7f52-4a3c-9f5e-0d5a4f3b2c1d",
        "case_id": made.json()["case_id"],
        "kind": "progress",
        "text": f"{MARK} was reached",
        "author": {"roles": ["partner"], "subject": "p-1"},
    }
    assert (await post("/notes", note, role="service")).status_code == 204
    inspection = an_inspection(
        inspector=f"{MARK} Inspector", findings=[{"code": "1", "text": f"{MARK} text"}]
    )
    assert (await post("/inspections", inspection, role="department", key="k3")).status_code == 201
    refused = a_referral(resident={"name": f"{MARK} Name", "surprise": MARK})
    answer = await post("/referrals", refused, key="k4")
    assert answer.status_code == 422
    assert MARK not in answer.text
    found = (await _everything(admin)).lower()
    assert b"12 example street" in found
    for hidden in (MARK.lower().encode(), b"555 0199", b"6175550199"):
        assert hidden not in found
    assert made.json()["consent_receipt"].encode() not in found


async def test_many_at_once_make_one_household(post: Any, admin: Any, a_referral: Build) -> None:
    bodies = [
        a_referral(resident={"name": ("Resident One", "ONE Resident")[n % 2]}) for n in range(40)
    ]
    answers = await asyncio.gather(*(post("/referrals", body) for body in bodies))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["case_id"] for a in answers}) == 1
    assert len({a.json()["consent_receipt"] for a in answers}) == 40
    for table, rows in (("property", 1), ("resident", 1), ("case_link", 1), ("need", 40)):
        assert await admin.fetchval(f"SELECT count(*) FROM intake.{table}") == rows


async def test_what_was_said_last_wins_and_the_rest_stays(
    post: Any, a_referral: Build, admin: Any, office: Any
) -> None:
    await post("/referrals", a_referral(resident={"email": "one@example.org"}))
    await post("/referrals", a_referral(resident={"phone": "617 555 0122", "email": ...}))
    row = await admin.fetchrow("SELECT id, wrapped_key, sealed FROM intake.resident")
    key = unwrap_owner_key(office.keys, row["id"], row["wrapped_key"])
    facts = open_json(key, row["id"], row["sealed"])
    assert facts["phone"] == "617 555 0122"
    assert facts["email"] == "one@example.org"
