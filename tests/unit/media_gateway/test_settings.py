from __future__ import annotations

import pytest

from bridge_common.auth.acs_jwt import JwtMode
from bridge_common.service.settings import load_settings, revealed
from media_gateway.settings import GatewaySettings

NEEDED = {
    "REDIS_URL": "redis://localhost:6379/0",
    "MEDIA_TOKEN_KEYS": "a-new-key-only-for-tests,an-old-key-only-for-tests",
    "ACS_JWT_AUDIENCE": "resource",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_what_is_needed_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(GatewaySettings)
    assert settings.port == 8081
    assert revealed(settings.media_token_keys) == ("a-new-key-only-for-tests", "an-old-key-only-for-tests")
    assert settings.acs_jwt_mode is JwtMode.ENFORCE
    assert settings.agreed_rate_hz == 16_000
    assert settings.playout_lead_ms == 200


def test_24_khz_may_be_agreed_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NEEDED, "ACS_AUDIO_FORMAT": "Pcm24K"}.items():
        monkeypatch.setenv(name, value)
    assert load_settings(GatewaySettings).agreed_rate_hz == 24_000


def test_without_jwt_checks_no_audience_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        **NEEDED,
        "ACS_JWT_AUDIENCE": "",
        "ACS_JWT_MODE": "off",
        "ALLOW_INSECURE": "unchecked-tokens",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings(GatewaySettings).acs_jwt_mode is JwtMode.OFF


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"MEDIA_TOKEN_KEYS": " , ", "PLAYOUT_LEAD_MS": "soon", "GATEWAY_CAPACITY": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exit_:
        load_settings(GatewaySettings)
    assert exit_.value.code == 2
    told = capsys.readouterr().err
    for name in ("REDIS_URL", "MEDIA_TOKEN_KEYS", "ACS_JWT_AUDIENCE", "PLAYOUT_LEAD_MS", "GATEWAY_CAPACITY"):
        assert f"  {name}: " in told
