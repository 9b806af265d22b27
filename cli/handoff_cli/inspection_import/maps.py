"""A map: how a department's export becomes inspections, as data (YAML).

The syntax is described for users in ``docs/integrating/maps.md``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from handoff_kit.cities import CityNotFound, cities_folder
from handoff_kit.yamlfile import Fault, FileRefused, Misfit, load
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from handoff_cli.inspection_import.targets import (
    FINDING_TARGETS,
    INSPECTION_TARGETS,
    REQUIRED_TARGETS,
    Kind,
)

SHIPPED_NAME = "inspections"
"""A city's main map is ``inspections.yaml`` in its folder, its other files' ``inspections-*``."""

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
_ZONE_NAME = re.compile(r"(?<!%)(?:%%)*%Z")
_YEAR = re.compile(r"%[YyGcxs]")
UNIX = {"unix": 1, "unix-ms": 1000}
"""Formats that count from 1970 in UTC, with their steps a second."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _some(value: Any) -> Any:
    """One or a list, as a list."""
    return value if isinstance(value, list | tuple) else [value]


class FieldRule(_Model):
    """Where a field's value comes from and what is done with it.

    One of ``column``, ``template``, ``value``; a list of columns or templates is tried in
    order until one is not empty.
    """

    column: str | list[str] | None = None
    template: str | list[str] | None = None
    value: str | None = None
    format: str | list[str] | None = None
    values: dict[str, str | None] = {}
    pattern: str | None = None
    default: str | None = None
    required: bool = True

    @model_validator(mode="before")
    @classmethod
    def _is_a_rule(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            # ValueError, since Pydantic reports no TypeError.
            raise ValueError("must be a rule such as {column: some column}")  # noqa: TRY004
        return given

    @field_validator("pattern")
    @classmethod
    def _pattern(cls, given: str | None) -> str | None:
        if given is not None:
            compile_pattern(given)
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


class Keyword(_Model):
    """Words in a finding's text (a regular expression, letter case ignored) that mean a code."""

    match: str = Field(min_length=1)
    code: str = Field(min_length=1)
    scheme: str | None = None

    @field_validator("match")
    @classmethod
    def _match(cls, given: str) -> str:
        compile_pattern(given)
        return given

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.match, re.IGNORECASE)


class FindingsFrom(_Model):
    """Where one record tells of several findings: a list in JSON, or a cell with separators."""

    column: str = Field(min_length=1)
    separator: str | None = Field(default=None, min_length=1)


class InspectionMap(_Model):
    """A whole map. ``name`` and ``alternatives`` are set by `load_map`, never in the file."""

    format: Literal["csv", "json", "json-lines", "json-files"]
    encoding: str = "utf-8"
    source: str = Field(min_length=1, max_length=64)
    timezone: str | None = None
    header_row: int | None = Field(default=None, ge=1)
    records: str | None = Field(default=None, min_length=1)
    group_by: str | None = None
    fields: dict[str, FieldRule]
    findings: dict[str, FieldRule] = {}
    findings_from: FindingsFrom | None = None
    keywords: list[Keyword] = []

    _name: str = PrivateAttr(default="")
    _alternatives: tuple["InspectionMap", ...] = PrivateAttr(default=())

    @property
    def name(self) -> str:
        return self._name

    @property
    def alternatives(self) -> tuple["InspectionMap", ...]:
        """The city's maps for its other files; `read` takes the one that fits the file."""
        return self._alternatives

    @cached_property
    def zone(self) -> ZoneInfo | None:
        return None if self.timezone is None else ZoneInfo(self.timezone)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that the map reads."""
        rules = (*self.fields.values(), *self.findings.values())
        own = [self.group_by] if self.group_by else []
        own += [self.findings_from.column] if self.findings_from else []
        return tuple(dict.fromkeys((*own, *(name for rule in rules for name in rule.columns))))

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, given: str) -> str:
        try:
            b"a".decode(given, "replace")
        except LookupError as error:
            raise ValueError(f"'{given}' is no known encoding, such as utf-8 or cp1252") from error
        return given

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, given: str | None) -> str | None:
        try:
            if given is not None:
                ZoneInfo(given)
        except (LookupError, ValueError, OSError) as error:
            message = f"'{given}' is no known time zone, such as America/New_York"
            raise ValueError(message) from error
        return given

    @model_validator(mode="after")
    def _targets(self) -> "InspectionMap":
        wrong = [
            *_target_faults("fields", self.fields, INSPECTION_TARGETS),
            *_target_faults("findings", self.findings, FINDING_TARGETS),
        ]
        wrong += [
            (("fields",), f"'{target}' is missing; every inspection needs it")
            for target in REQUIRED_TARGETS
            if target not in self.fields
        ]
        if not _names_a_property(self.fields):
            message = (
                "names no property; add property.parcel_id, property.address_id, "
                "property.address.line1, or property.latitude with property.longitude"
            )
            wrong.append((("fields",), message))
        wrong += _layout_faults(self)
        if self.keywords and "text" not in self.findings:
            wrong.append((("keywords",), "need findings.text, the words they are looked for in"))
        if wrong:
            raise Misfit(wrong)
        return self


def _layout_faults(map_: InspectionMap) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What the export's layout needs, and what does not go with its format."""
    csv = map_.format == "csv"
    if map_.header_row is not None and not csv:
        yield ("header_row",), "is for format csv"
    if map_.records is not None and map_.format != "json":
        yield ("records",), "is for format json"
    if map_.findings_from is not None:
        if not map_.findings:
            yield ("findings_from",), "needs findings, which say what its parts are"
        if csv and map_.findings_from.separator is None:
            yield ("findings_from",), "needs a separator, since a cell of a CSV is no list"


