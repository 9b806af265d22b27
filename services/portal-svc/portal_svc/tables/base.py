"""What all tables of the portal share: the schema and the kinds of column."""

from typing import Any

from sqlalchemy import DateTime, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA = "portal"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of the portal's tables; it has metadata of its own."""


METADATA = Base.metadata


def text(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_type=Text, primary_key=key, nullable=null)


def time(*, null: bool = False) -> Any:
    """A moment with its offset."""
    return Field(sa_type=DateTime(timezone=True), nullable=null)


def binary(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_type=LargeBinary, primary_key=key, nullable=null)


def json(*, null: bool = False) -> Any:
    """A list or an object."""
    return Field(sa_type=JSONB(none_as_null=True), nullable=null)
