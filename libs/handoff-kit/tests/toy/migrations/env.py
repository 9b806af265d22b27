"""Migrations of the toy service."""

from handoff_kit.migrate import run_env
from sqlalchemy import MetaData

run_env("toy", MetaData(schema="toy"))
