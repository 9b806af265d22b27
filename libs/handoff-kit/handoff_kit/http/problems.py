"""Failures as application/problem+json (RFC 9457). No value of a request is ever in one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_args

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core.core_schema import ErrorType
from starlette.exceptions import HTTPException
from starlette.responses import Response

from handoff_kit.auth.guards import REFUSAL
from handoff_kit.errors import FieldError, HandoffError, Invalid, ScopeMissing, Unauthenticated
from handoff_kit.telemetry.context import current_trace_id

__all__ = ["PROBLEM", "add_problem_handlers", "field_errors", "problem_response"]

PROBLEM: Final = "application/problem+json"
_MOST_ERRORS: Final = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

# Pydantic's own sentences may hold a piece of the input ("found `z` at 1"), so they are not used.
# Sentences of our own error types (PydanticCustomError) are, and have to be constant.
_BUILT_IN: Final = frozenset(get_args(ErrorType))
_CODES: Final = {"extra_forbidden": "unknown-field", "json_invalid": "malformed"}
_SENTENCES: Final = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field.",
    "json_invalid": "This is not valid JSON.",
    "string_too_short": "At least {min_length} characters are needed.",
    "string_too_long": "At most {max_length} characters are allowed.",
    "string_pattern_mismatch": "This has to match {pattern}.",
    "too_short": "At least {min_length} are needed.",
    "too_long": "At most {max_length} are allowed.",
    "greater_than": "This has to be greater than {gt}.",
    "greater_than_equal": "This has to be {ge} or more.",
    "less_than": "This has to be less than {lt}.",
    "less_than_equal": "This has to be {le} or less.",
    "literal_error": "This has to be one of: {expected}.",
    "enum": "This has to be one of: {expected}.",
    "string_type": "A text is needed.",
    "string_unicode": "The text is not valid Unicode.",
    "int_type": "A whole number is needed.",
    "int_parsing": "A whole number is needed.",
    "int_from_float": "A whole number is needed.",
    "float_type": "A number is needed.",
    "float_parsing": "A number is needed.",
    "finite_number": "A finite number is needed.",
    "bool_type": "true or false is needed.",
    "bool_parsing": "true or false is needed.",
    "list_type": "A list is needed.",
    "dict_type": "An object is needed.",
    "model_type": "An object is needed.",
    "model_attributes_type": "An object is needed.",
    "uuid_type": "A UUID is needed.",
    "uuid_parsing": "A UUID is needed.",
    "datetime_type": "A time in RFC 3339 is needed.",
    "datetime_parsing": "A time in RFC 3339 is needed.",
    "datetime_from_date_parsing": "A time in RFC 3339 is needed.",
    "timezone_aware": "The time needs its offset.",
    "date_type": "A date is needed, such as 2026-01-31.",
    "date_parsing": "A date is needed, such as 2026-01-31.",
    "date_from_datetime_parsing": "A date is needed, such as 2026-01-31.",
}
_UNKNOWN: Final = "This value is not allowed here."


def problem_response(error: HandoffError, headers: Mapping[str, str] | None = None) -> Response:
    """The problem document of a failure, with the headers that belong to it."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "trace_id": current_trace_id(),
        **error.extra,
    }
    if error.errors:
        content["errors"] = [field.as_dict() for field in error.errors]
    return _problem(error.status, content, {**_headers_of(error), **(headers or {})})


def _problem(status: int, content: dict[str, Any], headers: Mapping[str, str]) -> Response:
    body = orjson.dumps(content)
    return Response(body, status, {"cache-control": "no-store", **headers}, PROBLEM)


def _headers_of(error: HandoffError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": 'Bearer realm="handoff", error="invalid_token"'}
    if isinstance(error, ScopeMissing):
        scope = error.extra.get("scope", "")
        challenge = f'Bearer realm="handoff", error="insufficient_scope", scope="{scope}"'
        return {"www-authenticate": challenge}
    if "retry_after" in error.extra:
        return {"retry-after": str(error.extra["retry_after"])}
    return {}


def field_errors(errors: Sequence[Any]) -> list[FieldError]:
    """Pydantic's or FastAPI's error list as ours: dotted paths, closed codes, no values."""
    return [_field_error(error) for error in errors[:_MOST_ERRORS]]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    kind: str = error["type"]
    code = _CODES.get(kind, kind.replace("_", "-"))
    return FieldError(_path(error["loc"], kind), code, _sentence(kind, error))


def _path(location: Sequence[int | str], kind: str) -> str:
    """`needs.0.category`; where in the request it is (body, query, header, path) is left out."""
    if kind == "json_invalid":
        return ""
    places = location[1:] if location and location[0] in _PLACES else location
    return ".".join(_part(part) for part in places) or "body"


_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


def _part(part: int | str) -> str:
    # An unknown field's name is the caller's own text: what is no plain name is not repeated.
    return str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "(unnamed)"


def _sentence(kind: str, error: Mapping[str, Any]) -> str:
    if kind not in _BUILT_IN:
        return str(error["msg"])
    try:
        return _SENTENCES.get(kind, _UNKNOWN).format(**error.get("ctx", {}))
    except KeyError:
        return _UNKNOWN


async def _on_handoff_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HandoffError)
    return problem_response(error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    refusal = request.scope.get(REFUSAL)
    if isinstance(refusal, HandoffError):
        return problem_response(refusal)
    found = field_errors(error.errors())
    if any(field.code == "malformed" for field in found):
        return problem_response(Invalid("The body is not valid JSON.", code="malformed"))
    return problem_response(Invalid(errors=found))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, and 400 of FastAPI for a body that it cannot read."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return problem_response(Invalid("The request cannot be read.", code="malformed"))
    phrase = HTTPStatus(error.status_code).phrase
    content = {
        "type": "about:blank",
        "title": phrase,
        "status": error.status_code,
        "detail": f"{phrase}.",
        "code": phrase.lower().replace(" ", "-"),
        "trace_id": current_trace_id(),
    }
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        # The router knows the methods of the first route that has this path; there may be more.
        found = [m for pattern, m in request.app.state.methods if pattern.match(request.url.path)]
        headers["allow"] = ", ".join(sorted(frozenset[str]().union(*found)))
    return _problem(error.status_code, content, headers)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every failure but an unexpected one, which is `edge`'s."""
    app.add_exception_handler(HandoffError, _on_handoff_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
