"""Small feeds of services, and what was made of them."""

import io
import json
import zipfile
from typing import Any

from partner_svc.directory import (
    TermMap,
    read,
)

ORG = {"id": "o1", "name": "Food Bank", "description": "Food"}
SERVICE = {"id": "s1", "organization_id": "o1", "name": "Pantry", "status": "active"}


NESTED = {
    "id": "s1",
    "name": "Pantry",
    "status": "active",
    "organization": ORG,
    "service_at_locations": [
        {"location": {"id": "l1", "location_type": "physical", "name": "Hall"}}
    ],
}


def take(value: Any, *, terms: TermMap | None = None, name: str = "test"):
    return read(json.dumps(value).encode(), source_name=name, terms=terms)


def tables(**more: list[dict[str, Any]]):
    return {"organizations": [ORG], "services": [SERVICE]} | more


def only_service(reading):
    (service,) = reading.directory.services
    return service


def reasons(reading, table: str) -> list[tuple[str, str, str]]:
    return [(r.kind, r.field, r.reason) for r in reading.report if r.table == table]


def as_zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


CSV = {
    "organizations.csv": b"id,name\no1,Food Bank\n",
    "services.csv": b"id,organization_id,name,status\ns1,o1,Pantry,active\n",
}
