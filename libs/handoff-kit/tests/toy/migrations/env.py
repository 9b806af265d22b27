"""Migrations of the toy service."""

from sqlalchemy import MetaData

from handoff_kit.migrate import run_env

run_env("toy", MetaData(schema="toy"))
