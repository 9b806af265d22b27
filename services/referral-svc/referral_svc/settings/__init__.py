"""Settings of referral's own; the kit's ``CoreSettings`` has the rest."""

from handoff_kit.settings import HandoffSettings
from pydantic import Field


class Settings(HandoffSettings):
    """``policy_reload``: seconds between looks at the city's policy files for a change."""

    policy_reload: float = Field(default=5.0, gt=0)
