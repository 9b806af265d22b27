"""The portal's tables and their queries."""

from portal_svc.tables.base import METADATA
from portal_svc.tables.people import (
    AssertionRow,
    ClientRow,
    PersonRow,
    SessionRow,
    SignInFailureRow,
)
from portal_svc.tables.views import (
    CaseRow,
    ConsentRow,
    DeliveryRow,
    FlowRow,
    NeedRow,
    OfferRow,
    OrganizationRow,
    ParkedRow,
)

__all__ = [
    "METADATA",
    "AssertionRow",
    "CaseRow",
    "ClientRow",
    "ConsentRow",
    "DeliveryRow",
    "FlowRow",
    "NeedRow",
    "OfferRow",
    "OrganizationRow",
    "ParkedRow",
    "PersonRow",
    "SessionRow",
    "SignInFailureRow",
]
