"""Cursor pages: `{"items": […], "next_cursor": "…" | null}`, 50 at a time, 200 at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel

from handoff_kit.cursor import SortKey, decode_cursor, encode_cursor

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Page", "PageParams", "PageRequest", "page_of"]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

T = TypeVar("T")
Row = TypeVar("Row")
_Key = TypeVar("_Key", str, int, datetime)


class Page(BaseModel, Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted. Fetch `fetch` rows, one more than `limit`, to see if more follow."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    @property
    def fetch(self) -> int:
        return self.limit + 1

    def after(self, key_type: type[_Key]) -> tuple[_Key, str] | None:
        """(sort key, id) of the last item seen; None for the first page. Raises Invalid."""
        return decode_cursor(self.cursor, key_type) if self.cursor else None


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1024, pattern="^[A-Za-z0-9_-]*$")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageParams = Annotated[PageRequest, Depends(_page_request)]


def page_of(
    rows: Sequence[Row],
    request: PageRequest,
    *,
    position: Callable[[Row], tuple[SortKey, UUID | str]],
    item: Callable[[Row], T],
) -> Page[T]:
    """The page of up to `request.fetch` rows. `position` gives (sort key, id) of a row."""
    shown = rows[: request.limit]
    more = len(rows) > request.limit
    return Page(
        items=[item(row) for row in shown],
        next_cursor=encode_cursor(*position(shown[-1])) if more else None,
    )
