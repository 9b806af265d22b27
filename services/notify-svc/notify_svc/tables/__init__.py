"""Rows of the schema ``notify`` and their queries, set-wise."""

from notify_svc.tables.base import METADATA
from notify_svc.tables.deliveries import DeliveryRow, EndpointRow
from notify_svc.tables.doors import ShutOutRow
from notify_svc.tables.feed import NoticeReadRow, NoticeRow, PreferenceRow
from notify_svc.tables.known import CaseRow, ConsentRow, NeedRow, OrganizationRow

__all__ = [
    "METADATA",
    "CaseRow",
    "ConsentRow",
    "DeliveryRow",
    "EndpointRow",
    "NeedRow",
    "NoticeReadRow",
    "NoticeRow",
    "OrganizationRow",
    "PreferenceRow",
    "ShutOutRow",
]
