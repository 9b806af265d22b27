"""Intake's own settings; the rest is `handoff_kit.settings.CoreSettings`."""

from handoff_kit.settings import HandoffSettings
from pydantic import Field


class IntakeSettings(HandoffSettings):
    """Environment of intake, ``HANDOFF_INTAKE_…``."""

    intake_writers: int = Field(default=2, ge=1, le=8)
    """Sets of referrals, and of inspections, that may be in flight at once."""
