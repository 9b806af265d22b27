"""Which fields of HSDS 3.1 each table has, and how each is cleaned. Data."""

from partner_svc.directory import clean
from partner_svc.directory.clean import Cleaner


def _texts(names: str) -> dict[str, Cleaner]:
    return dict.fromkeys(names.split(), clean.text)


_NAMES: dict[str, Cleaner] = {"name": clean.name, "alternate_name": clean.name}


FIELDS: dict[str, dict[str, Cleaner]] = {
    "organizations": _NAMES
    | _texts("description tax_status tax_id legal_status")
    | {
        "email": clean.email,
        "website": clean.url,
        "year_incorporated": clean.year,
        "logo": clean.url,
        "uri": clean.url,
    },
    "programs": _NAMES | _texts("description"),
    "services": _NAMES
    | _texts(
        "description interpretation_services application_process "
        "fees_description fees wait_time accreditations eligibility_description licenses alert"
    )
    | {
        "url": clean.url,
        "email": clean.email,
        "status": clean.status,
        "minimum_age": clean.age,
        "maximum_age": clean.age,
        "assured_date": clean.day,
        "assurer_email": clean.email,
        "last_modified": clean.moment,
    },
    "service_at_locations": _texts("description"),
    "locations": _NAMES
    | _texts(
        "location_type description transportation external_identifier external_identifier_type"
    )
    | {"url": clean.url, "latitude": clean.number, "longitude": clean.number},
    "addresses": _texts(
        "attention address_1 address_2 city region state_province postal_code country address_type"
    ),
    "phones": _texts("extension type description") | {"number": clean.phone},
    "contacts": _texts("name title department") | {"email": clean.email},
    "schedules": _texts("wkst freq byweekno bymonthday byyearday description attending_type notes")
    | {
        "valid_from": clean.day,
        "valid_to": clean.day,
        "dtstart": clean.day,
        "until": clean.day,
        "timezone": clean.number,
        "count": clean.number,
        "interval": clean.number,
        "byday": clean.byday,
        "opens_at": clean.time,
        "closes_at": clean.time,
        "schedule_link": clean.url,
    },
    "holiday_schedules": _texts("closed")
    | {
        "start_date": clean.day,
        "end_date": clean.day,
        "opens_at": clean.time,
        "closes_at": clean.time,
    },
    "languages": _texts("name code note"),
    "service_areas": _texts("name description extent_type") | {"uri": clean.url},
    "cost_options": _texts("option currency amount_description")
    | {"valid_from": clean.day, "valid_to": clean.day, "amount": clean.number},
    "required_documents": _texts("document") | {"uri": clean.url},
    "accessibility": _texts("description details") | {"url": clean.url},
    "funding": _texts("source"),
    "organization_identifiers": _texts("identifier_scheme identifier_type identifier"),
    "capacities": _texts("description")
    | {"available": clean.quantity, "maximum": clean.quantity, "updated": clean.moment},
    "units": _texts("name scheme identifier") | {"uri": clean.url},
    "taxonomies": _texts("name description version") | {"uri": clean.url},
    "taxonomy_terms": _texts("code name description taxonomy language parent_name")
    | {"term_uri": clean.url},
    "attributes": _texts("link_type value label"),
}
"""Fields not listed here, and not beginning with ``x_``, are not taken."""

NEEDED: dict[str, tuple[str, ...]] = {
    "addresses": ("address_1", "address_2", "city", "postal_code"),
    "phones": ("number",),
    "contacts": ("name", "title", "department", "email"),
    "schedules": ("opens_at", "closes_at", "byday", "description", "schedule_link", "dtstart"),
    "holiday_schedules": ("start_date",),
    "languages": ("name", "code"),
    "service_areas": ("name", "description", "extent", "uri"),
    "cost_options": ("option", "amount", "amount_description"),
    "required_documents": ("document", "uri"),
    "accessibility": ("description", "details", "url"),
    "funding": ("source",),
    "organization_identifiers": ("identifier",),
    "capacities": ("available",),
    "programs": ("name",),
}
"""A child row with none of these says nothing and is refused."""
