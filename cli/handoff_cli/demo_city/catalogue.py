"""Organizations and services of the demo city, as tables: what they are called, whom they serve.

Every name is a description, in English and Spanish; there are no persons.
"""

from dataclasses import dataclass

from event_schemas.codes import NeedCategory as Need
from event_schemas.codes import OrganizationKind as Kind

CITYWIDE = ("city:demo-city",)
EN, EN_ES = ("en",), ("en", "es")


@dataclass(frozen=True)
class Service:
    """A service. ``areas`` are area codes that it serves whole.

    ``ages`` and ``tenures`` are rules; ``words`` is a rule that only a person can judge;
    ``places`` is how many it can take, None where it has no limit.
    """

    slug: str
    name: str
    spanish: str
    needs: tuple[Need, ...]
    areas: tuple[str, ...] = CITYWIDE
    languages: tuple[str, ...] = EN_ES
    interpreters: bool = False
    ages: tuple[int | None, int | None] = (None, None)
    tenures: tuple[str, ...] = ()
    words: str | None = None
    places: int | None = None
    confidential: bool = False


@dataclass(frozen=True)
class Organization:
    """An organization with its services; ``participant``: works with case management."""

    slug: str
    name: str
    spanish: str
    services: tuple[Service, ...] = ()
    kind: Kind = Kind.PARTNER
    participant: bool = False
    enforcement: bool = False
    agreement: bool = True


def _department(slug: str, name: str, spanish: str, *, enforcement: bool) -> Organization:
    return Organization(slug, name, spanish, kind=Kind.DEPARTMENT, enforcement=enforcement)


