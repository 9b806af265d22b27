"""Rows of the schema ``partner`` and their queries, set-wise."""

from partner_svc.tables.base import METADATA
from partner_svc.tables.directory import (
    DirectoryHeadRow,
    ImportReportRow,
    ImportRow,
    LocationRow,
    OrganizationRow,
    ServiceRow,
)
from partner_svc.tables.offers import EndedConsentRow, OfferRow

__all__ = [
    "METADATA",
    "DirectoryHeadRow",
    "EndedConsentRow",
    "ImportReportRow",
    "ImportRow",
    "LocationRow",
    "OfferRow",
    "OrganizationRow",
    "ServiceRow",
]
