"""The base of all request and response models."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["Strict"]

_EXACT: Final = frozenset({"bool", "float", "int", "str"})
_NOT_VALIDATION: Final = frozenset({"metadata", "serialization"})


def _exact(node: Any) -> Any:
    """A copy of a core schema in which JSON's own types are not converted into each other."""
    if isinstance(node, list):
        return [_exact(item) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: item if key in _NOT_VALIDATION else _exact(item) for key, item in node.items()}
    if copied.get("type") in _EXACT:
        copied.setdefault("strict", True)
    return copied


class Strict(BaseModel):
    """What the schema says and nothing else: no unknown field, no `"5"` or `true` for a number.

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
