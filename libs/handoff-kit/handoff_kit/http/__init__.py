"""HTTP as every service speaks it; `create_app` puts the parts together.

Parse, call a handler, answer: what a service's `api.py` needs is here.
"""

from handoff_kit.http.app import create_app
from handoff_kit.http.body import BodyRule, body_of
from handoff_kit.http.direct import direct, json_body, parse
from handoff_kit.http.health import ReadyCheck, health_router
from handoff_kit.http.idempotency import (
    IdempotencyKey,
    idempotency_header,
    parse_idempotency_key,
)
from handoff_kit.http.models import Strict
from handoff_kit.http.pages import Page, PageParams, PageRequest, page_of
from handoff_kit.http.preconditions import (
    MAY_MATCH,
    TAGGED,
    IfMatch,
    check_if_match,
    etag,
    require_if_match,
)
from handoff_kit.http.problems import on_http_exception, problem_response
from handoff_kit.http.responses import Json, json_response

__all__ = [
    "MAY_MATCH",
    "TAGGED",
    "BodyRule",
    "IdempotencyKey",
    "IfMatch",
    "Json",
    "Page",
    "PageParams",
    "PageRequest",
    "ReadyCheck",
    "Strict",
    "body_of",
    "check_if_match",
    "create_app",
    "direct",
    "etag",
    "health_router",
    "idempotency_header",
    "json_body",
    "json_response",
    "on_http_exception",
    "page_of",
    "parse",
    "parse_idempotency_key",
    "problem_response",
    "require_if_match",
]
