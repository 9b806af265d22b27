"""Each kind of failure: one named exception, one fate, one HTTP status.

The first line of a docstring is the message that a caller reads. No message ever echoes a value of
the request: fields are named, values are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

__all__ = [
    "Conflict",
    "ConsentRequired",
    "Fate",
    "FieldError",
    "HandoffError",
    "IdempotencyMismatch",
    "IllegalTransition",
    "Invalid",
    "NotVisible",
    "Permanent",
    "PreconditionRequired",
    "ScopeMissing",
    "StaleVersion",
    "TooLarge",
    "Transient",
    "Unauthenticated",
    "Unavailable",
    "Waiting",
    "WrongContentType",
]


class Fate(StrEnum):
    """What becomes of the work that failed."""

    REFUSE = "refuse"  # answered to the caller; in a consumer it is parked like PARK
    RETRY = "retry"  # the same work may succeed later, unchanged
    PARK = "park"  # only a person or other code can mend it
    WAIT = "wait"  # another writer's event has to come first


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that has to be mended: dotted path, a code from a closed list, a sentence."""

    field: str
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code, "message": self.message}


class HandoffError(Exception):
    """The request could not be completed."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"
    fate: ClassVar[Fate] = Fate.PARK
    _message: ClassVar[str]

    code: str
    detail: str
    errors: list[FieldError]
    extra: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._message = _first_line(cls.__doc__)

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        errors: Iterable[FieldError] = (),
        **extra: Any,
    ) -> None:
        """`extra` becomes members of the problem document (RFC 9457, 3.2), such as `allowed`."""
        self.code = code or self.default_code
        self.detail = detail or self._message
        self.errors = list(errors)
        self.extra = extra
        super().__init__(self.detail)

    @property
    def message(self) -> str:
        """The sentence of this kind of failure, the same for every instance."""
        return self._message


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0]


HandoffError._message = _first_line(HandoffError.__doc__)


class Unauthenticated(HandoffError):
    """A valid access token is needed."""

    status = 401
    default_code = "unauthenticated"
    fate = Fate.REFUSE


class ScopeMissing(HandoffError):
    """The access token does not carry the scope that this operation needs."""

    status = 403
    default_code = "scope-missing"
    fate = Fate.REFUSE


class NotVisible(HandoffError):
    """There is nothing here that the caller may see."""

    status = 404
    default_code = "not-found"
    fate = Fate.REFUSE


class Conflict(HandoffError):
    """The request conflicts with what is there."""

    status = 409
    default_code = "conflict"
    fate = Fate.REFUSE


class IllegalTransition(Conflict):
    """This transition is not possible from the present state."""

    default_code = "illegal-transition"

    def __init__(self, detail: str | None = None, *, allowed: Iterable[str], **extra: Any) -> None:
        """`allowed`: the transitions that are possible now."""
        super().__init__(detail, allowed=sorted(allowed), **extra)


class PreconditionRequired(HandoffError):
    """An If-Match header with the version last read is needed."""

    status = 428
    default_code = "precondition-required"
    fate = Fate.REFUSE


class StaleVersion(HandoffError):
    """The thing was changed since it was read; read it again."""

    status = 412
    default_code = "stale-version"
    fate = Fate.REFUSE


class Invalid(HandoffError):
    """The request has fields that have to be mended."""

    status = 422
    default_code = "invalid"
    fate = Fate.REFUSE


class ConsentRequired(Invalid):
    """A consent that covers each need is required."""

    default_code = "consent-required"


class IdempotencyMismatch(Invalid):
    """The Idempotency-Key was used before with another body."""

    default_code = "idempotency-mismatch"


class TooLarge(HandoffError):
    """The body is larger than this operation takes."""

    status = 413
    default_code = "too-large"
    fate = Fate.REFUSE


class WrongContentType(HandoffError):
    """The body has to be sent as application/json."""

    status = 415
    default_code = "wrong-content-type"
    fate = Fate.REFUSE


class Transient(HandoffError):
    """A part of the system is away for the moment; try again."""

    status = 503
    default_code = "unavailable"
    fate = Fate.RETRY

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **kwargs: Any) -> None:
        """`retry_after`: seconds, sent as Retry-After (RFC 9110, 10.2.3)."""
        super().__init__(detail, retry_after=retry_after, **kwargs)


class Unavailable(Transient):
    """The service cannot answer at the moment; try again later."""


class Waiting(HandoffError):
    """Another event has to arrive first.

    ``events``: source and id of each event of the set that waits, and for what. Empty where the
    handler cannot tell: the consumer looks for them then.
    """

    status = 503
    default_code = "waiting"
    fate = Fate.WAIT

    def __init__(
        self,
        detail: str | None = None,
        *,
        events: Mapping[tuple[str, str], str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail, **extra)
        self.events: Mapping[tuple[str, str], str] = events or {}


class Permanent(HandoffError):
    """This cannot succeed however often it is tried."""

    status = 500
    default_code = "permanent"
    fate = Fate.PARK
