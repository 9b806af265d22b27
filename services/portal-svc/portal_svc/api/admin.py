"""``/portal/v1``: clients and users, for the agency's own IT."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Request
from handoff_kit.auth import Principal, requires
from handoff_kit.city import CityFile
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.http import IdempotencyKey, Page, PageParams, Strict, json_response, page_of
from pydantic import AwareDatetime, Field, StringConstraints
from starlette.responses import Response

from portal_svc.domain.people import Client, Person, new_password, new_secret
from portal_svc.handlers.clients import list_clients
from portal_svc.handlers.commands import (
    MADE_FOR,
    CreateClient,
    CreatePerson,
    DisablePerson,
    RevokeClient,
    RotateClient,
    client_json,
    person_json,
)
from portal_svc.handlers.people import list_people

Admin = Annotated[Principal, requires("clients:admin")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# Which there are is decided by the handler, so that the sentence is the same everywhere.
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class ClientIn(Strict):
    """Credentials to give out. Without ``organization_id``: the agency's own for that role."""

    name: Name
    role: RoleName
    organization_id: UUID | None = None
    person_id: UUID | None = Field(None, description="The person whom the tokens speak for")
    public_jwk: dict[str, str] | None = Field(
        None, description="Proves itself by private_key_jwt with this key; there is no secret then"
    )


class ClientOut(Strict):
    id: UUID
    client_id: str
    name: str
    roles: list[str]
    organization_id: UUID | None = None
    person_id: UUID | None = None
    method: str
    created_at: AwareDatetime
    rotated_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    old_secret_ends_at: AwareDatetime | None = Field(
        None, description="Until then the secret before the last rotation is good too"
    )


class RotateIn(Strict):
    """How the old secret ends."""

    keep_old_hours: int = Field(
        0, ge=0, le=168, description="For how many hours it is good beside the new one"
    )


class ClientIssued(ClientOut):
    """``client_secret`` is told once: null where it was told before, or where there is none."""

    client_secret: str | None = None
    token_url: str


class UserIn(Strict):
    """A local account. Without ``password`` one is made and told once."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=254)]
    role: RoleName
    organization_id: UUID | None = None
    language: Annotated[str, StringConstraints(max_length=8)] | None = None
    password: Annotated[str, StringConstraints(max_length=256)] | None = None


class UserOut(Strict):
    id: UUID
    email: str
    roles: list[str]
    organization_id: UUID | None = None
    language: str | None = None
    created_at: AwareDatetime
    disabled_at: AwareDatetime | None = None


class UserCreated(UserOut):
    """``password`` is told once: null where it was told before, or was given."""

    password: str | None = None


def admin_router(
    db: Database, doorway: "Doorway[object]", city: CityFile, token_url: str
) -> APIRouter:
    router = APIRouter(tags=["clients and users"])

    def organization(caller: Principal, role: str, given: UUID | None) -> UUID | None:
        return given or (city.organization_of(role) if caller.agency == city.agency else None)

    @router.get("/clients", response_model=Page[ClientOut])
    async def clients(caller: Admin, page: PageParams) -> Any:
        async with db.tenant(caller.agency) as connection:
            after = page.after(datetime)
            rows = await list_clients(connection, caller.agency, after=after, limit=page.fetch)
        return page_of(rows, page, position=_position, item=_client_out)

    @router.post("/clients", status_code=201, response_model=ClientIssued)
    async def create(
        request: Request, caller: Admin, given: ClientIn, key: IdempotencyKey
    ) -> Response:
        mark, secret = uuid4().hex, new_secret()
        command = CreateClient(
            agency=caller.agency,
            actor=caller.subject,
            name=given.name,
            role=given.role,
            organization_id=organization(caller, given.role, given.organization_id),
            person_id=given.person_id,
            public_jwk=given.public_jwk,
            secret=secret,
            mark=mark,
        )
        answer = await _submit(doorway, request, caller, key, command)
        told = secret if _is_for(answer, mark) and given.public_jwk is None else None
        return _with(answer, {"client_secret": told, "token_url": token_url})

    @router.post("/clients/{id}/rotate", response_model=ClientIssued)
    async def rotate(
        request: Request,
        caller: Admin,
        id: UUID,
        key: IdempotencyKey,
        given: RotateIn | None = None,
    ) -> Response:
        mark, secret = uuid4().hex, new_secret()
        keep_old = timedelta(hours=given.keep_old_hours if given else 0)
        command = RotateClient(caller.agency, caller.subject, id, secret, mark, keep_old)
        answer = await _submit(doorway, request, caller, key, command)
        told = secret if _is_for(answer, mark) else None
        return _with(answer, {"client_secret": told, "token_url": token_url})

    @router.post("/clients/{id}/revoke", response_model=ClientOut)
    async def revoke(request: Request, caller: Admin, id: UUID, key: IdempotencyKey) -> Response:
        command = RevokeClient(caller.agency, caller.subject, id)
        return _with(await _submit(doorway, request, caller, key, command), {})

    @router.get("/users", response_model=Page[UserOut])
    async def users(caller: Admin, page: PageParams) -> Any:
        async with db.tenant(caller.agency) as connection:
            after = page.after(datetime)
            rows = await list_people(connection, caller.agency, after=after, limit=page.fetch)
        return page_of(rows, page, position=_position, item=_user_out)

    @router.post("/users", status_code=201, response_model=UserCreated)
    async def create_user(
        request: Request, caller: Admin, given: UserIn, key: IdempotencyKey
    ) -> Response:
        mark = uuid4().hex
        password = given.password if given.password is not None else new_password()
        command = CreatePerson(
            agency=caller.agency,
            actor=caller.subject,
            email=given.email,
            role=given.role,
            organization_id=organization(caller, given.role, given.organization_id),
            language=given.language,
            password=password,
            mark=mark,
        )
        answer = await _submit(doorway, request, caller, key, command)
        told = password if _is_for(answer, mark) and given.password is None else None
        return _with(answer, {"password": told})

    @router.post("/users/{id}/disable", response_model=UserOut)
    async def disable(request: Request, caller: Admin, id: UUID, key: IdempotencyKey) -> Response:
        command = DisablePerson(caller.agency, caller.subject, id)
        return _with(await _submit(doorway, request, caller, key, command), {})

    return router


def _position(row: Client | Person) -> tuple[datetime, UUID]:
    return row.created_at, row.id


def _client_out(client: Client) -> ClientOut:
    return ClientOut.model_validate(client_json(client))


def _user_out(person: Person) -> UserOut:
    return UserOut.model_validate(person_json(person))


async def _submit(
    doorway: "Doorway[object]",
    request: Request,
    caller: Principal,
    key: str | None,
    command: object,
) -> Answer:
    idempotency = None
    if key is not None:
        route = f"{request.method} {request.url.path}?{request.url.query}"
        body = await request.body()
        idempotency = Idempotency(caller.agency, caller.caller, route, key, body)
    return await doorway.submit(command, idempotency=idempotency)


def _is_for(answer: Answer, mark: str) -> bool:
    return answer.headers.get(MADE_FOR) == mark


def _with(answer: Answer, more: Mapping[str, Any]) -> Response:
    """The answer on the wire, with what is told this once and was never stored."""
    content = orjson.loads(answer.content()) | dict(more)
    return json_response(content, answer.status)
