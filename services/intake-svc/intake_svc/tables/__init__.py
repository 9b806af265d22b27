"""Rows of the schema ``intake`` and their queries, set-wise."""

from intake_svc.tables.base import METADATA
from intake_svc.tables.people import (
    CaseLinkRow,
    ConsentRow,
    DisclosureRow,
    NeedRow,
    NoteRow,
    PossibleMatchRow,
    ReferralRow,
    ResidentRow,
)
from intake_svc.tables.places import InspectionRow, PropertyKeyRow, PropertyRow

__all__ = [
    "METADATA",
    "CaseLinkRow",
    "ConsentRow",
    "DisclosureRow",
    "InspectionRow",
    "NeedRow",
    "NoteRow",
    "PossibleMatchRow",
    "PropertyKeyRow",
    "PropertyRow",
    "ReferralRow",
    "ResidentRow",
]
