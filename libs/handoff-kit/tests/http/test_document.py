"""Every route has its scope, and the document says what happens."""

import json

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from handoff_kit.auth import (
    Signer,
    StaticJwks,
    Verifier,
    operations,
    requires,
)
from handoff_kit.http import (
    MAY_MATCH,
    TAGGED,
    create_app,
)
from handoff_kit.telemetry import Metrics
from support.manners import ISSUER

# -- wiring and document -------------------------------------------------------------------------


def test_a_route_with_neither_scope_nor_public_is_refused(signer: Signer) -> None:
    router = APIRouter()

    @router.get("/open")
    async def forgotten() -> None:
        return None

    with pytest.raises(ValueError, match="/partner/v1/open needs either a scope or PUBLIC"):
        create_app(
            "partner",
            title="Partner",
            verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
            routers=[router],
            metrics=Metrics(),
        )


def test_every_operation_is_found_with_its_scope(app: FastAPI) -> None:
    found = {(o.method, o.path): o.scope for o in operations(app.routes) if o.in_schema}
    assert found[("GET", "/partner/v1/things")] == "offers:read"
    assert found[("POST", "/partner/v1/direct")] == "offers:answer"
    assert found[("POST", "/partner/v1/receipts")] is None
    assert len(found) == 9


async def test_the_document_states_security_and_failures(client: httpx.AsyncClient) -> None:
    document = (await client.get("/partner/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    things = paths["/partner/v1/things"]
    assert things["get"]["security"] == [{"access_token": ["offers:read"]}]
    assert paths["/partner/v1/receipts"]["post"]["security"] == []
    assert things["get"]["responses"].keys() == {"200", "401", "403", "422", "default"}
    change = paths["/partner/v1/things/{thing_id}"]["put"]["responses"]
    assert change.keys() == {
        *("200", "401", "403", "404", "409", "412", "413", "415", "422", "428", "default")
    }
    names = {parameter["name"] for parameter in things["post"]["parameters"]}
    assert "Idempotency-Key" in names
    direct_body = paths["/partner/v1/direct"]["post"]["requestBody"]["content"]["application/json"]
    assert "$defs" not in direct_body["schema"]
    assert document["components"]["schemas"].keys() >= {"Thing", "Need", "Problem", "ProblemField"}
    scopes = document["components"]["securitySchemes"]["access_token"]["flows"]
    assert "offers:read" in scopes["clientCredentials"]["scopes"]
    (tag,) = [
        parameter
        for parameter in paths["/partner/v1/things/{thing_id}"]["put"]["parameters"]
        if parameter["name"] == "If-Match"
    ]
    assert tag["required"]
    assert tag["schema"]["type"] == "string"
    assert "ETag" in paths["/partner/v1/things/{thing_id}"]["put"]["responses"]["200"]["headers"]
    assert "HTTPValidationError" not in json.dumps(document)


def test_a_version_that_may_be_sent_is_no_version_that_has_to(signer: Signer) -> None:
    router = APIRouter(dependencies=[requires("offers:read")])

    @router.post("/thing", openapi_extra={"parameters": [MAY_MATCH]}, responses={200: TAGGED})
    async def change() -> None:
        return None

    app = create_app(
        "partner",
        title="Partner",
        verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
        routers=[router],
        metrics=Metrics(),
    )
    operation = app.openapi()["paths"]["/partner/v1/thing"]["post"]
    (tag,) = operation["parameters"]
    assert (tag["name"], tag["required"]) == ("If-Match", False)
    assert "412" in operation["responses"]
    assert "428" not in operation["responses"]
    assert "ETag" in operation["responses"]["200"]["headers"]
