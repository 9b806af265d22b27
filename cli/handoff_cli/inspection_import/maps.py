"""A map: how a department's export becomes inspections, as data (YAML).

The syntax is described for users in ``docs/integrating/maps.md``.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from handoff_kit.cities import CityNotFound, cities_folder
from handoff_kit.yamlfile import Fault, FileRefused, Misfit, load
from pydantic import Field, PrivateAttr, field_validator, model_validator

from handoff_cli.inspection_import.rules import (
    PLACE,
    Bounds,
    Conditions,
    FieldRule,
    FindingsFrom,
    Keyword,
    Model,
    Texts,
)
from handoff_cli.inspection_import.targets import (
    FINDING_TARGETS,
    INSPECTION_TARGETS,
    REQUIRED_TARGETS,
    Kind,
)

SHIPPED_NAME = "inspections"
"""A city's main map is ``inspections.yaml`` in its folder, its other files' ``inspections-*``."""


class InspectionMap(Model):
    """A whole map. ``name`` and ``alternatives`` are set by `load_map`, never in the file."""

    format: Literal["csv", "xlsx", "json", "json-lines", "json-files"]
    encoding: str = "utf-8"
    source: str = Field(min_length=1, max_length=64)
    timezone: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    sheet: str | None = Field(default=None, min_length=1)
    header: bool = True
    header_row: int | None = Field(default=None, ge=1)
    records: str | None = Field(default=None, min_length=1)
    empty: Texts = frozenset()
    only: Conditions = []
    skip: Conditions = []
    bounds: Bounds | None = None
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
        own = [one.column for one in (*self.only, *self.skip)]
        own += [self.group_by] if self.group_by else []
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
    table = map_.format in {"csv", "xlsx"}
    for key, given, formats in (
        ("delimiter", map_.delimiter, "csv"),
        ("sheet", map_.sheet, "xlsx"),
        ("header_row", map_.header_row, "csv, xlsx"),
        ("header", None if map_.header else False, "csv, xlsx"),
        ("records", map_.records, "json"),
    ):
        if given is not None and map_.format not in formats.split(", "):
            yield (key,), f"is for format {formats.replace(', ', ' or ')}"
    if map_.delimiter is not None and map_.delimiter in '"\r\n':
        yield ("delimiter",), "cannot be a quotation mark or the end of a line"
    if not map_.header:
        if map_.header_row is not None:
            yield ("header_row",), "says where the header is; 'header: false' says there is none"
        named = next((name for name in map_.columns if not PLACE.fullmatch(name)), None)
        if table and named is not None:
            message = f"leaves columns without names; write '{named}' by its place, such as '#1'"
            yield ("header",), message
    if map_.findings_from is not None:
        if not map_.findings:
            yield ("findings_from",), "needs findings, which say what its parts are"
        if table and map_.findings_from.separator is None:
            yield ("findings_from",), "needs a separator, since a cell of a table is no list"


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
        raise FileRefused(path, [Fault(0, "", message)])
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
