"""The OpenAPI 3.1 document: FastAPI's, with our failures and our security in every operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from handoff_kit.auth.guards import operations
from handoff_kit.http.preconditions import ENTITY_TAG, ETAG
from handoff_kit.http.problems import PROBLEM

__all__ = ["install_openapi"]

_DESCRIPTIONS: Final = {
    401: "No valid access token",
    403: "The scope is missing",
    404: "Nothing here that the caller may see",
    409: "Conflict: in flight, or not possible from the present state",
    412: "Changed since it was read",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Fields have to be mended",
    428: "If-Match is needed",
}
_ANY_OTHER: Final = "Any other failure"
_CHANGES: Final = frozenset({"post", "put", "patch", "delete"})
_NO_NUL: Final = r"^[^\u0000]*$"
_BOUND: Final = frozenset({"pattern", "format", "enum", "const"})
_UNUSED: Final = ("HTTPValidationError", "ValidationError")

_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457. No value of the request is in it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "What happened, for programs"},
        "trace_id": {"type": ["string", "null"]},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemField"}},
        "allowed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Transitions that are possible now",
        },
        "retry_after": {"type": "integer", "description": "Seconds"},
    },
}
_FIELD_SCHEMA: Final[dict[str, Any]] = {
    "title": "ProblemField",
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {
        "field": {"type": "string", "description": "Dotted path, such as needs.0.category"},
        "code": {"type": "string"},
        "message": {"type": "string"},
    },
}


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` and the served document ours. Built once, at the first request."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description or None,
        routes=app.routes,
    )
    public = {(o.path, o.method.lower()) for o in operations(app.routes) if o.public}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if (path, method) in public:
                operation["security"] = []
            operation["parameters"] = [_parameter(p) for p in operation.get("parameters", ())]
            _declare_problems(operation, path, method)
            if _needs_version(operation):
                for status, response in operation["responses"].items():
                    if status.startswith("2"):
                        response["headers"] = ETAG | response.get("headers", {})
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _hoist_definitions(document, schemas)
    for name in _UNUSED:
        schemas.pop(name, None)
    _forbid_nul(document)
    schemas["Problem"] = _PROBLEM_SCHEMA
    schemas["ProblemField"] = _FIELD_SCHEMA
    return document


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter as it is on the wire: absent or there, never null."""
    schema = dict(parameter["schema"])
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        schema = options[0] | schema
    elif options:
        schema["anyOf"] = options
    if parameter["name"] == "If-Match" and "pattern" not in schema:
        # `IfMatch`: FastAPI takes it as optional, so that its absence is 428 and not 422.
        return parameter | {"required": True, "schema": schema | {"pattern": ENTITY_TAG}}
    return parameter | {"schema": schema}


def _forbid_nul(node: Any) -> None:
    """State for every free text what the body guard enforces: no NUL character in it."""
    if isinstance(node, list):
        for item in node:
            _forbid_nul(item)
    elif isinstance(node, dict):
        if node.get("type") == "string" and not _BOUND & node.keys():
            node["pattern"] = _NO_NUL
        for item in list(node.values()):
            _forbid_nul(item)


def _hoist_definitions(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Put what `json_body` brought along inside a schema where its references point."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                for name, definition in media["schema"].pop("$defs", {}).items():
                    schemas.setdefault(name, definition)


def _declare_problems(operation: dict[str, Any], path: str, method: str) -> None:
    responses = operation.setdefault("responses", {})
    for status in _statuses(operation, path, method):
        stated = responses.get(str(status), {})
        if status == 422 or not stated.get("content"):
            responses[str(status)] = _problem(stated.get("description") or _DESCRIPTIONS[status])
    responses["422"] = _problem(_DESCRIPTIONS[422])
    responses["default"] = _problem(_ANY_OTHER)


def _statuses(operation: dict[str, Any], path: str, method: str) -> Iterator[int]:
    needed = _needs_version(operation)
    if operation.get("security"):
        yield from (401, 403)
    if "{" in path:
        yield 404
    if method in _CHANGES:
        yield 409
    if needed is not None:
        yield 412
    if needed:
        yield 428
    if "requestBody" in operation:
        yield from (413, 415)


def _needs_version(operation: dict[str, Any]) -> bool | None:
    """Whether If-Match has to be sent; None where it is not taken."""
    found = (p["required"] for p in operation["parameters"] if p["name"] == "If-Match")
    return next(found, None)


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM: {"schema": schema}}}
