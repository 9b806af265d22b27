"""What intake needs to know of a city: consent policy, code pack, areas. Loaded once, at start."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import UUID

from event_schemas.base import Code, Language
from handoff_kit.codepack import CodePack, load_code_pack
from handoff_kit.crypto import BlindIndex, KeyWrapper
from handoff_kit.yamlfile import load
from pydantic import BaseModel, ConfigDict, Field

from intake_svc.handlers.areas import AreaIndex


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseManagement(_Model):
    """Who ``case-management`` stands for in a consent, resolved when it is granted."""

    organization_id: UUID
    participants: list[UUID] = []


class Notice(_Model):
    """A version of the notice that is read to a resident, and the languages it exists in."""

    version: Code
    languages: list[Language] = Field(min_length=1)


class ConsentPolicy(_Model):
    """``consent.yaml`` of a city. The first notice is the one in force."""

    case_management: CaseManagement
    default_days: int = Field(ge=1, le=3660)
    """How long a consent lasts that says nothing else."""
    notices: list[Notice] = Field(min_length=1)

    @cached_property
    def _recipients(self) -> tuple[str, ...]:
        named = (self.case_management.organization_id, *self.case_management.participants)
        return tuple(map(str, named))

    def recipients(self) -> tuple[str, ...]:
        """Ids that ``case-management`` stands for, the organization's own first."""
        return self._recipients

    def knows(self, version: str, language: str) -> bool:
        """Whether this notice exists in this language (``es-MX`` is served by ``es``)."""
        return any(
            notice.version == version
            and (language in notice.languages or language.partition("-")[0] in notice.languages)
            for notice in self.notices
        )


@dataclass(frozen=True, slots=True)
class Office:
    """What every handler of intake works with, besides its set."""

    keys: KeyWrapper
    index: BlindIndex
    consent: ConsentPolicy
    pack: CodePack
    areas: AreaIndex


def load_office(folder: Path, keys: KeyWrapper, index: BlindIndex) -> Office:
    """Read ``consent.yaml``, ``codes.yaml`` and ``areas.geojson`` of a city's *folder*.

    Raises: yamlfile.FileRefused (with the line of each error), areas.AreasRefused.
    """
    return Office(
        keys,
        index,
        load(folder / "consent.yaml", ConsentPolicy),
        load_code_pack(folder / "codes.yaml"),
        AreaIndex.load(folder / "areas.geojson"),
    )
