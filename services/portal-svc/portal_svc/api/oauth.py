"""``/oauth``: access tokens for clients (RFC 6749), and the keys that verify them (RFC 7517)."""

import base64
import binascii
import math
from typing import Any, Final
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from handoff_kit.auth import PUBLIC, Signer
from handoff_kit.http import body_of, json_response
from starlette.responses import Response

from portal_svc.api.addresses import OriginOf
from portal_svc.api.forms import FORM, form_fields
from portal_svc.handlers.tokens import (
    JWT_BEARER,
    ByAssertion,
    BySecret,
    TokenIssuer,
    TokenRefused,
    assertion_of,
    unproven,
)

_LONGEST_SECRET: Final = 512
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}

_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["client_credentials"]},
                    "scope": {"type": "string", "description": "Narrows what the roles give"},
                    "client_id": {"type": "string"},
                    "client_assertion_type": {"type": "string", "enum": [JWT_BEARER]},
                    "client_assertion": {"type": "string", "description": "RFC 7523"},
                },
            }
        }
    },
}
_TOKEN: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "scope"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"type": "string", "const": "Bearer"},
        "expires_in": {"type": "integer", "description": "Seconds"},
        "scope": {"type": "string"},
    },
}
_REFUSED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {
        "error": {
            "type": "string",
            "enum": [
                "invalid_request",
                "invalid_client",
                "invalid_scope",
                "unsupported_grant_type",
            ],
        },
        "error_description": {"type": "string"},
    },
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _json("An access token", _TOKEN),
    400: _json("The request has to be mended", _REFUSED),
    401: _json("The client could not be authenticated", _REFUSED),
    429: _json("Too many failed tries; see Retry-After", _REFUSED),
}


def oauth_router(issuer: TokenIssuer, signer: Signer, origin_of: OriginOf) -> APIRouter:
    router = APIRouter(prefix="/oauth", tags=["oauth"], dependencies=[PUBLIC])

    @router.post(
        "/token",
        summary="An access token for a client",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST},
    )
    async def token(request: Request) -> Response:
        try:
            form = _form(await body_of(request))
            proof = proof_of(request.headers.getlist("authorization"), form)
            if "grant_type" not in form:
                raise TokenRefused("invalid_request", "grant_type is missing.")
            if form["grant_type"] != "client_credentials":
                raise TokenRefused("unsupported_grant_type", "Only client_credentials is served.")
            made = await issuer.issue(
                proof, scope=form.get("scope") or None, origin=origin_of(request)
            )
        except TokenRefused as refused:
            return _refusal(refused)
        content = {
            "access_token": made.access_token,
            "token_type": "Bearer",
            "expires_in": made.expires_in,
            "scope": made.scope,
        }
        return json_response(content, 200, _NO_STORE)

    @router.get(
        "/jwks.json",
        summary="The keys that verify access tokens",
        response_class=Response,
        responses={200: _json("A JWK set (RFC 7517)", {"type": "object", "required": ["keys"]})},
    )
    async def jwks() -> Response:
        # A new key has to be known well before it signs: it waits longer than this.
        return json_response(signer.jwks(), 200, {"cache-control": "public, max-age=300"})

    return router


def _form(body: bytes) -> dict[str, str]:
    """The parameters; none may stand twice (RFC 6749, 3.2). Raises: TokenRefused."""
    try:
        return form_fields(body)
    except ValueError:
        detail = "The form cannot be read, or a parameter stands twice."
        raise TokenRefused("invalid_request", detail) from None


def proof_of(authorization: list[str], form: dict[str, str]) -> BySecret | ByAssertion:
    """How the client proves itself; one way at a time (RFC 6749, 2.3). Raises: TokenRefused."""
    by_assertion = "client_assertion" in form or "client_assertion_type" in form
    if "client_secret" in form:
        raise unproven("The secret has to be sent by HTTP Basic authentication.")
    if authorization and by_assertion:
        raise TokenRefused("invalid_request", "Two ways of authentication are used at once.")
    if by_assertion:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise TokenRefused("invalid_request", "This client_assertion_type is not served.")
        proof: BySecret | ByAssertion = assertion_of(form.get("client_assertion", ""))
    else:
        proof = _basic(authorization)
    if form.get("client_id", proof.client_id) != proof.client_id:
        raise TokenRefused("invalid_request", "client_id names another client.")
    return proof


def _basic(authorization: list[str]) -> BySecret:
    if len(authorization) != 1 or authorization[0][:6].lower() != "basic ":
        raise unproven()
    try:
        pair = base64.b64decode(authorization[0][6:].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise unproven() from None
    client_id, colon, secret = pair.partition(":")
    if not colon or "\0" in pair or len(pair) > _LONGEST_SECRET:
        raise unproven()
    return BySecret(unquote_plus(client_id), unquote_plus(secret))


def _refusal(refused: TokenRefused) -> Response:
    headers = dict(_NO_STORE)
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="handoff"'
    if refused.wait:
        headers["retry-after"] = str(math.ceil(refused.wait))
    content = {"error": refused.error, "error_description": refused.detail}
    return json_response(content, refused.status, headers)
