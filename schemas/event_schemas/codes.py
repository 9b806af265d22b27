"""Closed lists of codes. One place; services, policies and pages import from here.

Sources: HL7 SDOH Clinical Care guide 3.0.0 (categories, offer status), BSeR (business status),
HSDS 3.1 (capacity). *Ours* marks Handoff's own terms; see ``docs/glossary.md``.
"""

from enum import StrEnum


class NeedCategory(StrEnum):
    """Kinds of need: the 24 SDOH Clinical Care categories, then ours."""

    UNSPECIFIED = "sdoh-category-unspecified"
    FOOD_INSECURITY = "food-insecurity"
    HOUSING_INSTABILITY = "housing-instability"
    HOMELESSNESS = "homelessness"
    INADEQUATE_HOUSING = "inadequate-housing"
    TRANSPORTATION_INSECURITY = "transportation-insecurity"
    FINANCIAL_INSECURITY = "financial-insecurity"
    MATERIAL_HARDSHIP = "material-hardship"
    EDUCATIONAL_ATTAINMENT = "educational-attainment"
    EMPLOYMENT_STATUS = "employment-status"
    VETERAN_STATUS = "veteran-status"
    STRESS = "stress"
    SOCIAL_CONNECTION = "social-connection"
    INTIMATE_PARTNER_VIOLENCE = "intimate-partner-violence"
    ELDER_ABUSE = "elder-abuse"
    PERSONAL_HEALTH_LITERACY = "personal-health-literacy"
    HEALTH_INSURANCE_COVERAGE_STATUS = "health-insurance-coverage-status"
    MEDICAL_COST_BURDEN = "medical-cost-burden"
    DIGITAL_LITERACY = "digital-literacy"
    DIGITAL_ACCESS = "digital-access"
    UTILITY_INSECURITY = "utility-insecurity"
    INCARCERATION_STATUS = "incarceration-status"
    LANGUAGE_ACCESS = "language-access"
    PROTECTIVE_FACTOR = "protective-factor"
    # Ours, for people.
    HOME_REPAIR = "home-repair"
    HEALTH_CARE = "health-care"
    MENTAL_HEALTH = "mental-health"
    SUBSTANCE_USE = "substance-use"
    HOARDING = "hoarding"
    LEGAL_HELP = "legal-help"
    CHILD_CARE = "child-care"
    RELOCATION = "relocation"
    # Ours, for owners, who are people.
    TANGLED_TITLE = "tangled-title"
    OWNER_UNABLE_TO_REPAIR = "owner-unable-to-repair"
    # Ours, for a property alone.
    VACANT_AND_OPEN = "vacant-and-open"
    ILLEGAL_OCCUPANCY = "illegal-occupancy"
    BLOCKED_EGRESS = "blocked-egress"
    ELECTRICAL_HAZARD = "electrical-hazard"
    PESTS = "pests"
    HEAT_OFF = "heat-off"
    NO_WATER = "no-water"
    STRUCTURAL_DANGER = "structural-danger"
    RUBBISH = "rubbish"
    LEAD_HAZARD = "lead-hazard"
    FIRE_PROTECTION_MISSING = "fire-protection-missing"
    OTHER_HAZARD = "other-hazard"


PROPERTY_ONLY = frozenset(
    {
        NeedCategory.VACANT_AND_OPEN,
        NeedCategory.ILLEGAL_OCCUPANCY,
        NeedCategory.BLOCKED_EGRESS,
        NeedCategory.ELECTRICAL_HAZARD,
        NeedCategory.PESTS,
        NeedCategory.HEAT_OFF,
        NeedCategory.NO_WATER,
        NeedCategory.STRUCTURAL_DANGER,
        NeedCategory.RUBBISH,
        NeedCategory.LEAD_HAZARD,
        NeedCategory.FIRE_PROTECTION_MISSING,
        NeedCategory.OTHER_HAZARD,
    }
)
RESTRICTED = frozenset(
    {
        NeedCategory.INTIMATE_PARTNER_VIOLENCE,
        NeedCategory.ELDER_ABUSE,
        NeedCategory.SUBSTANCE_USE,
        NeedCategory.MENTAL_HEALTH,
    }
)


