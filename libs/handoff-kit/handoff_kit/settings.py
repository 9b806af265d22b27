"""Settings that every service reads from the environment. A service's own are in its package.

A missing or malformed value stops the start, by name.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handoff_kit.bus.kafka_settings import KafkaSettings

SERVICES = ("intake", "referral", "partner", "notify", "portal")


class SettingsRefused(ValueError):
    """The environment does not hold what this process needs; the message names each variable."""


class HandoffSettings(BaseModel):
    """Base of every settings class: ``HANDOFF_`` and the field's name in capitals."""

    model_config = ConfigDict(frozen=True)


class CoreSettings(HandoffSettings):
    """What every process needs to know of where it runs."""

    home: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    worker_port: int | None = Field(default=None, ge=1, le=65535)
    city: str = "demo"
    bus: Literal["embedded", "kafka"] = "embedded"
    database_url: str
    public_url: str = ""
    intake_url: str = ""
    referral_url: str = ""
    partner_url: str = ""
    notify_url: str = ""
    portal_url: str = ""
    service_client_id: str = ""
    service_client_secret: str = Field(default="", repr=False)
    key_file: Path | None = None
    jwks_file: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    kafka_bootstrap_servers: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: str = ""
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = Field(default="", repr=False)
    kafka_ssl_cafile: str = ""
    kafka_ssl_certfile: str = ""
    kafka_ssl_keyfile: str = ""
    kafka_instance_id: str = ""

    @property
    def origin(self) -> str:
        """Public address without a trailing slash; also the issuer of tokens."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    def url(self, service: str) -> str:
        """Address of *service* for calls between services."""
        return (getattr(self, f"{service}_url") or self.origin).rstrip("/")

    def kafka(self) -> KafkaSettings:
        """Raises: SettingsRefused when no broker is named."""
        if not self.kafka_bootstrap_servers:
            raise SettingsRefused(
                "HANDOFF_KAFKA_BOOTSTRAP_SERVERS: needed when HANDOFF_BUS is kafka"
            )
        options: dict[str, Any] = {
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": self.kafka_sasl_password,
            "ssl_cafile": self.kafka_ssl_cafile,
            "ssl_certfile": self.kafka_ssl_certfile,
            "ssl_keyfile": self.kafka_ssl_keyfile,
        }
        return KafkaSettings(self.kafka_bootstrap_servers, {k: v for k, v in options.items() if v})


S = TypeVar("S", bound=HandoffSettings)


def read(kind: type[S], environment: Mapping[str, str] | None = None) -> S:
    """Read *kind* from the environment, or from *environment* alone where that is given.

    Raises: SettingsRefused, one line a variable.
    """
    source = os.environ if environment is None else environment
    given = {
        name: source[variable]
        for name in kind.model_fields
        if source.get(variable := f"HANDOFF_{name.upper()}")  # Empty is as good as absent.
    }
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        lines = [
            f"HANDOFF_{str(fault['loc'][0]).upper()}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsRefused("\n".join(lines)) from None
