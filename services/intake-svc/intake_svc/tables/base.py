"""What all tables of intake share: the schema and the kinds of column.

An index starts with the column that tells rows apart, never with the agency: a plan made while a
table was small takes any index that starts with an equal column, and keeps it when the table has
grown. Only the primary key starts with the agency.
"""

from typing import Any

from sqlalchemy import DateTime, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA = "intake"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of intake's tables; it has metadata of its own."""


METADATA = Base.metadata


def text(*, key: bool = False, null: bool = False) -> Any:
    """A code, or a fact of a property."""
    return Field(sa_type=Text, primary_key=key, nullable=null)


def time(*, null: bool = False) -> Any:
    """A moment with its offset."""
    return Field(sa_type=DateTime(timezone=True), nullable=null)


def json() -> Any:
    """A list or an object."""
    return Field(sa_type=JSONB, nullable=False)


def sealed(*, null: bool = False) -> Any:
    """Ciphertext, a wrapped key or a keyed hash."""
    return Field(sa_type=LargeBinary, nullable=null)
