"""Settings with which the services start, and the errors about invalid settings."""

from __future__ import annotations

import pytest

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings

SERVICES: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
TRUST = {"MEDIA_TOKEN_KEYS": "a" * 32, "ACS_JWT_AUDIENCE": "89e8cb59-b991-48b0-b154-1db84f16a077"}
GOOD = {
    "call-control": {
        **TRUST,
        "REDIS_URL": "rediss://:password@cache.example:10000/0",
        "BASE_URL": "https://phone.example.com",
        "ACS_ENDPOINT": "https://r.communication.azure.com",
        "EVENT_GRID_SECRETS": "b" * 32,
    },
    "media-gateway": {**TRUST, "REDIS_URL": "rediss+sentinel://one:26379,two:26379/mymaster"},
    "agent-relay": {
        "REDIS_URL": "redis://localhost:6379/0",
        "AZURE_VOICE_LIVE_ENDPOINT": "https://r.services.ai.azure.com",
        "VOICE_LIVE_MODEL": "gpt-realtime",
    },
}
INSIGHTS = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint="


def start(monkeypatch: pytest.MonkeyPatch, service: str, **changes: str) -> ServiceSettings:
    for name, value in (GOOD[service] | changes).items():
        monkeypatch.setenv(name, value)
    return load_settings(SERVICES[service])


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str, **changes: str
) -> list[str]:
    """Return the reasons why the service does not start, one per line."""
    with pytest.raises(SystemExit) as ended:
        start(monkeypatch, service, **changes)
    assert ended.value.code == 2
    return [line.strip() for line in capsys.readouterr().err.splitlines()[1:]]
