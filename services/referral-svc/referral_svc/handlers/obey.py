"""The doorway's sets: commands of case managers and of those who approve.

Each command is decided on a copy of its case, so that a refused one leaves no trace.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from event_schemas.cases import CaseContactAttempted
from event_schemas.codes import (
    NEED_OPEN,
    RESTRICTED,
    CaseStatus,
    ContactResult,
    EncounterKind,
    NeedStatus,
    Reason,
    Role,
)
from event_schemas.referrals import NeedRequested
from handoff_kit.doorway import Answer
from handoff_kit.errors import (
    Conflict,
    ConsentRequired,
    FieldError,
    HandoffError,
    IllegalTransition,
    Invalid,
    NotVisible,
)
from handoff_kit.http import check_if_match, etag
from handoff_kit.tx import Tx

from referral_svc import tables
from referral_svc.domain.records import Attention, Bundle, Need, Offer
from referral_svc.domain.states import (
    CaseStep,
    NeedStep,
    NotPossible,
    case_after,
    need_after,
)
from referral_svc.domain.timeline import Entry
from referral_svc.handlers import case_steps, placing
from referral_svc.handlers.commands import (
    AddNeed,
    AddNote,
    Approve,
    Asked,
    Assign,
    AttemptContact,
    Close,
    Command,
    OfCase,
    OfNeed,
    Reopen,
)
from referral_svc.handlers.need_commands import OF_NEED, need_answer
from referral_svc.handlers.requested import add_need
from referral_svc.handlers.views import Viewer, case_view, works_with
from referral_svc.handlers.work import Work, open_set
from referral_svc.handlers.world import World
from referral_svc.tables import Key

COULD_NOT_REACH = "could-not-reach"
_CLOSES = {
    "needs-settled": None,
    COULD_NOT_REACH: NeedStep.GIVE_UP,
    "resident-declined": NeedStep.WITHDRAW,
    "resident-moved": NeedStep.WITHDRAW,
    "duplicate": NeedStep.WITHDRAW,
    "entered-in-error": NeedStep.WITHDRAW,
}


async def obey(world: World, tx: Tx, commands: Sequence[Command]) -> list[Answer | HandoffError]:
    """Carry out a set of commands, each on the cases as those before it left them."""
    needs = {(c.agency, c.need_id) for c in commands if isinstance(c, OfNeed)}
    homes = await tables.cases_of_needs(tx.conn, needs) if needs else {}
    keys: set[Key] = {(c.agency, c.case_id) for c in commands if isinstance(c, OfCase)}
    keys |= {(agency, case_id) for (agency, _), case_id in homes.items()}
    work = await open_set(world, tx, keys)
    consents = await _consents(work, commands)
    results = [_one(work, homes, consents, command) for command in commands]
    await work.save()
    return results


async def _consents(work: Work, commands: Sequence[Command]) -> dict[Key, list[Any]]:
    """Consents in force of the cases that get a need."""
    cases = {(c.agency, c.case_id) for c in commands if isinstance(c, AddNeed)}
    found: dict[Key, list[Any]] = {}
    for row in await tables.consents_of_cases(work.tx.conn, cases):
        found.setdefault((row.agency_id, row.case_id), []).append(row)
    return found


def _one(
    work: Work, homes: dict[Key, Any], consents: dict[Key, list[Any]], command: Command
) -> Answer | HandoffError:
    case_id = (
        command.case_id
        if isinstance(command, OfCase)
        else homes.get((command.agency, command.need_id))
    )
    before = work.find(command.agency, case_id) if case_id is not None else None
    if before is None or not _may(command, before):
        return NotVisible()
    key = (command.agency, before.case.id)
    words, matches, turned = len(work.said), dict(work.matches), dict(work.turned)
    work.bundles[key] = bundle = before.copy()
    try:
        if isinstance(command, OfNeed):
            need = bundle.needs[command.need_id]
            check_if_match(command.if_match, need.version)
            return OF_NEED[type(command)](work, bundle, need, command)
        check_if_match(command.if_match, bundle.case.version)
        if isinstance(command, AddNeed):
            return _add_need(work, bundle, command, consents.get(key, []))
        return _OF_CASE[type(command)](work, bundle, command)
    except (HandoffError, NotPossible) as refused:
        work.bundles[key] = before
        work.matches, work.turned = matches, turned
        del work.said[words:]
        if isinstance(refused, NotPossible):
            return IllegalTransition(allowed=refused.allowed)
        return refused


def viewer_of(command: Asked) -> Viewer:
    manages = Role.CASE_MANAGER in command.roles
    return Viewer(
        command.subject,
        command.organization,
        works=manages or Role.COORDINATOR in command.roles,
        manages=manages,
        refers=False,
        targets=False,
    )


def _may(command: Command, bundle: Bundle) -> bool:
    """Whether the case is there for who asks. Who approves sees what waits for approval."""
    if isinstance(command, Approve) and not bundle.case.restricted:
        return command.need_id in bundle.needs
    return works_with(viewer_of(command), bundle)


def _case_answer(command: Command, bundle: Bundle, status: int = 200) -> Answer:
    view = case_view(viewer_of(command), bundle)
    return Answer(status, view, {"ETag": etag(bundle.case.version)})


def _assign(work: Work, bundle: Bundle, command: Assign) -> Answer:
    if bundle.case.status == CaseStatus.CLOSED:
        raise IllegalTransition(allowed=["reopen"])
    case_steps.assign_case(work, bundle, command.organization, command.assignee, command.role)
    return _case_answer(command, bundle)


def _attempt(work: Work, bundle: Bundle, command: AttemptContact) -> Answer:
    case = bundle.case
    reached = command.result is ContactResult.REACHED
    if case.status == CaseStatus.CLOSED:
        raise IllegalTransition(allowed=["reopen"])
    if reached:
        case.status = case_after(case.status, CaseStep.CONTACT)
    attempt = {
        "attempt_id": str(command.attempt_id),
        "channel": command.channel,
        "result": command.result,
        "attempted_at": command.attempted_at.isoformat(),
        "note_id": str(command.note_id) if command.note_id else None,
    }
    case.attempts = [*case.attempts, attempt]
    facts = {"channel": command.channel, "result": command.result}
    work.write(bundle, Entry.CONTACT_ATTEMPTED, role=command.role, facts=facts)
    work.say(
        case.agency_id,
        CaseContactAttempted(
            case_id=case.id,
            restricted=case.restricted,
            at=work.now,
            version=case.version,
            status=case.status,
            actor_role=command.role,
            attempt_id=command.attempt_id,
            channel=command.channel,
            result=command.result,
            attempted_at=command.attempted_at,
            note_id=command.note_id,
        ),
    )
    return _case_answer(command, bundle, 201)


def _add_need(work: Work, bundle: Bundle, command: AddNeed, consents: list[Any]) -> Answer:
    case = bundle.case
    if (command.category in RESTRICTED) != case.restricted:
        message = "A restricted kind of need has a case of its own, which intake opens."
        raise Invalid(errors=[FieldError("category", "restricted-kind", message)])
    like = min(bundle.needs.values(), key=lambda need: (need.requested_at, need.id.int))
    consent = None
    if case.property_id is None:
        consent = next((row for row in consents if command.category in row.categories), None)
        if consent is None:
            raise ConsentRequired
    inputs = work.world.inputs_of(case.agency_id, like.match_id) if like.match_id else None
    if case.status == CaseStatus.CLOSED:
        case_steps.reopen_case(work, bundle, command.role)
    event = NeedRequested(
        case_id=case.id,
        need_id=command.need_id,
        restricted=case.restricted,
        at=work.now,
        category=command.category,
        urgency=command.urgency,
        encounter=EncounterKind.OTHER,
        referrer=command.subject,
        referrer_role=command.role,
        referrer_organization_id=command.organization,
        area=case.area,
        consent_id=consent.id if consent is not None else None,
        recipients=consent.recipients if consent is not None else [],
        feedback=consent.feedback if consent is not None else False,
        languages=list(inputs.languages) if inputs is not None else [],
        age_bands=list(inputs.age_bands) if inputs is not None else [],
        tenure=inputs.tenure if inputs is not None else None,
        property_id=case.property_id,
        inspection_id=like.inspection_id,
    )
    return need_answer(add_need(work, bundle, event), 201)


def _add_note(work: Work, bundle: Bundle, command: AddNote) -> Answer:
    need, offer = _about(bundle, command)
    work.write(bundle, Entry.NOTE_ADDED, need, offer, command.role, {"note_id": command.note_id})
    if need is not None and offer is not None and need.attention == Attention.QUESTION:
        placing.resume_clock(work, bundle, need, offer)
        need.attention = None
        work.touch(bundle, need)
        work.write(
            bundle,
            Entry.QUESTION_ANSWERED,
            need,
            offer,
            command.role,
            {"target": offer.target_kind},
        )
    body = {"note_id": command.note_id, "case_version": bundle.case.version}
    return Answer(201, body, {"ETag": etag(bundle.case.version)})


def _about(bundle: Bundle, command: AddNote) -> tuple[Need | None, Offer | None]:
    offer = bundle.offers.get(command.offer_id) if command.offer_id else None
    need_id = offer.need_id if offer is not None else command.need_id
    need = bundle.needs.get(need_id) if need_id else None
    if (command.offer_id and offer is None) or (command.need_id and need is None):
        raise NotVisible
    return need, offer


def _close(work: Work, bundle: Bundle, command: Close) -> Answer:
    """Close the case; needs still open end with it, as the reason says."""
    open_needs = [need for need in bundle.needs.values() if need.status in NEED_OPEN]
    step = _CLOSES[command.reason]
    case_after(bundle.case.status, CaseStep.CLOSE)
    if step is None and open_needs:
        raise Conflict("A need is still open.", code="needs-open")
    if command.reason == COULD_NOT_REACH:
        _tried_enough(work, bundle)
    # Closed first, so that the last need's end does not close it for another reason.
    case_steps.close_case(work, bundle, command.reason, command.role)
    for need in open_needs:
        assert step is not None
        reason = _reason(command.reason)
        placing.settle(work, bundle, need, step, reason=reason, role=command.role)
    return _case_answer(command, bundle)


def _reason(close_reason: str) -> Reason:
    if close_reason == COULD_NOT_REACH:
        return Reason.CANNOT_REACH_RESIDENT
    return Reason(close_reason)


def _tried_enough(work: Work, bundle: Bundle) -> None:
    """Raises Conflict before contact was tried, in vain, on enough different days."""
    policy = work.world.policy
    days = {
        _local_day(attempt["attempted_at"], policy.calendar.zone)
        for attempt in bundle.case.attempts
        if attempt["result"] != ContactResult.REACHED
    }
    if len(days) < policy.attempts_to_close:
        raise Conflict(
            "Contact has to be tried on more days first.",
            code="too-few-attempts",
            days_tried=len(days),
            days_needed=policy.attempts_to_close,
        )


def _local_day(text: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(text).astimezone(zone).date().isoformat()


def _reopen(work: Work, bundle: Bundle, command: Reopen) -> Answer:
    """Open a closed case again, with needs of it; those are placed anew."""
    if command.needs is None:
        chosen = [need for need in bundle.needs.values() if need.status == NeedStatus.UNMET]
    else:
        unknown = [id_ for id_ in command.needs if id_ not in bundle.needs]
        if unknown:
            raise NotVisible
        chosen = [bundle.needs[id_] for id_ in command.needs]
    case_steps.reopen_case(work, bundle, command.role)
    for need in chosen:
        if need.reason == Reason.CONSENT_WITHDRAWN:
            raise ConsentRequired
        need.status = need_after(need.status, NeedStep.REOPEN)
        need.outcome = need.reason = need.settled_at = None
        work.touch(bundle, need)
        facts = {"category": need.category}
        work.write(bundle, Entry.NEED_REOPENED, need, role=command.role, facts=facts)
        # A person decides whom to ask: what could be tried by itself was.
        placing.call_person(work, bundle, need, Attention.NEEDS_PERSON)
    return _case_answer(command, bundle)


_OF_CASE: dict[type, Callable[..., Answer]] = {
    Assign: _assign,
    AttemptContact: _attempt,
    AddNote: _add_note,
    Close: _close,
    Reopen: _reopen,
}
