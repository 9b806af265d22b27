"""The rules of a map: where a field's value comes from, which rows are meant, where points lie."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
_ZONE_NAME = re.compile(r"(?<!%)(?:%%)*%Z")
_YEAR = re.compile(r"%[YyGcxs]")
UNIX = {"unix": 1, "unix-ms": 1000}
"""Formats that count from 1970 in UTC, with their steps a second."""
EXCEL = {"excel": datetime(1899, 12, 30), "excel-1904": datetime(1904, 1, 1)}  # noqa: DTZ001
"""Formats that count days, with the day that is 0; they are local times."""
ISO = "iso"
PLACE = re.compile(r"#([1-9]\d{0,4})")
"""A column of a table by its place, from 1."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _some(value: Any) -> Any:
    """One or a list, as a list."""
    return value if isinstance(value, list | tuple) else [value]


_NULL = ("", "null", "Null", "NULL")
"""What YAML reads as no text at all, so that a map need not quote what databases write."""


def _texts(value: Any) -> Any:
    return [text for one in _some(value) for text in (_NULL if one is None else (one,))]


Texts = Annotated[frozenset[str], BeforeValidator(_texts)]
"""Texts of a cell; one or a list."""


def compile_pattern(given: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises ValueError that says what is wrong with it."""
    try:
        return re.compile(given)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'{given}' is no regular expression: {error}") from error


def _is_pattern(given: str) -> str:
    compile_pattern(given)
    return given


Pattern = Annotated[str, AfterValidator(_is_pattern)]
"""A regular expression."""


class FieldRule(Model):
    """Where a field's value comes from and what is done with it.

    One of ``column``, ``template``, ``value``; a list of columns or templates is tried in
    order until one is not empty.
    """

    column: str | list[str] | None = None
    template: str | list[str] | None = None
    value: str | None = None
    format: str | list[str] | None = None
    values: dict[str, str | None] = {}
    pattern: Pattern | None = None
    default: str | None = None
    required: bool = True

    @model_validator(mode="before")
    @classmethod
    def _is_a_rule(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            # ValueError, since Pydantic reports no TypeError.
            raise ValueError("must be a rule such as {column: some column}")  # noqa: TRY004
        return given

    @field_validator("template")
    @classmethod
    def _template(cls, given: str | list[str] | None) -> str | list[str] | None:
        for one in [] if given is None else _some(given):
            if not template_columns(one):
                raise ValueError(f"'{one}' names no column in braces; for a constant use value")
        return given

    @field_validator("format")
    @classmethod
    def _format(cls, given: str | list[str] | None) -> str | list[str] | None:
        for one in [] if given is None else _some(given):
            _check_format(one)
        return given

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldRule":
        origins = [self.column, self.template, self.value]
        if sum(origin is not None for origin in origins) != 1 or [] in origins:
            raise ValueError("needs one of column, template, value")
        return self

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns that the rule reads, in order."""
        if self.column is not None:
            return tuple(_some(self.column))
        found = (name for one in self.templates for name in template_columns(one))
        return tuple(dict.fromkeys(found))

    @cached_property
    def templates(self) -> tuple[str, ...]:
        return () if self.template is None else tuple(_some(self.template))

    @cached_property
    def formats(self) -> tuple[str, ...]:
        return () if self.format is None else tuple(_some(self.format))

    @cached_property
    def regex(self) -> re.Pattern[str] | None:
        return None if self.pattern is None else compile_pattern(self.pattern)


class Keyword(Model):
    """Words in a finding's text (a regular expression, letter case ignored) that mean a code."""

    match: Pattern = Field(min_length=1)
    code: str = Field(min_length=1)
    scheme: str | None = None

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.match, re.IGNORECASE)


class FindingsFrom(Model):
    """Where one record tells of several findings: a list in JSON, or a cell with separators."""

    column: str = Field(min_length=1)
    separator: str | None = Field(default=None, min_length=1)


class Condition(Model):
    """What a row's cell must be: one of the texts ``in``, or where ``pattern`` is found."""

    column: str = Field(min_length=1)
    among: Texts | None = Field(default=None, alias="in")
    pattern: Pattern | None = None

    @model_validator(mode="after")
    def _one_test(self) -> "Condition":
        if (self.among is None) == (self.pattern is None):
            raise ValueError("needs one of in (a list of the cell's texts), pattern")
        return self

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return compile_pattern(self.pattern or "")

    def holds(self, text: str) -> bool:
        if self.among is not None:
            return text in self.among
        return self.regex.search(text) is not None


Conditions = Annotated[
    list[Condition],
    BeforeValidator(_some, json_schema_input_type=Condition | list[Condition]),
]


class Bounds(Model):
    """The box, in degrees, outside of which no point of the export can lie."""

    south: float = Field(ge=-90, le=90)
    north: float = Field(ge=-90, le=90)
    west: float = Field(ge=-180, le=180)
    east: float = Field(ge=-180, le=180)

    @model_validator(mode="after")
    def _is_a_box(self) -> "Bounds":
        if self.south >= self.north:
            raise ValueError("south must be less than north")
        return self

    def hold(self, latitude: float, longitude: float) -> bool:
        """Whether the point is inside. A box whose west exceeds its east crosses the date line."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


@lru_cache(maxsize=1024)
def template_columns(template: str) -> tuple[str, ...]:
    """The columns in braces. Raises ValueError for a brace without its partner."""
    names = []
    for found in _PLACEHOLDER.finditer(template):
        if found.group(1) is not None:
            names.append(found.group(1).strip())
        elif len(found.group(0)) == 1:
            raise ValueError(
                f"'{template}' has a single '{found.group(0)}'; write a column as "
                "{column}, a brace itself as {{ or }}"
            )
    return tuple(names)


def render(template: str, cells: Mapping[str, str]) -> str:
    """The template with its columns' text, runs of spaces made one.

    Empty where all of its columns are empty, whatever stands around them.
    """
    if not any(cells[name] for name in template_columns(template)):
        return ""

    def replaced(found: re.Match[str]) -> str:
        name = found.group(1)
        return found.group(0)[0] if name is None else cells[name.strip()]

    return " ".join(_PLACEHOLDER.sub(replaced, template).split())


def _check_format(given: str) -> None:
    if given in UNIX or given in EXCEL or given == ISO:
        return
    if "%" not in given:
        raise ValueError(
            f"'{given}' has no directive; write a date as %m/%d/%Y, %H:%M:%S"
            " (or iso; unix, unix-ms for a count of seconds, milliseconds; excel for one of days)"
        )
    if _ZONE_NAME.search(given):
        raise ValueError(
            f"'{given}' has %Z, a zone's name, which no time can be told by;"
            " cut it off by a pattern and name the timezone in the map"
        )
    if not _YEAR.search(given):
        raise ValueError(f"'{given}' names no year (%Y)")
    try:
        probe = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC).strftime(given)
        datetime.strptime(probe, given)  # noqa: DTZ007 - only the format is tried
    except ValueError as error:
        raise ValueError(f"'{given}' is no time format: {error}") from error
