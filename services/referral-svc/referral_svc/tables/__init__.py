"""Rows of the schema ``referral`` and their queries, set-wise."""

from referral_svc.tables.bundles import (
    TimelinePage,
    cases_of_needs,
    due_cases,
    lock_bundles,
    read_bundles,
    read_timeline,
    save_bundles,
)
from referral_svc.tables.keys import Key
from referral_svc.tables.lists import list_cases
from referral_svc.tables.rows import (
    METADATA,
    CaseRow,
    ConsentRow,
    DirectoryHeadRow,
    MatchRow,
    NeedRow,
    OfferRow,
    OrganizationRow,
    ServiceRow,
    TimelineRow,
    TurnRow,
)
from referral_svc.tables.shared import (
    consents_of_cases,
    consents_over,
    end_consents,
    matches,
    matches_known,
    next_stamps,
    save_turns,
    stamps,
    turns_of,
)

__all__ = [
    "METADATA",
    "CaseRow",
    "ConsentRow",
    "DirectoryHeadRow",
    "Key",
    "MatchRow",
    "NeedRow",
    "OfferRow",
    "OrganizationRow",
    "ServiceRow",
    "TimelinePage",
    "TimelineRow",
    "TurnRow",
    "cases_of_needs",
    "consents_of_cases",
    "consents_over",
    "due_cases",
    "end_consents",
    "list_cases",
    "lock_bundles",
    "matches",
    "matches_known",
    "next_stamps",
    "read_bundles",
    "read_timeline",
    "save_bundles",
    "save_turns",
    "stamps",
    "turns_of",
]
