"""The portal's own settings."""

from pathlib import Path

from handoff_kit.settings import HandoffSettings
from pydantic import field_validator

from portal_svc.domain.addresses import Networks, networks


class PortalSettings(HandoffSettings):
    """``HANDOFF_SIGNING_KEYS_FILE``: the private JWK set that signs access tokens, mode 0600.

    ``HANDOFF_TRUSTED_PROXIES``: addresses and networks whose X-Forwarded-For is believed.
    """

    signing_keys_file: Path
    trusted_proxies: str = ""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks(text)
        return text

    @property
    def proxies(self) -> Networks:
        return networks(self.trusted_proxies)
