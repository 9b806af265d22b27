"""Fixtures for every test that touches data. A service's conftest gives ``service``; then

``database`` is a migrated database of this test alone, ``db`` the service's pools on it,
``context`` what ``build`` takes, ``built`` the service, ``client`` an HTTP client on it, ``token``
makes access tokens and ``feeder`` feeds a group.
"""

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from handoff_kit.auth import ROLES, Signer, StaticJwks, Verifier, create_signing_keys
from handoff_kit.clock import SystemClock
from handoff_kit.crypto import BlindIndex, FileKeyWrapper, create_key_file
from handoff_kit.db import Database
from handoff_kit.embedded_postgres import EmbeddedPostgres
from handoff_kit.migrate import ensure_app_role
from handoff_kit.service import Built, Context, Service, run_migrate
from handoff_kit.settings import CoreSettings
from handoff_kit.testing import Feeder, TestDatabase, clone
from handoff_kit.urls import with_database, with_user
from handoff_kit.wakes import Wakes

APP_ROLE = "handoff_app"
APP_PASSWORD = "for-tests-only"  # noqa: S105 - of a throw-away cluster on loopback
AGENCY = "test-city"


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="handoff-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_url(postgres_home: Path) -> Iterator[str]:
    """Administrative address of a throw-away cluster; without fsync, which tests of faults set."""
    server = EmbeddedPostgres(
        postgres_home, settings={"fsync": "off", "max_connections": "150", "shared_buffers": "64MB"}
    )
    url = server.start()
    try:
        asyncio.run(ensure_app_role(url, APP_ROLE, APP_PASSWORD))
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka_runs() -> None:
    """Leaves a test out where Apache Kafka cannot run; with CI=true it fails instead."""
    from handoff_kit.kafka_cluster import missing

    reason = missing()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_runs: None) -> Iterator[str]:  # noqa: ARG001 - it skips
    """Bootstrap servers of Apache Kafka, one broker, started once a run from Maven's jars."""
    from handoff_kit.kafka_cluster import KafkaCluster

    with tempfile.TemporaryDirectory(prefix="handoff-kafka-", ignore_cleanup_errors=True) as home:
        cluster = KafkaCluster(Path(home))
        yield cluster.start()
        cluster.kill(1)  # Its data go with it: there is nothing to end in order.


@pytest.fixture(scope="session")
def template_of(postgres_url: str) -> Callable[[tuple[Service, ...]], str]:
    """Name of a database in which these services are migrated, made once a run."""
    made: dict[tuple[str, ...], str] = {}

    def make(services: tuple[Service, ...]) -> str:
        names = tuple(sorted(s.name for s in services))
        if names not in made:
            name = f"template_{'_'.join(names)}"

            async def build() -> None:
                connection = await asyncpg.connect(postgres_url)
                await connection.execute(f'CREATE DATABASE "{name}"')
                await connection.close()
                await run_migrate(
                    services, with_database(postgres_url, name), APP_ROLE, bus="embedded"
                )

            asyncio.run(build())
            made[names] = name
        return made[names]

    return make


@pytest.fixture
def services(service: Service) -> tuple[Service, ...]:
    """The services that this test's database holds; override for more than one."""
    return (service,)


@pytest.fixture
def migrated_template(
    services: tuple[Service, ...], template_of: Callable[[tuple[Service, ...]], str]
) -> str:
    return template_of(services)


@pytest.fixture
async def database(migrated_template: str, postgres_url: str) -> AsyncIterator[TestDatabase]:
    """A database of this test alone."""
    name = f"t_{uuid4().hex[:12]}"
    admin = await clone(postgres_url, migrated_template, name)
    yield TestDatabase(name, with_user(admin, APP_ROLE, APP_PASSWORD), admin)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def db(database: TestDatabase, service: Service) -> AsyncIterator[Database]:
    opened = Database(database.url, service.name)
    yield opened
    await opened.close()


@pytest.fixture
async def admin(database: TestDatabase) -> AsyncIterator[Any]:
    """A connection that sees everything, for looking behind the services' backs."""
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with signing keys and a key file."""
    folder = tmp_path_factory.mktemp("secrets")
    create_signing_keys(folder / "signing_keys.json")
    create_key_file(folder / "key_file.json")
    return folder


@pytest.fixture
def core_settings(database: TestDatabase, secrets: Path, tmp_path: Path) -> CoreSettings:
    return CoreSettings(
        database_url=database.url,
        home=tmp_path,
        city="demo",
        public_url="http://handoff.test",
        key_file=secrets / "key_file.json",
        jwks_file=secrets / "signing_keys.json",
    )


@pytest.fixture
def signer(secrets: Path) -> Signer:
    return Signer(secrets / "signing_keys.json", "http://handoff.test")


@pytest.fixture
def token(signer: Signer) -> Callable[..., str]:
    """``token("inspector", subject=…, agency=…, organization=…)`` → an access token."""

    def make(
        *roles: str,
        subject: str | None = None,
        agency: str = AGENCY,
        organization: str | None = None,
    ) -> str:
        unknown = set(roles) - set(ROLES)
        assert not unknown, f"no such role: {unknown}"
        return signer.issue(
            subject=subject or f"client-{roles[0]}",
            agency=agency,
            organization=organization,
            roles=roles,
        )

    return make


@pytest.fixture(scope="session")
def authorities() -> ssl.SSLContext:
    """The machine's certificates, read once: that takes longer than a short test."""
    return httpx.create_ssl_context()


@pytest.fixture
async def context(
    core_settings: CoreSettings,
    signer: Signer,
    db: Database,
    service: Service,
    secrets: Path,
    authorities: ssl.SSLContext,
) -> AsyncIterator[Context]:
    """What ``build`` gets. Put a mock transport into ``context.http`` where a test calls out."""
    http = httpx.AsyncClient(verify=authorities)
    made = Context(
        settings=core_settings,
        service=service.name,
        db=db,
        clock=SystemClock(),
        verifier=Verifier("http://handoff.test", StaticJwks(signer.jwks())),
        wakes=Wakes(),
        http=http,
        service_token=None,
        keys=FileKeyWrapper(secrets / "key_file.json"),
        index=BlindIndex.from_file(secrets / "key_file.json"),
    )
    yield made
    for doorway in made.doorways:
        await doorway.close()
    await http.aclose()


@pytest.fixture
async def built(context: Context, service: Service) -> AsyncIterator[Built]:
    made = await service.build(context)
    yield made
    if made.close is not None:
        await made.close()


@pytest.fixture
async def client(built: Built) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client on the service; give ``headers={"authorization": f"Bearer {token(…)}"}``."""
    transport = httpx.ASGITransport(app=built.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://handoff.test") as made:
        yield made


@pytest.fixture
def feeder(db: Database, built: Built) -> Callable[..., Feeder]:
    """``feeder()`` or ``feeder("group-name")`` → a Feeder of that group."""

    def make(name: str | None = None, agency: str = AGENCY) -> Feeder:
        groups = {g.name: g for g in built.groups}
        return Feeder(db, groups[name] if name else next(iter(groups.values())), agency)

    return make


def shared_data() -> Path:
    """Folder of real data for tests: ``HANDOFF_SHARED``, default ``../shared`` of the project.

    Skips the test where it is absent, except under ``CI=true``, where that is a failure.
    """
    root = Path(__file__).resolve().parents[4]
    folder = Path(os.environ.get("HANDOFF_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"HANDOFF_SHARED: no data folder at {folder}")
        pytest.skip("real data is not here (set HANDOFF_SHARED)")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    return shared_data()
