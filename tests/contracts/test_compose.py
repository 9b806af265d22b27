"""docker-compose.yml is valid, and gives each process the settings that it really reads."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from handoff_kit.settings import SERVICES, CoreSettings, HandoffSettings, read

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
# Read by the kit beside settings classes (docs/operations/settings.md).
BESIDE = {"HANDOFF_CITIES", "OTEL_EXPORTER_OTLP_ENDPOINT"}
PROCESSES = [(service, command) for service in SERVICES for command in ("api", "worker")]
GIVEN = {
    "HANDOFF_PUBLIC_URL": "https://handoff.example",
    "HANDOFF_OWNER_PASSWORD": "owner",
    "HANDOFF_APP_PASSWORD": "app",
    "HANDOFF_SERVICE_CLIENT_SECRET": "secret",
}


def filled_in(node: Any) -> Any:
    """What Compose makes of the parsed file with `GIVEN` in .env."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name in GIVEN:
            return GIVEN[name]
        assert kind == "-", f"{name} is needed: put it into GIVEN"
        return str(rest)

    if isinstance(node, dict):
        return {key: filled_in(item) for key, item in node.items()}
    if isinstance(node, list):
        return [filled_in(item) for item in node]
    return VARIABLE.sub(value, node) if isinstance(node, str) else node


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = filled_in(yaml.safe_load(COMPOSE.read_text()))
    return found


def own_settings(service: str) -> type[HandoffSettings] | None:
    """The service's own settings class, if it has one."""
    if find_spec(f"{service}_svc.settings") is None:
        return None
    module = import_module(f"{service}_svc.settings")
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, HandoffSettings)
        and kind not in (HandoffSettings, CoreSettings)
    ]
    return kinds[0] if kinds else None


def variables(kind: type[HandoffSettings] | None) -> set[str]:
    return {f"HANDOFF_{name.upper()}" for name in kind.model_fields} if kind else set()


