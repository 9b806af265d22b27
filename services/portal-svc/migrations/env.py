"""Migrations of the portal."""

from handoff_kit.migrate import run_env
from portal_svc.tables import METADATA

run_env("portal", METADATA)
