"""Referrals as inspectors, ambassadors and departments make and read them."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from event_schemas.codes import NeedStatus
from fastapi import APIRouter, Request
from handoff_kit.auth import requires
from handoff_kit.auth.roles import Principal
from handoff_kit.errors import NotVisible
from handoff_kit.http import body_of, direct, json_response, parse
from starlette.responses import Response

from intake_svc.api.parts import (
    Parts,
    cause,
    documented,
    idempotency,
    organization_of,
    role_of,
)
from intake_svc.handlers.grants import receipt_of
from intake_svc.handlers.needs import Refer
from intake_svc.handlers.referrals import check
from intake_svc.handlers.requests import ReferralIn


def router(parts: Parts) -> APIRouter:
    """Operations under /intake/v1/referrals."""
    routes = APIRouter(tags=["referrals"])
    policy = parts.office.consent

    @routes.post("/referrals", status_code=201, openapi_extra=documented(ReferralIn))
    @direct
    async def refer(
        request: Request, caller: Annotated[Principal, requires("referrals:write")]
    ) -> Response:
        """Refer a resident with consent, or a property alone. Durable before it is answered. The
        receipt lets its holder read and withdraw the consent; it is shown here and kept nowhere."""
        body = parse(ReferralIn, await body_of(request))
        check(body, policy, datetime.now(UTC))
        command = Refer(
            caller.agency,
            caller.subject,
            role_of(caller),
            organization_of(caller),
            body,
            cause(),
        )
        used = await idempotency(request, caller.agency, caller.caller, "referrals")
        answer = await parts.referrals.submit(command, idempotency=used)
        return json_response(
            with_receipt(parts, caller.agency, answer.body), answer.status, answer.headers
        )

    @routes.get("/referrals/{referral_id}")
    async def read(
        referral_id: UUID, caller: Annotated[Principal, requires("referrals:read")]
    ) -> dict[str, Any]:
        """A referral of one's own: its needs, and how they stand where the person said yes to
        that."""
        async with parts.db.tenant(caller.agency) as conn:
            row = await conn.fetchrow(
                "SELECT id, case_id, consent_id, needs, encounter, created_at FROM intake.referral"
                " WHERE agency_id = $1 AND id = $2 AND referrer = $3",
                caller.agency,
                referral_id,
                caller.subject,
            )
            if row is None:
                raise NotVisible
            needs = await conn.fetch(
                "SELECT id, case_id, category, urgency, status, consent_id, feedback"
                " FROM intake.need WHERE agency_id = $1 AND id = ANY($2::uuid[])"
                " ORDER BY array_position($2::uuid[], id)",
                caller.agency,
                row["needs"],
            )
        return {
            "referral_id": str(row["id"]),
            "case_id": str(row["case_id"]),
            "consent_id": str(row["consent_id"]) if row["consent_id"] else None,
            "encounter": row["encounter"],
            "created_at": row["created_at"],
            "needs": [
                {
                    "need_id": str(need["id"]),
                    "case_id": str(need["case_id"]),
                    "category": need["category"],
                    "urgency": need["urgency"],
                    "status": need["status"]
                    if need["consent_id"] is None or need["feedback"]
                    else NeedStatus.REQUESTED.value,
                }
                for need in needs
            ],
        }

    return routes


def with_receipt(parts: Parts, agency: str, body: Any) -> dict[str, Any]:
    """The answer with its receipt, which is made anew from the consent's id and never stored."""
    shown: dict[str, Any] = orjson.loads(body) if isinstance(body, bytes) else dict(body)
    consent_id = shown.get("consent_id")
    shown["consent_receipt"] = (
        receipt_of(parts.office.index, agency, UUID(consent_id)) if consent_id else None
    )
    return shown
