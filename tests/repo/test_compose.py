"""docker-compose.yml: the whole stack, with restricted privileges, reachable from this machine only."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.stack import Ports

SERVICES = {"call-control": 8080, "media-gateway": 8081, "agent-relay": 8082}
REAL = {f"azure-{name}": port for name, port in SERVICES.items()}
OBSERVERS = ("prometheus", "grafana", "collector", "tempo")
SIMULATORS = {"acs": 8090, "voice-live": 8091, "identity": 8093}

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, Service]:
    compose: dict[str, dict[str, Service]] = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    return compose["services"]


def test_it_contains_the_whole_stack(services: dict[str, Service]) -> None:
    profiles = {"sim": {*SERVICES, *SIMULATORS}, "azure": set(REAL), "obs": set(OBSERVERS)}
    assert set(services) == {"redis"}.union(*profiles.values())
    for profile, names in profiles.items():
        assert {name for name, service in services.items() if service.get("profiles") == [profile]} == names


def test_the_real_services_differ_only_in_their_settings(services: dict[str, Service]) -> None:
    """The services for Azure must not use the settings of the simulators."""
    for name in SERVICES:
        real, simulated = services[f"azure-{name}"], services[name]
        ours = {"environment", "profiles"}
        assert {key: real[key] for key in real if key not in ours} == {
            key: simulated[key] for key in simulated if key not in ours
        }
        assert set(real["environment"]) == {
            *("ALLOW_INSECURE", "LOG_FORMAT", "OTEL_EXPORTER_OTLP_ENDPOINT", "PORT", "REDIS_URL")
        }
        assert real["environment"]["ALLOW_INSECURE"] == "${ALLOW_INSECURE-plain-redis}"


def test_every_container_is_confined(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_container_is_limited(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+m", service["mem_limit"]), name
        assert service["pids_limit"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name


def test_images_that_are_not_built_have_an_exact_version(services: dict[str, Service]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), name


def test_the_observers_read_files_of_the_repository(services: dict[str, Service], root: Path) -> None:
    mounted = [mount.split(":")[0] for name in OBSERVERS for mount in services[name]["volumes"]]
    assert len(mounted) == 6
    assert all((root / path).exists() for path in mounted)
    assert all(mount.endswith(":ro") for name in OBSERVERS for mount in services[name]["volumes"])


def test_prometheus_scrapes_every_service(root: Path) -> None:
    [job] = yaml.safe_load((root / "observability/prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    scraped = {(name, sd["port"]) for sd in job["dns_sd_configs"] for name in sd["names"]}
    assert scraped == {*SERVICES.items(), *REAL.items()}


def test_the_env_file_allows_the_collector_and_nothing_else(services: dict[str, Service], root: Path) -> None:
    lines = (root / "observability/sim.env").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    usual = services["call-control"]["environment"]["ALLOW_INSECURE"].removeprefix("${ALLOW_INSECURE-").rstrip("}")
    assert given == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "ALLOW_INSECURE": f"{usual},plain-telemetry",
    }


def test_traces_go_from_the_services_to_grafana(services: dict[str, Service], root: Path) -> None:
    folder = root / "observability"
    collector = yaml.safe_load((folder / "collector.yaml").read_text(encoding="utf-8"))
    tempo = yaml.safe_load((folder / "tempo.yaml").read_text(encoding="utf-8"))
    sources = yaml.safe_load((folder / "grafana/provisioning/datasources/sources.yaml").read_text(encoding="utf-8"))
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    received = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert collector["exporters"]["otlp"]["endpoint"] == received.replace("0.0.0.0", "tempo")
    urls = {source["type"]: source["url"] for source in sources["datasources"]}
    assert urls == {
        "prometheus": "http://prometheus:9090",
        "tempo": f"http://tempo:{tempo['server']['http_listen_port']}",
    }
    assert set(OBSERVERS) <= set(services)


def test_ports_are_published_on_this_machine_only(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_a_call_can_be_placed_and_checked_from_this_machine(services: dict[str, Service]) -> None:
    """`lab call` uses the documented ports to place calls and to read metrics."""
    for name, port in asdict(Ports()).items():
        if name == "business":
            continue  # only `lab demo` starts it
        part = services[name.replace("_", "-")]
        assert name in ("redis", "identity") or f"127.0.0.1:{port}:{port}" in part["ports"], name


def test_every_built_image_has_its_dockerfile_and_health_check(services: dict[str, Service], root: Path) -> None:
    for name, port in (SERVICES | SIMULATORS).items():
        dockerfile = (root / services[name]["build"]["dockerfile"]).read_text(encoding="utf-8")
        assert "HEALTHCHECK" in dockerfile
        assert str(port) in re.findall(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE)[-1].split()
        assert services[name]["environment"]["PORT"] == str(port)
        assert dockerfile.rstrip().count("\nUSER 10001:10001") == 1


def test_images_install_locked_wheels_only(root: Path) -> None:
    dockerfiles = [*root.glob("services/*/Dockerfile"), root / "lab/Dockerfile"]
    assert len(dockerfiles) == 4
    for path in dockerfiles:
        text = path.read_text(encoding="utf-8")
        for install in re.findall(r"pip\S* (?:--python \S+ )?install (.*)$", text, re.MULTILINE):
            assert "--require-hashes" in install or "--no-deps --no-index" in install, f"{path}: {install}"
        assert all(":" in image.split("/")[-1] for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))


def test_every_setting_can_be_given_in_the_env_file(services: dict[str, Service]) -> None:
    """The values for the simulators are only defaults: `.env` overrides them, even with an empty value."""
    for name in (*SERVICES, *REAL):
        assert services[name]["env_file"] == [{"path": ".env", "required": False}]
        for setting, value in services[name]["environment"].items():
            assert setting == "PORT" or value.startswith(f"${{{setting}-"), f"{name}: {setting}"


def test_both_sides_of_a_secret_agree(services: dict[str, Service]) -> None:
    control, gateway = services["call-control"]["environment"], services["media-gateway"]["environment"]
    for setting in ("MEDIA_TOKEN_KEYS", "ACS_JWT_AUDIENCE", "ACS_JWT_ISSUER", "ACS_JWKS_URL", "REDIS_URL"):
        assert control[setting] == gateway[setting]
    assert services["acs"]["environment"]["EVENT_GRID_SECRET"] in control["EVENT_GRID_SECRETS"]
    assert services["acs"]["environment"]["ACS_ISSUER"] in control["ACS_JWT_ISSUER"]
