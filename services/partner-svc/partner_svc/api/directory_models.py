"""Bodies and shapes of organizations, services and imports. Names are HSDS's where it has one."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from event_schemas.base import Language
from event_schemas.codes import CapacityStatus, NeedCategory, OrganizationKind
from handoff_kit.http import Strict
from handoff_kit.text import plain
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


def _seen(name: str) -> str:
    try:
        return plain(name)
    except ValueError as error:
        raise PydanticCustomError("unseen_characters", "{said}", {"said": str(error)}) from None


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, strip_whitespace=True),
    AfterValidator(_seen),
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,2000}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^\s@]{1,64}@[^\s@]{1,255}$")]
Age = Annotated[float, Field(ge=0, le=130)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
ServiceStatus = Literal["active", "inactive", "defunct", "temporarily closed"]

# What only whoever speaks for the agency may say of an organization.
STANDING = ("kind", "agreement_active", "enforcement", "participants")


class PutOrganizationBody(Strict):
    """Replaces what an organization says of itself.

    The last four are a coordinator's to change; left out, they stay.
    """

    name: Name
    alternate_name: Name | None = None
    description: Words | None = None
    email: Email | None = None
    website: Address | None = None
    kind: OrganizationKind | None = None
    agreement_active: bool | None = None
    enforcement: bool | None = None
    participants: list[UUID] | None = Field(default=None, max_length=1000)

    def standing(self) -> dict[str, Any]:
        """The columns that are given."""
        given = self.model_dump(mode="json", include=set(STANDING), exclude_none=True)
        if "participants" in given:
            given["participants"] = sorted(set(given["participants"]))
        return given

    def fields(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=set(STANDING))


class LanguageBody(Strict):
    code: Language
    name: Name | None = None


class ServiceAreaBody(Strict):
    name: Name | None = None
    extent: Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
    extent_type: Literal["geojson", "topojson", "kml", "text"] = "text"


class PutServiceBody(Strict):
    """Replaces what matching asks of a service. Places, phones and schedules come by import."""

    name: Name
    alternate_name: Name | None = None
    description: Words | None = None
    url: Address | None = None
    email: Email | None = None
    status: ServiceStatus
    needs: list[NeedCategory] = Field(default=[], max_length=60)
    minimum_age: Age | None = None
    maximum_age: Age | None = None
    eligibility_description: Words | None = None
    application_process: Words | None = None
    fees_description: Words | None = None
    interpretation_services: Words | None = None
    languages: list[LanguageBody] = Field(default=[], max_length=200)
    service_areas: list[ServiceAreaBody] = Field(default=[], max_length=200)
    assured_date: date | None = None

    @field_validator("maximum_age")
    @classmethod
    def _ages_are_a_range(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("minimum_age")
        if low is not None and high is not None and low > high:
            raise PydanticCustomError("no_range", "This has to be minimum_age or more.")
        return high

    def fields(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"languages", "service_areas"}) | {
            "languages": [one.model_dump(exclude_none=True) for one in self.languages],
            "service_areas": [one.model_dump(exclude_none=True) for one in self.service_areas],
        }


class PutCapacityBody(Strict):
    """What a service can take now: a status, a number with its unit, or both."""

    status: CapacityStatus | None = None
    available: Count | None = None
    maximum: Count | None = None
    unit: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.status is None and self.available is None:
            raise PydanticCustomError("says_nothing", "status or available is needed.")
        return self


class _Open(BaseModel):
    """HSDS 3.1 fields stand beside ours."""

    model_config = ConfigDict(extra="allow")


class OrganizationView(_Open):
    id: UUID
    name: str
    kind: OrganizationKind
    participants: list[UUID]
    agreement_active: bool
    enforcement: bool
    source: str
    version: int
    updated_at: datetime


class ServiceView(_Open):
    id: UUID
    organization_id: UUID
    name: str
    status: ServiceStatus
    needs: list[NeedCategory]
    service_areas: list[dict[str, Any]]
    service_at_locations: list[dict[str, Any]]
    capacities: list[dict[str, Any]]
    capacity: CapacityStatus | None
    capacity_available: int | None
    capacity_said_at: datetime | None
    areas: list[str]
    areas_partly: list[str]
    area_unknown: bool
    languages_unknown: bool
    left_at: datetime | None
    source: str
    version: int
    updated_at: datetime


class ReportRowView(BaseModel):
    """One thing refused or mended, or a service that left; ``row`` counts the feed's records.

    ``id`` is the feed's; of what left or belongs to another source it is the one here.
    """

    n: int
    kind: Literal["refused", "mended", "left"]
    table: str
    row: int | None
    id: str
    field: str
    reason: str


class ImportView(_Open):
    """Counts of an import. ``report``: its first rows; more by ``/directory/imports/{id}/rows``.

    ``source``: the one it was taken as. ``held``: how many services other sources hold, by their
    names; those stay as they are, and this feed's are among the refused.
    ``left``: services that were taken out of offering, since the feed no longer holds them.
    ``absent``: organizations and locations of the source that it does not hold; they stay.
    """

    import_id: UUID
    source: str
    dry_run: bool
    organizations: int
    services: int
    locations: int
    mended: int
    refused: int
    left: int
    held: dict[str, int]
    absent: dict[str, int]
    report: dict[str, Any]
