from __future__ import annotations

import pytest

from lab.acs.settings import LAB_ACCESS_KEY, AcsSettings


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = AcsSettings.from_env({})
    assert settings == AcsSettings()
    assert (settings.port, settings.host) == (8090, "127.0.0.1")
    assert settings.webhook_url == "http://127.0.0.1:8080/api/incomingCall"
    assert settings.issuer == settings.base_url == "http://127.0.0.1:8090"
    assert len(LAB_ACCESS_KEY) >= 64


def test_each_field_comes_from_its_variable() -> None:
    settings = AcsSettings.from_env(
        {
            "PORT": "1234",
            "HOST": "0.0.0.0",
            "EVENT_SCHEMA": "CloudEvents",
            "MEDIA_REDIAL": "off",
            "MEDIA_LOSS_CALLBACK": "stopped",
            "MEDIA_LOSS_CONTEXT": "none",
            "ACS_ALLOW_BEARER": "false",
            "SILENT_FLAG": "true",
            "ACS_ISSUER": "https://acscallautomation.communication.azure.com/",
            "RING_TIMEOUT_S": "0.5",
            "MEDIA_REDIAL_ATTEMPTS": "7",
            "NOISE_DBFS": "-50.5",
            "LAB_STRICT": "1",
        }
    )
    assert settings.base_url == "http://127.0.0.1:1234"
    assert settings.issuer == "https://acscallautomation.communication.azure.com"
    assert (settings.event_schema, settings.media_redial) == ("cloudevents", "off")
    assert (settings.media_loss_callback, settings.media_loss_context) == ("stopped", "none")
    assert (settings.acs_allow_bearer, settings.silent_flag) == (False, True)
    assert (settings.ring_timeout_s, settings.media_redial_attempts) == (0.5, 7)
    assert (settings.noise_dbfs, settings.lab_strict) == (-50.5, True)
    assert AcsSettings.from_env({"NOISE_DBFS": "off"}).noise_dbfs is None


def test_all_invalid_values_are_reported_together() -> None:
    wrong = {
        "PORT": "many",
        "EVENT_SCHEMA": "xml",
        "ACS_ACCESS_KEY": "not base64!",
        "RING_TIMEOUT_S": "-1",
        "LOG_LEVEL": "loud",
        "NOISE_DBFS": "3",
        "LAB_STRICT": "very",
    }
    with pytest.raises(ValueError, match="PORT") as refused:
        AcsSettings.from_env(wrong)
    assert all(name in str(refused.value) for name in wrong)
    assert "ACS_ACCESS_KEY is not valid base64" in str(refused.value)
    assert "NOISE_DBFS must be `off` or a number from -96 to -20, got '3'" in str(refused.value)
    assert wrong["ACS_ACCESS_KEY"] not in str(refused.value)