ORGANIZATIONS: tuple[Organization, ...] = (
    Organization(
        "case-management", "Demo City Case Management", "Gestión de Casos de Demo City",
        kind=Kind.CASE_MANAGEMENT,
    ),
    _department(
        "inspectional-services", "Inspectional Services", "Servicios de Inspección",
        enforcement=True,
    ),
    _department("fire-department", "Fire Department", "Departamento de Bomberos", enforcement=True),
    _department("public-health", "Public Health", "Salud Pública", enforcement=True),
    _department("public-works", "Public Works", "Obras Públicas", enforcement=False),
    _department("housing-office", "Housing Office", "Oficina de Vivienda", enforcement=False),
    _department("law-department", "Law Department", "Departamento Legal", enforcement=True),
    _department("land-bank", "Land Bank", "Banco de Tierras", enforcement=False),
    _department("city-hall", "City Hall", "Ayuntamiento", enforcement=False),
    _department(
        "ambassadors", "Neighborhood Ambassadors", "Embajadores del Vecindario", enforcement=False
    ),
    Organization(
        "food-pantry-north", "North Food Pantry", "Despensa de Alimentos Norte",
        (
            Service("north-groceries", "Groceries for the week", "Comestibles para la semana",
                    (Need.FOOD_INSECURITY,)),
            Service("north-baby-supplies", "Diapers and formula", "Pañales y fórmula",
                    (Need.MATERIAL_HARDSHIP,), ages=(0, 17), places=20),
        ),
        participant=True,
    ),
    Organization(
        "food-pantry-harbor", "Harbor Food Pantry", "Despensa de Alimentos del Puerto",
        (
            Service("harbor-groceries", "Groceries brought home", "Comestibles a domicilio",
                    (Need.FOOD_INSECURITY,)),
            Service("harbor-furniture", "Beds and furniture", "Camas y muebles",
                    (Need.MATERIAL_HARDSHIP,), ("district:harbor", "district:center"), places=6),
        ),
        participant=True,
    ),
    Organization(
        "community-kitchen", "Community Kitchen", "Cocina Comunitaria",
        (
            Service("kitchen-hot-meals", "Hot meals", "Comidas calientes", (Need.FOOD_INSECURITY,)),
            Service("kitchen-table", "Neighbors' table", "La mesa de los vecinos",
                    (Need.SOCIAL_CONNECTION,), ("district:center", "district:hill")),
        ),
        participant=True,
    ),
    Organization(
        "home-repair-fund", "Home Repair Fund", "Fondo de Reparación de Viviendas",
        (
            Service("repair-grants", "Repair grants for owners", "Subvenciones para propietarios",
                    (Need.OWNER_UNABLE_TO_REPAIR,), tenures=("owner",)),
            Service("small-repairs", "Small repairs", "Reparaciones pequeñas",
                    (Need.HOME_REPAIR,), places=12),
            Service("safe-rooms", "Heat, locks and alarms", "Calefacción, cerraduras y alarmas",
                    (Need.INADEQUATE_HOUSING, Need.HOME_REPAIR)),
        ),
        participant=True,
    ),
    Organization(
        "tenant-legal-aid", "Tenant Legal Aid", "Ayuda Legal para Inquilinos",
        (
            Service("eviction-defense", "Help against eviction", "Defensa contra el desalojo",
                    (Need.LEGAL_HELP, Need.HOUSING_INSTABILITY), tenures=("renter",)),
            Service("benefits-appeals", "Appeals about benefits", "Apelaciones de beneficios",
                    (Need.LEGAL_HELP,), interpreters=True),
            Service("title-clinic", "Clinic for tangled titles", "Clínica de títulos de propiedad",
                    (Need.TANGLED_TITLE,), tenures=("owner",)),
        ),
        participant=True,
    ),
    Organization(
        "senior-services", "Senior Services", "Servicios para Mayores",
        (
            Service("home-visits", "Visits at home", "Visitas a domicilio",
                    (Need.SOCIAL_CONNECTION,), ages=(60, None)),
            Service("senior-rides", "Rides for seniors", "Transporte para mayores",
                    (Need.TRANSPORTATION_INSECURITY,), ages=(60, None), places=15),
            Service("sorting-help", "Sorting with a helper", "Ordenar con ayuda",
                    (Need.HOARDING,), words="A visit first; people of every age."),
            Service("elder-safety", "Safety of older people", "Seguridad de personas mayores",
                    (Need.ELDER_ABUSE,), ages=(60, None)),
        ),
        participant=True,
    ),
    Organization(
        "tenant-union", "Tenants' Union", "Unión de Inquilinos",
        (
            Service("know-your-rights", "Know your rights", "Conozca sus derechos",
                    (Need.HOUSING_INSTABILITY, Need.INADEQUATE_HOUSING), tenures=("renter",)),
        ),
        participant=True,
    ),
    Organization(
        "shelter-network", "Shelter Network", "Red de Refugios",
        (
            Service("family-shelter", "Rooms for families", "Habitaciones para familias",
                    (Need.HOMELESSNESS,), places=4, interpreters=True),
            Service("rehousing", "Finding another home", "Buscar otra vivienda",
                    (Need.RELOCATION, Need.HOUSING_INSTABILITY), places=10),
            Service("safe-house", "A safe place", "Un lugar seguro",
                    (Need.INTIMATE_PARTNER_VIOLENCE,), confidential=True, interpreters=True),
        ),
        participant=True,
    ),
    Organization(
        "utility-fund", "Utility Fund", "Fondo de Servicios Públicos",
        (
            Service("heating-bills", "Help with heating bills", "Ayuda con la calefacción",
                    (Need.UTILITY_INSECURITY,)),
            Service("arrears", "Settling old bills", "Arreglo de deudas",
                    (Need.UTILITY_INSECURITY, Need.FINANCIAL_INSECURITY),
                    words="Income below the fund's limit."),
        ),
        participant=True,
    ),
    Organization(
        "money-desk", "Money Desk", "Mesa de Finanzas",
        (
            Service("budget-advice", "Advice on money", "Asesoría financiera",
                    (Need.FINANCIAL_INSECURITY,)),
            Service("emergency-cash", "Small emergency payments", "Pagos de emergencia",
                    (Need.FINANCIAL_INSECURITY, Need.MATERIAL_HARDSHIP), places=8),
        ),
        participant=True,
    ),
    Organization(
        "health-center", "Harbor Health Center", "Centro de Salud del Puerto",
        (
            Service("clinic", "Clinic", "Clínica", (Need.HEALTH_CARE,), interpreters=True),
            Service("asthma-visits", "Asthma visits at home", "Visitas por asma",
                    (Need.HEALTH_CARE,), ages=(0, 17)),
            Service("insurance-desk", "Health insurance", "Seguro médico",
                    (Need.HEALTH_INSURANCE_COVERAGE_STATUS, Need.MEDICAL_COST_BURDEN)),
            Service("counseling", "Counseling", "Consejería",
                    (Need.MENTAL_HEALTH, Need.STRESS), places=5),
            Service("recovery", "Recovery support", "Apoyo en la recuperación",
                    (Need.SUBSTANCE_USE,)),
            Service("health-words", "Understanding your care", "Entender su atención médica",
                    (Need.PERSONAL_HEALTH_LITERACY,)),
        ),
        participant=True,
    ),
    Organization(
        "family-center", "Family Center", "Centro Familiar",
        (
            Service("child-care", "Child care places", "Cuidado infantil",
                    (Need.CHILD_CARE,), ages=(0, 12), places=9),
            Service("parents-circle", "Parents' circle", "Círculo de padres",
                    (Need.PROTECTIVE_FACTOR, Need.SOCIAL_CONNECTION),
                    ("district:west", "district:center")),
        ),
        participant=True,
    ),
    Organization(
        "workers-center", "Workers' Center", "Centro de Trabajadores",
        (
            Service("job-search", "Finding work", "Búsqueda de empleo",
                    (Need.EMPLOYMENT_STATUS,), ages=(16, None)),
            Service("coming-home", "After prison", "Después de la prisión",
                    (Need.INCARCERATION_STATUS, Need.EMPLOYMENT_STATUS), ages=(18, None)),
        ),
        participant=True,
    ),
    Organization(
        "learning-house", "Learning House", "Casa de Aprendizaje",
        (
            Service("english-classes", "English classes", "Clases de inglés",
                    (Need.LANGUAGE_ACCESS, Need.EDUCATIONAL_ATTAINMENT)),
            Service("computer-classes", "Computer classes", "Clases de computación",
                    (Need.DIGITAL_LITERACY,)),
            Service("home-internet", "Internet at home", "Internet en casa",
                    (Need.DIGITAL_ACCESS,), places=30),
        ),
        participant=True,
    ),
    Organization(
        "ride-share", "Neighbors' Rides", "Viajes de Vecinos",
        (
            Service("errand-rides", "Rides for errands", "Viajes para diligencias",
                    (Need.TRANSPORTATION_INSECURITY,), ("district:west",), EN),
        ),
        participant=True,
    ),
    Organization(
        "veterans-house", "Veterans' House", "Casa de Veteranos",
        (
            Service("veterans-desk", "Benefits for veterans", "Beneficios para veteranos",
                    (Need.VETERAN_STATUS,), languages=EN, ages=(18, None)),
        ),
        agreement=False,
    ),
    Organization(
        "hill-cupboard", "East Hill Cupboard", "Alacena de East Hill",
        (
            Service("hill-parcels", "Food parcels", "Paquetes de alimentos",
                    (Need.FOOD_INSECURITY,), ("district:hill",), places=10),
        ),
        agreement=False,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Seat:
    """A seat of the staff: a role, never a person. ``key`` is the e-mail's local part."""

    key: str
    title: str
    role: str
    organization: str


STAFF: tuple[Seat, ...] = (
    Seat("inspector-1", "Inspector 1", "inspector", "inspectional-services"),
    Seat("inspector-2", "Inspector 2", "inspector", "inspectional-services"),
    Seat("senior-inspector", "Senior Inspector", "senior-inspector", "inspectional-services"),
    Seat("ambassador", "Ambassador 1", "ambassador", "ambassadors"),
    Seat("case-manager-1", "Case Manager 1", "case-manager", "case-management"),
    Seat("case-manager-2", "Case Manager 2", "case-manager", "case-management"),
    Seat("coordinator", "Coordinator", "coordinator", "city-hall"),
    Seat("department", "Inspectional Services Desk", "department", "inspectional-services"),
    Seat("fire", "Fire Department Desk", "department", "fire-department"),
    Seat("food-north", "North Food Pantry Desk", "partner", "food-pantry-north"),
    Seat("food-harbor", "Harbor Food Pantry Desk", "partner", "food-pantry-harbor"),
    Seat("city-manager", "City Manager", "city-manager", "city-hall"),
    Seat("records", "Records Officer", "records-officer", "city-hall"),
    Seat("it", "IT Operator", "it-operator", "city-hall"),
)
