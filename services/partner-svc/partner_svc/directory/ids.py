"""Ids that stay: HSDS's UUIDs as they are, any other as UUIDv5 of source, table and id."""

import json
import uuid
from typing import Any

from partner_svc.directory.model import UUID_FORM

NAMESPACE = uuid.UUID("5f4e7a3e-7d39-5d0c-9a53-6d0f0c1b8a11")


def stable_id(source_name: str, table: str, id_: str) -> str:
    """A UUID for ``id_``: itself where it is one, else made from all three; never random."""
    return id_.lower() if UUID_FORM.fullmatch(id_) else _made(source_name, table, id_)


def content_id(source_name: str, table: str, parent: str, content: Any) -> str:
    """A UUID for a child row that has no id: of its parent and of what it says."""
    return _made(source_name, table, f"{parent} {canonical(content)}")


def _made(source_name: str, table: str, id_: str) -> str:
    return str(uuid.uuid5(NAMESPACE, json.dumps([source_name, table, id_])))


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
