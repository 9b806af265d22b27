"""A report on its way through the set, and its findings as stored and as events carry them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.inbound import FindingReport, InspectionReported
from event_schemas.inspections import Finding
from handoff_kit.codepack import Assessment
from handoff_kit.errors import FieldError, Invalid
from handoff_kit.tx import Cause

from intake_svc.domain.inspections import Assessed, Change, as_code, time_faults
from intake_svc.domain.rows import Inspection, Property
from intake_svc.handlers.places import Told

INBOUND = "intake-inbound"
"""The consumer group that takes departments' own records."""


@dataclass(frozen=True, slots=True)
class Report:
    """One inspection as a department told it. ``subject``: the person or client that did."""

    agency: str
    subject: str
    organization_id: UUID | None
    data: InspectionReported
    cause: Cause | None = None


def refused(data: InspectionReported, now: datetime) -> Invalid | None:
    """The refusal of a report whose times cannot be meant; names the fields."""
    times = ((finding.issued_at, finding.deadline) for finding in data.findings)
    faults = list(time_faults(data.inspected_at, times, now))
    if not faults:
        return None
    detail = "; ".join(f"{fault.field}: {fault.code}" for fault in faults[:10])
    errors = [FieldError(fault.field, fault.code, fault.message) for fault in faults[:100]]
    return Invalid(detail, errors=errors)


@dataclass(slots=True)
class Member:
    """A report on its way through the set."""

    report: Report
    told: Told
    hash: bytes
    place: Property | None = None
    known: Inspection | None = None
    change: Change = Change.NEW
    row: Inspection | None = None
    findings: list[Finding] = field(default_factory=list)
    assessed: list[Assessed] = field(default_factory=list)


def as_stored(finding_id: str, finding: FindingReport, word: Assessment) -> dict[str, Any]:
    shown = {
        "finding_id": finding_id,
        "scheme": finding.scheme,
        "code": finding.code,
        "class": finding.class_,
        "status": finding.status,
        "severity": word.severity,
        "section": word.section,
        "issued_at": finding.issued_at.isoformat() if finding.issued_at else None,
        "deadline": word.deadline.isoformat() if word.deadline else None,
        "deadline_basis": word.deadline_basis,
    }
    return {name: value for name, value in shown.items() if value is not None}


def as_said(finding_id: str, finding: FindingReport, word: Assessment) -> Finding:
    return Finding(
        finding_id=UUID(finding_id),
        scheme=as_code(finding.scheme),
        code=as_code(finding.code),
        class_=as_code(finding.class_),
        status=finding.status,
        severity=word.severity,
        section=as_code(word.section),
        issued_at=finding.issued_at,
        deadline=word.deadline,
        deadline_basis=as_code(word.deadline_basis),
    )
