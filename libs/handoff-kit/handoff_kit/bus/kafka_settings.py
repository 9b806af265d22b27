"""How to reach the brokers; apart from the client, which the embedded way never loads."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class KafkaSettings:
    """How to reach the brokers. ``options`` are aiokafka's security arguments."""

    bootstrap_servers: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def client(self) -> dict[str, Any]:
        options = dict(self.options)
        cafile = options.pop("ssl_cafile", None)
        if options.get("security_protocol", "PLAINTEXT") in ("SSL", "SASL_SSL"):
            context = ssl.create_default_context(cafile=cafile)
            certificate, key = options.pop("ssl_certfile", None), options.pop("ssl_keyfile", None)
            if certificate:
                context.load_cert_chain(certificate, key)
            options["ssl_context"] = context
        return {"bootstrap_servers": self.bootstrap_servers, **options}
