"""Names of span attributes in one place: the messaging conventions of OpenTelemetry still move.

Taken from the semantic conventions for messaging spans and for HTTP (stable). Never an id of a
resident, a case or an offer, and never a value of a request.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.util.types import AttributeValue

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
MESSAGING_CONSUMER_GROUP: Final = "messaging.consumer.group.name"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"

# Our operation → the convention's operation type; "commit" settles, "poll" receives.
_OPERATION_TYPES: Final = {
    "create": "create",
    "send": "send",
    "poll": "receive",
    "process": "process",
    "commit": "settle",
}


def messaging(
    operation: str, topic: str, *, count: int | None = None, group: str | None = None
) -> dict[str, AttributeValue]:
    """The attributes of one messaging span. `count`: messages in the batch."""
    attributes: dict[str, AttributeValue] = {
        MESSAGING_SYSTEM: "handoff",
        MESSAGING_DESTINATION: topic,
        MESSAGING_OPERATION_NAME: operation,
        MESSAGING_OPERATION_TYPE: _OPERATION_TYPES[operation],
    }
    if count is not None:
        attributes[MESSAGING_BATCH_COUNT] = count
    if group is not None:
        attributes[MESSAGING_CONSUMER_GROUP] = group
    return attributes
