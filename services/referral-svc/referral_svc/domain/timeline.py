"""The timeline's sentences: templates over codes, never a note, a name or a resident's value."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Entry(StrEnum):
    CASE_OPENED = "case-opened"
    CASE_REOPENED = "case-reopened"
    CASE_CLOSED = "case-closed"
    CASE_ASSIGNED = "case-assigned"
    CONTACT_ATTEMPTED = "contact-attempted"
    NOTE_ADDED = "note-added"
    NEED_REQUESTED = "need-requested"
    APPROVAL_REQUESTED = "approval-requested"
    APPROVED = "approved"
    OFFER_MADE = "offer-made"
    OFFER_ACCEPTED = "offer-accepted"
    OFFER_REJECTED = "offer-rejected"
    QUESTION_ASKED = "question-asked"
    QUESTION_ANSWERED = "question-answered"
    APPOINTMENT_MADE = "appointment-made"
    APPOINTMENT_MISSED = "appointment-missed"
    APPOINTMENT_CANCELLED = "appointment-cancelled"
    PROGRESS = "progress"
    OFFER_HELD = "offer-held"
    OFFER_RESUMED = "offer-resumed"
    OFFER_COMPLETED = "offer-completed"
    OFFER_FAILED = "offer-failed"
    OFFER_CANCELLED = "offer-cancelled"
    CANCEL_REQUESTED = "cancel-requested"
    CLOCK_DUE = "clock-due"
    NEEDS_PERSON = "needs-person"
    NEED_HELD = "need-held"
    NEED_RESUMED = "need-resumed"
    NEED_REOPENED = "need-reopened"
    NEED_SETTLED = "need-settled"
    CONSENT_ENDED = "consent-ended"
    CONSENT_CHANGED = "consent-changed"


TEMPLATES: dict[Entry, str] = {
    Entry.CASE_OPENED: "The case was opened.",
    Entry.CASE_REOPENED: "The case was opened again.",
    Entry.CASE_CLOSED: "The case was closed ({reason}).",
    Entry.CASE_ASSIGNED: "The case was assigned.",
    Entry.CONTACT_ATTEMPTED: "Contact was tried by {channel}: {result}.",
    Entry.NOTE_ADDED: "A note was added.",
    Entry.NEED_REQUESTED: "Help was asked for: {category}.",
    Entry.APPROVAL_REQUESTED: "Leave to contact was asked for.",
    Entry.APPROVED: "Leave to contact was given.",
    Entry.OFFER_MADE: "A {target} was asked to help with {category}.",
    Entry.OFFER_ACCEPTED: "The {target} accepted.",
    Entry.OFFER_REJECTED: "The {target} declined ({reason}).",
    Entry.QUESTION_ASKED: "The {target} asked a question.",
    Entry.QUESTION_ANSWERED: "The question was answered.",
    Entry.APPOINTMENT_MADE: "An appointment was made.",
    Entry.APPOINTMENT_MISSED: "The appointment was missed.",
    Entry.APPOINTMENT_CANCELLED: "The appointment was cancelled.",
    Entry.PROGRESS: "The {target} reported progress.",
    Entry.OFFER_HELD: "The {target} is waiting ({reason}).",
    Entry.OFFER_RESUMED: "The {target} went on.",
    Entry.OFFER_COMPLETED: "The {target} finished ({outcome}).",
    Entry.OFFER_FAILED: "The {target} could not help ({reason}).",
    Entry.OFFER_CANCELLED: "The offer to the {target} ended ({reason}).",
    Entry.CANCEL_REQUESTED: "The offer to the {target} is to end ({reason}).",
    Entry.CLOCK_DUE: "A clock ran out: {clock}, reminder {reminder}.",
    Entry.NEEDS_PERSON: "This waits for a person ({reason}).",
    Entry.NEED_HELD: "Help with {category} is on hold ({reason}).",
    Entry.NEED_RESUMED: "Help with {category} goes on.",
    Entry.NEED_REOPENED: "Help with {category} was taken up again.",
    Entry.NEED_SETTLED: "Help with {category} ended: {status}.",
    Entry.CONSENT_ENDED: "The consent ended.",
    Entry.CONSENT_CHANGED: "The consent was changed.",
}

_WORDS = {"case-manager": "case manager", "department": "department", "partner": "partner"}


def sentence(entry_type: str, facts: Mapping[str, Any]) -> str:
    """The text of an entry, from its template and the codes beside it."""
    said = {name: _WORDS.get(str(value), str(value)) for name, value in facts.items()}
    return TEMPLATES[Entry(entry_type)].format_map(said)


# A coarse reader (who referred) sees that the family was reached and help began or ended.
COARSE: Mapping[str, str] = {
    Entry.NEED_REQUESTED: "The referral was received.",
    Entry.OFFER_ACCEPTED: "Somebody has it in hand.",
    Entry.CONTACT_ATTEMPTED: "The family was reached.",
    Entry.NEED_SETTLED: "The referral was closed.",
}
