"""One JSON Schema 2020-12 for each type of event."""

from typing import Any

from event_schemas.base import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(event: type[Event]) -> dict[str, Any]:
    """The schema of the event's body, as a reader checks it (aliases, defaults optional)."""
    body = event.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, "$id": f"urn:handoff:event:{event.TYPE}", **body}


def file_name(event: type[Event]) -> str:
    """Name of the schema's file; also the name of the folder of its golden examples."""
    return f"{event.TYPE}.json"
