"""Every sentence that Handoff says to a person, in every language, in this one place.

A template's key is ``<family>.<name>``; its family says whom it may be told to (`audience`).
Fields in braces: ``help`` is a kind of need in words, ``organization`` a name that the directory
publishes. There is no other field: a sentence cannot hold a note or a fact of a resident.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Final

from event_schemas.codes import NeedCategory as Need

LANGUAGES: Final = ("en", "es")
DEFAULT_LANGUAGE: Final = "en"

TEMPLATES: Final[dict[str, tuple[str, str]]] = {
    "referrer.received": (
        "Your referral was received.",
        "Recibimos el caso que usted envió.",
    ),
    "referrer.reached": (
        "The family was reached.",
        "Se logró contactar a la familia.",
    ),
    "referrer.in-hand": (
        "A case manager has taken on your referral.",
        "Una persona encargada del caso ya se ocupa de lo que usted envió.",
    ),
    "referrer.help-found": (
        "Somebody has taken on {help} for the family.",
        "Alguien ya se encarga de {help} para la familia.",
    ),
    "referrer.help-started": (
        "The family was reached and {help} has started.",
        "Se logró contactar a la familia y ya comenzó {help}.",
    ),
    "referrer.met": (
        "The family got {help}.",
        "La familia recibió {help}.",
    ),
    "referrer.partly-met": (
        "The family got a part of what it needed: {help}.",
        "La familia recibió una parte de lo que necesitaba: {help}.",
    ),
    "referrer.unmet": (
        "This time nobody could be found for {help}.",
        "Esta vez no se encontró a nadie para {help}.",
    ),
    "referrer.ended": (
        "This part of your referral has ended.",
        "Esta parte del caso que usted envió ha terminado.",
    ),
    "referrer.property-taken": (
        "A department has taken on what you reported.",
        "Un departamento se encarga de lo que usted reportó.",
    ),
    "referrer.property-done": (
        "What you reported was taken care of.",
        "Lo que usted reportó fue atendido.",
    ),
    "referrer.property-open": (
        "What you reported could not be settled this time.",
        "Esta vez no se pudo resolver lo que usted reportó.",
    ),
    "target.offer-waits": (
        "An offer waits for you.",
        "Una solicitud espera su respuesta.",
    ),
    "target.offer-made": (
        "An offer waits for you: {help}.",
        "Una solicitud espera su respuesta: {help}.",
    ),
    "target.answer-due": (
        "An offer still waits for your answer.",
        "Una solicitud todavía espera su respuesta.",
    ),
    "target.first-contact-due": (
        "A case waits for its first contact.",
        "Un caso espera su primer contacto.",
    ),
    "target.progress-due": (
        "A case waits for news from you.",
        "Un caso espera noticias suyas.",
    ),
    "target.cancel-asked": (
        "You are asked to stop work on an offer. Please confirm.",
        "Se le pide dejar de trabajar en una solicitud. Por favor confirme.",
    ),
    "target.cancelled": (
        "An offer to you was cancelled. There is nothing more to do.",
        "Se canceló una solicitud. No hay nada más que hacer.",
    ),
    "target.stop": (
        "An offer to you has ended at the person's wish. Please stop work on it.",
        "Una solicitud terminó por deseo de la persona. Por favor deje de trabajar en ella.",
    ),
    "manager.assigned": (
        "A case was assigned to you.",
        "Se le asignó un caso.",
    ),
    "manager.need-added": (
        "A need joined one of your cases: {help}.",
        "Se agregó una necesidad a uno de sus casos: {help}.",
    ),
    "manager.accepted": (
        "{organization} accepted: {help}.",
        "{organization} aceptó: {help}.",
    ),
    "manager.rejected": (
        "{organization} declined: {help}.",
        "{organization} no aceptó: {help}.",
    ),
    "manager.question": (
        "{organization} has a question: {help}.",
        "{organization} tiene una pregunta: {help}.",
    ),
    "manager.scheduled": (
        "{organization} set an appointment: {help}.",
        "{organization} fijó una cita: {help}.",
    ),
    "manager.no-show": (
        "An appointment with {organization} was missed: {help}.",
        "No se asistió a una cita con {organization}: {help}.",
    ),
    "manager.appointment-cancelled": (
        "An appointment with {organization} was cancelled: {help}.",
        "Se canceló una cita con {organization}: {help}.",
    ),
    "manager.progressed": (
        "{organization} reported progress: {help}.",
        "{organization} informó avances: {help}.",
    ),
    "manager.held": (
        "{organization} put its work on hold: {help}.",
        "{organization} puso su trabajo en espera: {help}.",
    ),
    "manager.resumed": (
        "{organization} went on with its work: {help}.",
        "{organization} continuó su trabajo: {help}.",
    ),
    "manager.completed": (
        "{organization} finished: {help}.",
        "{organization} terminó: {help}.",
    ),
    "manager.failed": (
        "{organization} could not go on: {help}.",
        "{organization} no pudo continuar: {help}.",
    ),
    "manager.cancelled": (
        "An offer to {organization} has ended: {help}.",
        "Terminó una solicitud a {organization}: {help}.",
    ),
    "manager.answer-due": (
        "{organization} has not answered yet: {help}.",
        "{organization} todavía no ha respondido: {help}.",
    ),
    "manager.first-contact-due": (
        "A case of yours waits for its first contact.",
        "Uno de sus casos espera su primer contacto.",
    ),
    "manager.progress-due": (
        "{organization} has not reported in time: {help}.",
        "{organization} no ha informado a tiempo: {help}.",
    ),
    "manager.settled": (
        "A need in one of your cases was settled: {help}.",
        "Se cerró una necesidad en uno de sus casos: {help}.",
    ),
    "manager.reopened": (
        "One of your cases was opened again.",
        "Uno de sus casos se abrió de nuevo.",
    ),
    "coordinator.answer-due": (
        "{organization} has not answered yet: {help}.",
        "{organization} todavía no ha respondido: {help}.",
    ),
    "coordinator.unmet": (
        "A need stayed without help: {help}.",
        "Una necesidad quedó sin ayuda: {help}.",
    ),
    "city.referred": (
        "A referral came in.",
        "Llegó un caso.",
    ),
    "city.reached": (
        "A family was reached.",
        "Se logró contactar a una familia.",
    ),
    "city.met": (
        "A need was met.",
        "Se atendió una necesidad.",
    ),
    "city.unmet": (
        "A need stayed without help.",
        "Una necesidad quedó sin ayuda.",
    ),
    "approver.waits": (
        "A contact waits for your approval.",
        "Un contacto espera su aprobación.",
    ),
    "owner.endpoint-gone": (
        "Your webhook was switched off, because its address answered that it is gone.",
        "Su webhook fue desactivado, porque su dirección respondió que ya no existe.",
    ),
    "owner.endpoint-failing": (
        "Your webhook could not be reached for three days; what waited for it was given up.",
        "No se pudo contactar su webhook durante tres días; se dejó de intentar.",
    ),
}

HELP: Final[dict[Need, tuple[str, str]]] = {
    Need.UNSPECIFIED: ("help", "la ayuda"),
    Need.FOOD_INSECURITY: ("food help", "la ayuda con alimentos"),
    Need.HOUSING_INSTABILITY: ("help to keep the home", "la ayuda para conservar la vivienda"),
    Need.HOMELESSNESS: ("help to find a home", "la ayuda para encontrar vivienda"),
    Need.INADEQUATE_HOUSING: ("help with a bad home", "la ayuda con una vivienda en mal estado"),
    Need.TRANSPORTATION_INSECURITY: ("help with transport", "la ayuda con transporte"),
    Need.FINANCIAL_INSECURITY: ("money help", "la ayuda económica"),
    Need.MATERIAL_HARDSHIP: ("help with basic things", "la ayuda con artículos básicos"),
    Need.EDUCATIONAL_ATTAINMENT: ("help with schooling", "la ayuda con los estudios"),
    Need.EMPLOYMENT_STATUS: ("help with work", "la ayuda con el empleo"),
    Need.VETERAN_STATUS: ("help for veterans", "la ayuda para veteranos"),
    Need.STRESS: ("help with stress", "la ayuda con el estrés"),
    Need.SOCIAL_CONNECTION: ("company and contact", "la ayuda con compañía y contacto"),
    Need.INTIMATE_PARTNER_VIOLENCE: ("help", "la ayuda"),
    Need.ELDER_ABUSE: ("help", "la ayuda"),
    Need.PERSONAL_HEALTH_LITERACY: (
        "help with health information",
        "la ayuda con información de salud",
    ),
    Need.HEALTH_INSURANCE_COVERAGE_STATUS: (
        "help with health insurance",
        "la ayuda con el seguro médico",
    ),
    Need.MEDICAL_COST_BURDEN: ("help with medical bills", "la ayuda con gastos médicos"),
    Need.DIGITAL_LITERACY: ("help with computers", "la ayuda con computadoras"),
    Need.DIGITAL_ACCESS: ("help with internet access", "la ayuda con acceso a internet"),
    Need.UTILITY_INSECURITY: ("help with utilities", "la ayuda con servicios básicos"),
    Need.INCARCERATION_STATUS: ("help after release", "la ayuda después de la liberación"),
    Need.LANGUAGE_ACCESS: ("language help", "la ayuda con el idioma"),
    Need.PROTECTIVE_FACTOR: ("support", "el apoyo"),
    Need.HOME_REPAIR: ("help with home repair", "la ayuda con reparaciones"),
    Need.HEALTH_CARE: ("health care", "la atención médica"),
    Need.MENTAL_HEALTH: ("help", "la ayuda"),
    Need.SUBSTANCE_USE: ("help", "la ayuda"),
    Need.HOARDING: ("help with clearing the home", "la ayuda para ordenar la vivienda"),
    Need.LEGAL_HELP: ("legal help", "la ayuda legal"),
    Need.CHILD_CARE: ("child care", "el cuidado de niños"),
    Need.RELOCATION: ("help with moving", "la ayuda con la mudanza"),
    Need.TANGLED_TITLE: ("help with a title", "la ayuda con un título de propiedad"),
    Need.OWNER_UNABLE_TO_REPAIR: (
        "repair help for an owner",
        "la ayuda de reparación para un propietario",
    ),
    Need.VACANT_AND_OPEN: ("a vacant and open building", "un edificio vacío y abierto"),
    Need.ILLEGAL_OCCUPANCY: ("illegal occupancy", "una ocupación ilegal"),
    Need.BLOCKED_EGRESS: ("a blocked way out", "una salida bloqueada"),
    Need.ELECTRICAL_HAZARD: ("an electrical hazard", "un peligro eléctrico"),
    Need.PESTS: ("pests", "plagas"),
    Need.HEAT_OFF: ("no heat", "falta de calefacción"),
    Need.NO_WATER: ("no water", "falta de agua"),
    Need.STRUCTURAL_DANGER: ("a structural danger", "un peligro estructural"),
    Need.RUBBISH: ("rubbish", "basura"),
    Need.LEAD_HAZARD: ("a lead hazard", "un peligro de plomo"),
    Need.FIRE_PROTECTION_MISSING: (
        "missing fire protection",
        "falta de protección contra incendios",
    ),
    Need.OTHER_HAZARD: ("a hazard", "un peligro"),
}

MAIL_SUBJECT: Final = ("News in Handoff", "Novedades en Handoff")
MAIL_BODY: Final = (
    "{text}\n\nSee it here: {link}\n\n"
    "You get this because you chose mail in your preferences; you can change that there.\n",
    "{text}\n\nVéalo aquí: {link}\n\n"
    "Usted recibe este correo porque lo eligió en sus preferencias; allí puede cambiarlo.\n",
)


def fields_of(template: str) -> frozenset[str]:
    """The fields that a template's sentences hold. Raises KeyError for an unknown template."""
    return frozenset(
        name for text in TEMPLATES[template] for _, name, _, _ in Formatter().parse(text) if name
    )


def render(template: str, params: Mapping[str, str], language: str) -> str:
    """The sentence in this language (English where there is no such language).

    ``params``: ``help`` as the code of a kind of need, ``organization`` as a name.
    """
    column = _column(language)
    words = dict(params)
    if "help" in words:
        words["help"] = HELP[Need(words["help"])][column]
    words.setdefault("organization", ("An organization", "Una organización")[column])
    words.setdefault("help", HELP[Need.UNSPECIFIED][column])
    return TEMPLATES[template][column].format_map(words)


def render_mail(
    template: str, params: Mapping[str, str], language: str, link: str
) -> tuple[str, str]:
    """Subject and body of a mail. The subject never says what the mail is about."""
    column = _column(language)
    text = render(template, params, language)
    return MAIL_SUBJECT[column], MAIL_BODY[column].format(text=text, link=link)


def _column(language: str) -> int:
    short = language.split("-", 1)[0].lower()
    return LANGUAGES.index(short) if short in LANGUAGES else 0
