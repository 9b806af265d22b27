"""Events on ``handoff.access``, written by the portal: who may no longer come in."""

from typing import ClassVar

from event_schemas.base import Event, Id, Subject, Time


class ClientRevoked(Event):
    """A machine's credentials ended."""

    TYPE: ClassVar[str] = "handoff.client.revoked.v1"
    TOPIC: ClassVar[str] = "access"
    KEY: ClassVar[str] = "client_id"

    client_id: Subject
    at: Time


class PersonDisabled(Event):
    """A person's account ended, and with it every client that spoke for that person."""

    TYPE: ClassVar[str] = "handoff.person.disabled.v1"
    TOPIC: ClassVar[str] = "access"
    KEY: ClassVar[str] = "person_id"

    person_id: Id
    at: Time