def _names_a_property(fields: Iterable[str]) -> bool:
    point = {"property.latitude", "property.longitude"}
    alone = {"property.parcel_id", "property.address_id", "property.address.line1"}
    return bool(alone & set(fields)) or point <= set(fields)


def _target_faults(
    block: str, rules: Mapping[str, FieldRule], targets: dict[str, Kind]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for target, rule in rules.items():
        kind = targets.get(target)
        if kind is None:
            near = get_close_matches(target, targets, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            allowed = ", ".join(targets)
            yield (block, target), f"is no field of an inspection; {hint}Allowed: {allowed}"
        elif rule.formats and kind is not Kind.TIME:
            yield (block, target, "format"), f"{target} is no time; format is for times"


def compile_pattern(given: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises ValueError that says what is wrong with it."""
    try:
        return re.compile(given)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'{given}' is no regular expression: {error}") from error


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
    if given in UNIX:
        return
    if "%" not in given:
        raise ValueError(
            f"'{given}' has no directive; write a date as %m/%d/%Y, %H:%M:%S"
            " (or unix, unix-ms for a count of seconds, milliseconds)"
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


def load_map(name_or_path: str) -> InspectionMap:
    """A shipped map by its city's name (``boston``), or a map file.

    Raises `handoff_kit.yamlfile.FileRefused` with the line of each error.
    """
    path = Path(name_or_path)
    is_name = path.name == name_or_path and path.suffix not in {".yaml", ".yml"}
    if not is_name:
        return _load(path)
    shipped = _shipped(name_or_path)
    if not shipped and path.is_file():
        return _load(path)
    if not shipped:
        known = ", ".join(shipped_maps()) or "none"
        message = f"is no shipped map (there are: {known}) and no .yaml file"
        raise FileRefused(path, [Fault(1, "", message)])
    main, *others = (_load(one) for one in shipped)
    main._alternatives = tuple(others)
    return main


def _load(path: Path) -> InspectionMap:
    loaded = load(path, InspectionMap)
    loaded._name = str(path)
    return loaded


def _shipped(city: str) -> list[Path]:
    try:
        folder = cities_folder() / city
    except CityNotFound:
        return []
    main = folder / f"{SHIPPED_NAME}.yaml"
    return [main, *sorted(folder.glob(f"{SHIPPED_NAME}-*.yaml"))] if main.is_file() else []


def shipped_maps() -> list[str]:
    """The names that `load_map` knows."""
    try:
        found = cities_folder().glob(f"*/{SHIPPED_NAME}.yaml")
        return sorted(path.parent.name for path in found)
    except CityNotFound:
        return []
