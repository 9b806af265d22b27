"""Ids and references of a record → plain text, or none with a note. Pure."""

from typing import Any

from partner_svc.directory.model import ReportRow, raw_id

IDS = (
    "id",
    "service_id",
    "organization_id",
    "location_id",
    "service_at_location_id",
    "phone_id",
    "contact_id",
    "program_id",
    "parent_organization_id",
    "taxonomy_id",
    "taxonomy_term_id",
    "parent_id",
    "unit_id",
    "link_id",
)


def plain_ids(
    table: str, number: int | None, values: dict[str, Any], notes: list[ReportRow]
) -> None:
    """Write each id in ``values`` as `raw_id` reads it, in place.

    What is neither text nor a whole number is left out with a note: 4.0, 1e22 and true are
    written otherwise by whoever refers to them.
    """
    for key in IDS:
        value = values.get(key)
        if value is None:
            continue
        values[key] = raw_id(value)
        if not isinstance(value, str) and not values[key]:
            shown = f"{value!r:.40} " if isinstance(value, bool | float) else ""
            reason = f"{shown}is no id, which is a text or a whole number; left out"
            # "id" stands first in `IDS`, so it is plain by now.
            notes.append(ReportRow(table, number, raw_id(values.get("id")), "mended", key, reason))
