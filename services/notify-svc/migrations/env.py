"""Alembic's way into notify's schema."""

from handoff_kit.migrate import run_env
from notify_svc.tables import METADATA

run_env("notify", METADATA)
