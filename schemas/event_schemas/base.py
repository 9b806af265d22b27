"""What every event is, and the only kinds of field that an event may have.

A topic carries ids, closed-list codes, times, numbers, booleans and coarse areas; never a
resident fact and never free text (``docs/architecture.md``, privacy). ``lint.py`` holds every
model to the types defined here.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

# Topics of restricted kinds of need begin so.
RESTRICTED = "handoff.restricted."
Id = UUID
Time = AwareDatetime
# An open code, such as a city's violation code: short, no spaces inside a sentence can hide in it.
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/()#&+-]{0,63}$")]
# ISO 639 language tag.
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
# Level and code of an area, coarse enough not to be a home: "postcode:02150".
AreaCode = Annotated[
    str,
    StringConstraints(
        pattern=r"^(city|district|neighbourhood|tract|block_group|postcode):[A-Za-z0-9._-]{1,40}$"
    ),
]
# A subject of a token: the id of a person or of a client, never a name.
Subject = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,80}$")]
# Names that an organisation publishes about itself in a directory. Allowed on `directory` alone.
PublicName = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Part(BaseModel):
    """A flat group of fields inside an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(BaseModel):
    """Body of an event. Unknown fields are ignored, so that old readers take new writers.

    ``TYPE`` is the CloudEvents type, ``TOPIC`` the topic without the ``handoff.`` prefix,
    ``KEY`` the field whose value is the partition key and the subject.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    KEY: ClassVar[str]
    # Topics of cases have a twin for restricted kinds of need.
    MAY_BE_RESTRICTED: ClassVar[bool] = False

    def topic_name(self) -> str:
        """Full topic name; the restricted twin if this event is of a restricted kind."""
        restricted = self.MAY_BE_RESTRICTED and getattr(self, "restricted", False)
        return f"{RESTRICTED if restricted else 'handoff.'}{self.TOPIC}"

    def key_value(self) -> str:
        """Partition key: events with the same key of one source stay in order."""
        return str(getattr(self, self.KEY))


def parse(model: type[Event], body: bytes) -> Event:
    """Validate *body* (JSON) as *model*. Raises ``pydantic.ValidationError``."""
    return model.model_validate_json(body)


__all__ = [
    "Annotated",
    "Any",
    "AreaCode",
    "Code",
    "Event",
    "Field",
    "Id",
    "Language",
    "Part",
    "PublicName",
    "Subject",
    "Time",
    "datetime",
    "parse",
]
