from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.exported import OWNED, RemoteRedisError, defaults, left_out, notices, passed, redis_url


def test_settings_of_the_services_and_simulators_reach_them() -> None:
    exported = {
        "ROUTING_KEY": "k" * 16,
        "ROUTING_POLICY": "/p.yaml",
        "AGENT_PROFILES_FILE": "/profiles.yaml",
        "AGENT_PATIENCE_S": "9",
        "MEDIA_REDIAL": "off",
        "MEDIA_PATIENCE_S": "3",
        "ACS_AUDIO_FORMAT": "pcm24k",
        "VOICE_LIVE_MODEL": "gpt-realtime",
        "AZURE_OPENAI_DEPLOYMENT": "mine",
    }
    assert passed(exported) == exported
    assert left_out(exported) == []


def test_every_setting_of_the_example_is_passed_or_named_as_left_out() -> None:
    example = (Path(__file__).resolve().parents[3] / ".env.example").read_text(encoding="utf-8")
    names = set(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert len(names) > 60
    exported = dict.fromkeys(names, "1")
    assert set(passed(exported)) | set(left_out(exported)) == names
    assert not set(passed(exported)) & OWNED


def test_credentials_of_a_real_subscription_are_not_passed() -> None:
    exported = {
        "ACS_CONNECTION_STRING": "endpoint=https://real;accesskey=c2VjcmV0",
        "AZURE_VOICE_LIVE_API_KEY": "secret",
        "AZURE_FEDERATED_TOKEN_FILE": "/token",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=1",
    }
    assert passed(exported) == {}
    assert left_out(exported) == sorted(set(exported) - {"AZURE_FEDERATED_TOKEN_FILE"}), "the latter is not a setting"


def test_an_exported_setting_replaces_the_labs_own_value() -> None:
    values = {"AGENT_NAME": "lab-agent", "AGENT_PROJECT_NAME": "lab-project", "VOICE_LIVE_CONNECTIONS_PER_MIN": "0"}
    assert defaults(values, {}) == values
    assert "VOICE_LIVE_CONNECTIONS_PER_MIN" not in defaults(values, {"VOICE_LIVE_CONNECTIONS_PER_MIN": "30"})
    assert "AGENT_NAME" not in defaults(values, {"VOICE_LIVE_MODEL": "gpt-realtime"}), (
        "two connection modes would be an error"
    )
    assert defaults({"BASE_URL": "http://lab"}, {"BASE_URL": "https://real"}) == {"BASE_URL": "http://lab"}


@pytest.mark.parametrize(
    "url", ["", "redis://127.0.0.1:6379/0", "redis://:secret@localhost/0", "unix:///run/redis.sock", "redis://[::1]:1"]
)
def test_a_redis_of_this_machine_is_used(url: str) -> None:
    assert redis_url({"REDIS_URL": url}) == url


@pytest.mark.parametrize(
    "url", ["rediss://:secret@prod.redis.azure.net:10000/0", "redis+sentinel://localhost:1,prod:26379/mymaster/0"]
)
def test_a_redis_elsewhere_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(RemoteRedisError, match="prod") as caught:
        redis_url({"REDIS_URL": url})
    assert "secret" not in str(caught.value)


def test_settings_without_effect_are_reported(tmp_path: Path) -> None:
    assert notices(tmp_path, {"ROUTING_KEY": "k" * 16}) == []
    (tmp_path / ".env").touch()
    told = "\n".join(notices(tmp_path, {"API_KEYS": "mine", "REDIS_URL": "redis://localhost"}))
    for word in ("API_KEYS", "REDIS_URL", ".env"):
        assert word in told
    assert "mine" not in told
