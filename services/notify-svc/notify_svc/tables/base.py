"""What all tables of notify share: the schema and the kinds of column."""

from typing import Any

from sqlalchemy import DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA = "notify"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of notify's tables; it has metadata of its own."""


METADATA = Base.metadata


def text(*, key: bool = False, null: bool = False) -> Any:
    """A code, an id that is no UUID, or a sentence."""
    return Field(sa_type=Text, primary_key=key, nullable=null)


def time(*, null: bool = False) -> Any:
    """A moment with its offset."""
    return Field(sa_type=DateTime(timezone=True), nullable=null)


def json() -> Any:
    """A list or an object."""
    return Field(sa_type=JSONB, nullable=False)
