"""Bodies that notify takes and gives."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from handoff_kit.http import Strict
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from notify_svc.domain.delivery import ANY, DeliveryStatus, asked_type
from notify_svc.domain.policy import WEBHOOK_TYPES

Language = Literal["en", "es"]


def _no_encoded_word(address: str) -> str:
    """RFC 2047: a header's reader would decode it, into anything."""
    if "=?" in address:
        raise PydanticCustomError("encoded_word", "An address holds no '=?'.")
    return address


# RFC 5321 in the part of it that mail servers agree on; no line ends, so no header can be put in.
EmailAddress = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
    ),
    AfterValidator(_no_encoded_word),
]


_NO_SUCH_TYPE: Final = f"There is no such type; there are: {', '.join(sorted(WEBHOOK_TYPES))}."


def _types(given: list[str]) -> list[str]:
    found = []
    for text in given:
        short = asked_type(text, WEBHOOK_TYPES)
        if short is None:
            raise PydanticCustomError("unknown_type", _NO_SUCH_TYPE)
        found.append(short)
    return [ANY] if ANY in found else sorted(set(found))


class NewWebhook(Strict):
    """``types``: such as ``offer.made``, ``offer.*`` or ``*``; none asks for all."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    types: Annotated[list[str], Field(max_length=100)] = []
    signature: Literal["v1", "v1a"] = "v1"

    _short_types = field_validator("types")(_types)


class ChangedWebhook(Strict):
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    types: Annotated[list[str], Field(max_length=100)] = []
    enabled: bool = True

    _short_types = field_validator("types")(_types)


class WebhookView(BaseModel):
    id: UUID
    url: str
    types: list[str]
    signature: Literal["v1", "v1a"]
    public_key: str | None
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    version: int


class CreatedWebhook(WebhookView):
    """``secret`` (``whsec_…``) is shown here and never again; of ``v1a`` there is a public key."""

    secret: str | None


class PreferencesBody(Strict):
    """``channels``: what you are told by, beside what always stands in the feed."""

    email: EmailAddress | None = None
    language: Language = "en"
    channels: Annotated[list[Literal["feed", "email", "webhook"]], Field(max_length=3)] = ["feed"]


class PreferencesView(BaseModel):
    email: str | None
    language: Language
    channels: list[str]
    version: int


class FeedItem(BaseModel):
    """One thing that was told. A city manager's has no ids at all."""

    id: UUID
    at: datetime
    type: str
    case_id: UUID | None
    need_id: UUID | None = None
    offer_id: UUID | None = None
    text: str
    read: bool


class AttemptView(BaseModel):
    at: datetime
    status_code: int | None
    error: str | None


class DeliveryView(BaseModel):
    id: UUID
    webhook_id: str
    endpoint_id: UUID | None
    channel: Literal["webhook", "email"]
    type: str
    status: DeliveryStatus
    reason: str | None
    attempts: list[AttemptView]
    next_try_at: datetime | None
    created_at: datetime


def delivery_view(row: Any) -> DeliveryView:
    """A row as its owner sees it."""
    pending = row.status == DeliveryStatus.PENDING
    return DeliveryView(
        id=row.id,
        webhook_id=row.webhook_id,
        endpoint_id=row.endpoint_id,
        channel=row.channel,
        type=row.type,
        status=row.status,
        reason=row.reason,
        attempts=row.attempts,
        next_try_at=row.next_try_at if pending else None,
        created_at=row.created_at,
    )
