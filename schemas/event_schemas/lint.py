"""Which fields an event may have: the wall that keeps residents' facts off the log.

Outside ``inbound`` an event holds ids, codes, times, numbers, booleans, closed lists and groups of
those (``base.py``). A plain ``str`` could carry a name or a sentence, so it is not among them. The
public names of organisations and services are let through on ``directory`` alone.
"""

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from event_schemas.base import AreaCode, Code, Event, Id, Language, Part, PublicName, Subject, Time

ALLOWED: tuple[Any, ...] = (
    Id,
    Code,
    Time,
    Language,
    AreaCode,
    Subject,
    int,
    float,
    bool,
    NoneType,
)
FREE_TOPICS = frozenset({"inbound.inspections"})
NAMED_TOPICS = frozenset({"directory"})


def faults(event: type[Event]) -> list[str]:
    """Every field of *event* that no topic may carry, as ``Event.field: type``."""
    if event.TOPIC in FREE_TOPICS:
        return []
    names = event.TOPIC in NAMED_TOPICS
    return [
        f"{event.__name__}.{path}: {kind}" for path, kind in _bad_fields(event, "", names=names)
    ]


def _bad_fields(model: type[BaseModel], above: str, *, names: bool) -> list[tuple[str, str]]:
    hints = get_type_hints(model, include_extras=True)
    return [
        found
        for field in model.model_fields
        for found in _bad(hints[field], f"{above}{field}", names=names)
    ]


def _bad(kind: Any, path: str, *, names: bool) -> list[tuple[str, str]]:
    if kind in ALLOWED or (names and kind == PublicName):
        return []
    origin = get_origin(kind)
    if origin in (Union, UnionType, list):
        return [found for inner in get_args(kind) for found in _bad(inner, path, names=names)]
    if origin is Literal:
        return []
    if origin is Annotated and get_args(kind)[0] in (int, float):
        return []
    if isinstance(kind, type) and issubclass(kind, Enum):
        return []
    if isinstance(kind, type) and issubclass(kind, Part):
        return _bad_fields(kind, f"{path}.", names=names)
    return [(path, str(getattr(kind, "__name__", kind)))]
