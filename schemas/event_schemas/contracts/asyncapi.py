"""The log as an AsyncAPI 3.0 document: channels are topics, messages are events.

Seen from Handoff as a whole: it sends on every channel and receives on departments' inbound one.
"""

import inspect
from typing import Any

from event_schemas.base import Event
from event_schemas.contracts.json_schema import DIALECT, file_name
from event_schemas.registry import BY_TOPIC_AND_TYPE, EVENTS, TOPICS, Topic

VERSION = "1.0.0"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
INBOUND = "handoff.inbound.inspections"
# Who writes which topic, by the name without prefix; one writer's events of a key keep their order.
WRITERS: dict[str, tuple[str, ...]] = {
    "inbound.inspections": ("departments",),
    "inspections": ("intake",),
    "consents": ("intake",),
    "cases": ("referral",),
    "referrals": ("intake", "referral"),
    "offers": ("partner",),
    "directory": ("partner",),
    "deliveries": ("notify",),
    "access": ("portal",),
    "parked": ("intake", "referral", "partner", "notify", "portal"),
}

_TEXT = {"type": "string"}
_HEADERS: dict[str, dict[str, Any]] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {**_TEXT, "description": "Of this event; (ce_source, ce_id) is the identity"},
    "ce_source": {**_TEXT, "description": "/handoff/<service>, or the department's own"},
    "ce_type": _TEXT,
    "ce_time": {"type": "string", "format": "date-time"},
    "ce_subject": {**_TEXT, "description": "The key"},
    "ce_agency": {**_TEXT, "description": "The city or county"},
    "ce_sequence": {
        "type": "string",
        "pattern": "^[1-9][0-9]*$",
        "description": "1..n without holes for each source, topic and key",
    },
    "traceparent": {**_TEXT, "description": "W3C trace context"},
    "content-type": {"type": "string", "const": "application/json"},
}
_ALWAYS = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_agency"]
_OURS = [*_ALWAYS, "ce_time", "ce_subject", "ce_sequence", "traceparent", "content-type"]


def asyncapi_document() -> dict[str, Any]:
    """The whole document, in the order of the registry; payloads refer to ``json/``."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:handoff",
        "info": {
            "title": "Handoff's log",
            "version": VERSION,
            "description": (
                "Ids, codes, times, numbers and coarse areas; never a resident's fact. CloudEvents"
                " 1.0 in binary mode: the attributes are headers, the value is the body as JSON."
                " The key is the value of the field that x-key names."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {_id(topic): _channel(TOPICS[topic]) for topic in TOPICS},
        "operations": {_operation_id(topic): _operation(topic) for topic in TOPICS},
        "components": {"messages": {event.TYPE: _message(event) for event in EVENTS}},
    }


def _id(topic: str) -> str:
    return topic.removeprefix("handoff.")


def _plain(topic: str) -> str:
    return _id(topic).removeprefix("restricted.")


def _channel(topic: Topic) -> dict[str, Any]:
    kept = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    return {
        "address": topic.name,
        "description": f"Written by {', '.join(WRITERS[_plain(topic.name)])}.",
        "messages": {
            type_: {"$ref": f"#/components/messages/{type_}"}
            for (name, type_) in BY_TOPIC_AND_TYPE
            if name == topic.name
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": kept},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation_id(topic: str) -> str:
    return f"{_action(topic)}.{_id(topic)}"


def _action(topic: str) -> str:
    return "receive" if topic == INBOUND else "send"


def _operation(topic: str) -> dict[str, Any]:
    return {
        "action": _action(topic),
        "channel": {"$ref": f"#/channels/{_id(topic)}"},
        "tags": [{"name": writer} for writer in WRITERS[_plain(topic)]],
    }


def _message(event: type[Event]) -> dict[str, Any]:
    inbound = f"handoff.{event.TOPIC}" == INBOUND
    headers = {**_HEADERS, "ce_type": {"type": "string", "const": event.TYPE}}
    if inbound:
        del headers["ce_sequence"], headers["ce_subject"]
    stated = inspect.cleandoc(event.__doc__ or "") if event.__doc__ != Event.__doc__ else ""
    said = {"description": stated} if stated else {}
    return {
        "name": event.TYPE,
        "title": event.__name__,
        **said,
        "contentType": "application/json",
        "headers": {
            "$schema": DIALECT,
            "type": "object",
            "properties": headers,
            "required": _ALWAYS if inbound else _OURS,
        },
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": {"$ref": f"json/{file_name(event)}"},
        },
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
        "x-key": event.KEY,
    }
