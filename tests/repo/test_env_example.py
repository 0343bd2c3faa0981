""".env.example has all settings of all services, with comments; deployments set only settings that a service reads."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bridge_common.service.settings import ServiceSettings

SERVICES = ("call-control", "media-gateway", "agent-relay")

# Read by the library azure-identity, not by the code of the services.
CREDENTIALS = {
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
}
_LINE = re.compile(r"^# ?([A-Z][A-Z0-9_]+)=|^([A-Z][A-Z0-9_]+)=")


def _settings_of(service: str) -> dict[str, bool]:
    """Return the environment variables of a service, each with whether it is optional."""
    module = importlib.import_module(f"{service.replace('-', '_')}.settings")
    (cls,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    )
    return {name.upper(): not field.is_required() for name, field in cls.model_fields.items()}


@pytest.fixture(scope="module")
def example(root: Path) -> dict[str, str]:
    """The comment above each setting in .env.example, by setting."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in (root / ".env.example").read_text(encoding="utf-8").splitlines():
        if match := _LINE.match(line):
            found[match.group(1) or match.group(2)] = " ".join(comment)
        elif line.startswith("#"):
            comment = [*comment, line.lstrip("# ")]
            continue
        if not line.strip():
            comment = []
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_in_the_example_with_a_comment(service: str, example: dict[str, str]) -> None:
    missing = sorted(set(_settings_of(service)) - set(example))
    assert not missing
    bare = sorted(name for name in _settings_of(service) if len(example[name]) < 10)
    assert not bare, "without a comment"


def test_the_example_names_nothing_else(example: dict[str, str]) -> None:
    known = {name for service in SERVICES for name in _settings_of(service)} | CREDENTIALS
    assert not sorted(set(example) - known)


@pytest.mark.parametrize("service", SERVICES)
def test_compose_sets_only_settings_that_the_service_reads(service: str, root: Path) -> None:
    compose = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    given = set(compose["services"][service]["environment"])
    settings = _settings_of(service)
    assert not given - set(settings) - CREDENTIALS
    assert not {name for name, optional in settings.items() if not optional} - given, "required, but not set"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", ["local", "aks"])
def test_kubernetes_sets_only_settings_that_a_service_reads(overlay: str, root: Path) -> None:
    folder = root / "k8s/overlays" / overlay
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True).stdout
    every = {name for service in SERVICES for name in _settings_of(service)}
    for manifest in yaml.safe_load_all(built):
        if manifest["kind"] not in {"ConfigMap", "Secret"}:
            continue
        name = re.sub(r"-[a-z0-9]{10}$", "", manifest["metadata"]["name"])
        service = name.removesuffix("-settings")
        known = set(_settings_of(service)) if service in SERVICES else every
        assert not set(manifest["data"]) - known - CREDENTIALS, name
