"""Events on ``handoff.consents`` (and its restricted twin), written by intake.

They say that a consent exists and what it covers; never who gave it. A consent covers the needs
of one case only, so that no id on a topic joins a restricted case to the household's other one.
"""

from typing import ClassVar, Literal

from event_schemas.base import Code, Event, Id, Language, Time
from event_schemas.codes import NeedCategory


class _Consent(Event):
    TOPIC: ClassVar[str] = "consents"
    KEY: ClassVar[str] = "consent_id"
    MAY_BE_RESTRICTED: ClassVar[bool] = True

    consent_id: Id
    case_id: Id
    restricted: bool = False
    at: Time


class ConsentGranted(_Consent):
    """Also said when a consent is extended, renewed or replaced: the latest one counts."""

    TYPE: ClassVar[str] = "handoff.consent.granted.v1"

    version: int
    recipients: list[Id]
    categories: list[NeedCategory]
    purposes: list[Code]
    feedback: bool = False
    method: Literal["spoken", "written", "electronic"]
    language: Language
    notice_version: Code
    expires_at: Time


class ConsentWithdrawn(_Consent):
    TYPE: ClassVar[str] = "handoff.consent.withdrawn.v1"


class ConsentExpired(_Consent):
    TYPE: ClassVar[str] = "handoff.consent.expired.v1"
