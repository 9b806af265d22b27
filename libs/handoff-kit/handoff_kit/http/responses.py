"""JSON written by orjson, for answers that are no Pydantic model.

Routes that return a model do not need it: FastAPI has Pydantic write those in Rust.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import JSONResponse, Response

__all__ = ["Json", "json_response"]


class Json(JSONResponse):
    """A response class: `@router.get(…, response_class=Json)`."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`content`: a value that orjson can write, or bytes that are JSON already."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, "application/json")
