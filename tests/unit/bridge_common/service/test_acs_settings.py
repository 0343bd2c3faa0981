from __future__ import annotations

import pytest

from bridge_common.auth.acs_jwt import JwtMode
from bridge_common.service.acs_settings import ACS_ISSUER, AcsTrustSettings
from bridge_common.service.settings import load_settings

GOOD = {"REDIS_URL": "redis://localhost", "PORT": "0", "MEDIA_TOKEN_KEYS": "k" * 16, "ACS_JWT_AUDIENCE": "resource"}


def _set(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in (GOOD | changes).items():
        monkeypatch.setenv(name, value)


def test_the_real_acs_is_trusted_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch)
    settings = load_settings(AcsTrustSettings)
    assert (settings.acs_jwt_mode, settings.acs_jwt_issuer) == (JwtMode.ENFORCE, ACS_ISSUER)
    assert settings.acs_jwks_url == "https://acscallautomation.communication.azure.com/calling/keys"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MEDIA_TOKEN_KEYS": "short"}, "MEDIA_TOKEN_KEYS: a key has fewer than 16 characters"),
        ({"MEDIA_TOKEN_KEYS": ","}, "MEDIA_TOKEN_KEYS: needs at least one key"),
        ({"ACS_JWT_AUDIENCE": ""}, "ACS_JWT_AUDIENCE: is not set"),
        ({"ACS_JWT_MODE": "perhaps"}, "ACS_JWT_MODE"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: dict[str, str], told: str
) -> None:
    _set(monkeypatch, **changes)
    with pytest.raises(SystemExit) as caught:
        load_settings(AcsTrustSettings)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


def test_the_audience_may_be_missing_where_tokens_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, ACS_JWT_AUDIENCE="", ACS_JWT_MODE="OFF", ALLOW_INSECURE="unchecked-tokens")
    assert load_settings(AcsTrustSettings).acs_jwt_mode is JwtMode.OFF