def test_it_follows_the_compose_specification() -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("check-jsonschema")),
            "--builtin-schema",
            "vendor.compose-spec",
            str(COMPOSE),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_compose_go_loads_it(compose: dict[str, Any], tmp_path: Path) -> None:
    """Its `cmd` has no way to be given variables, so they are filled in before."""
    go = shutil.which("go")
    if go is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Go is not installed: apt-get install golang-go")
        pytest.skip("Go is not installed; it builds compose-go")
    folder = ROOT / "var" / "tools" / COMPOSE_GO.rsplit("@", 1)[1]
    loader = folder / "cmd"
    if not loader.exists():
        subprocess.run(
            [go, "install", COMPOSE_GO], env={**os.environ, "GOBIN": str(folder)}, check=True
        )
    file = tmp_path / "docker-compose.yml"
    file.write_text(yaml.safe_dump(compose))
    done = subprocess.run(
        [str(loader), "-format", "json", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) >= {f"{s}-{c}" for s, c in PROCESSES}


@pytest.mark.parametrize(("service", "command"), PROCESSES)
def test_a_process_gets_what_it_reads_and_nothing_else(
    compose: dict[str, Any], service: str, command: str
) -> None:
    environment: dict[str, str] = compose["services"][f"{service}-{command}"]["environment"]
    assert all(isinstance(value, str) for value in environment.values()), "YAML took a number"
    own = own_settings(service)
    known = variables(CoreSettings) | variables(own) | BESIDE
    assert set(environment) - known == set(), "given, and nothing reads it"
    core = read(CoreSettings, environment)
    assert core.origin == GIVEN["HANDOFF_PUBLIC_URL"]
    assert core.kafka().bootstrap_servers
    assert core.key_file is not None
    assert core.service_client_id
    assert core.service_client_secret
    assert (core.worker_port is not None) == (command == "worker")
    if own is not None:
        read(own, environment)
    for other in SERVICES:
        assert core.url(other) == f"http://{other}-api:{core.port}"


@pytest.mark.parametrize(("service", "command"), PROCESSES)
def test_a_process_is_confined(compose: dict[str, Any], service: str, command: str) -> None:
    process = compose["services"][f"{service}-{command}"]
    assert process["command"] == ["python", "-m", f"{service}_svc", command]
    assert process["build"]["args"] == {"SERVICE": f"{service}-svc"}
    assert process["read_only"] is True
    assert process["cap_drop"] == ["ALL"]
    assert process["security_opt"] == ["no-new-privileges:true"]
    assert process["restart"] == "unless-stopped"
    assert process["healthcheck"]["test"]
    assert {k: v["condition"] for k, v in process["depends_on"].items()} == {
        "migrate": "service_completed_successfully",
        "keys": "service_completed_successfully",
    }
    # No service sees another's keys; none is the database's owner.
    keys = [v for v in process["volumes"] if v.startswith("keys-")]
    assert keys == [f"keys-{service}:/keys:ro"]
    assert "handoff_app" in process["environment"]["HANDOFF_DATABASE_URL"]


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" not in service:
            tag = service["image"].rpartition(":")[2]
            assert re.match(r"v?\d+\.\d+(\.\d+)?(-|$)", tag), f"{name}: {service['image']}"
    for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines():
        if line.startswith("FROM "):
            assert re.match(r"FROM python:3\.11\.\d+-slim-\w+( AS \w+)?$", line), line


def test_what_runs_on_is_healthy_or_says_why_not(compose: dict[str, Any]) -> None:
    without = {n for n, s in compose["services"].items() if "healthcheck" not in s}
    # Jobs end, the command is no server, and the collector's image holds no program to ask with.
    assert without == {"keys", "migrate", "cli", "collector"}


def test_secrets_have_no_default() -> None:
    """Empty is as good as absent, and what is absent stops the start, by name."""
    for name, kind, default in VARIABLE.findall(COMPOSE.read_text()):
        if name.endswith(("_PASSWORD", "_SECRET")):
            assert (kind, default) == ("-", ""), f"{name} has a default"


def test_the_example_has_every_variable_and_no_other() -> None:
    told = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    used = VARIABLE.findall(COMPOSE.read_text())
    assert {name for name, _ in told} == {name for name, _, _ in used}
    values = dict(told)
    for name, kind, default in used:
        assert values[name] == (default if kind == "-" else ""), name


def test_the_log_of_postgresql_holds_no_values(compose: dict[str, Any]) -> None:
    from handoff_kit.embedded_postgres.settings import PRIVATE

    given = dict(
        option.removeprefix("-c").split("=", 1)
        for option in compose["services"]["postgres"]["command"]
        if option.startswith("-c")
    )
    assert {k: v for k, v in given.items() if k in PRIVATE} == {
        k: v for k, v in PRIVATE.items() if k in given
    }
    needed = {
        "log_statement",
        "log_min_messages",
        "log_min_error_statement",
        "log_error_verbosity",
        "log_parameter_max_length",
        "log_parameter_max_length_on_error",
        "log_min_duration_statement",
    }
    assert needed <= set(given)


def test_brokers_are_three_of_one_cluster(compose: dict[str, Any]) -> None:
    brokers = {n: s for n, s in compose["services"].items() if n.startswith("kafka-")}
    assert len(brokers) == 3
    for number, (name, broker) in enumerate(sorted(brokers.items()), 1):
        environment = broker["environment"]
        assert environment["KAFKA_NODE_ID"] == str(number)
        assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert environment["KAFKA_DEFAULT_REPLICATION_FACTOR"] == "3"
        assert environment["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert environment["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
    assert len({b["environment"]["CLUSTER_ID"] for b in brokers.values()}) == 1


def test_the_proxy_and_the_collector_know_every_process(compose: dict[str, Any]) -> None:
    caddy = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    assert set(re.findall(r"reverse_proxy (?:@\w+ )?([\w-]+):8080", caddy)) == {
        f"{service}-api" for service in SERVICES
    }
    collector = yaml.safe_load((ROOT / "deploy" / "telemetry" / "collector.yaml").read_text())
    scraped = collector["receivers"]["prometheus"]["config"]["scrape_configs"][0]
    (found,) = scraped["dns_sd_configs"]  # Not static: a name has an address for each replica.
    assert set(found["names"]) == {f"{s}-{c}" for s, c in PROCESSES}
    assert (found["type"], found["port"]) == ("A", 8080)
    defined = {kind: set(collector[kind]) for kind in ("receivers", "processors", "exporters")}
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= defined[kind]


def test_the_operators_command_reaches_the_brokers(compose: dict[str, Any]) -> None:
    """Lag and the earliest record are asked of them."""
    command = read(CoreSettings, compose["services"]["cli"]["environment"])
    service = read(CoreSettings, compose["services"]["intake-worker"]["environment"])
    assert command.bus == service.bus == "kafka"
    assert command.kafka() == service.kafka()


def test_the_portal_believes_the_proxies_and_the_subnet_is_pinned(compose: dict[str, Any]) -> None:
    from portal_svc.domain.addresses import networks
    from portal_svc.settings import PortalSettings

    (pinned,) = compose["networks"]["default"]["ipam"]["config"]
    portal = read(PortalSettings, compose["services"]["portal-api"]["environment"])
    proxy = compose["services"]["proxy"]["environment"]
    told = f"{proxy['HANDOFF_SUBNET']} {proxy['HANDOFF_FRONT_PROXIES']}"
    assert portal.proxies == networks(told) == networks(pinned["subnet"])
    caddy = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    assert "trusted_proxies static {$HANDOFF_SUBNET} {$HANDOFF_FRONT_PROXIES}" in caddy


def test_every_mounted_file_is_there(compose: dict[str, Any]) -> None:
    named = set(compose["volumes"])
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":", 1)[0]
            assert source in named or (ROOT / source).exists(), f"{name}: {volume}"
