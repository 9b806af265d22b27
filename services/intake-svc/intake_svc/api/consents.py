"""Consents: by case managers, and by the resident's own receipt."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from handoff_kit import sets
from handoff_kit.auth import PUBLIC, requires
from handoff_kit.auth.roles import Principal
from handoff_kit.db import Connection
from handoff_kit.doorway import Answer
from handoff_kit.errors import NotVisible
from handoff_kit.http import (
    TAGGED,
    Page,
    PageParams,
    body_of,
    direct,
    etag,
    json_response,
    page_of,
    parse,
)
from starlette.responses import Response

from intake_svc.api.parts import (
    REPEATABLE,
    VERSIONED,
    Parts,
    actor_of,
    documented,
    id_after,
    idempotency,
    respond,
)
from intake_svc.api.referrals import with_receipt
from intake_svc.domain.rows import Consent, Disclosure
from intake_svc.handlers.consents import GrantConsent, unreadable
from intake_svc.handlers.grants import receipt_hash
from intake_svc.handlers.requests import ConsentIn, ConsentTerms, ReceiptConsentIn
from intake_svc.handlers.showing import Actor, may_see, shown, shown_disclosure, withdrawal
from intake_svc.handlers.withdrawals import Withdraw, disclosures_of
from intake_svc.tables import ConsentRow, DisclosureRow, queries

Writer = Annotated[Principal, requires("consents:write")]
RESIDENT = "resident"


def router(parts: Parts) -> APIRouter:
    """Operations under /intake/v1/consents, /receipts and /disclosures."""
    routes = APIRouter(tags=["consents"])
    _case_managers(routes, parts)
    _residents(routes, parts)
    _records(routes, parts)
    return routes


def _case_managers(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/consents",
        status_code=201,
        openapi_extra=documented(ConsentIn) | VERSIONED,
        responses={200: {"description": "Renewed, extended or replaced"} | TAGGED, 201: TAGGED},
    )
    @direct
    async def grant(request: Request, caller: Writer) -> Response:
        """A consent of a resident already known: a further one for its case (case_id), or one that
        renews, extends or replaces another (consent_id). If-Match is honoured where it is sent."""
        body = parse(ConsentIn, await body_of(request))
        if (body.case_id is None) == (body.consent_id is None):
            raise unreadable("case_id")
        command = GrantConsent(
            caller.agency,
            actor_of(caller),
            body,
            body.case_id,
            body.consent_id,
            request.headers.get("if-match"),
        )
        used = await idempotency(request, caller.agency, caller.caller, "consents")
        answer = await parts.grants.submit(command, idempotency=used)
        if answer.status != 201:
            return respond(answer)
        return json_response(with_receipt(parts, caller.agency, answer.body), 201, answer.headers)

    @routes.get("/consents/{consent_id}", responses={200: TAGGED})
    async def read(
        consent_id: UUID, caller: Annotated[Principal, requires("consents:read")]
    ) -> Response:
        """What a consent covers, for the case managers whom it names or who have the case."""
        async with parts.db.tenant(caller.agency) as conn:
            row = await _consent(conn, caller.agency, consent_id)
            owned = (caller.agency, row.case_id)
            case = (await queries.cases_by_id(conn, [owned])).get(owned)
            siblings = await queries.consents_of_cases(conn, [owned])
        if not may_see(case, siblings, actor_of(caller)):
            raise NotVisible
        return json_response(shown(row), headers={"etag": etag(row.version)})

    @routes.post("/consents/{consent_id}/withdraw", openapi_extra=VERSIONED)
    async def withdraw(request: Request, consent_id: UUID, caller: Writer) -> Response:
        """The resident takes its consent back, through its case manager. The answer lists what had
        been disclosed. If-Match is honoured where it is sent."""
        command = Withdraw(
            caller.agency, actor_of(caller), consent_id, request.headers.get("if-match")
        )
        route = f"consents/{consent_id}/withdraw"
        used = await idempotency(request, caller.agency, caller.caller, route)
        answer = await parts.withdrawals.submit(command, idempotency=used)
        body = answer.body
        if isinstance(body, dict):
            body = {**body["consents"][0], **body}
        return respond(Answer(200, body))


def _residents(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/receipts/{receipt}", dependencies=[PUBLIC])
    async def read(receipt: str) -> Response:
        """What was consented to with this receipt, and all that was disclosed under it."""
        async with parts.db.sets() as conn:
            rows = await _of_receipt(conn, receipt)
            told = await disclosures_of(conn, {(row.agency_id, row.id) for row in rows})
        return json_response(withdrawal(rows, told))

    @routes.post("/receipts/{receipt}/withdraw", dependencies=[PUBLIC], openapi_extra=REPEATABLE)
    async def withdraw(request: Request, receipt: str) -> Response:
        """Take back all that was consented to with this receipt. Twice is once."""
        hashed = receipt_hash(receipt)
        used = await idempotency(request, "", hashed.hex(), "receipts/withdraw")
        command = Withdraw("", Actor(RESIDENT, receipt=hashed))
        return respond(await parts.withdrawals.submit(command, idempotency=used))

    @routes.post(
        "/receipts/{receipt}/consents",
        status_code=201,
        dependencies=[PUBLIC],
        openapi_extra=documented(ReceiptConsentIn),
        responses={200: {"description": "Renewed or extended"} | TAGGED, 201: TAGGED},
    )
    async def grant(request: Request, receipt: str) -> Response:
        """The resident consents anew, or further, by its own link; what was withdrawn stays so."""
        body = parse(ReceiptConsentIn, await body_of(request))
        terms = ConsentTerms(
            method="electronic", **body.model_dump(exclude={"consent_id"}, exclude_unset=True)
        )
        hashed = receipt_hash(receipt)
        command = GrantConsent(
            "", Actor(RESIDENT, receipt=hashed), terms, consent_id=body.consent_id
        )
        used = await idempotency(request, "", hashed.hex(), "receipts/consents")
        return respond(await parts.grants.submit(command, idempotency=used))


def _records(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/disclosures")
    async def list_(
        consent_id: Annotated[UUID, Query()],
        caller: Annotated[Principal, requires("records:read")],
        page: PageParams,
    ) -> Page[dict[str, Any]]:
        """Every disclosure under a consent: 42 CFR 2.24, 45 CFR 164.528."""
        after = page.after(datetime)
        async with parts.db.tenant(caller.agency) as conn:
            await _consent(conn, caller.agency, consent_id)
            rows = await sets.fetch(
                conn,
                DisclosureRow,
                "t WHERE t.agency_id = $1 AND t.consent_id = $2"
                " AND ($3::timestamptz IS NULL OR (t.at, t.id) > ($3, $4::uuid))"
                " ORDER BY t.at, t.id LIMIT $5",
                caller.agency,
                consent_id,
                after[0] if after else None,
                id_after(after),
                page.fetch,
            )
        return page_of(
            rows,
            page,
            position=lambda row: (row.at, row.id),
            item=lambda row: shown_disclosure(Disclosure(*row.values())),
        )


async def _consent(conn: Connection, agency: str, consent_id: UUID) -> Consent:
    """Raises: NotVisible."""
    rows = await sets.fetch(
        conn, ConsentRow, "t WHERE t.agency_id = $1 AND t.id = $2", agency, consent_id
    )
    if not rows:
        raise NotVisible
    return Consent(*rows[0].values())


async def _of_receipt(conn: Connection, receipt: str) -> list[Consent]:
    """Raises: NotVisible."""
    rows = await sets.fetch(
        conn,
        ConsentRow,
        "t WHERE t.receipt_hash = $1 ORDER BY t.id",
        receipt_hash(receipt),
    )
    if not rows:
        raise NotVisible
    return [Consent(*row.values()) for row in rows]
