"""No service starts with an insecure setting unless ALLOW_INSECURE allows it; secrets are never shown."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from agent_relay.settings import RelaySettings
from bridge_common.service.acs_settings import AcsTrustSettings
from bridge_common.service.insecure import KEYS, Insecure
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from lab import stack
from tests.support.service_settings import GOOD, INSIGHTS, SERVICES, refusal, start

ENTRA = {"EVENT_GRID_TENANT_ID": "t", "EVENT_GRID_AUDIENCE": "a"}
STRING = "endpoint=http://acs.example/;accesskey=c2VjcmV0"

# Columns: service, changed settings, value for ALLOW_INSECURE, setting in the error, part of the remedy.
STARTS = [
    ("call-control", {"EVENT_GRID_SECRETS": ""}, "open-webhook", "EVENT_GRID_SECRETS", "openssl rand -hex 32"),
    ("call-control", {"EVENT_GRID_SECRETS": ""}, "open-webhook", "EVENT_GRID_SECRETS", "or set EVENT_GRID_TENANT_ID"),
    *(
        (service, {"ACS_JWT_MODE": mode}, "unchecked-tokens", "ACS_JWT_MODE", "use `enforce`")
        for service in ("call-control", "media-gateway")
        for mode in ("log", "off", "OFF")
    ),
    *(
        (service, {setting: key}, word, setting, "openssl rand -hex 32")
        for service, setting in (
            ("call-control", "MEDIA_TOKEN_KEYS"),
            ("call-control", "EVENT_GRID_SECRETS"),
            ("call-control", "API_KEYS"),
            ("call-control", "ROUTING_KEY"),
            ("call-control", "LOG_PHONE_KEY"),
            ("media-gateway", "MEDIA_TOKEN_KEYS"),
            ("media-gateway", "LOG_PHONE_KEY"),
            ("agent-relay", "LOG_PHONE_KEY"),
        )
        for key, word in (("0123456789abcde", "short-keys"), ("lab-key-of-the-simulators", "known-keys"))
    ),
    *(
        (service, {setting: url}, "plain-http", setting, "use https:// or wss://")
        for service, setting, url in (
            ("call-control", "BASE_URL", "http://phone.example.com"),
            ("call-control", "MEDIA_BASE_URL", "ws://phone.example.com"),
            ("call-control", "ACS_ENDPOINT", "http://acs.example"),
            ("call-control", "ACS_CONNECTION_STRING", STRING),
            ("call-control", "ACS_JWKS_URL", "http://acs.example/keys"),
            ("call-control", "EVENT_GRID_JWKS_URL", "http://entra.example/keys"),
            ("media-gateway", "ACS_JWKS_URL", "http://acs.example/keys"),
            ("agent-relay", "AZURE_VOICE_LIVE_ENDPOINT", "http://voice.example"),
            ("agent-relay", "AZURE_VOICE_LIVE_ENDPOINT", "ws://voice.example"),
            ("agent-relay", "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS", "https://a.example,http://b.example"),
        )
    ),
    *(
        (service, {setting: url}, word, setting, remedy)
        for service in SERVICES
        for setting, url, word, remedy in (
            ("REDIS_URL", "redis://:password@cache.example:6379/0", "plain-redis", "use rediss://"),
            ("REDIS_URL", "rediss://cache.example?ssl_cert_reqs=none", "unverified-redis", "ssl_ca_certs"),
            ("REDIS_URL", "rediss://:password@cache.example?ssl_check_hostname=false", "unverified-redis", "remove"),
            ("REDIS_URL", "rediss+sentinel://:x@h:1/m?ssl_check_hostname=false", "unverified-redis", "remove"),
            ("REDIS_URL", "rediss://cache.example?ssl_ciphers=ALL", "unverified-redis", "remove ssl_ciphers"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "plain-telemetry", "use https://"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/v1/traces", "plain-telemetry", "use https://"),
            ("APPLICATIONINSIGHTS_CONNECTION_STRING", f"{INSIGHTS}http://x.example", "plain-telemetry", "use https://"),
        )
    ),
]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in SERVICES.values():
        for name in cls.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("service", SERVICES)
def test_a_secure_start_needs_no_permission(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    assert start(monkeypatch, service).allow_insecure == ()


def test_entra_protects_the_webhook_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, "call-control", EVENT_GRID_SECRETS="", **ENTRA)


@pytest.mark.parametrize(("service", "changes", "word", "setting", "remedy"), STARTS)
def test_an_insecure_start_is_refused_unless_its_word_allows_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    service: str,
    changes: dict[str, str],
    word: str,
    setting: str,
    remedy: str,
) -> None:
    others = ",".join(each for each in Insecure if each != word)
    for allowed in ("", others):
        [reason] = refusal(monkeypatch, capsys, service, **changes, ALLOW_INSECURE=allowed)
        assert reason.startswith(f"{setting}: ")
        assert remedy in reason
        assert reason.endswith(f"or add {word} to ALLOW_INSECURE")
        assert not any(secret in reason for secret in ("password@", "c2VjcmV0", "0123456789abcde", "lab-key"))
    assert start(monkeypatch, service, **changes, ALLOW_INSECURE=word).allow_insecure == (word,)


def test_every_word_is_tried() -> None:
    assert {word for _, _, word, _, _ in STARTS} == set(Insecure)


def test_all_insecure_and_all_invalid_settings_are_listed_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = refusal(
        monkeypatch,
        capsys,
        "call-control",
        ALLOW_INSECURE="short-keys, plain_http",
        REDIS_URL="redis://cache.example",
        BASE_URL="http://phone.example.com",
        MEDIA_TOKEN_KEYS="lab-key",
        EVENT_GRID_SECRETS="",
        ACS_JWT_MODE="log",
        PORT="none",
        ACS_ENDPOINT="",
    )
    assert sorted(reason.split(":")[0] for reason in reasons) == [
        *("ACS_CONNECTION_STRING", "ACS_JWT_MODE", "ALLOW_INSECURE", "BASE_URL", "EVENT_GRID_SECRETS"),
        *("MEDIA_TOKEN_KEYS", "PORT", "REDIS_URL"),
    ]
    [words] = [reason for reason in reasons if reason.startswith("ALLOW_INSECURE")]
    assert words == f"ALLOW_INSECURE: has unknown words: plain_http; allowed are {', '.join(Insecure)}"


async def test_a_process_ends_with_code_2_before_it_listens() -> None:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    settings = GOOD["call-control"] | {"EVENT_GRID_SECRETS": "", "ACS_JWT_MODE": "off", "PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("call-control"), env=keep | settings, stderr=asyncio.subprocess.PIPE
    )
    _, text = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert [line.split(":")[0].strip() for line in text.decode().splitlines()[1:]] == [
        "ACS_JWT_MODE",
        "EVENT_GRID_SECRETS",
    ]


# -- publicly known keys ------------------------------------------------------------------------------------------
def _keys_of(cls: type[ServiceSettings]) -> set[str]:
    return {name.upper() for name, check in cls.checks().items() if check is KEYS}


OUR_KEYS = {name for cls in SERVICES.values() for name in _keys_of(cls)}


def _published(root: Path) -> Iterator[tuple[str, str]]:
    """Return the published keys: (location, key)."""
    for name in ("API_KEY", "MEDIA_TOKEN_KEY", "EVENT_GRID_SECRET"):
        yield f"lab.stack.{name}", getattr(stack, name)
    files = [root / ".env.example", root / "docker-compose.yml", root / "README.md"]
    files += [*root.glob("docs/**/*.md"), *root.glob("k8s/**/*.yaml")]
    assignment = re.compile(rf"\b({'|'.join(sorted(OUR_KEYS))})[=:] ?(?:\${{\w+-([^}}]*)}}|([^#\n|)]+))")
    for path in files:
        for match in assignment.finditer(path.read_text(encoding="utf-8")):
            value = (match[2] or match[3] or "").strip("\"'` ")
            if value and value[0] != "`":
                yield f"{path.relative_to(root)}: {match[1]}", value


def test_every_key_that_is_published_here_is_refused(root: Path) -> None:
    found = dict(_published(root))
    assert len(found) > 10
    assert not [where for where, value in found.items() if not list(KEYS.faults(value))]


def test_the_example_of_secrets_is_refused_and_complete(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root / "k8s/overlays/aks/secrets.example.yaml").read_text(encoding="utf-8")
    secrets: dict[str, Any] = {one["metadata"]["name"]: one["stringData"] for one in yaml.safe_load_all(text)}
    for service in ("call-control", "media-gateway", "agent-relay"):
        manifest = (root / f"k8s/base/{service}/deployment.yaml").read_text(encoding="utf-8")
        container = yaml.safe_load(manifest)["spec"]["template"]["spec"]["containers"][0]
        wanted = [one["secretRef"] for one in container["envFrom"] if "secretRef" in one]
        demanded = {one["name"] for one in wanted if not one.get("optional")}
        assert demanded <= set(secrets)
        placeholders = {name: value for one in demanded for name, value in secrets[one].items()}
        named = {line.split(":")[0] for line in refusal(monkeypatch, capsys, service, **placeholders)}
        assert named == set(placeholders)


# -- deployments --------------------------------------------------------------------------------------------------
def _compose(root: Path, name: str) -> dict[str, str]:
    """Return the environment of a service with an empty `.env`."""
    compose = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    given: dict[str, str] = compose["services"][name]["environment"]
    return {name: re.sub(r"^\$\{\w+-(.*)\}$", r"\1", value) for name, value in given.items()}


def _load_only(monkeypatch: pytest.MonkeyPatch, service: str, given: dict[str, str]) -> ServiceSettings:
    with monkeypatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        return load_settings(SERVICES[service])


@pytest.mark.parametrize("service", SERVICES)
def test_the_simulated_stack_of_compose_needs_exactly_its_exemptions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path, service: str
) -> None:
    given = _compose(root, service)
    assert _load_only(monkeypatch, service, given).allow_insecure == ("known-keys", "plain-http", "plain-redis")
    with pytest.raises(SystemExit):
        _load_only(monkeypatch, service, given | {"ALLOW_INSECURE": ""})
    needed = set(re.findall(r"or add (\S+) to", capsys.readouterr().err))
    assert needed == {"plain-http", "plain-redis"} | ({"known-keys"} if service != "agent-relay" else set())


@pytest.mark.parametrize("service", SERVICES)
def test_the_real_services_of_compose_refuse_the_defaults_of_the_simulators(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path, service: str
) -> None:
    real = _compose(root, f"azure-{service}")
    with pytest.raises(SystemExit):
        _load_only(monkeypatch, service, _compose(root, service) | real)
    assert "or add plain-http to" in capsys.readouterr().err


def test_the_lab_allows_only_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab = stack.Stack(stack.Ports(), tmp_path, redis_url="redis://127.0.0.1:6390/0")
    for service in SERVICES:
        assert _load_only(monkeypatch, service, lab._environment(service)).allow_insecure == ("known-keys",)
    monkeypatch.setenv("ALLOW_INSECURE", "plain-redis")
    lab.redis_url = "redis://other.example"
    given = lab._environment("agent-relay")
    assert _load_only(monkeypatch, "agent-relay", given).allow_insecure == ("known-keys", "plain-redis")


# -- secrets are not shown ----------------------------------------------------------------------------------------
_SECRET = re.compile(r"(_keys?|_secrets?|connection_string|redis_url)$")
_ADDRESS = re.compile(r"(_url|_endpoints?)$")


@pytest.mark.parametrize("cls", SERVICES.values())
def test_settings_with_a_secret_or_an_address_are_marked(cls: type[ServiceSettings]) -> None:
    secrets = {name for name in cls.model_fields if _SECRET.search(name)}
    assert len(secrets) >= 3
    for name in secrets:
        assert "SecretStr" in str(cls.model_fields[name].annotation), name
    ours = {name for name in secrets if name.endswith(("_key", "_keys", "_secrets")) and "api_key" not in name}
    addresses = {name for name in cls.model_fields if _ADDRESS.search(name)}
    assert not (ours | addresses) - set(cls.checks())


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_shown_by_settings_or_objects_made_from_them(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    cls = SERVICES[service]
    values = {
        "REDIS_URL": "rediss://user:hidden@cache.example:10000/0?sentinel_password=hidden",
        "ACS_CONNECTION_STRING": "endpoint=https://acs.example/;accesskey=aGlkZGVuaGlkZGVu",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"{INSIGHTS}https://hidden.example",
        "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS": "https://other.example",
    }
    for name in cls.model_fields:
        if _SECRET.search(name):
            values.setdefault(name.upper(), "hidden-hidden-hidden")
    settings = start(monkeypatch, service, **values)
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.redis_address)]
    if isinstance(settings, RelaySettings):
        shown += [repr(settings.target), repr(settings.further_targets)]
        assert settings.further_targets[0].api_key == "hidden-hidden-hidden"
    if isinstance(settings, CallControlSettings):
        shown += [repr(settings.acs_address), repr(settings.routing)]
    assert not any(secret in text for text in shown for secret in ("hidden", "aGlkZGVu"))
    revealed = [value for value in settings.model_dump().values() if isinstance(value, SecretStr)]
    assert revealed
    assert isinstance(settings, AcsTrustSettings) == (service != "agent-relay")
