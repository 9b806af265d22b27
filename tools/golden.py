"""The golden corpus: `python tools/golden.py` adds examples for types of event that have none.

Each type gets a `least.json` (what is required) and a `most.json` (every field), made by a seeded
builder. What is in the corpus is never changed: today's readers must take every event that was ever
said. `schemas/golden/SHA256SUMS` holds it to that. Further examples are added by hand, then
`python tools/golden.py` notes their sums.
"""

import hashlib
import json
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from event_schemas import base, inbound
from event_schemas.base import Event
from event_schemas.registry import EVENTS
from pydantic import BaseModel

GOLDEN = Path(__file__).resolve().parents[1] / "schemas" / "golden"
SUMS = GOLDEN / "SHA256SUMS"
_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

# Samples of each kind of text; which one is taken is the seed's choice.
_TEXTS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (base.Code, ("410.500", "city:pests", "2026-01", "B")),
    (base.Language, ("es", "en", "pt-BR")),
    (base.AreaCode, ("city:demo", "district:north", "postcode:00001")),
    (base.Subject, ("p-1", "client:demo-department")),
    (base.PublicName, ("Example Food Pantry", "Example Legal Help")),
    (inbound.OpenCode, ("demo-isd", "complaint", "B")),
    (inbound.Text, ("1 Example Street", "D-100")),
    (inbound.LongText, ("No heat in the front room.",)),
)


class Builder:
    """Makes an event's body from its model; the same seed makes the same body."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def body(self, model: type[BaseModel], *, every_field: bool) -> dict[str, Any]:
        hints = get_type_hints(model, include_extras=True)
        found = {}
        for name, field in model.model_fields.items():
            if every_field or field.is_required():
                found[field.alias or name] = self._value(hints[name], every_field=every_field)
        return found

    def _value(self, kind: Any, *, every_field: bool) -> Any:
        for known, samples in _TEXTS:
            if kind == known:
                return self._random.choice(samples)
        plain: dict[Any, Callable[[], Any]] = {
            UUID: self._uuid,
            base.Time: self._time,
            int: lambda: self._random.randint(1, 9),
            float: lambda: float(self._random.randint(18, 64)),
            bool: lambda: True,
        }
        if kind in plain:
            return plain[kind]()
        origin, inner = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            first = next(a for a in inner if a is not NoneType)
            return self._value(first, every_field=every_field)
        if origin is list:
            return [self._value(inner[0], every_field=every_field)]
        if origin is Literal:
            return self._random.choice(inner)
        if origin is Annotated:
            return self._value(inner[0], every_field=every_field)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._random.choice(sorted(str(code.value) for code in kind))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self.body(kind, every_field=every_field)
        raise TypeError(f"no sample for {kind}")

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _time(self) -> str:
        moment = _START + timedelta(minutes=self._random.randint(0, 500_000))
        return moment.isoformat().replace("+00:00", "Z")


def examples(event: type[Event]) -> dict[str, dict[str, Any]]:
    """The two bodies of a type by file name. An inspection's property needs one way to find it."""
    least = Builder(f"{event.TYPE} least").body(event, every_field=False)
    if event is inbound.InspectionReported:
        least["property"] = {"parcel_id": "P-100"}
    return {
        "least.json": least,
        "most.json": Builder(f"{event.TYPE} most").body(event, every_field=True),
    }


def sums() -> str:
    """The corpus' checksums, in the form of `sha256sum`."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(GOLDEN)}"
        for path in sorted(GOLDEN.glob("*/*.json"))
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    added = 0
    for event in EVENTS:
        folder = GOLDEN / event.TYPE
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        for name, body in examples(event).items():
            (folder / name).write_text(json.dumps(body, indent=2) + "\n")
            added += 1
    noted = SUMS.read_text().splitlines() if SUMS.exists() else []
    present = sums()
    changed = sorted(set(noted) - set(present.splitlines()))
    if changed:
        sys.stderr.write("the corpus is only added to; these changed or went:\n")
        sys.stderr.write("\n".join(f"  {line.split()[-1]}" for line in changed) + "\n")
        return 1
    SUMS.write_text(present)
    print(f"{added} examples were added.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
