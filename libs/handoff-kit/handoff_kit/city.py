"""A city's ``city.yaml``: who it is, where, in which languages, and its own organizations."""

from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from event_schemas.base import Language
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic import model_validator as _model_validator

from handoff_kit.auth import ROLES
from handoff_kit.yamlfile import Misfit, load

FILE = "city.yaml"
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CityFile(_Part):
    """``city.yaml``.

    ``agency`` is the id that tokens, rows and events carry. ``organizations`` gives a short name
    to each id that the city's other files speak of; ``roles`` says to which of them staff of a
    role belong unless another is named; ``case_management`` is the one that takes cases in hand.
    """

    agency: Slug
    name: str = Field(min_length=1)
    timezone: str
    languages: tuple[Language, ...] = Field(min_length=1)
    organizations: dict[str, UUID]
    roles: dict[str, str]
    case_management: str

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone of the IANA database") from error
        return name

    @_model_validator(mode="after")
    def _names_are_known(self) -> "CityFile":
        faults: list[tuple[tuple[str | int, ...], str]] = [
            (("roles", role), f"there is no role '{role}'")
            for role in self.roles
            if role not in ROLES
        ]
        faults += [
            (("roles", role), no_such_organization(name))
            for role, name in self.roles.items()
            if name not in self.organizations
        ]
        if self.case_management not in self.organizations:
            faults.append((("case_management",), no_such_organization(self.case_management)))
        if faults:
            raise Misfit(faults)
        return self

    def organization_of(self, role: str) -> UUID | None:
        """The agency's own organization for staff of *role*; None where the file names none."""
        name = self.roles.get(role)
        return self.organizations[name] if name is not None else None


def no_such_organization(name: str) -> str:
    return f"no organization '{name}' under organizations in {FILE}"


def load_city(folder: Path) -> CityFile:
    """The city of a folder (`cities.city_folder`). Raises: yamlfile.FileRefused."""
    return load(folder / FILE, CityFile)
