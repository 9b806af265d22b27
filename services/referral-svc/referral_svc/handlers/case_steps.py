"""What happens to a case as a whole: closed, opened again, assigned."""

from uuid import UUID

from event_schemas.cases import CaseAssigned, CaseClosed, CaseReopened
from event_schemas.codes import NEED_SETTLED, CaseStatus, Role

from referral_svc.domain.records import Bundle
from referral_svc.domain.states import CaseStep, case_after
from referral_svc.domain.timeline import Entry
from referral_svc.handlers.work import Work


def close_if_done(work: Work, bundle: Bundle) -> None:
    if bundle.case.status != CaseStatus.CLOSED and all(
        need.status in NEED_SETTLED for need in bundle.needs.values()
    ):
        close_case(work, bundle, "needs-settled")


def close_case(work: Work, bundle: Bundle, reason: str, role: str = Role.SYSTEM) -> None:
    case = bundle.case
    case.status = case_after(case.status, CaseStep.CLOSE)
    case.closed_at, case.close_reason = work.now, reason
    work.write(bundle, Entry.CASE_CLOSED, role=role, facts={"reason": reason})
    work.say(
        case.agency_id,
        CaseClosed(
            case_id=case.id,
            restricted=case.restricted,
            at=work.now,
            version=case.version,
            status=case.status,
            actor_role=role,
            reason=reason,
        ),
    )


def reopen_case(work: Work, bundle: Bundle, role: str = Role.SYSTEM) -> None:
    case = bundle.case
    case.status = case_after(case.status, CaseStep.REOPEN)
    case.closed_at = case.close_reason = None
    work.write(bundle, Entry.CASE_REOPENED, role=role)
    work.say(
        case.agency_id,
        CaseReopened(
            case_id=case.id,
            restricted=case.restricted,
            at=work.now,
            version=case.version,
            status=case.status,
            actor_role=role,
        ),
    )


def assign_case(
    work: Work,
    bundle: Bundle,
    organization_id: UUID | None,
    assignee: str | None,
    role: str = Role.SYSTEM,
) -> None:
    case = bundle.case
    case.organization_id, case.assignee = organization_id, assignee
    work.write(bundle, Entry.CASE_ASSIGNED, role=role)
    work.say(
        case.agency_id,
        CaseAssigned(
            case_id=case.id,
            restricted=case.restricted,
            at=work.now,
            version=case.version,
            status=case.status,
            actor_role=role,
            organization_id=organization_id,
            assignee=assignee,
        ),
    )
