"""Events on ``handoff.deliveries`` (and its restricted twin) and ``handoff.parked``."""

from typing import ClassVar, Literal

from event_schemas.base import Code, Event, Id, Time

Channel = Literal["webhook", "email"]


class _Delivery(Event):
    TOPIC: ClassVar[str] = "deliveries"
    KEY: ClassVar[str] = "delivery_id"
    MAY_BE_RESTRICTED: ClassVar[bool] = True

    delivery_id: Id
    endpoint_id: Id | None = None
    channel: Channel
    about: Id  # The event that it tells of.
    attempts: int
    at: Time
    restricted: bool = False


class DeliverySucceeded(_Delivery):
    TYPE: ClassVar[str] = "handoff.delivery.succeeded.v1"


class DeliveryFailed(_Delivery):
    TYPE: ClassVar[str] = "handoff.delivery.failed.v1"
    reason: Code


class EndpointDisabled(Event):
    TYPE: ClassVar[str] = "handoff.endpoint.disabled.v1"
    TOPIC: ClassVar[str] = "deliveries"
    KEY: ClassVar[str] = "endpoint_id"

    endpoint_id: Id
    reason: Code
    at: Time


class EventParked(Event):
    """A consumer could not take an event. Ids and codes only; the body stays with the consumer."""

    TYPE: ClassVar[str] = "handoff.event.parked.v1"
    TOPIC: ClassVar[str] = "parked"
    KEY: ClassVar[str] = "parked_id"

    parked_id: Id
    group: Code
    topic: Code
    partition: int
    offset: int
    event_id: Code | None = None
    event_type: Code | None = None
    reason: Code
    attempts: int
    at: Time
