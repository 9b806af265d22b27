"""Alembic's way into partner's schema."""

from handoff_kit.migrate import run_env
from partner_svc.tables import METADATA

run_env("partner", METADATA)
