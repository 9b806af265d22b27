"""The life of one delivery: pending → succeeded, failed or cancelled.

Retry schedule and status codes follow the Standard Webhooks specification 1.0.0, "Deliverability
and reliability" and "Delivery success and failure".
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Waiting time before the 2nd, 3rd, … attempt: three days in all.
RETRY_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER: Final = 0.2  # of the waiting time, either way
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)

GONE: Final = 410
# Answers whose Retry-After is heeded.
_THROTTLED: Final = frozenset({429, 502, 503, 504})


class Error(StrEnum):
    """Why an attempt did not succeed. ``status`` stands beside the code of an answer."""

    STATUS = "status"
    REDIRECT = "redirect-not-followed"
    TIMEOUT = "timeout"
    CONNECTION = "connection-failed"
    UNRESOLVED = "name-not-resolved"
    ADDRESS_REFUSED = "address-refused"
    TLS = "tls-failed"
    PROTOCOL = "protocol-error"
    MAIL_REFUSED = "mail-refused"
    MAIL_FAILED = "mail-failed"


# What another try cannot mend: a blocked address, a mailbox that does not exist.
FINAL_ERRORS: Final = frozenset({Error.ADDRESS_REFUSED, Error.MAIL_REFUSED})


@dataclass(frozen=True, slots=True)
class Attempted:
    """Outcome of one attempt. ``retry_after`` in seconds, as the answer asked for."""

    status_code: int | None = None
    error: Error | None = None
    retry_after: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Next:
    """What a delivery becomes after an attempt. ``wait`` only while it is pending."""

    status: DeliveryStatus
    wait: timedelta | None = None
    reason: str | None = None
    disables_endpoint: bool = False


def by_status(status_code: int, retry_after: int | None = None) -> Attempted:
    """An answer as the outcome of an attempt."""
    if 200 <= status_code < 300:
        return Attempted(status_code)
    if 300 <= status_code < 400:
        return Attempted(status_code, Error.REDIRECT)
    heeded = retry_after if status_code in _THROTTLED else None
    return Attempted(status_code, Error.STATUS, heeded)


def after_attempt(outcome: Attempted, attempts: int, random: Callable[[], float]) -> Next:
    """*attempts*: how many there were, this one included. *random*: 0 to 1."""
    if outcome.succeeded:
        return Next(DeliveryStatus.SUCCEEDED)
    if outcome.status_code == GONE:
        return Next(DeliveryStatus.FAILED, reason="gone", disables_endpoint=True)
    reason = outcome.error.value if outcome.error else "unknown"
    if outcome.error in FINAL_ERRORS or attempts > len(RETRY_AFTER):
        return Next(DeliveryStatus.FAILED, reason=reason)
    wait = RETRY_AFTER[attempts - 1] * (1 + JITTER * (2 * random() - 1))
    if outcome.retry_after is not None:
        asked = min(timedelta(seconds=outcome.retry_after), LONGEST_RETRY_AFTER)
        wait = max(wait, asked)
    return Next(DeliveryStatus.PENDING, wait=wait, reason=reason)


ANY: Final = "*"


def asked_type(text: str, known: Collection[str]) -> str | None:
    """A type that an endpoint asks for, in its short form; None where there is no such type.

    Taken are ``offer.made``, the full ``handoff.offer.made.v1``, a family ``offer.*`` and ``*``.
    """
    short = text.removeprefix("handoff.")
    head, _, version = short.rpartition(".v")
    if head and version.isdigit():
        short = head
    if short == ANY or short in known:
        return short
    family = short.removesuffix(ANY)
    fits = family.endswith(".") and any(one.startswith(family) for one in known)
    return short if fits and short.endswith(ANY) else None


def wants(types: Sequence[str], type_: str) -> bool:
    """Whether an endpoint that asked for *types* gets this one; no types ask for all."""
    return not types or any(
        asked in (ANY, type_) or (asked.endswith(".*") and type_.startswith(asked[:-1]))
        for asked in types
    )
