"""Runs intake's migrations."""

from handoff_kit.migrate import run_env
from intake_svc.tables import METADATA

run_env("intake", METADATA)
