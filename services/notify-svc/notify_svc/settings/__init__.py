"""What notify can be told from outside, beside the settings that all services share."""

from typing import Annotated

from handoff_kit.settings import HandoffSettings
from pydantic import AnyUrl, BeforeValidator, Field, UrlConstraints

from notify_svc.settings.policyfile import load_policy


def _none_if_empty(value: object) -> object:
    return value or None


SmtpUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["smtp", "smtps"], host_required=True)]


class NotifySettings(HandoffSettings):
    """Each is ``HANDOFF_`` and the name in capitals.

    ``smtp_url``: ``smtp://[user:password@]host[:port]`` (STARTTLS where the server offers it) or
    ``smtps://`` (TLS at once); empty: mails become files under ``$HANDOFF_HOME/outbox-mail``.
    ``webhook_timeout``: seconds for a whole exchange. ``webhook_concurrency``: most exchanges at
    once with one endpoint, a process. ``webhook_allow_private``: for tests and closed networks.
    """

    smtp_url: Annotated[SmtpUrl | None, BeforeValidator(_none_if_empty)] = Field(None, repr=False)
    mail_from: str = Field(default="handoff@localhost", min_length=3, max_length=254)
    webhook_allow_private: bool = False
    webhook_timeout: float = Field(default=15.0, gt=0, le=60)
    webhook_concurrency: int = Field(default=16, ge=1, le=64)


__all__ = ["NotifySettings", "load_policy"]
