"""Entries of the directory as the events that say them; their ``version`` is the directory's."""

from event_schemas.directory import Eligibility, OrganizationChanged, ServiceChanged

from partner_svc.domain.directory import Organization, Service


def organization_changed(row: Organization, version: int) -> OrganizationChanged:
    return OrganizationChanged.model_validate(
        {
            "organization_id": row.id,
            "version": version,
            "name": row.name,
            "kind": row.kind,
            "agreement_active": row.agreement_active,
            "enforcement": row.enforcement,
            "participants": row.participants,
        }
    )


def service_changed(row: Service, version: int) -> ServiceChanged:
    return ServiceChanged.model_validate(
        {
            "service_id": row.id,
            "organization_id": row.organization_id,
            "version": version,
            "name": row.name,
            "status": row.status,
            "needs": row.needs,
            "areas": row.areas,
            "areas_partly": row.areas_partly,
            "area_unknown": row.area_unknown,
            "minimum_age": row.minimum_age,
            "maximum_age": row.maximum_age,
            "languages": row.languages,
            "languages_unknown": row.languages_unknown,
            "interpretation": row.interpretation,
            "eligibility": Eligibility.model_validate(row.eligibility),
            "capacity": row.capacity,
            "capacity_available": row.capacity_available,
            "capacity_said_at": row.capacity_said_at,
            "assured_at": row.assured_at,
        }
    )
