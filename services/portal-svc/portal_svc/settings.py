"""The portal's own settings."""

from pathlib import Path

from handoff_kit.settings import HandoffSettings


class PortalSettings(HandoffSettings):
    """``HANDOFF_SIGNING_KEYS_FILE``: the private JWK set that signs access tokens, mode 0600."""

    signing_keys_file: Path
