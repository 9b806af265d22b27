"""The base of all request and response models."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

__all__ = ["Strict"]

_EXACT: Final = frozenset({"bool", "float", "int", "str"})
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NOT_VALIDATION: Final = frozenset({"metadata", "serialization"})


def _exact(node: Any) -> Any:
    """A copy of a core schema in which JSON's own types are not converted into each other."""
    if isinstance(node, list):
        return [_exact(item) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: item if key in _NOT_VALIDATION else _exact(item) for key, item in node.items()}
    kind = copied.get("type")
    if kind in _EXACT:
        copied.setdefault("strict", True)
    if kind == "datetime":
        copied.setdefault("tz_constraint", "aware")
        return core_schema.no_info_before_validator_function(_time_text, copied)
    if kind == "date":
        return core_schema.no_info_before_validator_function(_date_text, copied)
    return copied


# Pydantic would also take seconds since 1970, as a number or as a text of digits.
def _time_text(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _TIME.match(value)):
        return value
    raise PydanticKnownError("datetime_type")


def _date_text(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticKnownError("date_type")


class Strict(BaseModel):
    """What the schema says and nothing else: no unknown field, no `"5"` or `true` for a number.

    Times are texts in RFC 3339 with their offset.

    Pydantic's own strict mode goes too far: FastAPI hands over parsed JSON, and it then refuses the
    text of a UUID or a time. An error about a model never shows its input: it may end in a log.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema: CoreSchema = _exact(handler(source))
        return schema
