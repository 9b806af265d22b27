"""Wiring: the one place where intake's parts meet."""

from fastapi import FastAPI
from handoff_kit.cities import city_folder
from handoff_kit.http import create_app
from handoff_kit.service import Built, Context, Periodic, Service
from handoff_kit.settings import SettingsRefused, read

from intake_svc.api import Parts, routers
from intake_svc.consumers import groups
from intake_svc.handlers.city import Office, load_office
from intake_svc.handlers.consents import ConsentDesk
from intake_svc.handlers.disclosures import DisclosureDesk
from intake_svc.handlers.inspections import InspectionDesk
from intake_svc.handlers.notes import NoteDesk
from intake_svc.handlers.referrals import ReferralDesk
from intake_svc.handlers.withdrawals import Expiry, WithdrawalDesk
from intake_svc.settings import IntakeSettings


async def build(context: Context) -> Built:
    """Intake in one process.

    Raises: SettingsRefused, CityNotFound, `yamlfile.FileRefused`, `areas.AreasRefused`.
    """
    if context.keys is None or context.index is None:
        raise SettingsRefused("HANDOFF_KEY_FILE: needed, residents' facts are sealed with it")
    folder = city_folder(context.settings.city)
    office = load_office(folder, context.keys, context.index)
    return wire(context, office, read(IntakeSettings))


def wire(context: Context, office: Office, settings: IntakeSettings) -> Built:
    """`build` with the city and the settings given."""
    parts = Parts(
        db=context.db,
        office=office,
        inspections=context.doorway(InspectionDesk(office).apply, writers=settings.intake_writers),
        referrals=context.doorway(ReferralDesk(office).apply, writers=settings.intake_writers),
        grants=context.doorway(ConsentDesk(office).apply, writers=1),
        withdrawals=context.doorway(WithdrawalDesk().apply, writers=1),
        readings=context.doorway(DisclosureDesk(office).apply),
        notes=context.doorway(NoteDesk(office).apply),
    )

    def make_app() -> FastAPI:
        return create_app(
            "intake",
            title="Handoff intake",
            description="Inspections, referrals, consents; the only place that knows residents.",
            verifier=context.verifier,
            routers=routers(parts),
            readiness={"database": context.ready},
        )

    return Built(
        make_app=make_app,
        groups=groups(office),
        periodics=[Periodic("intake-consent-expiry", 1.0, Expiry().run)],
    )


SERVICE = Service(name="intake", package="intake_svc", build=build)
