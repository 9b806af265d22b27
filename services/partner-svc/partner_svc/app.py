"""Wiring of partner-svc; its commands are ``api``, ``worker`` and ``migrate``."""

from fastapi import FastAPI
from handoff_kit.cities import cities_folder, city_folder
from handoff_kit.http import create_app
from handoff_kit.service import Built, Context, Service

from partner_svc.api.directory import IMPORT_BODY, IMPORTS, directory_router, imports_router
from partner_svc.api.offers import offers_router
from partner_svc.api.parts import Parts
from partner_svc.clients import Intake
from partner_svc.consumers import GROUPS
from partner_svc.handlers.answer import answer_offers
from partner_svc.handlers.areas import CityAreas
from partner_svc.handlers.directory import DirectoryHandler
from partner_svc.handlers.reading import DirectoryReader, load_city_terms


async def build(context: Context) -> Built:
    """Raises: areas.AreasRefused, yamlfile.FileRefused, cities.CityNotFound."""
    city = city_folder(context.settings.city)
    areas = CityAreas.load(city / "areas.geojson")
    reader = DirectoryReader(areas, load_city_terms(cities_folder(), city))
    parts = Parts(
        db=context.db,
        offers=context.doorway(answer_offers),
        # One writer: an agency's changes wait for each other anyway.
        directory=context.doorway(DirectoryHandler(areas), writers=1),
        intake=Intake(context.http, context.url("intake"), context.service_token),
    )

    def make_app() -> FastAPI:
        return create_app(
            "partner",
            title="Handoff partner",
            description="Offers to partners and departments, and the directory of services.",
            verifier=context.verifier,
            routers=[
                offers_router(parts),
                directory_router(parts),
                imports_router(parts, reader, context.clock),
            ],
            readiness={"database": context.ready},
            body_rules={f"/partner/v1{IMPORTS}": IMPORT_BODY},
        )

    return Built(make_app=make_app, groups=GROUPS)


SERVICE = Service(name="partner", package="partner_svc", build=build)
