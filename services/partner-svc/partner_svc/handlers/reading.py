"""A directory's bytes → an import ready to be kept. No database; slow, so run it in a thread."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from partner_svc.directory import (
    DirectoryRefused,
    Reading,
    ReportRow,
    TermMap,
    load_terms,
    read,
    without_own_fields,
)
from partner_svc.directory.ids import stable_id
from partner_svc.directory.model import raw_id
from partner_svc.domain.directory import (
    Entity,
    Origin,
    location_of,
    organization_of,
    service_of,
    storable,
)
from partner_svc.handlers.areas import CityAreas
from partner_svc.handlers.importing import Import, ImportRefused


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: whose import, of which source, read as which format.

    ``trusted``, ``partial``, ``allow_leaving``: as `Import` has them.
    """

    agency: str
    import_id: UUID
    actor: str
    source: str
    format: str
    trusted: bool
    partial: bool
    allow_leaving: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class DirectoryReader:
    """Reads directories for a city: its areas, and what its terms stand for."""

    areas: CityAreas
    terms: TermMap | None

    def prepare(self, order: Order, content: bytes) -> Import:
        """Raises ImportRefused, which says what to mend and where."""
        try:
            reading = read(
                content,
                format=order.format,
                source_name=order.source,
                terms=self.terms,
            )
        except DirectoryRefused as refused:
            raise ImportRefused(str(refused)) from None
        directory = reading.directory
        if not order.trusted:
            directory = without_own_fields(directory)
        origin = Origin(order.agency, order.source, order.at)
        organizations: list[Entity] = storable(directory.organizations)
        services: list[Entity] = storable(directory.services)
        places: list[Entity] = storable(directory.locations)
        locations = {place["id"]: place for place in places}
        return Import(
            agency=order.agency,
            id=order.import_id,
            source=order.source,
            format=reading.format,
            actor=order.actor,
            trusted=order.trusted,
            partial=order.partial,
            allow_leaving=order.allow_leaving,
            organizations=[organization_of(e, origin) for e in organizations],
            services=[service_of(e, origin, locations, self.areas.of) for e in services],
            locations=[location_of(e, origin) for e in places],
            counts=storable(_counts(reading)),
            report=[_report_row(row) for row in reading.report],
            places=reading.places,
            refused_services=frozenset(
                UUID(stable_id(order.source, "services", raw_id(row.id)))
                for row in reading.report
                if (row.table, row.kind) == ("services", "refused") and row.id
            ),
        )


def load_city_terms(cities: Path, city: Path) -> TermMap | None:
    """The shipped mappings in ``terms/`` and the city's own ``terms.yaml``, which wins.

    Raises: yamlfile.FileRefused.
    """
    paths = [*sorted((cities / "terms").glob("*.yaml")), city / "terms.yaml"]
    found: TermMap | None = None
    for path in paths:
        if path.exists():
            terms = load_terms(path)
            found = terms if found is None else found.joined(terms)
    return found


def _counts(reading: Reading) -> dict[str, Any]:
    """The counts of the contract, and what a match can only ask about."""
    directory, summary = reading.directory, reading.summary
    return {
        "organizations": len(directory.organizations),
        "services": len(directory.services),
        "locations": len(directory.locations),
        "mended": summary.mended,
        "refused": summary.refused,
        "format": reading.format,
        "services_refused": summary.services_refused,
        "services_without_need": summary.services_without_need,
        "unknown_areas": summary.unknown_areas,
        "unknown_languages": summary.unknown_languages,
        "unknown_eligibility": summary.unknown_eligibility,
        "confidential_locations": summary.confidential_locations,
        "agreements_claimed": summary.agreements_claimed,
        "unmapped_terms": dict(summary.unmapped_terms),
        "ignored_files": list(summary.ignored_files),
    }


def _report_row(row: ReportRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "table": row.table,
        "row": row.row,
        "feed_id": storable(row.id),
        "field": storable(row.field),
        "reason": storable(row.reason),
    }