class Severity(StrEnum):
    LIFE_THREATENING = "life-threatening"
    SEVERE = "severe"
    MODERATE = "moderate"
    LOW = "low"


class Urgency(StrEnum):
    EMERGENCY = "emergency"
    URGENT = "urgent"
    ROUTINE = "routine"


class NeedStatus(StrEnum):
    REQUESTED = "requested"
    APPROVAL_PENDING = "approval-pending"
    MATCHING = "matching"
    OFFERED = "offered"
    IN_SERVICE = "in-service"
    ON_HOLD = "on-hold"
    MET = "met"
    PARTLY_MET = "partly-met"
    UNMET = "unmet"
    WITHDRAWN = "withdrawn"


NEED_SETTLED = frozenset(
    {NeedStatus.MET, NeedStatus.PARTLY_MET, NeedStatus.UNMET, NeedStatus.WITHDRAWN}
)
NEED_OPEN = frozenset(NeedStatus) - NEED_SETTLED


class CaseStatus(StrEnum):
    OPEN = "open"
    CONTACTED = "contacted"
    ACTIVE = "active"
    CLOSED = "closed"


class OfferStatus(StrEnum):
    """Task status of SDOHCC Task for referral management."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    ENTERED_IN_ERROR = "entered-in-error"


OFFER_TERMINAL = frozenset(
    {
        OfferStatus.REJECTED,
        OfferStatus.CANCELLED,
        OfferStatus.COMPLETED,
        OfferStatus.FAILED,
        OfferStatus.ENTERED_IN_ERROR,
    }
)
OFFER_OPEN = frozenset(OfferStatus) - OFFER_TERMINAL
OFFER_IN_HAND = OFFER_OPEN - {OfferStatus.REQUESTED}


class BusinessStatus(StrEnum):
    """BSeR business status, harmonised with IHE 360X."""

    CREATED = "2.0"
    ACCEPTED = "3.0"
    DECLINED = "4.0"
    SCHEDULED = "5.1.1"
    NO_SHOW = "5.1.2"
    APPOINTMENT_CANCELLED = "5.1.3"
    EVENT_COMPLETED = "5.1.4"
    CANCEL_REQUESTED = "5.2"
    FULFILMENT_CANCELLED = "6.0"
    FULFILMENT_COMPLETED = "7.0"


class TargetKind(StrEnum):
    CASE_MANAGER = "case-manager"
    DEPARTMENT = "department"
    PARTNER = "partner"


class OrganizationKind(StrEnum):
    CASE_MANAGEMENT = "case-management"
    DEPARTMENT = "department"
    PARTNER = "partner"


class Party(StrEnum):
    RESIDENT = "resident"
    TARGET = "target"
    SYSTEM = "system"


class Reason(StrEnum):
    """Why an offer ended without help, was held or was cancelled."""

    NO_CAPACITY = "no-capacity"
    NOT_ELIGIBLE = "not-eligible"
    OUTSIDE_AREA = "outside-area"
    MISSING_DOCUMENT = "missing-document"
    SERVICE_NOT_PROVIDED = "service-not-provided"
    LANGUAGE_NOT_AVAILABLE = "language-not-available"
    CONFLICT_OF_INTEREST = "conflict-of-interest"
    RESIDENT_DECLINED = "resident-declined"
    CANNOT_REACH_RESIDENT = "cannot-reach-resident"
    ALREADY_SERVED = "already-served"
    UNSAFE = "unsafe"
    OTHER = "other"
    NO_RESPONSE = "no-response"
    NEED_ENDED = "need-ended"
    RESIDENT_MOVED = "resident-moved"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    ENTERED_IN_ERROR = "entered-in-error"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    ACCEPTED_IN_ERROR = "accepted-in-error"
    WAITING_ON_RESIDENT = "waiting-on-resident"
    WAITING_FOR_DOCUMENT = "waiting-for-document"
    WAITING_FOR_CAPACITY = "waiting-for-capacity"


DECLINE_REASONS = frozenset(
    {
        Reason.NO_CAPACITY,
        Reason.NOT_ELIGIBLE,
        Reason.OUTSIDE_AREA,
        Reason.MISSING_DOCUMENT,
        Reason.SERVICE_NOT_PROVIDED,
        Reason.LANGUAGE_NOT_AVAILABLE,
        Reason.CONFLICT_OF_INTEREST,
        Reason.RESIDENT_DECLINED,
        Reason.CANNOT_REACH_RESIDENT,
        Reason.ALREADY_SERVED,
        Reason.UNSAFE,
        Reason.OTHER,
    }
)
HOLD_REASONS = frozenset(
    {
        Reason.WAITING_ON_RESIDENT,
        Reason.WAITING_FOR_DOCUMENT,
        Reason.WAITING_FOR_CAPACITY,
        Reason.OTHER,
    }
)


class Outcome(StrEnum):
    GOT_HELP = "got-help"
    ENROLLED = "enrolled"
    WAITLISTED = "waitlisted"
    INFORMATION_ONLY = "information-only"
    REFERRED_ELSEWHERE = "referred-elsewhere"
    HANDED_OVER = "handed-over"
    COULD_NOT_REACH = "could-not-reach"
    NOT_ELIGIBLE = "not-eligible"
    NO_FUNDS = "no-funds"
    NO_CAPACITY = "no-capacity"
    RESIDENT_DECLINED = "resident-declined"


class Verdict(StrEnum):
    ELIGIBLE = "eligible"
    ASK_FIRST = "ask-first"
    EXCLUDED = "excluded"


class CapacityStatus(StrEnum):
    NO_CAPACITY = "no-capacity"
    CAPACITY = "capacity"
    WAITLIST = "waitlist"
    ADDITIONAL_ASSESSMENT_REQUIRED = "additional-assessment-required"


class AgeBand(StrEnum):
    """Coarse ages that may travel when the consent covers the household."""

    MINOR = "minor"
    ADULT = "adult"
    OLDER_ADULT = "older-adult"


class Role(StrEnum):
    INSPECTOR = "inspector"
    SENIOR_INSPECTOR = "senior-inspector"
    AMBASSADOR = "ambassador"
    CASE_MANAGER = "case-manager"
    COORDINATOR = "coordinator"
    DEPARTMENT = "department"
    PARTNER = "partner"
    CITY_MANAGER = "city-manager"
    RECORDS_OFFICER = "records-officer"
    IT_OPERATOR = "it-operator"
    RESIDENT = "resident"
    SERVICE = "service"
    SYSTEM = "system"


class EncounterKind(StrEnum):
    INSPECTION = "inspection"
    OFFICE_HOURS = "office-hours"
    THREE_ONE_ONE = "311"
    AMBASSADOR = "ambassador"
    HELPER = "helper"
    OTHER = "other"
    FINDING = "finding"


class ContactChannel(StrEnum):
    PHONE = "phone"
    VISIT = "visit"
    EMAIL = "email"
    TEXT = "text"
    LETTER = "letter"


class ContactResult(StrEnum):
    REACHED = "reached"
    LEFT_MESSAGE = "left-message"
    NO_ANSWER = "no-answer"
    WRONG_NUMBER = "wrong-number"
    REFUSED = "refused"
    NOT_SAFE = "not-safe"


class ClockKind(StrEnum):
    """Clocks of a route, set by the city's policy; a finding's deadline is another matter."""

    ANSWER_DUE = "answer-due"
    FIRST_CONTACT_DUE = "first-contact-due"
    PROGRESS_DUE = "progress-due"
